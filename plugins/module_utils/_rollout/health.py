# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the pods with GPUs on a node are as well after a change as before it. PRIVATE to the collection.

A process that finds no memory left on a shared card ends by itself, and its container is started again: that is what shows. What looped
before the change is told, and counts for nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import AbstractSet, Any, Iterable, Iterator, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod_health import (
    LOOPS,
    OOM_KILLED,
    ContainerState,
    PodHealth,
)

_MOST_TOLD = 3
Counts = Mapping[str, Mapping[str, Mapping[str, Any]]]
Loopers = AbstractSet[Tuple[str, str]]


@dataclass(frozen=True)
class Limits:
    """How much of it a node may have since the wave began.

    :param ignored_xids: numbers that do not count.
    """

    restarts: int = 0
    oom_kills: int = 0
    xids: int = 0
    ignored_xids: tuple[int, ...] = ()


def describe_baseline(pods: Iterable[PodHealth], boot_id: str, now: datetime) -> dict[str, Any]:
    """A node as it is before the wave, as its file has it."""
    return {
        "boot_id": boot_id,
        "pods": [
            {
                "uid": pod.uid,
                "owner": pod.owner,
                "name": f"{pod.namespace}/{pod.name}",
                "containers": {
                    one.name: {"restarts": one.restarts, "ended": one.ended, "looped": one.looped(now)}
                    for one in pod.containers
                },
            }
            for pod in pods
        ],
    }


@dataclass(frozen=True)
class Trouble:
    """A container that did not get along.

    :param restarts: ends that it was, or will be, started again after.
    """

    pod: str
    container: str
    restarts: int
    oom_kills: int
    looping: bool
    last_end: str

    def describe(self) -> str:
        """In words: "nlp/web-1 (app): 2 restarts, last end: exit code 1"."""
        parts = [_count(self.restarts, "restart")]
        if self.oom_kills:
            parts.append(f"{self.oom_kills} for want of memory")
        if self.looping:
            parts.append("backing off")
        return f"{self.pod} ({self.container}): {', '.join(parts)}, last end: {self.last_end}"


class NodeHealth:
    """One node under watch. What is seen adds up: a pod that is gone again has been there.

    :param baseline: the node as it was before the wave, by :func:`describe_baseline`.
    :param loopers: by :func:`find_loopers` of all nodes of the wave: a pod that leaves one of them may come to another.
    """

    def __init__(self, baseline: Mapping[str, Any], loopers: Loopers) -> None:
        self._boot_id = baseline["boot_id"]
        self._before = _counts(baseline)
        self._loopers = loopers
        self.looped_before = list_loopers(baseline)
        self._unstable: list[str] = []
        self._seen: dict[tuple[str, str], Trouble] = {}
        self._oom: dict[tuple[str, str], set[str]] = {}

    def look(self, pods: Iterable[PodHealth], unmet: Sequence[str], boot_id: str, now: datetime) -> None:
        """Take in how the node is.

        :param unmet: how it differs from what the plan makes of it, in sentences.
        """
        known = list(pods)
        if boot_id != self._boot_id:
            # The machine was booted, as a change of MIG mode may need it: each of its containers was started again.
            self._boot_id, self._before = boot_id, _counts(describe_baseline(known, boot_id, now))
        self._unstable = self._unstable or list(unmet)
        for pod in known:
            # Of one that is asked to end, the end means nothing.
            for container in () if pod.terminating else pod.containers:
                # A pod that was made meanwhile is judged by those that its controller had before.
                who = pod.uid if pod.uid in self._before or not pod.owner else pod.owner
                if (who, container.name) not in self._loopers:
                    self._take(pod, container, self._before.get(pod.uid, {}).get(container.name, {}))

    def _take(self, pod: PodHealth, container: ContainerState, was: Mapping[str, Any]) -> None:
        place = (pod.uid, container.name)
        new_end = bool(container.ended) and container.ended != was.get("ended", "")
        restarts = max(0, container.restarts - was.get("restarts", 0))
        # It has ended and is not counted as started again yet.
        restarts += not container.running and new_end and container.exit_code not in (0, None)
        if new_end and container.reason == OOM_KILLED:
            self._oom.setdefault(place, set()).add(container.ended)
        looping = container.waiting in LOOPS
        seen = self._seen.get(place)
        if restarts or looping or seen:
            most = max(restarts, seen.restarts if seen else 0)
            oom_kills = len(self._oom.get(place, ()))
            loops = looping or bool(seen and seen.looping)
            end = container.describe_end() if new_end or not seen else seen.last_end
            self._seen[place] = Trouble(f"{pod.namespace}/{pod.name}", container.name, most, oom_kills, loops, end)

    @property
    def troubles(self) -> list[Trouble]:
        """Containers that did not get along, the worst first."""
        return sorted(self._seen.values(), key=lambda one: (-one.restarts, one.pod, one.container))

    def judge(self, limits: Limits, xids: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The verdict, as ``nodes.<name>`` of a result.

        :param xids: what gpu_xid_info found on the node's host since the wave began; None if no host was asked.
        """
        troubles = self.troubles
        counted = [one for one in (xids or {}).get("xids") or () if one["xid"] not in limits.ignored_xids]
        unstable = [f"It was not as planned throughout: {'; '.join(self._unstable)}."] if self._unstable else []
        problems = [*unstable, *_judge_containers(troubles, limits), *_judge_xids(counted, limits)]
        return {
            "failed": bool(problems),
            "reason": " ".join(problems) or None,
            "changed": False,
            "restarts": sum(one.restarts for one in troubles),
            "oom_kills": sum(one.oom_kills for one in troubles),
            "looping": [f"{one.pod} ({one.container})" for one in troubles if one.looping],
            "looped_before": self.looped_before,
            "xids": list(counted),
            "containers": [one.describe() for one in troubles],
            "crashed": [{"pod": one.pod, "container": one.container} for one in troubles],
        }


def _counts(baseline: Mapping[str, Any]) -> Counts:
    """What was counted of containers, by pod."""
    return {pod["uid"]: pod["containers"] for pod in baseline["pods"]}


def list_loopers(baseline: Mapping[str, Any]) -> list[str]:
    """Containers that started again and again: "namespace/name (container)"."""
    return sorted(
        f"{pod['name']} ({name})"
        for pod in baseline["pods"]
        for name, container in pod["containers"].items()
        if container["looped"]
    )


def find_loopers(baselines: Iterable[Mapping[str, Any]]) -> Loopers:
    """Pods, and controllers whose pods are made anew, with the container that looped."""
    return {
        (who, name)
        for baseline in baselines
        for pod in baseline["pods"]
        for name, container in pod["containers"].items()
        if container["looped"]
        for who in (pod["uid"], pod["owner"])
        if who
    }


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _tell_some(told: Sequence[str]) -> str:
    """The first of them, and how many more there are."""
    more = f"; and {len(told) - _MOST_TOLD} more" if len(told) > _MOST_TOLD else ""
    return f"{'; '.join(told[:_MOST_TOLD])}{more}"


def _judge_containers(troubles: Sequence[Trouble], limits: Limits) -> Iterator[str]:
    restarts, oom_kills = sum(one.restarts for one in troubles), sum(one.oom_kills for one in troubles)
    looping = [one for one in troubles if one.looping]
    found = []
    if restarts > limits.restarts:
        found.append(
            f"{_count(restarts, 'restart')} of containers with GPUs since the wave began, {limits.restarts} allowed "
            "(kubegpu_health_max_restarts)"
        )
    elif looping:
        found.append(f"{_count(len(looping), 'container')} with GPUs backing off")
    if oom_kills > limits.oom_kills:
        found.append(
            f"{_count(oom_kills, 'end')} for want of memory (OOMKilled), {limits.oom_kills} allowed (kubegpu_health_max_oom_kills)"
        )
    if found:
        yield f"{', '.join(found)}: {_tell_some([one.describe() for one in troubles])}."


def _judge_xids(xids: Sequence[Mapping[str, Any]], limits: Limits) -> Iterator[str]:
    if len(xids) > limits.xids:
        listed = _tell_some([describe_xid(one) for one in xids])
        yield f"{_count(len(xids), 'error')} of GPUs (Xid) since the wave began, {limits.xids} allowed (kubegpu_health_max_xids): {listed}."


def describe_xid(found: Mapping[str, Any]) -> str:
    """An Xid in words: "Xid 31 of GPU 0, process python3 (812): MMU Fault"."""
    which = (
        f"GPU {found['gpu_index']}" if found.get("gpu_index") is not None else f"the GPU at {found.get('pci_bus_id')}"
    )
    process = f", process {found.get('process') or 'unknown'} ({found['pid']})" if found.get("pid") else ""
    text = f": {found['text']}" if found.get("text") else ""
    return f"Xid {found['xid']} of {which}{process}{text}"
