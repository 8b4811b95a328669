# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.placement import check_placement
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.waves import WaveLimits, allowed_at_once, plan_waves
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import read_share


def limits(wave: Any, max_unavailable: Any = "100%") -> WaveLimits:
    return WaveLimits(read_share(wave), read_share(max_unavailable))


def names(count: int, key: str = "a", first: int = 0) -> dict[str, str]:
    return {f"n{number:02d}": key for number in range(first, first + count)}


@pytest.mark.parametrize(
    ("wave", "at_once", "sizes"),
    [
        ("25%", 99, [1, 2, 2, 2, 1]),
        (3, 99, [1, 3, 3, 1]),
        ("100%", 99, [1, 7]),
        ("100%", 3, [1, 3, 3, 1]),
        ("1%", 99, [1] * 8),
    ],
)
def test_plan_waves_one_canary_then_the_rest(wave: Any, at_once: int, sizes: list[int]) -> None:
    waves = plan_waves(names(8), frozenset(), limits(wave), at_once)
    assert [len(one) for one in waves] == sizes
    assert [name for one in waves for name in one] == sorted(names(8))


def test_plan_waves_one_canary_of_each_key_first() -> None:
    keys = {**names(3, "b"), **names(3, "a", first=3)}
    assert plan_waves(keys, frozenset(), limits("50%"), 99) == [["n03", "n00"], ["n01", "n02", "n04"], ["n05"]]
    assert plan_waves(keys, frozenset(), limits("50%"), 1)[:2] == [["n03"], ["n00"]]


def test_plan_waves_nodes_out_of_service_come_first_and_share_no_wave_with_others() -> None:
    waves = plan_waves(names(5), frozenset(["n01", "n02", "n03"]), limits("100%"), 1)
    assert waves == [["n01"], ["n02", "n03"], ["n00"], ["n04"]]


def test_plan_waves_nothing_changes_no_waves() -> None:
    assert plan_waves({}, frozenset(), limits("25%"), 1) == []


@pytest.mark.parametrize(
    ("share", "nodes", "out", "allowed"),
    [("25%", 40, 0, 10), ("25%", 40, 4, 6), ("25%", 40, 12, 1), ("25%", 2, 0, 1), (5, 40, 1, 4)],
)
def test_allowed_at_once_counts_what_others_have_out(share: Any, nodes: int, out: int, allowed: int) -> None:
    assert allowed_at_once(limits(1, share), nodes, out) == allowed


# --- plan_id -------------------------------------------------------------------------------------------------------------


def changed_id(request: PlanRequest, **fields: Any) -> bool:
    return build_plan(replace(request, **fields))["plan_id"] != build_plan(request)["plan_id"]


def test_plan_id_follows_every_decision() -> None:
    request = fleet.reference()
    configs = copy.deepcopy(request.configs)
    configs["t4"]["process_memory_mib"] = 5000
    assert changed_id(request, configs=configs)
    assert changed_id(request, device_plugin={"version": "v0.17.1"})
    assert changed_id(request, max_unavailable=2)
    assert changed_id(request, cluster={**request.cluster, "label_users": {}})
    nodes = copy.deepcopy(request.cluster["nodes"])
    nodes["gpu-t4"]["hold"] = "mine"
    assert changed_id(request, cluster={**request.cluster, "nodes": nodes})


def test_plan_id_ignores_what_decides_nothing() -> None:
    request = fleet.reference()
    configs = copy.deepcopy(request.configs)
    # Another measurement that comes out at the same number.
    configs["t4"]["process_memory_mib"] = 4500
    assert not changed_id(request, configs=configs)
    assert not changed_id(request, configs={**request.configs, "h20": {"match": {"product": "NVIDIA H20"}}})
    assert not changed_id(request, accept_live_memory=("gpu-t4",))
    assert not changed_id(request, wave=7)


# --- placement -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("taint", "toleration", "fits"),
    [
        ({"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "a", "value": "b"}, True),
        ({"key": "a", "value": "b", "effect": "NoSchedule"}, {"key": "a", "operator": "Equal", "value": "c"}, False),
        (
            {"key": "a", "value": "b", "effect": "NoSchedule"},
            {"key": "a", "operator": "Exists", "effect": "NoExecute"},
            False,
        ),
        ({"key": "a", "effect": "NoExecute"}, {"operator": "Exists"}, True),
        ({"key": "a", "effect": "NoExecute"}, {"key": "a"}, True),
        ({"key": "a", "effect": "PreferNoSchedule"}, {"key": "x"}, True),
        ({"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}, {"key": "x"}, True),
        ({"key": "node.kubernetes.io/out-of-service", "effect": "NoExecute"}, {"key": "x"}, False),
    ],
)
def test_check_placement_tolerates_as_the_scheduler_does(taint: Any, toleration: Any, fits: bool) -> None:
    state = NodeState("n", fleet.node(taints=[taint]))
    assert (check_placement(state, {}, [toleration]) == []) is fits


def test_check_placement_node_lacks_a_selected_label() -> None:
    findings = check_placement(NodeState("n", fleet.node()), {"pool": "gpu", "nvidia-device-enable": "enable"}, [])
    assert len(findings) == 1
    assert findings[0].startswith("it lacks pool=gpu, which kubegpu_device_plugin.node_selector asks for")
