# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.daemonsets import read_daemonset
from simulator.manifests import daemonset

NODE = "gpu-1"


def exporter(
    name: str = "exporter", image: str = "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3", **spec: Any
) -> dict[str, Any]:
    """A DaemonSet as the cluster file has it."""
    pod = {"containers": [{"name": "main", "image": image}], **spec}
    obj = daemonset(name, "monitoring", pod, {"app": name})
    obj["metadata"]["uid"] = f"uid-{name}"
    return read_daemonset(obj)


def pod(owner: str | None = "exporter", uid: str = "pod-1", **changes: Any) -> dict[str, Any]:
    controller = {"kind": "DaemonSet", "name": owner, "uid": f"uid-{owner}"} if owner else None
    return {
        "namespace": "monitoring",
        "name": f"{owner or 'bare'}-x",
        "uid": uid,
        "phase": "Running",
        "requests": {},
        "owner": controller,
        "terminating": False,
        "mirror": False,
        **changes,
    }


def cluster(*daemonsets: dict[str, Any], **node: Any) -> dict[str, Any]:
    """A cluster file with one node, that has the labels of all selectors."""
    labels = {label: value for one in daemonsets for label, value in one["node_selector"].items()}
    users: dict[str, list[str]] = {}
    for one in daemonsets:
        for label in one["node_selector"]:
            users.setdefault(label, []).append(f"DaemonSet {one['namespace']}/{one['name']}")
    entry = {"labels": labels, "taints": [], "pods": [], "maintenance": None, **node}
    return {"nodes": {NODE: entry}, "daemonsets": list(daemonsets), "label_users": users}


def process(**changes: Any) -> dict[str, Any]:
    return {"pid": 4312, "command": "exporter", "pod_uid": None, "container_id": None, "unit": None, **changes}
