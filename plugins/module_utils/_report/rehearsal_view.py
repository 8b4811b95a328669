# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waves of a plan will meet: slots that are missing, where evicted pods would go, budgets that refuse. PRIVATE to the collection."""

from __future__ import annotations

from itertools import groupby
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.words import APPROXIMATION, UNKNOWN_BUDGETS
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Row,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    describe_count,
    describe_value,
    join_some,
)

Wave = Mapping[str, Any]

_WHY_BUDGET = {
    "not_replaced": "more pods go than find another place",
    "several_budgets": "no pod with more than one budget is evicted",
}
#: Heading of what holds a rollout up for an hour, if nobody does anything about it.
BUDGETS = "Budgets that will refuse evictions"
_STEPS = {"in_maintenance": "evicted", "in_service": "recreated"}
_LATER, _NO_GPU = "later", "no_gpu"
_FATES = {
    "placed": "at once",
    _LATER: "only later",
    "no_place": "nowhere",
    "not_replaced": "not made anew",
    _NO_GPU: "any node (no GPU)",
}


def rehearsal_sections(plan: Mapping[str, Any], limit: int) -> list[Section]:
    """The rehearsal; nothing if there is nothing to rehearse.

    :param limit: rows of a table at most.
    """
    rehearsal = plan.get("rehearsal") or {}
    waves = rehearsal.get("waves") or []
    if not waves:
        return []
    if not any(map(_disturbs, waves)):
        return [Section("Rehearsal", items=capped_items(list(_quiet_lines(waves)), limit))]
    text = APPROXIMATION if rehearsal.get("budgets_known") else f"{UNKNOWN_BUDGETS} {APPROXIMATION}"
    budgets = list(_budget_rows(waves))
    return [
        Section("Rehearsal", text, capped_table(_WAVE_COLUMNS, list(_wave_rows(waves)), limit)),
        Section("Where evicted pods would go", table=capped_table(_POD_COLUMNS, list(_pod_rows(waves)), limit)),
        *([Section(BUDGETS, table=capped_table(_BUDGET_COLUMNS, budgets, limit))] if budgets else []),
    ]


def _disturbs(wave: Wave) -> bool:
    return bool(wave["evictions"] or wave["slots_missing_at_worst"])


def _quiet_lines(waves: Sequence[Wave]) -> Iterator[str]:
    most = max(waves, key=lambda wave: wave["slots_out"])
    if waves[1:]:
        yield f"Waves 1 to {len(waves)}: at most {_describe_out(most)} out of service (wave {most['wave']}); no pod is evicted."
    else:
        yield f"Wave 1: {_describe_out(most)} out of service; no pod is evicted."


def _describe_out(wave: Wave) -> str:
    return f"{wave['slots_out']} of {wave['gpu_slots_in_cluster']} slots"


_WAVE_COLUMNS = (
    Column("Wave", right=True),
    Column("Out of service", wrap=True),
    Column("Pods", wrap=True),
    Column("Another place", wrap=True),
    Column("Slots missing", wrap=True),
)


def _wave_rows(waves: Sequence[Wave]) -> Iterator[Row]:
    """A row for each wave that disturbs pods, and one for all waves in a row that do not."""
    for disturbs, found in groupby(waves, key=_disturbs):
        row = list(found)
        if disturbs:
            yield from map(_wave_row, row)
        else:
            most = max(row, key=lambda wave: wave["slots_out"])
            number = f"{row[0]['wave']} to {row[-1]['wave']}" if row[1:] else str(row[0]["wave"])
            out = f"{_describe_out(most)} at most" if row[1:] else _describe_out(most)
            yield (number, out, "none", NOTHING, "none")


def _wave_row(wave: Wave) -> Row:
    evictions = wave["evictions"]
    pods = [
        f"{count} {verb}"
        for step, verb in _STEPS.items()
        for count in [sum(one["step"] == step for one in evictions)]
        if count
    ]
    fates = [_fate(one) for one in evictions]
    places = [f"{fates.count(fate)} {words}" for fate, words in _FATES.items() if fate in fates]
    return (
        str(wave["wave"]),
        _describe_out(wave),
        ", ".join(pods) or "none",
        ", ".join(places) or NOTHING,
        _describe_missing(wave),
    )


def _fate(eviction: Mapping[str, Any]) -> str:
    return _LATER if eviction["later"] else str(eviction["verdict"])


def _describe_missing(wave: Wave) -> str:
    if not wave["slots_missing_at_worst"]:
        return "none"
    return f"{wave['slots_missing_at_worst']} at worst, {wave['slots_missing'] or 'none'} after the wave"


_POD_COLUMNS = (
    Column("Wave", right=True),
    Column("From"),
    Column("Pods", right=True),
    Column("Which", wrap=True),
    Column("To", wrap=True),
)


def _pod_rows(waves: Sequence[Wave]) -> Iterator[Row]:
    """A row for all pods of a node that fare alike; those without a place first."""
    for wave in waves:
        groups: dict[tuple[bool, str, str], list[str]] = {}
        for one in wave["evictions"]:
            group = (_fate(one) in ("placed", _NO_GPU), str(one["node"]), _describe_way(one, wave))
            groups.setdefault(group, []).append(f"{one['namespace']}/{one['name']}")
        for (_placed, node, way), names in sorted(groups.items(), key=lambda item: item[0][0]):
            yield (str(wave["wave"]), node, str(len(names)), join_some(names), way)


def _describe_way(eviction: Mapping[str, Any], wave: Wave) -> str:
    if eviction["verdict"] == "placed":
        return "the same node" if eviction["target"] == eviction["node"] else str(eviction["target"])
    if eviction["verdict"] == _NO_GPU:
        return f"any node: {eviction['reason']}"
    later = eviction["later"]
    if not later:
        return f"nowhere: {eviction['reason']}"
    number = "the wave" if later["wave"] == wave["wave"] else f"wave {later['wave']}"
    where = "the same node" if later["node"] == eviction["node"] else later["node"]
    return f"{where}, but only once {number} is done: {eviction['reason']} before"


_BUDGET_COLUMNS = (
    Column("Budget", wrap=True),
    Column("From wave", right=True),
    Column("Allows", right=True),
    Column("Healthy", right=True),
    Column("Demanded", right=True),
    Column("Pods that must go", wrap=True),
    Column("Besides", wrap=True),
)


def _budget_rows(waves: Sequence[Wave]) -> Iterator[Row]:
    """A row for each budget, as the first wave finds it in which it refuses."""
    pods: dict[str, list[str]] = {}
    first: dict[str, tuple[int, Mapping[str, Any]]] = {}
    for wave in waves:
        for budget in wave["blocking_budgets"]:
            name = f"{budget['namespace']}/{budget['name']}"
            first.setdefault(name, (wave["wave"], budget))
            known = pods.setdefault(name, [])
            known += [pod for pod in budget["pods"] if pod not in known]
    for name, (number, budget) in first.items():
        yield (
            name,
            str(number),
            str(budget["allowed"]),
            _describe_healthy(budget),
            describe_value(budget["desired"]),
            f"{describe_count(len(pods[name]), 'pod')}: {join_some(pods[name])}",
            _WHY_BUDGET.get(str(budget.get("reason")), NOTHING),
        )


def _describe_healthy(budget: Mapping[str, Any]) -> str:
    return NOTHING if budget["expected"] is None else f"{budget['healthy']} of {budget['expected']}"
