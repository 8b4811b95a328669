# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods as a rollout sees them. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugins import find_plugin_in
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

_FINISHED = ("Succeeded", "Failed")
_MESSAGE_LIMIT = 300


@dataclass(frozen=True)
class PodState:
    """What was observed of a pod.

    :param owner: (kind, name) of the controller, or None.
    :param acknowledged: the kubelet has admitted or refused it.
    :param trouble: what keeps its containers from running, in words; "" if nothing is known.
    :param runs_plugin: a device plugin for NVIDIA GPUs runs in it, to tell by its containers.
    :param gpu_requests: the pod asks for a GPU resource.
    :param bound: when it came to its node, if that is known.
    """

    namespace: str
    name: str
    uid: str
    node: str = ""
    phase: str = ""
    reason: str = ""
    message: str = ""
    ready: bool = False
    terminating: bool = False
    acknowledged: bool = False
    trouble: str = ""
    owner: tuple[str, str] | None = None
    labels: Mapping[str, str] = field(default_factory=dict)
    runs_plugin: bool = False
    gpu_requests: bool = False
    bound: datetime | None = None

    @property
    def full_name(self) -> str:
        """Namespace and name."""
        return f"{self.namespace}/{self.name}"

    @property
    def revision(self) -> str | None:
        """The revision of ours that it is, if it is ours."""
        return self.labels.get(names.REVISION_LABEL)

    @property
    def finished(self) -> bool:
        """It will never run again."""
        return self.phase in _FINISHED

    @property
    def is_plugin(self) -> bool:
        """It is a device plugin: ours bear their revision, whatever their image is called; others are told by what they run."""
        return self.runs_plugin or self.revision is not None

    def bound_before(self, moment: str) -> bool:
        """It came to its node before this time (RFC 3339). If its time is not known, it did not."""
        limit = parse_time(moment)
        return self.bound is not None and limit is not None and self.bound < limit.replace(microsecond=0)

    def owned_by(self, daemonset: str) -> bool:
        """It belongs to the DaemonSet "namespace/name"."""
        return (
            self.owner is not None and self.owner[0] == "DaemonSet" and f"{self.namespace}/{self.owner[1]}" == daemonset
        )

    def may_serve(self, daemonsets: Iterable[str]) -> bool:
        """It is a plugin, or belongs to one of these DaemonSets of plugins, whatever was made of its image."""
        return self.is_plugin or any(self.owned_by(daemonset) for daemonset in daemonsets)

    def describe(self) -> str:
        """Its state in words: "kube-system/x: Pending, ImagePullBackOff: ..."."""
        parts = ["terminating" if self.terminating else self.phase or "no phase"]
        if not self.terminating and self.phase == "Running" and not self.ready:
            parts.append("not ready")
        if self.trouble:
            parts.append(self.trouble)
        elif self.reason:
            parts.append(f"{self.reason}: {self.message}" if self.message else self.reason)
        return f"{self.full_name}: {', '.join(parts)}"


def observe_pod(obj: Mapping[str, Any]) -> PodState:
    """What a rollout needs of a Pod object."""
    metadata = obj.get("metadata") or {}
    spec = obj.get("spec") or {}
    status = obj.get("status") or {}
    containers = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    conditions = {item.get("type"): item for item in status.get("conditions") or []}
    scheduled = conditions.get("PodScheduled") or {}
    bound = scheduled.get("lastTransitionTime") if scheduled.get("status") == "True" else None
    return PodState(
        namespace=metadata.get("namespace", ""),
        name=metadata["name"],
        uid=metadata.get("uid", ""),
        node=spec.get("nodeName") or "",
        phase=status.get("phase") or "",
        reason=status.get("reason") or "",
        message=_shorten(status.get("message") or ""),
        ready=(conditions.get("Ready") or {}).get("status") == "True",
        terminating=bool(metadata.get("deletionTimestamp")),
        acknowledged=bool(status.get("startTime")) or status.get("phase") not in (None, "", "Pending"),
        trouble=_trouble(status),
        owner=_controller(metadata.get("ownerReferences") or []),
        labels=metadata.get("labels") or {},
        runs_plugin=find_plugin_in(spec) is not None,
        bound=parse_time(bound) or parse_time(status.get("startTime")),
        gpu_requests=any(_asks_for_gpu(container) for container in containers),
    )


def unsettled(pods: Iterable[PodState]) -> list[PodState]:
    """GPU pods that were bound to the node and that its kubelet has not answered yet.

    To take the plugin away now would make their admission fail for good (UnexpectedAdmissionError).
    """
    return [pod for pod in pods if pod.gpu_requests and not pod.acknowledged and not pod.terminating]


def unknown_plugins(pods: Iterable[PodState], *known: str) -> list[PodState]:
    """Plugins on a node that are neither ours nor of the DaemonSets "namespace/name" that the plan knows on it."""
    strange = [pod for pod in pods if pod.is_plugin and not pod.finished and not pod.revision]
    return [pod for pod in strange if not any(pod.owned_by(daemonset) for daemonset in known)]


def admission_failures(pods: Iterable[PodState]) -> list[dict[str, Any]]:
    """Pods that a kubelet refused for good: too few or changed devices. For a result."""
    return [
        {
            "namespace": pod.namespace,
            "name": pod.name,
            "uid": pod.uid,
            "reason": pod.reason,
            "message": pod.message,
            "owner": {"kind": pod.owner[0], "name": pod.owner[1]} if pod.owner else None,
        }
        for pod in sorted(pods, key=lambda pod: pod.full_name)
        if pod.phase == "Failed" and (pod.reason == "UnexpectedAdmissionError" or pod.reason.startswith("OutOf"))
    ]


def _controller(references: list[Mapping[str, Any]]) -> tuple[str, str] | None:
    for reference in references:
        if reference.get("controller"):
            return str(reference.get("kind", "")), str(reference.get("name", ""))
    return None


def _asks_for_gpu(container: Mapping[str, Any]) -> bool:
    resources = container.get("resources") or {}
    asked = {**(resources.get("limits") or {}), **(resources.get("requests") or {})}
    return any(names.is_plugin_resource(name) for name in asked)


def _trouble(status: Mapping[str, Any]) -> str:
    """The first reason why a container does not run, with what its last attempt left."""
    for container in [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]:
        waiting = (container.get("state") or {}).get("waiting") or {}
        ended = (container.get("lastState") or {}).get("terminated") or (container.get("state") or {}).get("terminated")
        if not waiting.get("reason") and not ended:
            continue
        parts = [waiting.get("reason") or "", waiting.get("message") or ""]
        if ended:
            said = ended.get("message") or ended.get("reason") or ""
            parts.append(f"last ended with exit code {ended.get('exitCode')}" + (f" ({said.strip()})" if said else ""))
        return _shorten(": ".join(part for part in parts if part))
    return ""


def _shorten(text: str) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= _MESSAGE_LIMIT else f"{flat[:_MESSAGE_LIMIT]} …"
