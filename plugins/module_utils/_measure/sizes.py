# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a process of a config needs, from what was measured. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from math import ceil
from typing import Any, Dict, List, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.uses import Use
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.workloads import seconds_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_whole, show_decimal

OK, SHORT, IDLE, UNTOLD, NONE = "ok", "short", "idle", "untold", "none"


@dataclass(frozen=True)
class KeySize:
    """What is proposed for a config.

    :param words: the config as it was written.
    :param uses: all that ran under it.
    :param made_up: there was no config at all, and this one is a part of the proposal.
    """

    config: SharingConfig
    words: Mapping[str, Any]
    uses: Sequence[Use]
    margin: Decimal
    min_seconds: int
    made_up: bool = False

    @property
    def shares(self) -> bool:
        """Its GPUs are shared, so that there is something to size."""
        return self.config.sharing != "none"

    @cached_property
    def current(self) -> Any:
        """process_memory_mib as it is: a number, a mapping by resource, or None."""
        given = self.words.get("process_memory_mib")
        if isinstance(given, Mapping):
            return {str(resource): read_whole(number) for resource, number in given.items()}
        return None if given is None else read_whole(given)

    @cached_property
    def by_resource(self) -> dict[str, List[Use]]:
        """Uses of which something is known, by resource."""
        found: Dict[str, List[Use]] = {}
        for use in self.uses:
            if use.per_slot is not None:
                found.setdefault(use.resource, []).append(use)
        return found

    @cached_property
    def deciding(self) -> Use | None:
        """The use that needs most."""
        told = [use for use in self.uses if use.per_slot is not None]
        return _most(told) if told else None

    @cached_property
    def proposed(self) -> Any:
        """process_memory_mib as it should be, in the shape of what it is; None if nothing can be said."""
        measured = {resource: add_margin(_most(uses), self.margin) for resource, uses in self.by_resource.items()}
        if not measured or not self.shares:
            return None
        if isinstance(self.current, dict):
            # What it does not name is not shared.
            return {resource: measured.get(resource, number) for resource, number in self.current.items()}
        named = self.config.mig.resources if self.config.mig else ()
        if self.current is None and not self.states_replicas and len(measured) > 1 and measured.keys() <= set(named):
            return {resource: measured[resource] for resource in sorted(measured)}
        return max(measured.values())

    @property
    def states_replicas(self) -> bool:
        """The operator named the replicas, and no measurement changes them."""
        return self.words.get("replicas") is not None

    @property
    def changed(self) -> bool:
        """Whether the config would be another one."""
        return self.proposed is not None and not self.states_replicas and self.proposed != self.current

    @cached_property
    def confidence(self) -> str:
        """How far the figures can be relied on."""
        if not self.uses:
            return NONE
        if self.deciding is None or any(use.is_untold for use in self.uses):
            return UNTOLD
        if all(use.is_idle for use in self.uses):
            return IDLE
        return SHORT if seconds_of(self.uses) < self.min_seconds else OK

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the proposal."""
        deciding = self.deciding
        return {
            "process_memory_mib": self.proposed,
            "current": self.current,
            "changed": self.changed,
            "suggested": self.made_up,
            "words": {name: value for name, value in self.words.items() if name != "process_memory_mib"},
            "sharing": self.config.sharing,
            "replicas_stated": self.states_replicas,
            "replicas": self.words.get("replicas"),
            **describe_use(deciding, self.uses, self.margin),
            "margin": show_margin(self.margin),
            "by_resource": {
                resource: {
                    "process_memory_mib": add_margin(_most(uses), self.margin),
                    **describe_use(_most(uses), uses, self.margin),
                }
                for resource, uses in sorted(self.by_resource.items())
            },
            "seconds": seconds_of(self.uses),
            "confidence": self.confidence,
            "why": self._why(),
        }

    def _why(self) -> str:
        deciding = self.deciding
        if deciding is None:
            if self.uses:
                return (
                    "NVML did not tell the memory of any process that ran under it, which is not to say that it is 0."
                )
            return "No process of a pod with a GPU was seen on its GPUs."
        text = f"Most was used by {deciding}, of {deciding.pod.workload}"
        count = len({use.pod.workload for use in self.uses})
        text += f"; the highest of {count} workloads." if count > 1 else "."
        if not self.shares:
            text += " Its GPUs are not shared, so that there is nothing to size."
        elif self.states_replicas:
            text += " Its replicas are stated, and stay as they are."
        return text


def _most(uses: Sequence[Use]) -> Use:
    """The use with the highest need of a slot; of several, always the same one."""
    highest = max(use.per_slot or 0 for use in uses)
    return min((use for use in uses if (use.per_slot or 0) == highest), key=str)


def add_margin(use: Use, margin: Decimal) -> int:
    """MiB of a slot with the margin, rounded up."""
    return ceil((use.per_slot or 0) * (1 + Fraction(margin)))


def show_margin(margin: Decimal) -> str:
    """With two digits at least, as it is written in variables: 0.00, 0.15, 0.125."""
    text = f"{margin:f}"
    return text if len(text.partition(".")[2]) >= 2 else f"{margin:.2f}"


def describe_use(use: Use | None, uses: Sequence[Use], margin: Decimal) -> dict[str, Any]:
    """Where a number is from."""
    return {
        "measured_peak_mib": use.per_slot if use else None,
        "arithmetic": _arithmetic(use, margin) if use else None,
        "decided_by": {
            "namespace": use.pod.namespace,
            "workload": f"{use.pod.workload.kind}/{use.pod.workload.name}",
            "pod": use.pod.name,
            "container": use.container,
            "node": use.source.node,
            "gpu": use.index,
        }
        if use
        else None,
        "workloads": len({one.pod.workload for one in uses}),
        "samples": sum(one.samples for one in uses),
    }


def _arithmetic(use: Use, margin: Decimal) -> str:
    peak = use.per_slot
    parts = []
    used = f"{use.figures.peak} + {use.beside}" if use.beside else str(use.figures.peak)
    if use.slots > 1:
        parts.append(f"ceil({f'({used})' if use.beside else used} / {use.slots} slots) = {peak}")
    elif use.beside:
        parts.append(f"{used} = {peak}")
    if margin:
        parts.append(f"ceil({peak} x {show_decimal(1 + margin)}) = {add_margin(use, margin)}")
    return "; ".join(parts) or f"{peak}, the measured peak without a margin"
