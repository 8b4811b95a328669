# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import snapshot as rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import Maintenance
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import MigStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, Release
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import (
    SHARD_BYTES,
    SnapshotHead,
    build_snapshot,
    node_entry,
    plan_retention,
    read_snapshots,
)

GPU = "nvidia.com/gpu"
KEY, REVISION = "nvidia.com/device-plugin.config", "kubegpu.sharing/revision"
TARGET = NodeTarget("gpu-1", "l20", "0a", {GPU: 8}, (GPU,), Release("label", "kube-system/ds", {"enable": "yes"}))


def head(run: str = "run-1", created: str = "2026-03-01T12:00:00.000Z") -> SnapshotHead:
    return SnapshotHead("kubegpu-system", run, "0123456789abcdef", created)


def test_node_entry_keeps_only_what_the_rollout_changes() -> None:
    node = NodeState("gpu-1", labels={"enable": "yes", "zone": "b", KEY: "old"}, allocatable={GPU: 1})
    assert node_entry(node, TARGET) == {
        "labels": {KEY: "old", REVISION: None, "enable": "yes"},
        "key": "old",
        "revision": None,
        "unschedulable": False,
        "resources": {GPU: 1},
        "mig": None,
        "plugin": "kube-system/ds",
        "target": {"key": "l20", "revision": "0a", "labels": {}},
    }


def test_node_entry_has_the_layout_before_the_run_that_changed_it_and_the_one_that_is_to_be() -> None:
    whole, parted, half = ({"schema_version": 1, "gpus": [{"uuid": word}]} for word in ("whole", "parted", "half"))
    target = replace(TARGET, mig=MigStep(True, {}, before=half, after=parted))
    entry = node_entry(NodeState("gpu-1"), target)
    assert (entry["mig"], entry["target"]["mig"]) == (half, parted)
    note = Maintenance("run-0", restore={"key": None, "revision": None, "resources": {}, "mig": whole})
    left = NodeState("gpu-1", annotations={"kubegpu.sharing/maintenance": note.to_text()})
    assert node_entry(left, target)["mig"] == whole


def test_node_entry_shows_the_labels_that_a_rollback_puts_back() -> None:
    node = NodeState("gpu-1", labels={KEY: "l20", REVISION: "0a"}, allocatable={GPU: 8})
    target = NodeTarget("gpu-1", None, None, {GPU: 1}, (GPU,), labels={"enable": "yes"}, plugin="kube-system/ds")
    entry = node_entry(node, target)
    assert entry["labels"] == {KEY: "l20", REVISION: "0a", "enable": None}
    assert entry["target"] == {"key": None, "revision": None, "labels": {"enable": "yes"}}


def test_retention_spares_the_snapshot_that_a_rollback_goes_back_to() -> None:
    maps = [
        config_map
        for number in range(6)
        for config_map in build_snapshot(head(f"run-{number}", f"2026-03-0{number + 1}T12:00:00.000Z"), {}, [], [])
    ]
    snapshots = read_snapshots(maps)
    doomed = plan_retention(snapshots, 2, "kubegpu-snapshot-run-5", "kubegpu-snapshot-run-1")
    assert [snapshot.run for snapshot in doomed] == ["run-0", "run-2", "run-3"]


def test_node_entry_of_a_node_that_a_dead_run_left_shows_how_it_was_before_that() -> None:
    note = Maintenance(
        "dead", was_unschedulable=False, restore={"key": None, "revision": "ff", "labels": {"enable": "yes"}}
    )
    node = NodeState(
        "gpu-1",
        labels={REVISION: "withdrawn"},
        annotations={"kubegpu.sharing/maintenance": note.to_text()},
        unschedulable=True,
    )
    entry = node_entry(node, TARGET)
    assert entry["labels"] == {KEY: None, REVISION: "ff", "enable": "yes"}
    assert (entry["revision"], entry["unschedulable"]) == ("ff", False)


def test_node_entry_of_a_node_without_a_plugin_knows_resources_that_only_its_note_names() -> None:
    shared = "nvidia.com/gpu.shared"
    note = Maintenance("dead", restore={"key": None, "revision": None, "resources": {shared: 4}})
    node = NodeState("gpu-1", annotations={"kubegpu.sharing/maintenance": note.to_text()}, unschedulable=True)
    assert node_entry(node, TARGET)["resources"] == {GPU: 0, shared: 4}


@pytest.mark.parametrize("count", [0, 1, 3, 5000])
def test_build_snapshot_shards_below_the_limit_and_loses_no_node(count: int) -> None:
    entry = node_entry(NodeState("x"), TARGET)
    maps = build_snapshot(head(), {f"node-{number:05d}": entry for number in range(count)}, [], [])
    *shards, main = maps
    document = json.loads(main["data"]["snapshot.json"])
    assert document["shards"] == [shard["metadata"]["name"] for shard in shards]
    nodes: dict[str, Any] = {}
    for shard in shards:
        assert len(shard["data"]["nodes.json"].encode()) <= SHARD_BYTES
        nodes.update(json.loads(shard["data"]["nodes.json"]))
    assert len(nodes) == document["nodes"] == count
    assert len(shards) == {0: 0, 1: 1, 3: 1}.get(count, len(shards))
    assert count < 5000 or len(shards) > 1


def test_build_snapshot_is_immutable_and_labelled() -> None:
    for config_map in build_snapshot(head(), {"a": {}}, [{"daemonset": "x/y"}], []):
        assert config_map["immutable"] is True
        assert config_map["metadata"]["labels"] == {
            "app.kubernetes.io/managed-by": "kubegpu.sharing",
            "kubegpu.sharing/snapshot": "true",
            "kubegpu.sharing/run": "run-1",
        }
        assert config_map["metadata"]["annotations"]["kubegpu.sharing/plan-id"] == "0123456789abcdef"


def made(run: str, day: int, complete: bool = True) -> list[dict[str, Any]]:
    maps = build_snapshot(head(run, f"2026-03-{day:02d}T12:00:00.000Z"), {"a": {}}, [], [])
    return maps if complete else maps[:-1]


def test_read_snapshots_are_in_order_of_time_and_know_their_parts() -> None:
    snapshots = read_snapshots([*made("b", 2), *made("a", 3), *made("c", 1, complete=False)])
    assert [(one.run, one.name) for one in snapshots] == [
        ("c", ""),
        ("b", "kubegpu-snapshot-b"),
        ("a", "kubegpu-snapshot-a"),
    ]
    assert snapshots[1].objects == ("kubegpu-snapshot-b-0", "kubegpu-snapshot-b")


def test_read_snapshots_ignores_what_is_not_ours() -> None:
    maps = made("a", 1)
    for config_map in maps:
        config_map["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm"
    assert read_snapshots(maps) == []


def test_plan_retention_keeps_the_last_five_the_new_one_included() -> None:
    snapshots = read_snapshots([one for day in range(1, 8) for one in made(f"run-{day}", day)])
    assert [one.run for one in plan_retention(snapshots, 5, "kubegpu-snapshot-run-8")] == ["run-1", "run-2", "run-3"]


def test_plan_retention_never_drops_the_current_one_and_clears_remains() -> None:
    snapshots = read_snapshots([*made("old", 1), *made("broken", 2, complete=False), *made("now", 3, complete=False)])
    assert [one.run for one in plan_retention(snapshots, 1, rules.main_name("now"))] == ["broken", "old"]


def test_object_entry_can_be_created_again() -> None:
    live = {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "x", "namespace": "y", "uid": "u", "resourceVersion": "1", "labels": {"a": "b"}},
        "data": {"c": "d"},
        "status": {},
    }
    assert rules.object_entry(live) == {
        "kind": "ConfigMap",
        "apiVersion": "v1",
        "metadata": {"name": "x", "namespace": "y", "labels": {"a": "b"}},
        "data": {"c": "d"},
    }
