# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Objects as an API server lists them, small."""

from __future__ import annotations

from typing import Any, Callable

import pytest

Make = Callable[..., dict[str, Any]]


def make_pod(
    name: str = "pod", *, namespace: str = "default", node: str = "", gpus: int = 0, phase: str = "Running", **more: Any
) -> dict[str, Any]:
    """A pod with one container. ``more``: labels, annotations, owner (kind, name, uid), spec, status, deleted."""
    container: dict[str, Any] = {"name": "main", "image": "app:1"}
    if gpus:
        quantities = {"nvidia.com/gpu": str(gpus)}
        container["resources"] = {"limits": quantities, "requests": quantities}
    metadata: dict[str, Any] = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{namespace}-{name}",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "labels": more.get("labels", {}),
        "annotations": more.get("annotations", {}),
    }
    if "owner" in more:
        kind, owner_name, uid = more["owner"]
        metadata["ownerReferences"] = [{"kind": kind, "name": owner_name, "uid": uid, "controller": True}]
    if more.get("deleted"):
        metadata["deletionTimestamp"] = "2026-01-02T00:00:00Z"
    spec = {"containers": [container], **({"nodeName": node} if node else {}), **more.get("spec", {})}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase, **more.get("status", {})}}


def make_node(name: str = "gpu-1", *, gpus: int = 0, allocatable: int | None = None, **more: Any) -> dict[str, Any]:
    """A ready node. ``more``: labels, annotations, spec, ready."""
    ready = "True" if more.get("ready", True) else "False"
    status: dict[str, Any] = {
        "conditions": [{"type": "Ready", "status": ready}],
        "capacity": {"cpu": "8", "memory": "32Gi"},
        "allocatable": {"cpu": "8", "memory": "32Gi"},
    }
    if gpus:
        status["capacity"]["nvidia.com/gpu"] = str(gpus)
        status["allocatable"]["nvidia.com/gpu"] = str(gpus if allocatable is None else allocatable)
    metadata = {
        "name": name,
        "uid": f"uid-{name}",
        "resourceVersion": "7",
        "labels": more.get("labels", {}),
        "annotations": more.get("annotations", {}),
    }
    return {"metadata": metadata, "spec": more.get("spec", {}), "status": status}


def make_daemonset(name: str = "nvidia-device-plugin-daemonset", **more: Any) -> dict[str, Any]:
    """NVIDIA's plugin as a cloud once shipped it. ``more``: metadata, container, pod (spec), strategy."""
    container = {
        "name": "nvidia-device-plugin-ctr",
        "image": "nvcr.io/nvidia/k8s-device-plugin:v0.14.5",
        "args": ["--mig-strategy=single", "--fail-on-init-error=false", "--pass-device-specs=true"],
        **more.get("container", {}),
    }
    pod = {
        "nodeSelector": {"nvidia-device-enable": "enable"},
        "priorityClassName": "system-node-critical",
        **more.get("pod", {}),
    }
    pod.setdefault("containers", [container])
    metadata = {
        "name": name,
        "namespace": "kube-system",
        "uid": f"uid-{name}",
        "generation": 1,
        **more.get("metadata", {}),
    }
    strategy = {"type": more.get("strategy", "RollingUpdate")}
    return {"metadata": metadata, "spec": {"updateStrategy": strategy, "template": {"spec": pod}}}


@pytest.fixture
def pod() -> Make:
    return make_pod


@pytest.fixture
def node() -> Make:
    return make_node


@pytest.fixture
def daemonset() -> Make:
    return make_daemonset
