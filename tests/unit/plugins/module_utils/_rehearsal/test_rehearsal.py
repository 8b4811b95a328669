# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the waves of a plan will meet."""

from __future__ import annotations

import copy
from typing import Any, Iterable, Mapping

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.rehearsal import rehearse

GPU = "nvidia.com/gpu"
OWNER = {"kind": "ReplicaSet", "name": "rs", "uid": "rs"}


def pod(name: str, requests: Any = 1, **fields: Any) -> dict[str, Any]:
    return fleet.pod(name, requests, **{"owner": OWNER, **fields})


def planned(
    slots: int = 1, gone: Iterable[Mapping[str, Any]] = (), recreate: Iterable[Mapping[str, Any]] = (), **fields: Any
) -> dict[str, Any]:
    """A node of a plan: the pods that go in maintenance, and the stale ones that are made anew."""
    gone, recreate = [{"uid": one["uid"]} for one in gone], [{"uid": one["uid"]} for one in recreate]
    return {
        "from": {"key": None, "revision": None, "resources": {GPU: 1}},
        "to": {"key": "k", "revision": "0a", "resources": {GPU: slots}},
        "expected_resources": {GPU: slots},
        "evict": {"scope": "affected" if gone else "none", "devices": [], "fit": None, "pods": gone},
        "stale_pods": recreate,
        "recreate": bool(recreate),
        "release": None,
        "was_unschedulable": False,
        **fields,
    }


def budget(name: str, allowed: int) -> dict[str, Any]:
    figures = {"allowed": allowed, "current_healthy": 2, "desired_healthy": 2 - allowed, "expected": 2, "pods": 1}
    return {"namespace": "ml", "name": name, **figures}


def play(nodes: Mapping[str, Any], plan_nodes: Mapping[str, Any], waves: Any = None, **fields: Any) -> dict[str, Any]:
    plan = {"nodes": plan_nodes, "waves": waves or [sorted(plan_nodes)]}
    before = copy.deepcopy((plan, nodes))
    result = rehearse(plan, fleet.cluster(nodes, **{"budgets": [], **fields}))
    assert (plan, nodes) == before, "a rehearsal changes nothing"
    return result


def fates(rehearsal: Mapping[str, Any]) -> list[tuple[str, str, str | None]]:
    """(pod, verdict, target) of all evictions."""
    return [(e["name"], e["verdict"], e["target"]) for wave in rehearsal["waves"] for e in wave["evictions"]]


def test_a_plan_without_waves_has_nothing_to_rehearse() -> None:
    found = rehearse({"nodes": {}, "waves": []}, fleet.cluster({}))
    assert found == {"waves": [], "worst": None, "budgets_known": False, "summary": []}


def test_without_evictions_the_slots_out_of_service_are_what_matters() -> None:
    nodes = {"a": fleet.node(1), "b": fleet.node(2), "c": fleet.node(1, unschedulable=True), "cpu": fleet.node(0)}
    found = play(nodes, {name: planned(8) for name in "abc"}, [["a"], ["b", "c"]])
    assert [(w["slots_out"], w["gpu_slots_in_cluster"]) for w in found["waves"]] == [(1, 4), (2, 11)]
    assert [w["slots_missing_at_worst"] for w in found["waves"]] == [0, 0]
    assert found["worst"]["wave"] == 2
    assert found["summary"] == [
        "No pod is evicted.",
        "At most 2 of 11 GPU slots are out of service at once (wave 2).",
    ]


def test_an_evicted_pod_goes_where_a_slot_is_free_and_nothing_keeps_it_away() -> None:
    gone = pod("gone", node_selector={"zone": "z"})
    nodes = {
        "a": fleet.node(2, [gone, pod("stays")]),
        "b": fleet.node(1, [pod("other")], labels={"zone": "z"}),
        "c": fleet.node(1, labels={"zone": "y"}),
        "d": fleet.node(1, labels={"zone": "z"}, unschedulable=True),
        "e": fleet.node(1, labels={"zone": "z"}, taints=[{"key": "t", "effect": "NoSchedule"}]),
        "f": fleet.node(1, labels={"zone": "z"}, taints=[{"key": "p", "effect": "PreferNoSchedule"}]),
    }
    found = play(nodes, {"a": planned(1, [gone])})
    assert fates(found) == [("gone", "placed", "f")]
    (wave,) = found["waves"]
    assert (wave["slots_missing"], wave["slots_missing_at_worst"], wave["blocking_budgets"]) == (0, 0, [])
    assert wave["evictions"][0] == {
        "namespace": "ml",
        "name": "gone",
        "node": "a",
        "step": "in_maintenance",
        "budgets": [],
        "verdict": "placed",
        "target": "f",
        "reason": "",
        "later": None,
    }
    assert found["summary"][0] == "1 pod is evicted: it has a place at once."
    assert found["summary"][-1].startswith("Reckoned with GPU resources")


@pytest.mark.parametrize(
    ("fields", "target"),
    [
        ({"tolerations": [{"key": "t", "operator": "Exists"}]}, "b"),
        ({"tolerations": [{"operator": "Exists"}]}, "b"),
        ({"tolerations": [{"key": "t", "operator": "Equal", "value": "x"}]}, None),
        ({}, None),
    ],
    ids=["key", "all", "another value", "none"],
)
def test_a_taint_keeps_away_who_does_not_tolerate_it(fields: dict[str, Any], target: str | None) -> None:
    gone = pod("gone", **fields)
    nodes = {"a": fleet.node(1, [gone]), "b": fleet.node(1, taints=[{"key": "t", "effect": "NoExecute"}])}
    found = play(nodes, {"a": planned(0, [gone], expected_resources={})})
    assert fates(found) == [("gone", "placed" if target else "no_place", target)]


def test_required_node_affinity_is_obeyed() -> None:
    terms = [{"matchExpressions": [{"key": "zone", "operator": "In", "values": ["z"]}]}]
    affinity = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    gone = pod("gone", node_affinity=affinity)
    nodes = {"a": fleet.node(1, [gone]), "b": fleet.node(1), "c": fleet.node(1, labels={"zone": "z"})}
    assert fates(play(nodes, {"a": planned(1, [gone])})) == [("gone", "placed", "c")]


def test_a_pod_without_a_place_waits_for_the_wave_that_has_one() -> None:
    first, second = pod("first"), pod("second")
    nodes = {"a": fleet.node(2, [first, second]), "b": fleet.node(1, [pod("full")])}
    plan_nodes = {"a": planned(1, [first, second]), "b": planned(2)}
    found = play(nodes, plan_nodes, [["a"], ["b"]])
    assert fates(found) == [("first", "no_place", None), ("second", "no_place", None)]
    one, two = found["waves"]
    assert [e["later"] for e in one["evictions"]] == [{"wave": 1, "node": "a"}, {"wave": 2, "node": "b"}]
    assert one["evictions"][0]["reason"] == "no node that it may use has 1 nvidia.com/gpu free"
    assert [(w["slots_missing_at_worst"], w["slots_missing"]) for w in (one, two)] == [(2, 1), (1, 0)]
    assert (found["worst"]["wave"], found["worst"]["slots_missing_at_worst"]) == (1, 2)
    assert found["summary"][:2] == [
        "2 pods are evicted: 2 have a place only later.",
        "At most 2 of 3 GPU slots are out of service at once (wave 1); evicted pods lack 2 at the worst moment (wave 1) "
        "and none in the end.",
    ]


def test_pods_that_wait_already_are_served_first() -> None:
    gone = pod("gone")
    nodes = {"a": fleet.node(1, [gone])}
    waiting = {**pod("old"), "seconds": 9}
    found = play(nodes, {"a": planned(1, [gone])}, pending=[waiting])
    assert found["waves"][0]["slots_missing"] == 1
    assert found["waves"][0]["evictions"][0]["later"] is None


def test_a_pod_without_a_controller_is_not_replaced() -> None:
    gone = pod("gone", owner=None)
    found = play({"a": fleet.node(1, [gone]), "b": fleet.node(1)}, {"a": planned(0, [gone])})
    assert fates(found) == [("gone", "not_replaced", None)]
    assert found["waves"][0]["slots_missing_at_worst"] == 0
    assert found["summary"][0] == "1 pod is evicted: no controller makes it anew."


def test_a_large_pod_needs_one_node_with_as_much() -> None:
    gone = pod("gone", 2)
    nodes = {"a": fleet.node(2, [gone]), "b": fleet.node(1), "c": fleet.node(1)}
    found = play(nodes, {"a": planned(1, [gone])})
    assert fates(found) == [("gone", "no_place", None)]
    assert found["waves"][0]["slots_missing"] == 2


def test_a_resource_that_vanishes_leaves_no_place() -> None:
    gone = pod("gone")
    target = planned(0, [gone], expected_resources={"nvidia.com/gpu.shared": 8})
    found = play({"a": fleet.node(1, [gone])}, {"a": target})
    assert found["waves"][0]["slots_missing"] == 1


@pytest.mark.parametrize(
    ("evict", "gone"),
    [
        ({"scope": "affected", "fit": {GPU: 1}}, ["low"]),
        ({"scope": "gpu_pods"}, ["high", "low"]),
        ({"scope": "all"}, ["high", "low", "web"]),
        ({"scope": "none"}, []),
    ],
)
def test_pods_that_the_plan_does_not_name_are_told_by_its_scope(evict: dict[str, Any], gone: list[str]) -> None:
    daemon = pod("daemon", {}, owner={**OWNER, "kind": "DaemonSet"})
    nodes = {"a": fleet.node(2, [pod("high", priority=9), pod("low"), pod("web", {}), daemon])}
    found = play(nodes, {"a": planned(1, evict={**evict, "devices": [], "pods": []})})
    assert sorted(name for name, _verdict, _target in fates(found)) == gone


class TestStalePods:
    SERVED = {"key": "k", "revision": "0a", "resources": {GPU: 1}}

    def test_they_go_back_to_their_own_node(self) -> None:
        stale = pod("stale")
        found = play({"a": fleet.node(1, [stale])}, {"a": planned(2, recreate=[stale])})
        assert fates(found) == [("stale", "placed", "a")]
        assert found["waves"][0]["evictions"][0]["step"] == "in_service"
        assert found["waves"][0]["slots_out"] == 1
        assert found["summary"][0] == "1 stale pod is recreated: it has a place at once."

    def test_a_node_that_serves_already_is_not_taken_out_of_service(self) -> None:
        stale = pod("stale")
        target = {**planned(1, recreate=[stale]), "from": self.SERVED, "to": self.SERVED}
        found = play({"a": fleet.node(1, [stale])}, {"a": target})
        assert found["waves"][0]["slots_out"] == 0
        assert fates(found) == [("stale", "placed", "a")]

    def test_those_that_nothing_makes_anew_are_left_alone(self) -> None:
        orphan, daemon = pod("orphan", owner=None), pod("daemon", owner={**OWNER, "kind": "DaemonSet"})
        found = play({"a": fleet.node(2, [orphan, daemon])}, {"a": planned(2, recreate=[orphan, daemon])})
        assert fates(found) == []


class TestBudgets:
    def blocking(self, pods: list[dict[str, Any]], budgets: Any, free: int = 0) -> list[dict[str, Any]]:
        nodes = {"a": fleet.node(len(pods), pods), "b": fleet.node(free)}
        found: list[dict[str, Any]] = play(nodes, {"a": planned(0, pods)}, budgets=budgets)["waves"][0][
            "blocking_budgets"
        ]
        return found

    def test_one_that_allows_nothing_blocks(self) -> None:
        found = self.blocking([pod("p", budgets=["ml/nlp"])], [budget("nlp", 0)], free=1)
        assert found == [
            {
                "namespace": "ml",
                "name": "nlp",
                "allowed": 0,
                "healthy": 2,
                "desired": 2,
                "expected": 2,
                "reason": "allows_none",
                "pods": ["ml/p"],
            }
        ]

    def test_one_that_allows_one_at_a_time_only_takes_longer_if_each_comes_back(self) -> None:
        pods = [pod(f"p{number}", budgets=["ml/nlp"]) for number in range(3)]
        assert self.blocking(pods, [budget("nlp", 1)], free=3) == []
        assert [one["reason"] for one in self.blocking(pods, [budget("nlp", 1)])] == ["not_replaced"]

    def test_several_for_one_pod_are_refused_by_the_api(self) -> None:
        found = self.blocking([pod("p", budgets=["ml/a", "ml/b"])], [budget("a", 1), budget("b", 1)], free=1)
        assert [(one["name"], one["reason"]) for one in found] == [("a", "several_budgets"), ("b", "several_budgets")]

    def test_what_an_earlier_wave_cost_is_missing_in_the_next(self) -> None:
        first, second = pod("first", budgets=["ml/nlp"]), pod("second", budgets=["ml/nlp"])
        nodes = {"a": fleet.node(1, [first]), "b": fleet.node(1, [second])}
        plan_nodes = {"a": planned(0, [first]), "b": planned(0, [second])}
        found = play(nodes, plan_nodes, [["a"], ["b"]], budgets=[budget("nlp", 1)])
        assert [len(wave["blocking_budgets"]) for wave in found["waves"]] == [0, 1]
        assert found["summary"][0] == "1 disruption budget will refuse evictions until the deadline: ml/nlp."

    def test_unknown_ones_are_said_to_be_unknown(self) -> None:
        gone = pod("gone")
        found = play({"a": fleet.node(1, [gone])}, {"a": planned(1, [gone])}, budgets=None)
        assert found["budgets_known"] is False
        assert any("may not be listed" in sentence for sentence in found["summary"])


def test_a_slot_that_a_pod_of_an_earlier_wave_has_taken_is_not_free_once_its_node_is_back() -> None:
    first, second = pod("first"), pod("second")
    nodes = {"a": fleet.node(1, [first]), "b": fleet.node(2, [pod("stays")]), "c": fleet.node(1, [second])}
    plan_nodes = {"a": planned(0, [first]), "b": planned(2), "c": planned(0, [second])}
    found = play(nodes, plan_nodes, [["a"], ["b"], ["c"]])
    assert fates(found) == [("first", "placed", "b"), ("second", "no_place", None)]
    assert found["waves"][2]["slots_missing"] == 1


def test_a_pod_of_an_earlier_wave_leaves_again_where_it_does_not_fit() -> None:
    gone = pod("gone")
    nodes = {"a": fleet.node(1, [gone]), "b": fleet.node(3, [pod("p"), pod("q")])}
    shrinking = planned(2, evict={"scope": "affected", "devices": [], "fit": {GPU: 2}, "pods": []})
    found = play(nodes, {"a": planned(0, [gone]), "b": shrinking}, [["a"], ["b"]])
    assert fates(found) == [("gone", "placed", "b")]
    assert [wave["slots_missing"] for wave in found["waves"]] == [0, 1]
