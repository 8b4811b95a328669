# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who used how much of which device, and under which config: the users of measurements, attributed. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Callable, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.pods import Pod, PodIndex
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import resource_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import SINGLE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.histogram import Figures
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.trend import slope_per_hour, span

#: So many of a hundred samples may be without a word on memory: a process that ends meanwhile tells no more.
UNTOLD_PERCENT = 5
#: A card with less free than so many of a hundred refuses memory to whoever asks for more.
FULL_PERCENT = 2


@dataclass(frozen=True)
class MeasuredNode:
    """One measurement, and which config is for the node's GPUs.

    :param config: None if no config is for them.
    """

    document: Mapping[str, Any]
    node: str
    config: SharingConfig | None = None

    @property
    def key(self) -> str | None:
        """The config's key."""
        return self.config.key if self.config else None

    @cached_property
    def tells_allocations(self) -> bool:
        """Whether the kubelet's allocations could be read, so that a user without slots has none."""
        return any(user.get("slots") is not None for user in self.document["users"])

    def device(self, user: Mapping[str, Any]) -> tuple[int | None, str]:
        """(index of the GPU, resource that the device is advertised as when nothing is shared)."""
        for gpu in self.document["gpus"]:
            if gpu["uuid"] == user["gpu"]:
                for device in gpu.get("mig_devices") or ():
                    if user.get("mig_device") and device["uuid"] == user["mig_device"]:
                        return gpu.get("index"), self._mig_resource(device.get("profile"))
                return gpu.get("index"), GPU_RESOURCE
        return None, GPU_RESOURCE

    def _mig_resource(self, profile: str | None) -> str:
        if not profile or (self.config and self.config.mig_strategy == SINGLE):
            return GPU_RESOURCE
        try:
            return resource_name(profile)
        except ValueError:
            return GPU_RESOURCE


@dataclass(frozen=True)
class Use:
    """What a container used of a device in one sampling.

    :param resource: what the device is advertised as when nothing is shared.
    :param figures: of the memory of all its processes together, MiB; without samples if NVML never told.
    :param slots: device ids of this device that it held, at least 1.
    :param beside: MiB that containers of the pod without devices of their own used of the same device at most.
    :param untold: samples in which NVML did not tell its memory.
    :param seconds: from when it was seen first to when it was seen last.
    :param late_growth: MiB that its memory became more by in the second half of that; None if that is too short to tell.
    """

    source: MeasuredNode
    pod: Pod
    container: str | None
    gpu: str
    index: int | None
    resource: str
    figures: Figures
    processes: int
    slots: int
    samples: int
    untold: int
    seconds: float
    trend: float | None
    trend_span: float
    beside: int = 0
    late_growth: int | None = None

    @cached_property
    def per_slot(self) -> int | None:
        """MiB of one slot at its peak, rounded up; None if NVML never told."""
        if not self.figures.samples:
            return None
        return -(-(self.figures.peak + self.beside) // self.slots)

    @property
    def is_untold(self) -> bool:
        """Whether NVML did not tell its memory so often that its peak may be another."""
        return not self.figures.samples or self.untold * 100 > UNTOLD_PERCENT * self.samples

    @property
    def is_idle(self) -> bool:
        """Whether its card computed nothing in any sample; False if NVML did not tell."""
        return any((card.get("utilization_percent") or {}).get("peak") == 0 for card in self._cards)

    @property
    def was_full(self) -> bool:
        """Whether next to nothing of its card was free at times; False if NVML did not tell."""
        for card in self._cards:
            free, total = (card.get("memory_free_mib") or {}).get("min"), card.get("memory_total_mib")
            if free is not None and total:
                return bool(free * 100 < FULL_PERCENT * total)
        return False

    @property
    def _cards(self) -> list[Mapping[str, Any]]:
        return [gpu for gpu in self.source.document["gpus"] if gpu["uuid"] == self.gpu]

    @property
    def growth_mib(self) -> int:
        """MiB that its memory became more by while it ran; of one that took a step and stays there, nothing."""
        growth = max(0, round((self.trend or 0.0) * self.trend_span / 3600))
        return growth if self.late_growth is None else min(growth, max(0, 2 * self.late_growth))

    def __str__(self) -> str:
        where = f" on {self.source.node}" + ("" if self.index is None else f", GPU {self.index}")
        return f"container {self.container} of {self.pod}{where}" if self.container else f"{self.pod}{where}"


@dataclass(frozen=True)
class Outside:
    """Use of a GPU by what holds no device. It is never sized."""

    node: str
    gpu: int | None
    who: str
    peak_mib: int | None


@dataclass(frozen=True)
class Attributed:
    """All that was measured."""

    uses: tuple[Use, ...]
    outside: tuple[Outside, ...]


def attribute(nodes: Sequence[MeasuredNode], pods: PodIndex) -> Attributed:
    """Sort the users of measurements into those that hold devices and those that do not."""
    uses: list[Use] = []
    outside: dict[tuple[str, int | None, str], int | None] = {}
    for node in nodes:
        strangers: dict[tuple[str, int | None, str], int | None] = {}
        for user in node.document["users"]:
            pod = pods.of(user)
            if pod is not None and _holds(user, pod, node):
                uses.append(_read(user, pod, node))
                continue
            key = (node.node, node.device(user)[0], _who(user, pod))
            # Containers of one pod are there beside each other, runs come one after the other.
            strangers[key] = _of_both(strangers.get(key), (user.get("memory_mib") or {}).get("peak"), sum)
        for key, peak in strangers.items():
            outside[key] = _of_both(outside.get(key), peak, max)
    listed = [Outside(*key, peak) for key, peak in outside.items()]
    listed.sort(key=lambda one: (one.node, one.gpu is None, one.gpu or 0, -(one.peak_mib or 0), one.who))
    return Attributed(tuple(_put_beside(uses)), tuple(listed))


def _of_both(one: int | None, other: int | None, how: Callable[[Sequence[int]], int]) -> int | None:
    """Of two numbers that may not be known; None if neither is."""
    known = [number for number in (one, other) if number is not None]
    return how(known) if known else None


def _holds(user: Mapping[str, Any], pod: Pod, node: MeasuredNode) -> bool:
    """Whether its pod was given devices."""
    if pod.known:
        return bool(pod.devices) or bool(user.get("slots"))
    # Nothing but the kubelet's allocations can tell of a pod that is gone.
    return bool(user.get("slots")) or not node.tells_allocations


def _who(user: Mapping[str, Any], pod: Pod | None) -> str:
    if user.get("folded"):
        return f"{user['folded']} users that are counted together"
    if pod is not None:
        return f"{pod} without an allocation"
    named = " ".join(str(word) for word in ("process", user.get("pid"), user.get("command")) if word)
    if user.get("runtime_unknown"):
        return f"{named} of an unknown container runtime"
    if not user.get("command"):
        # It may have been a pod's: nothing tells any more.
        return f"{named} that had ended when it was looked at"
    return f"{named} in a container outside of pods" if user.get("container_id") else f"{named} outside of pods"


def _read(user: Mapping[str, Any], pod: Pod, node: MeasuredNode) -> Use:
    index, resource = node.device(user)
    container = pod.container_name(user)
    interval = float(node.document.get("interval_seconds") or 0)
    return Use(
        source=node,
        pod=pod,
        container=container,
        gpu=str(user["gpu"]),
        index=index,
        resource=resource,
        figures=Figures.of(user.get("memory_mib"), user.get("histogram") or ()),
        processes=int((user.get("processes") or {}).get("peak") or 0),
        slots=_slots(user, pod, container, node),
        samples=int(user.get("samples") or 0),
        untold=int(user.get("untold") or 0),
        seconds=float(user["last_seen"]) - float(user["first_seen"]) + interval,
        trend=user.get("trend_mib_per_hour"),
        trend_span=float(user.get("trend_span_seconds") or 0),
        late_growth=_late_growth(user),
    )


def _late_growth(user: Mapping[str, Any]) -> int | None:
    middle = (float(user["first_seen"]) + float(user["last_seen"])) / 2
    late = [point for point in user.get("over_time") or () if point[0] >= middle]
    slope = slope_per_hour(late)
    return None if slope is None else round(slope * span(late) / 3600)


def _slots(user: Mapping[str, Any], pod: Pod, container: str | None, node: MeasuredNode) -> int:
    """By the kubelet's allocations; else what it asks for, spread over the devices that it was seen on."""
    if user.get("slots") is not None:
        return max(0, int(user["slots"]))
    asked = pod.asked_by(container)
    if asked is None:
        # Without a word on containers, the pod's requests are those of its one container. Of several, nobody knows which one this is.
        asked = 1 if pod.containers else sum(pod.devices.values()) or 1
    mine = {
        (other["gpu"], other.get("mig_device"))
        for other in node.document["users"]
        if other.get("pod_uid") == user.get("pod_uid") and other.get("container_id") == user.get("container_id")
    }
    # Rounded down: who is taken to hold fewer slots is taken to need more of each.
    return max(1, asked // max(1, len(mine))) if asked else 0


def _put_beside(uses: Sequence[Use]) -> Iterator[Use]:
    """Add what containers without devices used to the slot of their pod."""
    together: dict[tuple[int, str, str, str], list[Use]] = {}
    for use in uses:
        together.setdefault((id(use.source), use.pod.uid, use.gpu, use.resource), []).append(use)
    for group in together.values():
        holders = [use for use in group if use.slots]
        guests = [use for use in group if not use.slots]
        if not holders:
            # It has devices elsewhere, or shares them in a way that nothing tells: then this is what a slot is used for.
            holders, guests = [replace(use, slots=1) for use in guests], []
        largest = max(holders, key=lambda use: use.per_slot or 0)
        beside = sum(use.figures.peak for use in guests)
        for use in holders:
            yield replace(use, beside=beside) if use is largest and beside else use
