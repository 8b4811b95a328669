# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Budgets that will refuse, as an operator hears of them."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.obstacles import add_rehearsal

from .test_rehearsal import budget, planned, pod

NLP, CV = ["ml/nlp"], ["ml/cv"]


def warnings(nodes: Any, plan_nodes: Any, budgets: Any, waves: Any = None) -> list[str]:
    plan = {"nodes": plan_nodes, "waves": waves or [sorted(plan_nodes)], "warnings": ["the planner's own"]}
    found = add_rehearsal(plan, fleet.cluster(nodes, budgets=budgets))
    assert plan["warnings"] == ["the planner's own"], "the plan itself stays as it was"
    assert found["rehearsal"]["waves"]
    assert found["warnings"][-1] == "the planner's own"
    return found["warnings"][:-1]


def evicting(pods: list[dict[str, Any]], budgets: Any, free: int = 0, **more: Any) -> list[str]:
    nodes = {"a": fleet.node(len(pods), pods), "b": fleet.node(free)}
    return warnings(nodes, {"a": planned(0, pods, **more)}, budgets)


def test_a_plan_that_no_budget_stands_in_the_way_of_is_not_warned_of() -> None:
    assert evicting([pod("p", budgets=NLP)], [budget("nlp", 1)], free=1) == []
    assert evicting([pod("p")], None) == []


def test_a_budget_that_allows_nothing_comes_first_with_its_numbers_the_pods_and_the_ways_out() -> None:
    assert evicting([pod("p", budgets=NLP)], [budget("nlp", 0)], free=1) == [
        "Disruption budget ml/nlp will refuse evictions from wave 1 on, until the deadline: its pod ml/p must go, it allows no "
        "disruptions (2 of 2 pods healthy, 2 demanded). Give the workload more replicas, lower the budget's minAvailable (or raise "
        "its maxUnavailable), or delete these pods yourself once their node is cordoned, which no budget prevents."
    ]


def test_a_budget_whose_pods_find_no_other_place_is_helped_by_room() -> None:
    pods = [pod(f"p{number}", budgets=NLP) for number in range(7)]
    (told,) = evicting(pods, [budget("nlp", 1)])
    assert (
        "7 of its pods (ml/p0, ml/p1, ml/p2, ml/p3, ml/p4 and 2 more) must go, it allows 1 disruption (2 of 2" in told
    )
    assert "and more of them go than find another place. Make room for them on other GPU nodes, give" in told


def test_pods_of_two_budgets_are_told_for_each() -> None:
    both = [pod("p", budgets=[*NLP, *CV])]
    found = evicting(both, [budget("nlp", 1), budget("cv", 1)], free=1)
    assert ["ml/cv" in found[0], "ml/nlp" in found[1]] == [True, True]
    assert all("evicts no pod that has more than one budget. Leave each pod one budget, or" in told for told in found)


def test_a_budget_is_told_once_with_the_pods_of_all_waves() -> None:
    pods = [pod(name, budgets=NLP) for name in ("p", "q", "r")]
    nodes = {name: fleet.node(1, [one]) for name, one in zip("abc", pods)}
    plan_nodes = {name: planned(0, [one]) for name, one in zip("abc", pods)}
    (told,) = warnings(nodes, plan_nodes, [budget("nlp", 0)], [["a"], ["b"], ["c"]])
    assert "from wave 1 on" in told
    assert "3 of its pods (ml/p, ml/q, ml/r) must go" in told


def test_what_earlier_waves_use_up_is_said_to_be_used_up() -> None:
    pods = [pod(name, budgets=NLP) for name in ("p", "q")]
    nodes = {name: fleet.node(1, [one]) for name, one in zip("ab", pods)}
    plan_nodes = {name: planned(0, [one]) for name, one in zip("ab", pods)}
    (told,) = warnings(nodes, plan_nodes, [budget("nlp", 1)], [["a"], ["b"]])
    assert "from wave 2 on" in told
    assert (
        "allows 1 disruption now (2 of 2 pods healthy, 1 demanded), which pods of earlier waves without another" in told
    )


@pytest.mark.parametrize("evicted", [True, False])
def test_stale_pods_may_be_left_as_they_are(evicted: bool) -> None:
    stale, gone = pod("stale", budgets=NLP), pod("gone", budgets=NLP)
    nodes = {"a": fleet.node(2, [stale, gone])}
    target = planned(2, [gone] if evicted else [], recreate=[stale])
    (told,) = warnings(nodes, {"a": target}, [budget("nlp", 0)])
    assert ("kubegpu_stale_pods: report" in told) is not evicted


def test_a_budget_that_is_known_by_name_alone_has_no_numbers() -> None:
    (told,) = evicting([pod("p", budgets=NLP)], [])
    assert "it allows no disruptions. Give" in told
