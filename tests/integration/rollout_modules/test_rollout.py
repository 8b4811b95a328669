# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout by the modules as the role calls them, on clusters of which one is left by label and one by affinity."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from .conftest import Open
from .stage import FLEET_SIZE, FOREIGN, GPUS, Stage, failures

SCENARIOS = ["reference", "addon-owned"]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rollout_ends_as_planned_and_a_second_one_writes_nothing(open_stage: Open, scenario: str) -> None:
    stage = open_stage(scenario)
    driver = stage.driver()
    assert {release["method"] for release in stage.plan["releases"]} == {
        "label" if scenario == "reference" else "affinity"
    }
    assert failures(driver.roll_out()) == {}
    assert stage.unfinished() == {}
    second = stage.driver("run-2")
    second.lock()
    since = stage.cluster.position()
    # It is not planned anew here, so it would record a snapshot, as every run that starts a plan does.
    for step in second.steps[2:]:
        assert step()["changed"] is False
    # A slow run renews its lock meanwhile.
    assert [item for item in stage.cluster.writes(since) if "/leases/" not in item["path"]] == []
    assert stage.make_plan()["empty"] is True


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_check_mode_writes_nothing_and_foresees_the_real_run(open_stage: Open, scenario: str) -> None:
    stage = open_stage(scenario)
    since = stage.cluster.position()
    foreseen = {step.__name__: step() for step in stage.driver().of(check_mode=True).steps}
    assert stage.cluster.writes(since) == []
    for step in stage.driver().steps:
        done = step()
        for part in ("changed", "actions", "diff"):
            assert foreseen[step.__name__][part] == done[part], step.__name__


def test_rollout_disturbs_no_pod_and_frees_the_stuck_update(open_stage: Open) -> None:
    stage = open_stage()
    before = {namespace: stage.uids(namespace) for namespace in ("web", "nlp")}
    results = stage.driver().roll_out()
    assert stage.uids("web") == before["web"]
    pods = stage.client.items("/api/v1/namespaces/nlp/pods")
    assert all(pod["status"]["phase"] != "Failed" for pod in pods)
    assert [node["admission_failures"] for node in results["in_service"]["nodes"].values()] == [[], []]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_rollout_writes_four_times_to_a_node_each_time_on_condition(open_stage: Open, scenario: str) -> None:
    stage = open_stage(scenario)
    stage.driver().roll_out()
    assert writes_to_nodes(stage) == dict.fromkeys(GPUS[scenario], 4)


def writes_to_nodes(stage: Stage) -> Counter[str]:
    """Those that were carried out: a kubelet's own status may come before any of them, which is then decided anew."""
    writes = [item for item in stage.cluster.writes() if item["resource"] == "nodes"]
    assert {item["status"] for item in writes} <= {200, 409}
    return Counter(item["name"] for item in writes if item["status"] == 200)


def test_a_large_wave_is_read_and_watched_as_a_whole(open_stage: Open) -> None:
    """Forty nodes at once: four writes to each, and reads that do not grow with every look."""
    stage = open_stage("fleet", speed=50)
    results = stage.driver().roll_out()
    assert failures(results) == {}
    assert stage.unfinished() == {}
    assert writes_to_nodes(stage) == dict.fromkeys(GPUS["fleet"], 4)
    reads = [
        item for item in stage.cluster.audit() if item["verb"] == "GET" and "kubegpu.sharing/" in item["user_agent"]
    ]
    ours = [
        item for item in reads if not item["path"].startswith("/api/v1/nodes?watch") and item["path"] != "/api/v1/nodes"
    ]
    single = [item for item in ours if item["resource"] == "nodes" and item["name"]]
    refused = [item for item in stage.cluster.writes() if item["resource"] == "nodes" and item["status"] == 409]
    assert len(single) <= len(refused)  # after a conflict with the kubelet's own status
    listed = [item for item in ours if "fieldSelector=spec.nodeName" in item["path"]]
    assert len(listed) == 4 * FLEET_SIZE  # before the cordon, twice after it, and for stale pods at the end


def test_requests_of_the_result_are_those_of_the_audit(open_stage: Open) -> None:
    stage = open_stage()
    driver = stage.driver()
    since = stage.cluster.position()
    driver.lock()
    counts = driver.snapshot()["requests"]
    audited = [item for item in stage.cluster.audit(since) if item["user_agent"].startswith("kubegpu.sharing/")]
    mine = [item for item in audited if "watch=1" not in item["path"]]
    assert counts["write"] == len(stage.cluster.writes(since)) == 4
    assert counts["get"] == len(mine) - len([item for item in mine if item["verb"] != "GET"])


def test_foreign_daemonset_is_patched_once_and_only_for_the_nodes_concerned(open_stage: Open) -> None:
    stage = open_stage("addon-owned")
    driver = stage.driver()
    driver.lock()
    driver.present()
    before = stage.uids("kube-system")
    assert driver.present()["changed"] is False
    patches = [item for item in stage.cluster.writes() if "/daemonsets/" in item["path"] and item["verb"] == "PATCH"]
    assert [item["name"] for item in patches] == [FOREIGN["addon-owned"].partition("/")[2]]
    one = driver.of(nodes=("gpu-1",))
    for step in one.wave_steps:
        step()
    # The other nodes keep the very pods that they had.
    after = stage.uids("kube-system")
    assert len(before.items() & after.items()) == len(before) - 1
    assert stage.allocatable("gpu-1") == 8
    assert stage.allocatable("gpu-2") == 2


def test_journal_tells_each_node_in_order(open_stage: Open) -> None:
    stage = open_stage()
    driver = stage.driver()
    driver.roll_out()
    assert driver.journal is not None
    lines = [json.loads(line) for line in driver.journal.read_text().splitlines()]
    for name in GPUS["reference"]:
        mine = [line for line in lines if line["node"] == name]
        states = [line["state"] for line in mine]
        assert states == ["schedulable", "cordoned", "withdrawn", "serving", "proven", "in_service"]
        assert [line["time"] for line in mine] == sorted(line["time"] for line in mine)
