# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Figures of many samples in little memory. Pure. PRIVATE to the collection.

Buckets are exact to 1 MiB up to 1024 MiB; above, every doubling is cut in 256, so that a bucket's upper edge is at most 0.4 %
above what fell into it. A histogram that is full gives up its lowest buckets: what is asked of it is a high percentile.
"""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

LARGEST_EXACT = 1024
_PARTS_OF_A_DOUBLING = 256
MOST_BUCKETS = 512


def upper_edge(value: int) -> int:
    """The largest whole number that falls into the same bucket."""
    if value <= LARGEST_EXACT:
        return value
    doublings = ((value - 1) // LARGEST_EXACT).bit_length() - 1
    width = (LARGEST_EXACT << doublings) // _PARTS_OF_A_DOUBLING
    return -(-value // width) * width


class Figures:
    """Peak (exact), mean and 95th percentile of whole numbers that are not negative."""

    __slots__ = ("_buckets", "_total", "peak", "samples")

    def __init__(self) -> None:
        self._buckets: Dict[int, int] = {}
        self._total = 0
        self.peak = 0
        self.samples = 0

    def add(self, value: int) -> None:
        """One sample more."""
        self._put(upper_edge(value), 1)
        self._total += value
        self.samples += 1
        self.peak = max(self.peak, value)

    def include(self, other: Figures) -> None:
        """Every sample of another one more."""
        for edge, count in other._buckets.items():
            self._put(edge, count)
        self._total += other._total
        self.samples += other.samples
        self.peak = max(self.peak, other.peak)

    def histogram(self) -> List[List[int]]:
        """(upper edge, samples) of each bucket, the lowest first."""
        return [[edge, self._buckets[edge]] for edge in sorted(self._buckets)]

    def to_dict(self) -> Optional[Dict[str, Any]]:
        """As it stands in documents; None if nothing was added."""
        if not self.samples:
            return None
        mean = round(self._total / self.samples, 1)
        return {"peak": self.peak, "mean": mean, "p95": self._percentile_95(), "samples": self.samples}

    @classmethod
    def of(cls, figures: Optional[Mapping[str, Any]], histogram: Iterable[Sequence[int]]) -> Figures:
        """What a document says, to go on from there; the total is as exact as the mean was written."""
        made = cls()
        if figures:
            made.peak, made.samples = figures["peak"], figures["samples"]
            made._total = round(figures["mean"] * figures["samples"])
        for edge, count in histogram:
            made._put(edge, count)
        return made

    def _percentile_95(self) -> int:
        missing = -(-self.samples * 95 // 100)
        for edge, count in self.histogram():
            missing -= count
            if missing <= 0:
                return min(edge, self.peak)
        return self.peak

    def _put(self, edge: int, count: int) -> None:
        buckets = self._buckets
        buckets[edge] = buckets.get(edge, 0) + count
        if len(buckets) > MOST_BUCKETS:
            # into the next one up: a percentile is told too high then, never too low
            lowest, second = sorted(buckets)[:2]
            buckets[second] += buckets.pop(lowest)
