# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that go back to the plugin of somebody else, by the steps that took them off it, under the same law."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .conftest import Open
from .stage import FOREIGN, GPU, GPUS, REVISION, Stage, failures

SCENARIOS = ["reference", "addon-owned"]


def plan_back(stage: Stage) -> str:
    """The rollout's plan turned round: every node ends with the labels and the plugin that it had before."""
    nodes = {}
    for name, entry in stage.plan["nodes"].items():
        was = entry["from"]
        labels = (entry["release"] or {}).get("label") or {}
        to = {"key": was["key"], "revision": None, "labels": labels, "plugin": FOREIGN[stage.scenario]}
        nodes[name] = {
            "from": entry["to"],
            "to": to,
            "expected_resources": {GPU: entry["slots_before"]},
            "resources_before": {GPU: entry["slots_after"]},
            "ids_change": True,
        }
    document = {**stage.plan, "kind": "rollback", "plan_id": "fedcba9876543210", "nodes": nodes, "releases": []}
    path = stage.directory / "back.json"
    path.write_text(json.dumps(document))
    return str(path)


def as_before(stage: Stage) -> dict[str, Any]:
    """What is not as it was before the rollout."""
    wrong = {}
    for name, entry in stage.plan["nodes"].items():
        node = stage.node(name)
        labels = node["metadata"]["labels"]
        state = (labels.get(REVISION), stage.allocatable(name), stage.schedulable(name))
        wanted = (entry["release"] or {}).get("label") or {}
        if state != (None, entry["slots_before"], True) or not wanted.items() <= labels.items():
            wrong[name] = state, labels
    return wrong


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_nodes_go_back_and_a_second_run_writes_nothing(open_stage: Open, scenario: str) -> None:
    stage = open_stage(scenario)
    assert failures(stage.driver().roll_out()) == {}
    back = stage.driver("run-2").of(plan_path=plan_back(stage))
    back.lock()
    for step in back.of(check_mode=True).wave_steps:
        assert step()["failed_nodes"] == []
    foreseen = [action for step in back.of(check_mode=True).wave_steps for action in step()["actions"]]
    done = []
    for step in back.wave_steps:
        result = step()
        assert result["failed_nodes"] == []
        done += result["actions"]
    assert done == foreseen
    assert as_before(stage) == {}
    annotations = stage.node(back.nodes[0])["metadata"]["annotations"]
    assert annotations["kubegpu.sharing/devices-since"].startswith("20")
    since = stage.cluster.position()
    for step in back.wave_steps:
        assert step()["changed"] is False
    assert [item for item in stage.cluster.writes(since) if "/leases/" not in item["path"]] == []


@pytest.mark.parametrize("last", ["in_maintenance", "withdrawn", "serving"])
def test_rollout_that_died_on_the_way_is_taken_back(open_stage: Open, last: str) -> None:
    """Whatever the dead run had done, its nodes go back, and forward again after that."""
    stage = open_stage()
    driver = stage.driver()
    names = [step.__name__ for step in driver.wave_steps]
    for step in (*driver.begin_steps, *driver.wave_steps[: names.index(last) + 1]):
        assert step().get("failed_nodes", []) == []
    stage.let_lease_run_out()
    back = stage.driver("run-2").of(plan_path=plan_back(stage))
    back.lock()
    for step in back.wave_steps:
        assert step()["failed_nodes"] == []
    assert as_before(stage) == {}
    back.unlock()
    assert failures(stage.driver("run-3").roll_out()) == {}
    assert stage.unfinished() == {}


def test_node_whose_old_plugin_does_not_come_back_stays_out_and_says_so(open_stage: Open) -> None:
    stage = open_stage()
    assert failures(stage.driver().roll_out()) == {}
    namespace, _slash, name = FOREIGN["reference"].partition("/")
    stage.client.delete(f"/apis/apps/v1/namespaces/{namespace}/daemonsets/{name}")
    back = stage.driver("run-2").of(plan_path=plan_back(stage))
    back.lock()
    for step in (back.in_maintenance, back.withdrawn):
        assert step()["failed_nodes"] == []
    result = back.serving(timeout_seconds=1.0)
    assert sorted(result["failed_nodes"]) == sorted(GPUS["reference"])
    assert f"no plugin pod of DaemonSet {FOREIGN['reference']} is on the node" in result["nodes"]["gpu-l20"]["reason"]
    assert not stage.schedulable("gpu-l20")
