# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods as the cluster file has them. PRIVATE to the collection."""

from __future__ import annotations

from datetime import datetime
from sys import intern
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.nodes import is_ready
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import controller_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import REVISION_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

_MIRROR_ANNOTATION = "kubernetes.io/config.mirror"
_HASH_LABELS = ("controller-revision-hash", "pod-template-hash")
# Every pod is given tolerations for these: a node that is not Ready takes no new pod all the same.
_NODE_TROUBLES = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def identity(pod: Mapping[str, Any]) -> dict[str, str]:
    """Namespace, name and uid."""
    metadata = pod["metadata"]
    namespace = intern(metadata.get("namespace") or "")
    return {"namespace": namespace, "name": metadata.get("name") or "", "uid": metadata.get("uid") or ""}


def read_pod(pod: Mapping[str, Any], requests: Mapping[str, int]) -> dict[str, Any]:
    """A pod on a GPU node."""
    metadata, spec, status = pod["metadata"], pod.get("spec") or {}, pod.get("status") or {}
    labels = metadata.get("labels") or {}
    record = {
        **identity(pod),
        "phase": intern(status.get("phase") or ""),
        "reason": intern(status.get("reason") or ""),
        "requests": dict(requests),
        "node_selector": spec.get("nodeSelector") or {},
        "owner": controller_of(pod),
        "controller_hash": next((intern(labels[key]) for key in _HASH_LABELS if key in labels), None),
        "priority_class": intern(spec.get("priorityClassName") or ""),
        "created": metadata.get("creationTimestamp") or "",
        "restarts": sum(container.get("restartCount") or 0 for container in status.get("containerStatuses") or ()),
        "terminating": "deletionTimestamp" in metadata,
        "mirror": _MIRROR_ANNOTATION in (metadata.get("annotations") or {}),
    }
    # What decides where a pod may go is kept of GPU pods alone: of others there are many more, and they are only evicted to empty
    # a node, which takes along what they have written.
    if requests:
        return {**record, "bound": _bound(status), **_moving(spec)}
    owner = controller_of(pod) or {}
    return {**record, "emptydir": True} if _keeps_data(spec) and owner.get("kind") != "DaemonSet" else record


def _bound(status: Mapping[str, Any]) -> str | None:
    """When the pod was given to its node, RFC 3339; None if nothing tells."""
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True":
            return condition.get("lastTransitionTime")
    return status.get("startTime")


def _moving(spec: Mapping[str, Any]) -> dict[str, Any]:
    """What else decides on a move; what is as usual is left out."""
    found = {
        **placement(spec),
        "priority": spec.get("priority") or 0,
        "emptydir": _keeps_data(spec),
    }
    return {name: value for name, value in found.items() if value}


def _keeps_data(spec: Mapping[str, Any]) -> bool:
    """Eviction would lose what it has written on its node."""
    return any("emptyDir" in volume for volume in spec.get("volumes") or ())


def placement(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Tolerations that somebody gave the pod, and the node affinity that it requires; what it has not is left out."""
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    given = [one for one in spec.get("tolerations") or () if one.get("key") not in _NODE_TROUBLES]
    found = {
        "tolerations": given,
        "node_affinity": {"requiredDuringSchedulingIgnoredDuringExecution": affinity} if affinity else None,
    }
    return {name: value for name, value in found.items() if value}


def read_pending(pod: Mapping[str, Any], requests: Mapping[str, int], now: datetime) -> dict[str, Any] | None:
    """A pod that waits for a node, with what the scheduler says about it; None for any other."""
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    if status.get("phase") != "Pending" or spec.get("nodeName") or "deletionTimestamp" in pod["metadata"]:
        return None
    since = pod["metadata"].get("creationTimestamp") or ""
    created = parse_time(since)
    reason, message = "NotYetTried", "The scheduler has not tried it yet."
    for condition in status.get("conditions") or ():
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            reason, message = condition.get("reason") or reason, condition.get("message") or ""
    return {
        **identity(pod),
        "requests": dict(requests),
        "node_selector": spec.get("nodeSelector") or {},
        **placement(spec),
        "since": since,
        "seconds": max(0, int((now - created).total_seconds())) if created else 0,
        "reason": reason,
        "message": message,
        "owner": controller_of(pod),
    }


def read_failed(pod: Mapping[str, Any]) -> dict[str, Any] | None:
    """A pod that its node refused to admit; None for any other. It stays so: nothing schedules it again."""
    status = pod.get("status") or {}
    reason = status.get("reason") or ""
    if status.get("phase") != "Failed" or not (reason == "UnexpectedAdmissionError" or reason.startswith("OutOf")):
        return None
    return {
        **identity(pod),
        "node": (pod.get("spec") or {}).get("nodeName") or "",
        "reason": reason,
        "message": status.get("message") or "",
        "owner": controller_of(pod),
    }


def read_plugin_pod(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A pod of a device plugin."""
    metadata, status = pod["metadata"], pod.get("status") or {}
    return {
        "name": metadata.get("name") or "",
        "uid": metadata.get("uid") or "",
        "node": pod_node(pod),
        "phase": intern(status.get("phase") or ""),
        "ready": is_ready(status),
        "terminating": "deletionTimestamp" in metadata,
        "revision_label": (metadata.get("labels") or {}).get(REVISION_LABEL),
    }


def pod_node(pod: Mapping[str, Any]) -> str:
    """The node that a pod is on; of a DaemonSet's pod that is not scheduled yet, the node that it is made for."""
    spec = pod.get("spec") or {}
    if spec.get("nodeName"):
        return intern(spec["nodeName"])
    affinity = ((spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    ) or {}
    for term in affinity.get("nodeSelectorTerms") or ():
        for field in term.get("matchFields") or ():
            if field.get("key") == "metadata.name" and field.get("values"):
                return str(field["values"][0])
    return ""
