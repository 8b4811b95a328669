# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""People and other programs that lay hands on nodes while a rollout is at work: nobody's wish is overruled, nothing is lost."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from integration.meanwhile import meanwhile

from .conftest import Open
from .stage import FOREIGN, GPUS, MAINTENANCE, REVISION, WITHDRAWN, Stage, failures

CORDON = {"spec": {"unschedulable": True}}
UNCORDON = {"spec": {"unschedulable": None}}
HOLD = {"metadata": {"annotations": {"kubegpu.sharing/hold": "Ada measures"}}}
LET_GO = {"metadata": {"annotations": {"kubegpu.sharing/hold": None}}}
#: The steps of a wave, and how far they got when somebody intervenes.
STEPS = ["in_maintenance", "withdrawn", "serving"]


def begun(stage: Stage, last: str, **options: Any) -> Any:
    """A rollout whose wave has got as far as this step."""
    driver = stage.driver(**options)
    for step in (*driver.begin_steps, *driver.wave_steps[: STEPS.index(last) + 1]):
        assert step().get("failed_nodes", []) == []
    return driver


def note(stage: Stage, name: str) -> dict[str, Any]:
    text = (stage.node(name)["metadata"].get("annotations") or {}).get(MAINTENANCE)
    return json.loads(text) if text else {}


def test_cordon_of_before_survives_a_run_that_dies_and_the_one_that_finishes(open_stage: Open) -> None:
    stage = open_stage()
    stage.patch_node("gpu-t4", CORDON)
    begun(stage, "withdrawn")
    assert note(stage, "gpu-t4")["was_unschedulable"] is True
    stage.let_lease_run_out()
    assert failures(stage.driver("run-2").roll_out()) == {}
    assert set(stage.unfinished()) == {"gpu-t4"}
    assert (stage.allocatable("gpu-t4"), stage.schedulable("gpu-t4"), note(stage, "gpu-t4")) == (3, False, {})


def test_plain_cordon_meanwhile_leaves_no_trace_and_a_hold_does(open_stage: Open) -> None:
    """Why a hold is an annotation: a node that is cordoned already is not changed by another cordon."""
    stage = open_stage()
    driver = begun(stage, "serving")
    stage.patch_node("gpu-l20", CORDON)
    stage.patch_node("gpu-t4", HOLD)
    result = driver.in_service()["nodes"]
    assert (result["gpu-l20"]["in_service"], result["gpu-t4"]["in_service"]) == (True, False)
    assert (stage.schedulable("gpu-l20"), stage.schedulable("gpu-t4")) == (True, False)


def test_node_that_is_uncordoned_before_its_plugin_goes_keeps_it(open_stage: Open) -> None:
    stage = open_stage()
    driver = begun(stage, "in_maintenance")
    stage.patch_node("gpu-t4", UNCORDON)
    result = driver.withdrawn()
    assert result["failed_nodes"] == ["gpu-t4"]
    assert "uncordoned by somebody else meanwhile" in result["nodes"]["gpu-t4"]["reason"]
    assert stage.allocatable("gpu-t4") == 1
    assert note(stage, "gpu-t4")["reason"].startswith("withdrawn failed: it was uncordoned by somebody else")
    driver.unlock()
    assert failures(stage.driver("run-2").roll_out()) == {}
    assert stage.unfinished() == {}


def test_node_that_is_uncordoned_without_a_plugin_gets_none_before_it_is_cordoned_again(open_stage: Open) -> None:
    stage = open_stage()
    driver = begun(stage, "withdrawn")
    stage.patch_node("gpu-t4", UNCORDON)
    result = driver.serving()
    assert result["failed_nodes"] == ["gpu-t4"]
    assert (stage.node("gpu-t4")["metadata"]["labels"][REVISION], stage.allocatable("gpu-t4")) == ("withdrawn", 0)
    again = driver.of(nodes=("gpu-t4",))
    assert again.in_maintenance()["actions"] == ["patch node gpu-t4: cordon again, it was uncordoned meanwhile"]
    for step in (again.serving, driver.in_service):
        assert step()["failed_nodes"] == []
    assert stage.unfinished() == {}


def test_node_that_is_uncordoned_when_it_is_proven_is_let_go(open_stage: Open) -> None:
    stage = open_stage()
    driver = begun(stage, "serving")
    stage.patch_node("gpu-t4", UNCORDON)
    assert driver.in_service()["failed_nodes"] == []
    assert stage.unfinished() == {}


@pytest.mark.parametrize("last", STEPS)
def test_node_that_is_held_meanwhile_is_finished_and_waits_for_its_person(open_stage: Open, last: str) -> None:
    stage = open_stage()
    driver = begun(stage, last)
    stage.patch_node("gpu-t4", HOLD)
    for step in driver.wave_steps[STEPS.index(last) + 1 :]:
        result = step()
        assert result["failed_nodes"] == []
    assert (result["nodes"]["gpu-t4"]["held"], result["nodes"]["gpu-l20"]["held"]) == (True, False)
    assert (stage.allocatable("gpu-t4"), stage.schedulable("gpu-t4")) == (3, False)
    driver.unlock()
    stage.patch_node("gpu-t4", LET_GO)
    assert failures(stage.driver("run-2").roll_out()) == {}
    assert stage.unfinished() == {}


@pytest.mark.parametrize("last", STEPS)
def test_node_that_is_deleted_meanwhile_fails_alone(open_stage: Open, last: str) -> None:
    stage = open_stage()
    driver = begun(stage, last)
    stage.may_go("gpu-t4")
    stage.client.delete("/api/v1/nodes/gpu-t4")
    for step in driver.wave_steps[STEPS.index(last) + 1 :]:
        result = step()
        assert result["failed_nodes"] == ["gpu-t4"]
        assert "the cluster has no node of this name" in result["nodes"]["gpu-t4"]["reason"]
    assert (stage.allocatable("gpu-l20"), stage.schedulable("gpu-l20")) == (8, True)


def test_node_that_is_deleted_while_its_plugin_is_awaited_fails_alone(open_stage: Open) -> None:
    stage = open_stage(speed=20)
    driver = begun(stage, "withdrawn")
    stage.may_go("gpu-t4")
    # Its plugin never comes up, so that it is awaited until the node is gone.
    stage.cluster.fault("nvml", node="gpu-t4", error="DRIVER_NOT_LOADED")

    def delete() -> None:
        stage.cluster.wait_until(lambda: stage.revision("gpu-t4") != WITHDRAWN, what="the new revision")
        stage.client.delete("/api/v1/nodes/gpu-t4")

    with meanwhile(delete):
        result = driver.serving()
    assert result["failed_nodes"] == ["gpu-t4"]
    assert "deleted" in result["nodes"]["gpu-t4"]["reason"]
    assert "warnings" not in result


@pytest.mark.parametrize("method", ["PATCH", "POST"])
def test_conflict_at_every_other_write_is_decided_anew(open_stage: Open, method: str) -> None:
    """Writes of all kinds: the lease, the objects, the nodes, the Events."""
    stage = open_stage()
    for nth in range(1, 60, 2):
        stage.cluster.fault("api", method=method, path="^(?!/simulator)", nth=nth, status=409)
    assert failures(stage.driver().roll_out()) == {}
    stage.cluster.clear_api_faults()
    assert stage.unfinished() == {}


def test_node_of_a_live_run_is_refused_and_that_of_a_dead_one_is_taken_over_with_a_word(open_stage: Open) -> None:
    stage = open_stage()
    begun(stage, "withdrawn")
    since = stage.cluster.position()
    beside = stage.driver("run-2").of(check_mode=True).in_maintenance()
    assert sorted(beside["failed_nodes"]) == ["gpu-l20", "gpu-t4"]
    assert beside["nodes"]["gpu-t4"]["reason"].startswith("run run-1 has it in maintenance (since 20")
    assert "and holds a live lease. Wait for that run to end." in beside["nodes"]["gpu-t4"]["reason"]
    assert stage.cluster.writes(since) == []
    stage.let_lease_run_out()
    left = note(stage, "gpu-t4")["since"]
    second = stage.driver("run-2")
    for step in second.begin_steps:
        step()
    taken = second.in_maintenance()
    assert taken["failed_nodes"] == []
    assert taken["nodes"]["gpu-t4"]["reason"].startswith("taken over from run run-1, which holds no lease (in ma")
    assert (note(stage, "gpu-t4")["run"], note(stage, "gpu-t4")["since"]) == ("run-2", left)
    for step in second.wave_steps[1:]:
        assert step()["failed_nodes"] == []
    assert stage.unfinished() == {}


def test_owner_that_takes_its_daemonset_back_at_the_last_moment_meets_no_second_plugin(open_stage: Open) -> None:
    stage = open_stage("addon-owned")
    driver = begun(stage, "withdrawn")
    stage.cluster.fault("owner", daemonset=FOREIGN["addon-owned"])
    result = driver.serving()
    assert sorted(result["failed_nodes"]) == sorted(GPUS["addon-owned"])
    assert "has taken it back" in result["nodes"]["gpu-1"]["reason"]
    for name in driver.nodes:
        assert stage.node(name)["metadata"]["labels"][REVISION] == "withdrawn"
        assert not stage.schedulable(name)
        assert "has taken it back" in note(stage, name)["reason"]


def test_label_that_is_put_back_by_hand_is_taken_off_before_ours_is_let_in(open_stage: Open) -> None:
    stage = open_stage()
    driver = begun(stage, "withdrawn")
    stage.patch_node("gpu-t4", {"metadata": {"labels": {"nvidia-device-enable": "enable"}}})
    result = driver.serving()
    assert result["failed_nodes"] == ["gpu-t4"]
    assert "its plugin has not been withdrawn" in result["nodes"]["gpu-t4"]["reason"]
    again = driver.of(nodes=("gpu-t4",))
    for step in (again.withdrawn, again.serving, driver.in_service):
        assert step()["failed_nodes"] == []
    assert stage.unfinished() == {}


def test_note_that_somebody_has_garbled_keeps_everybody_out(open_stage: Open) -> None:
    stage = open_stage()
    stage.patch_node("gpu-t4", {"metadata": {"annotations": {MAINTENANCE: "do not touch"}}})
    driver = stage.driver()
    for step in driver.begin_steps:
        step()
    result = driver.in_maintenance()
    assert result["failed_nodes"] == ["gpu-t4"]
    assert "cannot be read: 'do not touch'" in result["nodes"]["gpu-t4"]["reason"]
    rest = replace(driver, nodes=("gpu-l20",))
    for step in rest.wave_steps[1:]:
        assert step()["failed_nodes"] == []
    assert stage.node("gpu-t4")["metadata"]["annotations"][MAINTENANCE] == "do not touch"
