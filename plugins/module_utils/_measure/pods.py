# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who the pods are that were measured, by all cluster files that there are. PRIVATE to the collection."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Dict, Iterable, Iterator, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import is_plugin_resource
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

_ENDED = ("Succeeded", "Failed")
# As the scheduler ends its message, newer ones with a word on claims before.
_PREEMPTION = re.compile(r"( no new claims to deallocate,)? preemption: .*$", re.DOTALL)


@dataclass(frozen=True)
class Workload:
    """What a person knows pods by, such as Deployment default/nlp."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


@dataclass(frozen=True)
class Pod:
    """A pod.

    :param requests: devices by resource, as it asks for them.
    :param containers: as the cluster file has them; empty if it is an older one, which does not tell them.
    :param known: False for one that is in no cluster file.
    """

    uid: str
    namespace: str
    name: str
    workload: Workload
    requests: Mapping[str, int] = field(default_factory=dict)
    containers: Tuple[Mapping[str, Any], ...] = ()
    frameworks: Tuple[Mapping[str, Any], ...] = ()
    known: bool = True

    def __str__(self) -> str:
        return f"pod {self.namespace}/{self.name}"

    @property
    def devices(self) -> dict[str, int]:
        """What it asks of the GPU device plugin."""
        return gpu_requests(self.requests)

    def container_name(self, user: Mapping[str, Any]) -> str | None:
        """The container that a user of a measurement is; None if nothing tells."""
        for container in self.containers:
            if container.get("id") and container["id"] == user.get("container_id"):
                return str(container["name"])
        # A container that was restarted since has another id; the node knew it by the directory of its logs.
        if user.get("container"):
            return str(user["container"])
        holders = [container for container in self.containers if container.get("gpus")]
        return str(holders[0]["name"]) if len(holders) == 1 and len(self.containers) == 1 else None

    def asked_by(self, container: str | None) -> int | None:
        """How many devices a container asks for; None if that is not known."""
        for one in self.containers:
            if one.get("name") == container:
                return sum(gpu_requests(one.get("gpus") or {}).values())
        return None


@dataclass(frozen=True)
class NeverRan:
    """A pod that asks for GPUs and was not seen on one."""

    namespace: str
    name: str
    workload: Workload
    why: str


def gpu_requests(requests: Mapping[str, int]) -> dict[str, int]:
    """Those that the GPU device plugin serves."""
    return {name: count for name, count in requests.items() if is_plugin_resource(name) and count}


def read_workload(entry: Mapping[str, Any]) -> Workload:
    """The workload of a pod in a cluster file; of an older file, what owns the pod, or the pod itself."""
    told = entry.get("workload") or {}
    owner = entry.get("owner") or {}
    namespace = str(entry.get("namespace") or "")
    if told:
        return Workload(str(told["kind"]), str(told.get("namespace") or namespace), str(told["name"]))
    if owner:
        return Workload(str(owner.get("kind") or "Pod"), namespace, str(owner.get("name") or ""))
    return Workload("Pod", namespace, str(entry.get("name") or ""))


class PodIndex:
    """Pods by uid.

    :param clusters: cluster files, the oldest first; of a pod in several, the last tells.
    """

    def __init__(self, clusters: Iterable[Mapping[str, Any]]) -> None:
        self._pods: Dict[str, Pod] = {}
        for cluster in clusters:
            for _node, entry in node_pods(cluster):
                pod = _read_pod(entry)
                for uid in (pod.uid, entry.get("static_uid")):
                    if uid:
                        self._pods[str(uid)] = pod

    def of(self, user: Mapping[str, Any]) -> Pod | None:
        """The pod of a user of a measurement; None outside of pods."""
        uid = user.get("pod_uid")
        if not uid:
            return None
        found = self._pods.get(str(uid))
        if found:
            return found
        namespace, name = str(user.get("namespace") or "unknown"), str(user.get("pod") or uid)
        return Pod(str(uid), namespace, name, Workload("Pod", namespace, name), known=False)


def _read_pod(entry: Mapping[str, Any]) -> Pod:
    return Pod(
        str(entry.get("uid") or ""),
        str(entry.get("namespace") or ""),
        str(entry.get("name") or ""),
        read_workload(entry),
        entry.get("requests") or {},
        tuple(entry.get("containers") or ()),
        tuple(entry.get("frameworks") or ()),
    )


def node_pods(cluster: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(node, pod) of all pods that a cluster file lists on nodes."""
    for name, node in (cluster.get("nodes") or {}).items():
        for entry in node.get("pods") or ():
            yield name, entry


@dataclass(frozen=True)
class Sampling:
    """What was looked at.

    :param seen: uids of the pods that were seen on a GPU.
    :param nodes: names of the nodes that were sampled.
    :param ended: when the last sampling ended; None if there was none.
    """

    seen: frozenset[str]
    nodes: frozenset[str]
    ended: datetime | None = None


def never_ran(clusters: Sequence[Mapping[str, Any]], sampling: Sampling) -> list[NeverRan]:
    """Pods that asked for GPUs while it was sampled, and were not seen on one.

    :param clusters: of before and after the sampling.
    """
    found: dict[str, NeverRan] = {}
    for cluster in clusters:
        for entry in cluster.get("pending") or ():
            if gpu_requests(entry.get("requests") or {}) and entry.get("uid") not in sampling.seen:
                found[str(entry["uid"])] = _tell(entry, f"it waits for a node: {_scheduler_says(entry)}")
        for node, entry in node_pods(cluster):
            uids = {entry.get("uid"), entry.get("static_uid")} - {None}
            if (
                gpu_requests(entry.get("requests") or {})
                and entry.get("phase") not in _ENDED
                and not uids & sampling.seen
            ):
                found[str(entry.get("uid"))] = _tell(entry, _why_unseen(node, entry, sampling))
    return sorted(found.values(), key=lambda one: (one.namespace, one.name))


def _tell(entry: Mapping[str, Any], why: str) -> NeverRan:
    return NeverRan(str(entry.get("namespace")), str(entry.get("name")), read_workload(entry), why)


def _scheduler_says(entry: Mapping[str, Any]) -> str:
    """Without what it says of preemption, which is no reason."""
    return _PREEMPTION.sub("", str(entry.get("message") or "no reason given")).rstrip(".")


def _why_unseen(node: str, entry: Mapping[str, Any], sampling: Sampling) -> str:
    if node not in sampling.nodes:
        return f"its node {node} was not measured"
    if entry.get("phase") != "Running":
        return f"it was bound to {node} and did not run ({entry.get('phase') or 'no phase'})"
    began = parse_time(entry.get("bound") or entry.get("created"))
    if began and sampling.ended and began >= sampling.ended:
        return f"it came to {node} after the measurement"
    return f"it ran on {node}, and no process of it was seen on a GPU"
