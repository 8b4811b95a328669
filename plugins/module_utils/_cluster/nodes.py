# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes as the cluster file has them. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import asdict
from sys import intern
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.quantities import counts_with_prefix
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    CONFIG_LABEL,
    HOLD_ANNOTATION,
    MAINTENANCE_ANNOTATION,
    REVISION_LABEL,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import parse_maintenance

# Annotations that a rollout or a person reading the report has to know; the rest of a node's annotations is large.
_ANNOTATIONS = ("kubegpu.sharing/", "nvidia.com/", "cluster-autoscaler.kubernetes.io/", "karpenter.sh/")
_INSTANCE_TYPES = ("node.kubernetes.io/instance-type", "beta.kubernetes.io/instance-type")
# Set by Node Feature Discovery for PCI vendor 10de (with or without the device class) and by GPU Feature Discovery.
_GPU_LABELS = (
    "feature.node.kubernetes.io/pci-10de.present",
    "feature.node.kubernetes.io/pci-0300_10de.present",
    "feature.node.kubernetes.io/pci-0302_10de.present",
    "nvidia.com/gpu.present",
)
_OUR_LABELS = (CONFIG_LABEL, REVISION_LABEL, "nvidia.com/gpu.product")


def read_node(node: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """A node without its pods: nothing is requested yet.

    :param prefix: of the resources that count, such as "nvidia.com/".
    """
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    labels = {intern(key): intern(value) for key, value in (metadata.get("labels") or {}).items()}
    annotations = metadata.get("annotations") or {}
    note = parse_maintenance(annotations.get(MAINTENANCE_ANNOTATION))
    resources = _resources(status, prefix)
    return {
        "gpu": bool(resources) or note is not None or _is_labelled(labels),
        "labels": labels,
        "taints": spec.get("taints") or [],
        "annotations": {key: value for key, value in annotations.items() if key.startswith(_ANNOTATIONS)},
        "unschedulable": bool(spec.get("unschedulable")),
        "ready": is_ready(status),
        "instance_type": next((labels[key] for key in _INSTANCE_TYPES if key in labels), None),
        "resources": resources,
        "maintenance": asdict(note) if note else None,
        "hold": annotations.get(HOLD_ANNOTATION),
        "key": labels.get(CONFIG_LABEL),
        "revision": labels.get(REVISION_LABEL),
        "resource_version": metadata.get("resourceVersion") or "",
        "pods": [],
    }


def is_ready(status: Mapping[str, Any]) -> bool:
    """Whether the condition Ready of a node or pod holds."""
    conditions = status.get("conditions") or ()
    return any(condition.get("type") == "Ready" and condition.get("status") == "True" for condition in conditions)


def _is_labelled(labels: Mapping[str, str]) -> bool:
    """Whether labels say that there are GPUs. Resources alone do not tell: five minutes without a plugin, and capacity is 0."""
    return any(labels.get(key) == "true" for key in _GPU_LABELS) or any(key in labels for key in _OUR_LABELS)


def count_requested(record: dict[str, Any], requests: Mapping[str, int]) -> None:
    """Add what a pod on the node asks for."""
    for name, count in requests.items():
        entry = record["resources"].setdefault(name, _entry(0, 0))
        entry["requested"] += count
        entry["free"] = max(0, entry["allocatable"] - entry["requested"])


def _resources(status: Mapping[str, Any], prefix: str) -> dict[str, dict[str, int]]:
    capacity = counts_with_prefix(status.get("capacity"), prefix)
    allocatable = counts_with_prefix(status.get("allocatable"), prefix)
    names = sorted({**capacity, **allocatable})
    return {name: _entry(capacity.get(name, 0), allocatable.get(name, 0)) for name in names}


def _entry(capacity: int, allocatable: int) -> dict[str, int]:
    return {"capacity": capacity, "allocatable": allocatable, "requested": 0, "free": allocatable}
