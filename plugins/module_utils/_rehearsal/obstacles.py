# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disruption budgets that will refuse evictions, with what to do about each. PRIVATE to the collection.

A refused eviction is tried again until the deadline, with the node out of service all the time. So an operator has to hear of it before.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import some
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.budgets import NOT_REPLACED, SEVERAL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.rehearsal import rehearse

_EASE = "give the workload more replicas, lower the budget's minAvailable (or raise its maxUnavailable)"
_BY_HAND = "or delete these pods yourself once their node is cordoned, which no budget prevents"
_PODS = 5


def add_rehearsal(plan: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, Any]:
    """The plan with its rehearsal, and with the budgets that will stand in its way first among the warnings."""
    rehearsal = rehearse(plan, cluster)
    return {**plan, "rehearsal": rehearsal, "warnings": [*warn_of_budgets(rehearsal), *plan["warnings"]]}


def warn_of_budgets(rehearsal: Mapping[str, Any]) -> list[str]:
    """A warning for each budget that refuses, in the order in which they are met."""
    found: dict[str, dict[str, Any]] = {}
    for wave in rehearsal["waves"]:
        steps = {f"{one['namespace']}/{one['name']}": one["step"] for one in wave["evictions"]}
        for budget in wave["blocking_budgets"]:
            name = f"{budget['namespace']}/{budget['name']}"
            first = found.setdefault(name, {**budget, "wave": wave["wave"], "pods": [], "steps": set()})
            first["pods"] += [pod for pod in budget["pods"] if pod not in first["pods"]]
            first["steps"] |= {steps.get(pod) for pod in budget["pods"]}
    return [_warn(name, budget) for name, budget in found.items()]


def _warn(name: str, budget: Mapping[str, Any]) -> str:
    pods = budget["pods"]
    what = f"its pod {pods[0]}" if len(pods) == 1 else f"{len(pods)} of its pods ({some(pods, _PODS)})"
    return (
        f"Disruption budget {name} will refuse evictions from wave {budget['wave']} on, until the deadline: {what} must go, "
        f"{_why(budget)}. {_cure(budget)}."
    )


def _why(budget: Mapping[str, Any]) -> str:
    if budget["reason"] == SEVERAL:
        return "and the API evicts no pod that has more than one budget"
    if budget["reason"] == NOT_REPLACED:
        return f"it allows {_disruptions(budget['allowed'])}{_numbers(budget)}, and more of them go than find another place"
    spare = (budget["healthy"] or 0) - (budget["desired"] or 0)
    if spare > 0:
        return f"it allows {_disruptions(spare)} now{_numbers(budget)}, which pods of earlier waves without another place use up"
    return f"it allows {_disruptions(0)}{_numbers(budget)}"


def _disruptions(count: int) -> str:
    return "1 disruption" if count == 1 else f"{count or 'no'} disruptions"


def _numbers(budget: Mapping[str, Any]) -> str:
    """Nothing of a budget that is only known by its name."""
    if budget.get("expected") is None:
        return ""
    return f" ({budget['healthy']} of {budget['expected']} pods healthy, {budget['desired']} demanded)"


def _cure(budget: Mapping[str, Any]) -> str:
    ways = [_EASE]
    if budget["reason"] == SEVERAL:
        ways = ["leave each pod one budget"]
    elif budget["reason"] == NOT_REPLACED:
        ways = ["make room for them on other GPU nodes", _EASE]
    if budget["steps"] == {"in_service"}:
        ways.append("leave stale pods as they are with kubegpu_stale_pods: report")
    told = ", ".join([*ways, _BY_HAND])
    return f"{told[0].upper()}{told[1:]}"
