# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from typing import Any

import pytest
from unit.plugins.module_utils._measure import world
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.overlay import lay_over
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.proposal import build_proposal
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest


def proposed(number: Any, **more: Any) -> dict[str, Any]:
    return {"kind": "proposal", "configs": {"t4": {"process_memory_mib": number, "why": "No process.", **more}}}


def test_numbers_are_replaced_and_nothing_else() -> None:
    configs = copy.deepcopy(fleet.REFERENCE_CONFIGS)
    overlay = lay_over(configs, proposed(4000), "p.json")
    assert overlay.configs == {**configs, "t4": {**configs["t4"], "process_memory_mib": 4000}}
    assert overlay.applied == {"t4": {"from": 4401, "to": 4000}}
    assert configs == fleet.REFERENCE_CONFIGS


@pytest.mark.parametrize(
    ("words", "number", "why"),
    [
        ({"sharing": "time_slicing", "replicas": 3}, 1000, "it states replicas"),
        ({"sharing": "none"}, 1000, "it shares nothing"),
        ({}, 1000, "it shares nothing"),
        ({"sharing": "time_slicing", "process_memory_mib": 1}, None, "No process."),
        (None, 1000, "there is no such config any more"),
    ],
)
def test_configs_that_stay_are_told(words: Any, number: Any, why: str) -> None:
    configs = {} if words is None else {"t4": words}
    overlay = lay_over(configs, proposed(number, words={"sharing": "time_slicing"}), "p.json")
    assert (overlay.configs, overlay.applied, overlay.told) == (configs, {}, {"t4": why})


def test_config_without_a_number_gets_it() -> None:
    words = {"match": {"product": "Tesla T4"}, "sharing": "time_slicing"}
    overlay = lay_over({"t4": words}, proposed(4401), "p.json")
    assert overlay.configs == {"t4": {**words, "process_memory_mib": 4401}}
    assert overlay.applied == {"t4": {"from": None, "to": 4401}}


def test_config_whose_number_is_still_open_does_not_stand_in_the_way_of_others() -> None:
    configs = {
        "h20": {"match": {"product": "NVIDIA H20"}, "sharing": "time_slicing"},
        "t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing"},
    }
    nodes = (world.reference()[1], world.Node("gpu-h20", "NVIDIA H20"))
    overlay = lay_over(configs, build_proposal(world.request(*nodes, configs=configs)), "p.json")
    assert overlay.applied == {"t4": {"from": None, "to": 4401}}
    assert overlay.told == {
        "h20": "No process of a pod with a GPU was seen on its GPUs. It is planned as not shared, since its number is still open."
    }
    plan = build_plan(PlanRequest(configs=overlay.configs, cluster=world.cluster(nodes), facts="labels"))
    assert {name: node["replicas"] for name, node in plan["nodes"].items()} == {"gpu-h20": 1, "gpu-t4": 3}


@pytest.mark.parametrize("configs", [{}, None])
def test_configs_that_are_made_up_are_added(configs: Any) -> None:
    proposal = build_proposal(world.request(*world.reference(), configs={}))
    assert lay_over(configs, proposal, "p.json").configs == fleet.REFERENCE_CONFIGS


def test_configs_that_are_none_are_left_to_the_planner() -> None:
    assert lay_over(["t4"], proposed(1), "p.json").configs == ["t4"]


@pytest.mark.parametrize("document", [{"kind": "sharing"}, {}, {"kind": "proposal", "configs": []}])
def test_other_documents_are_refused(document: dict[str, Any]) -> None:
    with pytest.raises(KubeGpuError, match="p.json is no proposal"):
        lay_over({}, document, "p.json")
