# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from unit.plugins.fakes.fake_cluster import FOREIGN, GPU, KEY, REVISION, REVISIONS, FakeCluster, manifests, node_path

from .conftest import Start

PREFIX = "/api/v1/namespaces/kubegpu-system/configmaps/"


def main_document(cluster: FakeCluster, run: str = "run-1") -> dict[str, Any]:
    return json.loads(cluster.api.objects[f"{PREFIX}kubegpu-snapshot-{run}"]["data"]["snapshot.json"])


def snapshots(cluster: FakeCluster) -> list[str]:
    return sorted(path[len(PREFIX) :] for path in cluster.api.objects if path.startswith(f"{PREFIX}kubegpu-snapshot-"))


def test_snapshot_records_nodes_and_foreign_daemonsets(start: Start) -> None:
    cluster, driver = start(method="affinity")
    cluster.api.change(node_path("gpu-2"), {"spec": {"unschedulable": True}})
    driver.lock()
    result = driver.snapshot()
    assert (result["snapshot"], result["snapshot_run"]) == ("kubegpu-snapshot-run-1", "run-1")
    document = main_document(cluster)
    assert (document["plan_id"], document["nodes"], document["shards"]) == (
        "0123456789abcdef",
        2,
        ["kubegpu-snapshot-run-1-0"],
    )
    assert document["foreign"][0]["daemonset"] == FOREIGN
    assert document["foreign"][0]["spec"]["updateStrategy"]["type"] == "RollingUpdate"
    assert document["foreign"][0]["patch"]["spec"]["updateStrategy"]["type"] == "OnDelete"
    assert (document["kind"], document["namespace"]) == ("sharing", "kubegpu-system")
    nodes = json.loads(cluster.api.objects[f"{PREFIX}kubegpu-snapshot-run-1-0"]["data"]["nodes.json"])
    assert nodes["gpu-2"] == {
        "key": None,
        "revision": None,
        "labels": {KEY: None, REVISION: None},
        "unschedulable": True,
        "resources": {GPU: 1},
        "mig": None,
        "plugin": FOREIGN,
        "target": {"key": "t4", "revision": REVISIONS["t4"], "labels": {}},
    }


def test_snapshot_of_a_switched_cluster_keeps_the_objects_that_serve_it(start: Start) -> None:
    cluster, driver = start()
    driver.roll_out()
    driver.of(run="run-2").lock()
    driver.of(run="run-2").snapshot(plan_id="another0plan0id0")
    kept = [obj["metadata"]["name"] for obj in main_document(cluster, "run-2")["objects"]]
    assert kept == [manifests(key)[0]["metadata"]["name"] for key in ("l20", "t4")] * 2


def test_snapshot_twice_is_kept(start: Start) -> None:
    cluster, driver = start()
    driver.lock()
    driver.snapshot()
    before = len(cluster.api.writes)
    assert driver.snapshot()["changed"] is False
    assert cluster.api.writes[before:] == []


def test_run_that_starts_the_same_plan_anew_has_a_snapshot_of_its_own(start: Start) -> None:
    """The plan may have been carried out and taken back in between. Later, what is left of it goes on with the last one."""
    cluster, driver = start()
    driver.lock()
    driver.snapshot()
    driver.unlock()
    second = driver.of(run="run-2")
    second.lock()
    result = second.snapshot(plan_id="0123456789abcdef")
    assert (result["changed"], result["snapshot"], result["snapshot_run"]) == (True, "kubegpu-snapshot-run-2", "run-2")
    second.unlock()
    rest = cluster.plan(Path(driver.plan_path), plan_id="rest0of0the0plan")
    third = driver.of(run="run-3", plan_path=rest)
    third.lock()
    result = third.snapshot(plan_id="0123456789abcdef")
    assert (result["changed"], result["snapshot_run"]) == (False, "run-2")
    assert main_document(cluster)["plan_id"] == main_document(cluster, "run-2")["plan_id"]


def test_snapshot_of_a_node_under_way_tells_how_it_was_before(start: Start) -> None:
    cluster, driver = start()
    driver.lock()
    for step in (driver.snapshot, driver.in_maintenance, driver.withdrawn):
        step()
    driver.unlock()
    second = driver.of(run="run-2")
    second.lock()
    second.snapshot()
    first, again = (
        json.loads(cluster.api.objects[f"{PREFIX}kubegpu-snapshot-{run}-0"]["data"]["nodes.json"])
        for run in ("run-1", "run-2")
    )
    assert again == first


def test_snapshot_under_the_id_that_was_accepted(start: Start) -> None:
    _cluster, driver = start()
    driver.lock()
    assert driver.snapshot(plan_id="first0plan0id000")["plan_id"] == "first0plan0id000"


def test_snapshot_of_what_is_left_is_the_first_one_under_the_id_that_was_accepted(start: Start) -> None:
    """The rest of a plan has an id of its own."""
    cluster, driver = start()
    driver.lock()
    driver.snapshot()
    driver.unlock()
    rest = cluster.plan(Path(driver.plan_path), plan_id="rest0of0the0plan")
    second = driver.of(run="run-2", plan_path=rest)
    second.lock()
    before = len(cluster.api.writes)
    result = second.snapshot(plan_id="0123456789abcdef")
    assert (result["snapshot_run"], result["plan_id"], result["changed"]) == ("run-1", "0123456789abcdef", False)
    assert cluster.api.writes[before:] == []
    assert snapshots(cluster) == ["kubegpu-snapshot-run-1", "kubegpu-snapshot-run-1-0"]


def test_snapshot_that_died_halfway_is_made_whole(start: Start) -> None:
    cluster, driver = start()
    driver.lock()
    driver.snapshot()
    cluster.api.remove(f"{PREFIX}kubegpu-snapshot-run-1")
    cluster.api.change(f"{PREFIX}kubegpu-snapshot-run-1-0", {"data": {"nodes.json": "{}"}})
    assert driver.snapshot()["changed"] is True
    assert "gpu-1" in cluster.api.objects[f"{PREFIX}kubegpu-snapshot-run-1-0"]["data"]["nodes.json"]
    assert main_document(cluster)["run"] == "run-1"


def test_snapshot_keeps_the_last_five(start: Start) -> None:
    cluster, driver = start()
    for number in range(1, 8):
        run = driver.of(run=f"run-{number}")
        run.lock()
        foreseen = run.of(check_mode=True).snapshot(plan_id=f"plan-{number}")
        result = run.snapshot(plan_id=f"plan-{number}")
        assert foreseen["actions"] == result["actions"]
        assert foreseen["diff"] == result["diff"]
        run.unlock()
    assert snapshots(cluster) == sorted(
        f"kubegpu-snapshot-run-{number}{part}" for number in range(3, 8) for part in ("", "-0")
    )


def test_snapshot_touches_no_config_map_of_others(start: Start) -> None:
    cluster, driver = start()
    driver.lock()
    theirs = {"metadata": {"labels": {"kubegpu.sharing/snapshot": "true", "kubegpu.sharing/run": "x"}}}
    cluster.api.put(f"{PREFIX}kubegpu-snapshot-x", theirs)
    driver.snapshot(keep=1)
    assert "kubegpu-snapshot-x" in snapshots(cluster)
