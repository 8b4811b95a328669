# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waves of a plan will meet, in a line each. PRIVATE to the collection."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.words import (
    APPROXIMATION,
    UNKNOWN_BUDGETS,
    describe_fates,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Section, capped_items
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count, join_some

Wave = Mapping[str, Any]

_WHY_BUDGET = {
    "not_replaced": "more of its pods go than find another place",
    "several_budgets": "the API evicts no pod that has more than one budget",
}
_STEPS = {"in_maintenance": ("pod", "evicted"), "in_service": ("stale pod", "recreated")}


def rehearsal_section(plan: Mapping[str, Any], limit: int) -> Optional[Section]:
    """The rehearsal; None if there is nothing to rehearse.

    :param limit: lines at most of each sort: waves, budgets, pods without a place.
    """
    rehearsal = plan.get("rehearsal") or {}
    waves = rehearsal.get("waves") or []
    if not waves:
        return None
    text = ""
    if any(wave["evictions"] for wave in waves):
        text = APPROXIMATION if rehearsal.get("budgets_known") else f"{UNKNOWN_BUDGETS} {APPROXIMATION}"
    lines = [list(_wave_lines(waves)), list(_budget_lines(waves)), list(_pod_lines(waves))]
    return Section("Rehearsal", text, items=[item for found in lines for item in capped_items(found, limit)])


def _wave_lines(waves: Sequence[Wave]) -> Iterator[str]:
    """A line for each wave that disturbs pods, and one for all waves in a row that do not."""
    for quiet, found in groupby(waves, key=lambda wave: not wave["evictions"] and not wave["slots_missing_at_worst"]):
        row = list(found)
        if quiet and row[1:]:
            most = max(row, key=lambda wave: wave["slots_out"])
            yield (
                f"Waves {row[0]['wave']} to {row[-1]['wave']}: at most {_describe_out(most)} (wave {most['wave']}); no pod is "
                "evicted."
            )
        else:
            yield from map(_wave_line, row)


def _wave_line(wave: Wave) -> str:
    parts = [_describe_out(wave)]
    for step, (noun, verb) in _STEPS.items():
        pods = [eviction for eviction in wave["evictions"] if eviction["step"] == step]
        if pods:
            parts.append(f"{describe_count(len(pods), noun)} {verb}: {describe_fates(pods)}")
    if not wave["evictions"]:
        parts.append("no pod is evicted")
    if wave["slots_missing_at_worst"]:
        after = f"{wave['slots_missing']} after the wave" if wave["slots_missing"] else "none after the wave"
        parts.append(f"evicted pods lack {describe_count(wave['slots_missing_at_worst'], 'slot')} at worst, {after}")
    return f"Wave {wave['wave']}: {'; '.join(parts)}."


def _describe_out(wave: Wave) -> str:
    return f"{wave['slots_out']} of {wave['gpu_slots_in_cluster']} slots out of service"


def _budget_lines(waves: Sequence[Wave]) -> Iterator[str]:
    """A line for each budget that refuses, with the wave in which it does so first."""
    seen: set[str] = set()
    for wave in waves:
        for budget in wave["blocking_budgets"]:
            name = f"{budget['namespace']}/{budget['name']}"
            if name not in seen:
                seen.add(name)
                pods = join_some([str(pod) for pod in budget["pods"]])
                yield f"Budget {name} will refuse in wave {wave['wave']} ({pods}): {_why_budget(budget)}."


def _why_budget(budget: Mapping[str, Any]) -> str:
    numbers = (
        f"it allows {budget['allowed']}, with {budget['healthy']} of {budget['expected']} pods healthy and "
        f"{budget['desired']} demanded"
    )
    why = _WHY_BUDGET.get(str(budget.get("reason")))
    return f"{numbers}, and {why}" if why else numbers


def _pod_lines(waves: Sequence[Wave]) -> Iterator[str]:
    """A line for all pods of a wave that find no place at once for the same reason."""
    for wave in waves:
        groups: dict[tuple[str, str], list[str]] = {}
        for eviction in wave["evictions"]:
            if eviction["verdict"] != "placed":
                name = f"{eviction['namespace']}/{eviction['name']}"
                groups.setdefault((eviction["reason"], _describe_later(eviction, wave)), []).append(name)
        for (reason, later), names in groups.items():
            yield f"Wave {wave['wave']}, {describe_count(len(names), 'pod')} ({join_some(names)}): {reason}{later}."


def _describe_later(eviction: Mapping[str, Any], wave: Wave) -> str:
    if eviction["verdict"] == "not_replaced":
        return ""
    later = eviction["later"]
    if not later:
        return ", and none will have"
    return ", until the wave is done" if later["wave"] == wave["wave"] else f", until wave {later['wave']} is done"
