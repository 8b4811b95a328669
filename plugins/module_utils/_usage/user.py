# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of one user of a device over many samples. Pure. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Dict, NamedTuple, Optional, Sequence, Set, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.histogram import Figures
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import ProcessUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.series import Series
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.trend import slope_per_hour, span

OTHERS = "others"
# in a container of a runtime that is not known, and so of a pod that is not known
STRANGE = "strange"


class UserKey(NamedTuple):
    """Whose use is counted together.

    :param who: a container's id, a pod's uid, or outside of both a program's name.
    """

    gpu: str
    mig_device: Optional[str]
    kind: str
    who: str

    @classmethod
    def of(cls, process: ProcessUse) -> UserKey:
        """The user that a process belongs to. Programs of the host go by their name: it outlives their processes."""
        if process.container_id:
            return cls(process.gpu, process.mig_device, "container", process.container_id)
        if process.pod_uid:
            return cls(process.gpu, process.mig_device, "pod", process.pod_uid)
        kind = STRANGE if process.runtime_unknown else "host"
        return cls(process.gpu, process.mig_device, kind, process.command or "")

    def others(self) -> UserKey:
        """Where users of the same device are counted together that were gone for long."""
        return UserKey(self.gpu, self.mig_device, OTHERS, "")


class _Life:
    """The time between two complete changes of processes: what memory did before says nothing of what comes after."""

    __slots__ = ("begin", "series")

    def __init__(self, begin: float, width: float) -> None:
        self.begin = begin
        self.series = Series(width)


class UserRecord:
    """Accumulates what samples say of a user.

    :param width: seconds between two samples.
    """

    def __init__(self, key: UserKey, first: float, width: float) -> None:
        self.key = key
        self.first_seen = first
        self.last_seen = first
        self.folded = 0
        self._width = width
        self._shown: Optional[ProcessUse] = None
        self._pod_uid: Optional[str] = None
        self._runtime_unknown = False
        self._types: Set[str] = set()
        self._memory, self._process, self._processes = Figures(), Figures(), Figures()
        self._untold = 0
        self._restarted = 0
        self._starts: Dict[int, Optional[int]] = {}
        self._over_time = Series(width)
        self._life = _Life(first, width)
        self._trend: Optional[float] = None
        self._trend_span = 0.0

    def add(self, offset: float, uses: Sequence[ProcessUse]) -> None:
        """What one sample says, with every process of this user; ``offset`` in seconds since the first sample."""
        self.last_seen = offset
        processes: Dict[int, ProcessUse] = {}
        for use in uses:
            self._types.add(use.kind)
            known = processes.get(use.pid)
            # told twice for two kinds of context, each time with all its memory
            if known is None or (known.used_mib or 0) < (use.used_mib or 0):
                processes[use.pid] = use
        self._follow(offset, processes)
        self._processes.add(len(processes))
        largest = max(processes.values(), key=lambda use: use.used_mib or 0)
        if self._shown is None or (largest.used_mib or 0) > self._process.peak:
            self._shown = largest
        self._pod_uid = self._pod_uid or largest.pod_uid
        self._runtime_unknown = self._runtime_unknown or largest.runtime_unknown
        told = [use.used_mib for use in processes.values() if use.used_mib is not None]
        if len(told) < len(processes):
            # the sum of those that are told would be too little
            self._untold += 1
            return
        self._memory.add(sum(told))
        self._process.add(max(told))
        self._over_time.add(offset, sum(told))
        self._life.series.add(offset - self._life.begin, sum(told))

    def fold(self, other: UserRecord) -> None:
        """Count another user of the same device, which is gone, here as well. Over time and trend say nothing of several."""
        self.folded += other.folded or 1
        self.first_seen = min(self.first_seen, other.first_seen)
        self.last_seen = max(self.last_seen, other.last_seen)
        self._types |= other._types
        self._memory.include(other._memory)
        self._process.include(other._process)
        self._processes.include(other._processes)
        self._untold += other._untold

    def _follow(self, offset: float, processes: Dict[int, ProcessUse]) -> None:
        """Notice that processes have gone or come; with a process that was gone before its start was read nothing has changed."""
        before = self._starts
        now: Dict[int, Optional[int]] = {}
        survivors = 0
        for pid, use in processes.items():
            known = before.get(pid)
            now[pid] = known if use.start is None else use.start
            if pid in before and (known is None or known == now[pid]):
                survivors += 1
        if before and not survivors == len(before) == len(now):
            self._restarted += 1
        if before and not survivors:
            self._end_life(offset)
        self._starts = now

    def _end_life(self, offset: float) -> None:
        self._trend, self._trend_span = self._longest_trend()
        self._life = _Life(offset, self._width)

    def _longest_trend(self) -> Tuple[Optional[float], float]:
        """Of the life that says it over the longest time."""
        points = self._life.series.points()
        seconds, slope = span(points), slope_per_hour(points)
        if (slope is None, -seconds) < (self._trend is None, -self._trend_span):
            return slope, seconds
        return self._trend, self._trend_span

    def to_dict(self) -> Dict[str, Any]:
        """As it stands in documents; names and slots are for those to fill in who know them."""
        trend, trend_span = self._longest_trend()
        container = self.key.who if self.key.kind == "container" else None
        processes = self._processes.to_dict() or {"peak": 0, "mean": 0.0}
        shown = self._shown
        return {
            "gpu": self.key.gpu,
            "mig_device": self.key.mig_device,
            "pod_uid": self._pod_uid,
            "container_id": container,
            "command": shown.command if shown else None,
            "pid": shown.pid if shown else None,
            "namespace": None,
            "pod": None,
            "container": None,
            "runtime_unknown": self._runtime_unknown,
            "types": sorted(self._types),
            "memory_mib": self._memory.to_dict(),
            "process_memory_mib": self._process.to_dict(),
            "processes": {"peak": processes["peak"], "mean": processes["mean"]},
            "samples": self._processes.samples,
            "untold": self._untold,
            "first_seen": round(self.first_seen, 3),
            "last_seen": round(self.last_seen, 3),
            "restarted": self._restarted,
            "slots": None,
            "folded": self.folded,
            "trend_mib_per_hour": trend,
            "trend_span_seconds": round(trend_span, 3),
            "over_time": self._over_time.points(),
            "histogram": self._memory.histogram(),
            "process_histogram": self._process.histogram(),
        }
