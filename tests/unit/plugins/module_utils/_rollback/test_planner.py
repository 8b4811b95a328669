# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.past import Past, read_past
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.planner import RollbackRequest, build_rollback
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import read_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import (
    Snapshot,
    SnapshotHead,
    build_snapshot,
)

GPU = "nvidia.com/gpu"
KEY, REVISION = "nvidia.com/device-plugin.config", "kubegpu.sharing/revision"
PLUGIN: dict[str, Any] = {
    "namespace": "kube-system",
    "name": "plugin",
    "owner": {"kind": "none"},
    "node_selector": {"enable": "yes"},
    "node_affinity": None,
    "nodes": [],
}
SNAPSHOT = Snapshot("run-1", "kubegpu-snapshot-run-1", "0" * 16, "2026-03-01T12:00:00.000Z", ())


def entry(revision: str | None = None, slots: int = 1, **more: Any) -> dict[str, Any]:
    """How a node was: served by somebody else, or by a revision of ours. The run made ``l20 0b`` of it."""
    labels = {KEY: "l20" if revision else None, REVISION: revision, "enable": None if revision else "yes"}
    target = {"key": "l20", "revision": "0b", "labels": {}}
    return {"labels": labels, "resources": {GPU: slots}, "target": target, **more}


def node(labels: dict[str, str], slots: int, pods: int = 0, **more: Any) -> dict[str, Any]:
    listed = [
        {"namespace": "a", "name": f"p-{number}", "uid": f"u-{number}", "phase": "Running", "requests": {GPU: 1}}
        for number in range(pods)
    ]
    amounts = {"capacity": slots, "allocatable": slots, "requested": pods, "free": slots - pods}
    found = {"labels": labels, "resources": {GPU: amounts}, "pods": listed, "ready": True}
    return {**found, "key": labels.get(KEY), "revision": labels.get(REVISION), **more}


OURS = {KEY: "l20", REVISION: "0b"}
THEIRS = {"enable": "yes"}


def objects(revision: str) -> list[dict[str, Any]]:
    name = f"kubegpu-device-plugin-l20-{revision}"
    metadata = {"name": name, "namespace": "kubegpu-system", "labels": {REVISION: revision}}
    return [
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": {}},
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.yaml": f"rev: {revision}\n"}},
    ]


def plan(
    found: dict[str, Any], was: dict[str, Any] | None = None, plugins: Any = (PLUGIN,), **request: Any
) -> dict[str, Any]:
    past = Past(SNAPSHOT, was or {name: entry() for name in found}, objects={"0a": objects("0a")})
    return build_rollback(RollbackRequest(past, {"nodes": found, "plugins": list(plugins)}, **request))


def test_a_container_runtime_stays_as_it_is_and_that_is_told() -> None:
    was = entry()
    was["target"]["runtime"] = {"engine": "containerd", "digest": "aa"}
    made = plan({"gpu-1": node(OURS, 8), "gpu-2": node(OURS, 8)}, {"gpu-1": was, "gpu-2": entry()})
    assert "runtime" not in made["nodes"]["gpu-1"]
    assert read_plan(made, "x").nodes["gpu-1"].runtime is None
    [told] = [warning for warning in made["warnings"] if "container runtime" in warning]
    assert told.startswith(
        "node gpu-1: its container runtime (containerd), which the rollout was to set up, stays as it is now"
    )


def test_a_node_that_the_run_has_changed_goes_back_to_the_plugin_that_served_it() -> None:
    made = plan({"gpu-1": node(OURS, 8)})
    found = made["nodes"]["gpu-1"]
    assert found["to"] == {
        "key": None,
        "revision": None,
        "resources": {GPU: 1},
        "labels": THEIRS,
        "plugin": "kube-system/plugin",
    }
    assert (found["changed"], found["disruption"], found["ids_change"]) == (True, "switch", True)
    assert (made["kind"], made["waves"], made["snapshot"]["run"]) == ("rollback", [["gpu-1"]], "run-1")
    target = read_plan(made, "plan").nodes["gpu-1"]
    assert (target.plugin, target.labels, target.wanted()) == ("kube-system/plugin", THEIRS, {GPU: 1})


def test_going_back_from_the_result_is_an_empty_plan() -> None:
    made = plan({"gpu-1": node(THEIRS, 1)})
    assert (made["empty"], made["waves"], made["skipped"]) == (True, [], [])


def test_the_id_is_that_of_the_decisions() -> None:
    one, two = plan({"gpu-1": node(OURS, 8)}), plan({"gpu-1": node(OURS, 8, pods=1)})
    assert one["plan_id"] == two["plan_id"]
    assert plan({"gpu-1": node(OURS, 8), "gpu-2": node(OURS, 8)})["plan_id"] != one["plan_id"]


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(node({**OURS, REVISION: "0c"}, 4), "bears config l20 revision 0c now", id="another revision"),
        pytest.param(node({}, 0), "no config of ours", id="labels taken off by hand"),
        pytest.param(node(OURS, 8, hold="disk"), "on hold: disk", id="hold"),
        pytest.param(node(OURS, 8, ready=False), "not Ready", id="not ready"),
        pytest.param(node(THEIRS, 2), "advertises nvidia.com/gpu 2 instead of nvidia.com/gpu 1", id="other slots"),
        pytest.param(
            node(
                {REVISION: "withdrawn"},
                0,
                maintenance={"run": "run-9", "restore": {"key": "l20", "revision": "0c"}},
            ),
            "Run the rollout of run run-9 again",
            id="under way from elsewhere",
        ),
    ],
)
def test_a_node_that_somebody_has_changed_is_left_alone_and_told(found: dict[str, Any], reason: str) -> None:
    made = plan({"gpu-1": found})
    assert made["empty"] is True
    (skipped,) = made["skipped"]
    assert reason in skipped["reason"]


@pytest.mark.parametrize(
    "found",
    [
        pytest.param(node({REVISION: "withdrawn"}, 0), id="no note"),
        pytest.param(
            node({REVISION: "withdrawn"}, 0, maintenance={"run": "x", "restore": {"key": None, "revision": None}}),
            id="of the rollout",
        ),
        pytest.param(
            node({REVISION: "withdrawn"}, 0, maintenance={"run": "x", "restore": {"key": "l20", "revision": "0b"}}),
            id="of a rollback",
        ),
        pytest.param(node(OURS, 8, maintenance={"run": "x", "restore": {"key": None, "revision": None}}), id="served"),
    ],
)
def test_a_node_that_was_left_on_the_way_goes_back(found: dict[str, Any]) -> None:
    assert plan({"gpu-1": found})["waves"] == [["gpu-1"]]


def test_a_node_of_which_nobody_knows_what_was_set_is_left_alone() -> None:
    made = plan({"gpu-1": node(OURS, 8)}, {"gpu-1": entry(target=None)})
    assert "does not tell what the run had set" in made["skipped"][0]["reason"]


def test_a_node_that_is_back_and_still_in_maintenance_is_only_put_into_service() -> None:
    note = {"run": "x", "restore": {"key": "l20", "revision": "0b"}}
    found = plan({"gpu-1": node(THEIRS, 1, maintenance=note)})["nodes"]["gpu-1"]
    assert (found["changed"], found["disruption"], found["ids_change"]) == (True, "none", False)


def test_our_older_objects_are_among_the_plans() -> None:
    was = {"gpu-1": entry("0a", 4)}
    made = plan({"gpu-1": node(OURS, 8)}, was)
    assert made["nodes"]["gpu-1"]["to"]["revision"] == "0a"
    assert [one["kind"] for one in read_plan(made, "plan").objects] == ["ConfigMap", "DaemonSet"]
    with pytest.raises(InputError, match="neither the snapshot of run run-1 nor the cluster has it"):
        plan({"gpu-1": node(OURS, 8)}, {"gpu-1": entry("0d", 4)})


def test_revisions_that_one_key_had_at_a_time_are_all_made_again() -> None:
    was = {"gpu-1": entry("0a", 4), "gpu-2": entry("0c", 2)}
    past = Past(SNAPSHOT, was, objects={"0a": objects("0a"), "0c": objects("0c")})
    cluster = {"nodes": {name: node(OURS, 8) for name in was}, "plugins": [PLUGIN]}
    made = read_plan(build_rollback(RollbackRequest(past, cluster)), "plan")
    assert [one["metadata"]["labels"][REVISION] for one in made.objects] == ["0a", "0c", "0a", "0c"]
    assert {name: target.revision for name, target in made.nodes.items()} == {"gpu-1": "0a", "gpu-2": "0c"}


@pytest.mark.parametrize(
    ("plugins", "problem"),
    [
        pytest.param([], "no plugin selects it", id="gone"),
        pytest.param([PLUGIN, {**PLUGIN, "name": "other"}], "two device plugins", id="two"),
    ],
)
def test_a_node_that_nobody_would_serve_refuses_the_plan(plugins: Any, problem: str) -> None:
    with pytest.raises(InputError, match=problem):
        plan({"gpu-1": node(OURS, 8)}, plugins=plugins)


def test_what_surplus_pods_mean_is_chosen() -> None:
    nodes = {"gpu-1": node(OURS, 8, pods=3)}
    with pytest.raises(InputError, match="pods hold 3 nvidia.com/gpu, but it would advertise 1") as refused:
        plan(nodes)
    assert "set kubegpu_on_overcommit to evict (2 leave during the maintenance) or accept." in str(refused.value)
    accepted = plan(nodes, on_overcommit="accept")["nodes"]["gpu-1"]
    assert (accepted["evict"]["scope"], accepted["disruption"]) == ("none", "switch")
    owned = {"gpu-1": with_controllers(nodes["gpu-1"])}
    evicting = plan(owned, on_overcommit="evict")["nodes"]["gpu-1"]
    assert (evicting["evict"]["scope"], evicting["evict"]["fit"]) == ("affected", {GPU: 1})
    assert evicting["disruption"] == "affected"
    assert len(evicting["evict"]["pods"]) == 2
    assert len(evicting["stale_pods"]) == 1


@pytest.mark.parametrize(
    ("pods", "cure", "allowed"),
    [
        pytest.param({}, "kubegpu_evict_force", {"evict_force": True}, id="no controller"),
        pytest.param(
            {"emptydir": True, "owner": {"kind": "ReplicaSet", "name": "rs", "uid": "rs"}},
            "kubegpu_evict_delete_emptydir_data",
            {"evict_delete_emptydir_data": True},
            id="emptyDir",
        ),
    ],
)
def test_pods_that_may_not_be_evicted_just_so_are_told_before_anything_is_done(
    pods: dict[str, Any], cure: str, allowed: dict[str, Any]
) -> None:
    found = node(OURS, 8, pods=3)
    found["pods"] = [{**pod, **pods} for pod in found["pods"]]
    with pytest.raises(InputError, match=f"of the pods that would have to go .* or set {cure}"):
        plan({"gpu-1": found}, on_overcommit="evict")
    beside = plan({"gpu-1": found, "gpu-2": node(OURS, 8)}, on_overcommit="evict")
    assert (beside["waves"], beside["skipped"][0]["node"]) == ([["gpu-2"]], "gpu-1")
    made = plan({"gpu-1": found}, on_overcommit="evict", **allowed)
    assert len(made["nodes"]["gpu-1"]["evict"]["pods"]) == 2


def test_pods_of_a_resource_that_will_be_gone_are_evicted() -> None:
    shared = "nvidia.com/gpu.shared"
    found = with_controllers(node(OURS, 8, pods=3))
    found["resources"] = {shared: found["resources"][GPU]}
    found["pods"] = [{**pod, "requests": {shared: 1}} for pod in found["pods"]]
    evict = plan({"gpu-1": found}, on_overcommit="evict")["nodes"]["gpu-1"]["evict"]
    assert (evict["fit"], len(evict["pods"])) == ({GPU: 1, shared: 0}, 3)


def test_stale_pods_with_emptydir_are_recreated_only_if_they_may_lose_it() -> None:
    found = node(COUNTED, 8, pods=1)
    found["pods"] = [{**found["pods"][0], "emptydir": True}]
    kept = go_back(found, entry("0a", 3))
    assert (len(kept["stale_pods"]), kept["recreate"]) == (1, False)
    assert go_back(found, entry("0a", 3), evict_delete_emptydir_data=True)["recreate"] is True


def test_all_problems_are_told_at_once() -> None:
    with pytest.raises(InputError) as refused:
        plan({"gpu-1": node(OURS, 8, pods=3)}, plugins=[], wave="none", max_unavailable=0)
    assert len(refused.value.problems) == 4


@pytest.mark.parametrize(
    ("found", "was", "reason"),
    [
        pytest.param(
            node(OURS, 8, pods=3), entry(), "pods hold 3 nvidia.com/gpu, but it would advertise 1", id="surplus"
        ),
        pytest.param(
            node({**OURS, "other": "yes"}, 8), entry(), "two device plugins of others would serve it", id="two plugins"
        ),
        pytest.param(
            node(OURS, 8), entry("0d", 4), "neither the snapshot of run run-1 nor the cluster", id="no objects"
        ),
    ],
)
def test_a_node_with_something_in_its_way_keeps_no_other_from_going_back(
    found: dict[str, Any], was: dict[str, Any], reason: str
) -> None:
    other = {**PLUGIN, "name": "other", "node_selector": {"other": "yes"}}
    nodes = {"gpu-1": node(OURS, 8), "gpu-2": found, "gpu-3": node(THEIRS, 1)}
    made = plan(nodes, {"gpu-1": entry(), "gpu-2": was, "gpu-3": entry()}, plugins=(PLUGIN, other))
    assert (made["waves"], sorted(made["nodes"]), made["problems"]) == ([["gpu-1"]], ["gpu-1", "gpu-3"], [])
    (skipped,) = made["skipped"]
    assert skipped["node"] == "gpu-2"
    assert reason in skipped["reason"]
    assert made["warnings"][0].startswith("Not taken back: node gpu-2: ")
    assert reason in made["warnings"][0]


def test_a_rollback_of_which_no_node_can_go_back_is_refused_and_tells_why_by_node() -> None:
    nodes = {"gpu-1": node(OURS, 8, pods=3), "gpu-2": node(THEIRS, 1), "gpu-3": node(OURS, 8, hold="disk")}
    with pytest.raises(InputError) as refused:
        plan(nodes)
    told, held = refused.value.facts["refused"]
    assert (told["node"], held) == ("gpu-1", {"node": "gpu-3", "reason": "on hold: disk"})
    assert "set kubegpu_on_overcommit to evict (2 leave during the maintenance) or accept" in told["reason"]


def test_a_plugin_whose_node_stays_as_it_is_keeps_what_that_node_needs() -> None:
    """Without the affinity it would come to the node beside our revision."""
    affinity = {"matchExpressions": [{"key": REVISION, "operator": "DoesNotExist"}]}
    ours = {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [affinity]}}}
    before = {"template": {"spec": {"affinity": None}}, "updateStrategy": {"type": "RollingUpdate"}}
    foreign = {"daemonset": "kube-system/plugin", "uid": "u", "owner": "", "method": "affinity", "spec": before}
    patch = {"spec": {"template": {"spec": {"affinity": ours}}, "updateStrategy": {"type": "OnDelete"}}}
    spec = {"template": {"spec": {"affinity": ours, "nodeSelector": THEIRS}}, "updateStrategy": {"type": "OnDelete"}}
    live = {"kube-system/plugin": {"metadata": {"uid": "u"}, "spec": spec}}
    was = {"labels": {KEY: None, REVISION: None}, "resources": {GPU: 1}, "target": {"key": "l20", "revision": "0b"}}
    selected = {**OURS, **THEIRS}
    nodes = {"gpu-1": node(selected, 8), "gpu-2": node(selected, 8, pods=3)}
    past = Past(SNAPSHOT, dict.fromkeys(nodes, was), foreign=[{**foreign, "patch": patch}])
    made = build_rollback(RollbackRequest(past, {"nodes": nodes, "plugins": [PLUGIN]}, live))
    assert (made["waves"], made["reverts"]) == ([["gpu-1"]], [])
    assert any("the first is gpu-2" in warning for warning in made["warnings"])


def test_a_limit_leaves_the_others_out() -> None:
    nodes = {"gpu-1": node(OURS, 8), "gpu-2": node(OURS, 8)}
    assert list(plan(nodes, nodes=["gpu-2"])["nodes"]) == ["gpu-2"]
    with pytest.raises(InputError, match="has none of the nodes gpu-9"):
        plan(nodes, nodes=["gpu-9"])
    made = plan(nodes, nodes=["gpu-2", "gpu-9"])
    assert made["waves"] == [["gpu-2"]]
    assert made["skipped"] == [{"node": "gpu-9", "reason": "run run-1 did not have it; it stays as it is"}]


def snapshots(*runs: tuple[str, str]) -> list[dict[str, Any]]:
    maps = []
    for number, (run, kind) in enumerate(runs, start=1):
        head = SnapshotHead("kubegpu-system", run, "0" * 16, f"2026-03-0{number}T12:00:00.000Z", kind, "gpu-plugins")
        maps += build_snapshot(head, {"gpu-1": entry()}, [], objects("0a"))
    return maps


def test_the_last_rollout_is_gone_back_to_not_a_rollback() -> None:
    maps = snapshots(("run-1", "sharing"), ("run-2", "rollback"))
    past = read_past(maps, "")
    assert (past.run, past.namespace, sorted(past.objects or {})) == ("run-1", "gpu-plugins", ["0a"])
    assert read_past(maps, "run-2").run == "run-2"


def test_a_snapshot_of_an_older_version_is_read() -> None:
    maps = snapshots(("run-1", "sharing"))
    for config_map in maps:
        config_map["metadata"]["annotations"].pop("kubegpu.sharing/kind")
        data = config_map["data"]
        for name, text in data.items():
            data[name] = text.replace('"kind":"sharing",', "").replace('"namespace":"gpu-plugins",', "")
    assert read_past(maps, "").namespace == "kubegpu-system"


@pytest.mark.parametrize(
    ("break_it", "message"),
    [
        pytest.param(lambda maps: maps.clear(), "no rollout has left a complete snapshot", id="none"),
        pytest.param(lambda maps: maps.pop(0), "it cannot be read", id="a shard is missing"),
        pytest.param(
            lambda maps: maps[1]["data"].update({"snapshot.json": '{"schema_version": 9}'}),
            "schema_version is 9",
            id="another version",
        ),
    ],
)
def test_a_snapshot_that_is_missing_or_unreadable_is_refused(break_it: Any, message: str) -> None:
    maps = copy.deepcopy(snapshots(("run-1", "sharing")))
    break_it(maps)
    with pytest.raises(InputError, match=message):
        read_past(maps, "")


def test_an_unknown_run_is_told_with_those_that_exist() -> None:
    with pytest.raises(InputError, match="snapshots of the runs run-1 "):
        read_past(snapshots(("run-1", "sharing")), "run-5")


def held(*ids: str, gpus: int = 1) -> NodeUse:
    """What the kubelet gave the pods u-0, u-1, …"""
    return NodeUse({f"u-{number}": ((GPU, device),) for number, device in enumerate(ids)}, gpus=gpus)


def with_controllers(found: dict[str, Any]) -> dict[str, Any]:
    pods = [{**pod, "owner": {"kind": "ReplicaSet", "name": "rs", "uid": "rs"}} for pod in found["pods"]]
    return {**found, "pods": pods}


SINCE = {"annotations": {"kubegpu.sharing/devices-since": "2026-03-02T00:00:00.000Z"}}
COUNTED = {**OURS, "nvidia.com/gpu.count": "1"}


def go_back(found: dict[str, Any], was: dict[str, Any], **request: Any) -> dict[str, Any]:
    made = plan({"gpu-1": with_controllers(found)}, {"gpu-1": was}, stale_pods="recreate", **request)
    return made["nodes"]["gpu-1"]


def test_pods_whose_slots_stay_are_not_stale_though_there_will_be_fewer() -> None:
    eight = node(COUNTED, 8, pods=3)
    back = go_back(eight, entry("0a", 3), uses={"gpu-1": held("GPU-a::0", "GPU-a::1", "GPU-a::2")})
    assert (back["stale_pods"], back["recreate"], back["disruption"], back["ids_change"]) == ([], False, "switch", True)
    one_goes = go_back(eight, entry("0a", 3), uses={"gpu-1": held("GPU-a::0", "GPU-a::7", "GPU-a::2")})
    assert ([pod["name"] for pod in one_goes["stale_pods"]], one_goes["recreate"]) == (["p-1"], True)
    unknown = go_back(eight, entry("0a", 3))
    assert len(unknown["stale_pods"]) == 3


def test_of_pods_that_must_go_those_are_named_whose_slots_vanish() -> None:
    uses = {"gpu-1": held("GPU-a::0", "GPU-a::7", "GPU-a::2", "GPU-a::1")}
    back = go_back(node(COUNTED, 8, pods=4), entry("0a", 3), uses=uses, on_overcommit="evict")
    assert ([pod["name"] for pod in back["evict"]["pods"]], back["stale_pods"]) == (["p-1"], [])


@pytest.mark.parametrize(
    ("found", "was"),
    [
        pytest.param(node(COUNTED, 3, 3, **SINCE), entry("0a", 8), id="more slots"),
        pytest.param(node(COUNTED, 3, 3, **SINCE), entry("0a", 3), id="as many"),
        pytest.param(node({**OURS, "nvidia.com/gpu.count": ""}, 3, 3, **SINCE), entry("0a", 8), id="GPUs were counted"),
        pytest.param(
            node(THEIRS, 3, 3, maintenance={"run": "x", "restore": {"key": "l20", "revision": "0b"}}, **SINCE),
            entry(None, 3),
            id="only put back into service",
        ),
    ],
)
def test_without_allocations_no_pod_is_thrown_out_where_its_ids_stay(
    found: dict[str, Any], was: dict[str, Any]
) -> None:
    early = {**found, "pods": [{**pod, "bound": "2026-03-01T00:00:00Z"} for pod in found["pods"]]}
    back = go_back(early, was, uses={"gpu-1": NodeUse(gpus=1)})
    assert (back["changed"], back["stale_pods"], back["recreate"]) == (True, [], False)


def test_on_a_node_that_is_as_before_a_suspicion_is_told_and_knowledge_acted_upon() -> None:
    found = node(THEIRS, 1, 1, **SINCE)
    early = {**found, "pods": [{**pod, "bound": "2026-03-01T00:00:00Z"} for pod in found["pods"]]}
    told = go_back(early, entry())
    assert (len(told["stale_pods"]), told["changed"]) == (1, False)
    known = go_back(early, entry(), uses={"gpu-1": held("GPU-a::4")})
    assert (len(known["stale_pods"]), known["recreate"], known["reasons"]) == (1, True, ["1 stale pod to recreate"])
    assert go_back(early, entry(), uses={"gpu-1": held("GPU-a")})["stale_pods"] == []
