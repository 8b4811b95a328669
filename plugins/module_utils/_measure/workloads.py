# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was measured, by workload. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Set, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.pods import Workload
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.uses import Use
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.histogram import Figures


@dataclass
class WorkloadUse:
    """All uses of a workload.

    :param warnings: codes.
    """

    workload: Workload
    uses: List[Use] = field(default_factory=list)
    warnings: Set[str] = field(default_factory=set)

    @property
    def keys(self) -> list[str]:
        """Configs that it ran under."""
        return sorted({use.source.key for use in self.uses if use.source.key})

    @property
    def seconds(self) -> float:
        """How long it was seen: in each run, the pod that was seen for longest."""
        return seconds_of(self.uses)

    @property
    def peak(self) -> int | None:
        """MiB of the container that used most; None if NVML never told."""
        return max((use.figures.peak for use in self.uses if use.figures.samples), default=None)

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the proposal."""
        # A process needs another amount on another card, so that each config has a line of its own.
        containers: Dict[Tuple[str, str], List[Use]] = {}
        for use in self.uses:
            containers.setdefault((use.container or "", use.source.key or ""), []).append(use)
        return {
            "kind": self.workload.kind,
            "namespace": self.workload.namespace,
            "name": self.workload.name,
            "configs": self.keys,
            "nodes": sorted({use.source.node for use in self.uses}),
            "pods": len({use.pod.uid for use in self.uses}),
            "containers": [_describe(*named, containers[named]) for named in sorted(containers)],
            "peak_mib": self.peak,
            "warnings": sorted(self.warnings),
        }


def seconds_of(uses: Iterable[Use]) -> float:
    """The sum over runs of the longest time that one of the uses was seen in it."""
    longest: Dict[str, float] = {}
    for use in uses:
        run = str(use.source.document["id"])
        longest[run] = max(longest.get(run, 0.0), use.seconds)
    return round(sum(longest.values()), 1)


def _describe(name: str, key: str, uses: List[Use]) -> dict[str, Any]:
    figures = Figures()
    for use in uses:
        figures.include(use.figures)
    told = figures.to_dict() or {"peak": None, "mean": None, "p95": None}
    growing = max(uses, key=lambda use: use.growth_mib)
    return {
        "name": name or None,
        "config": key or None,
        "peak_mib": told["peak"],
        "mean_mib": told["mean"],
        "p95_mib": told["p95"],
        "processes": max(use.processes for use in uses),
        "slots": max(use.slots for use in uses),
        "trend_mib_per_hour": growing.trend,
        "samples": sum(use.samples for use in uses),
        "seconds": seconds_of(uses),
    }


def group(uses: Iterable[Use]) -> list[WorkloadUse]:
    """The workloads, by namespace, name and kind."""
    found: Dict[Workload, WorkloadUse] = {}
    for use in uses:
        found.setdefault(use.pod.workload, WorkloadUse(use.pod.workload)).uses.append(use)
    return [found[key] for key in sorted(found, key=lambda one: (one.namespace, one.name, one.kind))]
