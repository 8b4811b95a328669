# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback takes back what a rollout did, and nothing else, on clusters left by label, by affinity, and served by ourselves."""

from __future__ import annotations

from typing import Any

import pytest
from integration.rollout_modules.stage import FOREIGN, GPU, GPUS, failures

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.modules import rollout_snapshot_info

from .conftest import OpenRoad
from .road import KEY, REVISION, Road, go_back, steps_back

FEW = {
    "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "replicas": 4},
    "t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "replicas": 4},
}
# Enough on one node for the five pods of a test and the cluster's own two, which both come to the node that is back in service first.
MANY = {key: {**config, "replicas": 7} for key, config in FEW.items()}


def grow(road: Road) -> Road:
    """Few slots by one run, many by the next."""
    road.forward("run-1", FEW).roll_out()
    road.forward("run-2", MANY).roll_out()
    return road


def crowd(road: Road, node: str, count: int) -> None:
    """A Deployment with so many GPU pods on a node, all running in a cluster at rest: what is counted then stays so."""
    road.cluster.settle()
    road.client.create(
        "/apis/apps/v1/namespaces/default/deployments",
        {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": "crowd", "namespace": "default"},
            "spec": {
                "replicas": count,
                "selector": {"matchLabels": {"app": "crowd"}},
                "template": {
                    "metadata": {"labels": {"app": "crowd"}},
                    "spec": {
                        "nodeSelector": {"kubernetes.io/hostname": node},
                        "containers": [
                            {"name": "c", "image": "example.com/crowd:1", "resources": {"limits": {GPU: 1}}}
                        ],
                    },
                },
            },
        },
    )
    road.cluster.settle()
    assert len(running(road)) == count


def loners(road: Road, node: str, count: int) -> None:
    """So many GPU pods on a node that no controller would make anew, all running in a cluster at rest."""
    road.cluster.settle()
    for number in range(count):
        container = {"name": "c", "image": "example.com/loner:1", "resources": {"limits": {GPU: 1}}}
        metadata = {"name": f"loner-{number}", "namespace": "default", "labels": {"app": "crowd"}}
        spec = {"nodeSelector": {"kubernetes.io/hostname": node}, "containers": [container]}
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        road.client.create("/api/v1/namespaces/default/pods", pod)
    road.cluster.settle()
    assert len(running(road)) == count


def running(road: Road) -> list[dict[str, Any]]:
    pods = road.client.items("/api/v1/namespaces/default/pods")
    return [
        pod
        for pod in pods
        if pod["metadata"].get("labels", {}).get("app") == "crowd" and pod["status"]["phase"] == "Running"
    ]


def holders(road: Road, node: str) -> list[dict[str, Any]]:
    """Running pods of a node that ask for a GPU, whoever made them."""
    return [
        pod
        for pod in road.client.items("/api/v1/pods")
        if pod["spec"].get("nodeName") == node
        and pod["status"]["phase"] == "Running"
        and any(GPU in (one.get("resources", {}).get("limits") or {}) for one in pod["spec"]["containers"])
    ]


def plugin_pods(road: Road, daemonset: str, node: str) -> list[str]:
    """Names of a DaemonSet's ready pods on a node."""
    namespace, _slash, name = daemonset.partition("/")
    return [
        pod["metadata"]["name"]
        for pod in road.client.items(f"/api/v1/namespaces/{namespace}/pods")
        if pod["spec"].get("nodeName") == node
        and pod["metadata"]["name"].startswith(f"{name}-")
        and {"type": "Ready", "status": "True"}.items()
        <= next((one for one in pod["status"].get("conditions", []) if one["type"] == "Ready"), {}).items()
    ]


def restart_plugin(road: Road, daemonset: str, node: str) -> None:
    """Delete a node's plugin pod and wait for the one that follows it."""
    (old,) = plugin_pods(road, daemonset, node)
    slots = road.allocatable(node)
    road.client.delete(f"/api/v1/namespaces/{daemonset.partition('/')[0]}/pods/{old}")
    road.wait_for(lambda: plugin_pods(road, daemonset, node) not in ([], [old]))
    road.wait_for(lambda: road.allocatable(node) == slots)


@pytest.mark.parametrize("scenario", ["reference", "addon-owned"])
def test_rollback_brings_labels_slots_and_plugin_back_and_a_second_one_writes_nothing(
    open_road: OpenRoad, scenario: str
) -> None:
    road = open_road(scenario)
    labels, amounts = road.labels(), road.amounts()
    assert failures(road.forward("run-1").roll_out()) == {}
    assert road.labels() != labels
    back = road.back("run-2", on_overcommit="accept")
    assert road.plan["snapshot"] == {"run": "run-1", "name": "kubegpu-snapshot-run-1"}
    go_back(back)
    assert (road.labels(), road.amounts(), road.out_of_service()) == (labels, amounts, [])
    pods = road.client.items("/api/v1/namespaces/kube-system/pods")
    assert {pod["spec"]["nodeName"] for pod in pods} >= set(GPUS[scenario])
    assert road.client.items("/api/v1/namespaces/kubegpu-system/pods") == []
    again = road.back("run-3", on_overcommit="accept")
    assert road.plan["empty"] is True
    since = road.cluster.position()
    assert road.plan_back(on_overcommit="accept")["plan_id"] == road.plan["plan_id"]
    assert again.nodes == ()
    assert road.cluster.writes(since) == []


def test_check_mode_of_a_rollback_writes_nothing_and_foresees_the_real_one(open_road: OpenRoad) -> None:
    road = open_road("addon-owned")
    road.forward("run-1").roll_out()
    back = road.back("run-2")
    since = road.cluster.position()
    foreseen = {step.__name__: step() for step in steps_back(back.of(check_mode=True))}
    assert road.cluster.writes(since) == []
    done = go_back(back)
    for name, result in done.items():
        assert foreseen[name]["changed"] == result["changed"], name
        assert foreseen[name]["actions"] == result["actions"], name


def test_a_daemonset_gets_its_affinity_back_and_its_strategy_once_nothing_would_restart(open_road: OpenRoad) -> None:
    road, title = open_road("addon-owned"), FOREIGN["addon-owned"]
    before = road.daemonset(title)["spec"]
    road.forward("run-1").roll_out()
    result = go_back(road.back("run-2"))["reverted"]
    spec = road.daemonset(title)["spec"]
    assert spec["template"] == before["template"]
    assert spec["updateStrategy"]["type"] == "OnDelete"
    assert len(result["left"]) == 1
    assert "3 of 3 of its pods were started with the affinity" in result["left"][0]
    # As it says: the pods one by one, each on a cordoned node.
    for name in GPUS["addon-owned"]:
        road.patch_node(name, {"spec": {"unschedulable": True}})
        restart_plugin(road, title, name)
        road.patch_node(name, {"spec": {"unschedulable": None}})
    again = road.back("run-3")
    assert (road.plan["empty"], road.plan["waves"]) == (False, [])
    go_back(again)
    assert road.daemonset(title)["spec"] == before
    assert road.back("run-4").nodes == ()
    assert road.plan["empty"] is True


def test_our_own_older_revisions_are_made_again_and_a_node_changed_by_hand_is_left_alone(open_road: OpenRoad) -> None:
    road = open_road()
    road.forward("run-1", FEW).roll_out()
    older, amounts = road.labels(), road.amounts()
    road.forward("run-2", MANY).roll_out()
    daemonsets = {one["metadata"]["name"] for one in road.client.items(DAEMONSETS)}
    assert not any(older["gpu-l20"][REVISION] in name for name in daemonsets)
    road.patch_node("gpu-t4", {"spec": {"unschedulable": True}})
    road.patch_node("gpu-t4", {"metadata": {"labels": {REVISION: "byhand"}}})
    back = road.back("run-3")
    assert back.nodes == ("gpu-l20",)
    (skipped,) = road.plan["skipped"]
    assert skipped["node"] == "gpu-t4"
    assert "bears config t4 revision byhand now" in skipped["reason"]
    go_back(back)
    assert road.labels()["gpu-l20"] == older["gpu-l20"]
    assert road.labels()["gpu-t4"] == {KEY: "t4", REVISION: "byhand"}
    assert road.allocatable("gpu-l20") == amounts["gpu-l20"]
    assert not road.schedulable("gpu-t4")
    # And the run before that takes it further back, to the plugin of somebody else.
    further = road.back("run-4", snapshot_run="run-1", on_overcommit="accept")
    go_back(further)
    assert road.allocatable("gpu-l20") == 1
    assert road.labels()["gpu-l20"] == {"nvidia-device-enable": "enable"}


DAEMONSETS = "/apis/apps/v1/namespaces/kubegpu-system/daemonsets"


@pytest.mark.parametrize(
    ("scenario", "dead"), [("reference", 2), ("reference", 4), ("addon-owned", 1), ("addon-owned", 3)]
)
def test_a_rollback_that_was_killed_is_finished_by_another_run(open_road: OpenRoad, scenario: str, dead: int) -> None:
    road = open_road(scenario)
    labels, amounts = road.labels(), road.amounts()
    road.forward("run-1").roll_out()
    back = road.back("run-2", on_overcommit="accept")
    back.lock()
    for step in [back.snapshot, back.present]:
        step()
    victim = back.of(nodes=back.nodes[:1])
    for step in victim.wave_steps[:dead]:
        step()
    road.let_lease_run_out()
    approved = road.plan["plan_id"]
    again = road.back("run-3", on_overcommit="accept")
    assert road.plan["snapshot"]["run"] == "run-1"
    asked = {"plan_path": again.plan_path, "plan_id": approved, "lock_namespace": "kubegpu-system"}
    assert rollout_snapshot_info.run(asked, road.api()).facts["resumable"] is True
    go_back(again)
    assert (road.labels(), road.amounts(), road.out_of_service()) == (labels, amounts, [])


def test_a_rollback_that_was_killed_after_its_waves_still_gives_the_daemonset_its_affinity_back(
    open_road: OpenRoad,
) -> None:
    road, title = open_road("addon-owned"), FOREIGN["addon-owned"]
    template = road.daemonset(title)["spec"]["template"]
    road.forward("run-1").roll_out()
    back = road.back("run-2")
    for step in [*back.begin_steps, *back.wave_steps]:
        step()
    assert road.daemonset(title)["spec"]["template"] != template
    road.let_lease_run_out()
    again = road.back("run-3")
    assert (road.plan["empty"], road.plan["waves"]) == (False, [])
    go_back(again)
    assert road.daemonset(title)["spec"]["template"] == template


@pytest.mark.parametrize(("scenario", "dead"), [("reference", 2), ("addon-owned", 1), ("addon-owned", 3)])
def test_a_rollout_that_died_midway_is_taken_back(open_road: OpenRoad, scenario: str, dead: int) -> None:
    road = open_road(scenario)
    labels, amounts = road.labels(), road.amounts()
    rollout = road.forward("run-1")
    for step in rollout.begin_steps:
        step()
    victim = rollout.of(nodes=rollout.nodes[:1])
    for step in victim.wave_steps[:dead]:
        step()
    road.let_lease_run_out()
    back = road.back("run-2")
    assert back.nodes == rollout.nodes[:1]
    go_back(back)
    assert (road.labels(), road.amounts(), road.out_of_service()) == (labels, amounts, [])


def test_a_rollback_below_what_pods_hold_is_refused_or_evicts_as_many_as_needed(open_road: OpenRoad) -> None:
    road = grow(open_road())
    crowd(road, "gpu-l20", 5)
    since = road.cluster.position()
    with pytest.raises(InputError) as refused:
        road.plan_back(nodes=["gpu-l20"])
    assert "but it would advertise 4" in str(refused.value)
    without = road.plan_back()
    assert without["waves"] == [["gpu-t4"]]
    (left,) = without["skipped"]
    assert "but it would advertise 4" in left["reason"]
    assert road.cluster.writes(since) == []
    # Alone: from a node that goes back with it, pods could come over before the cordon.
    back = road.back("run-3", on_overcommit="evict", nodes=["gpu-l20"])
    assert road.plan["nodes"]["gpu-l20"]["evict"]["fit"] == {GPU: 4}
    assert road.plan["nodes"]["gpu-l20"]["disruption"] == "affected"
    held = len(holders(road, "gpu-l20"))
    results = go_back(back)
    assert len(results["in_maintenance"]["nodes"]["gpu-l20"]["evicted"]) == held - 4
    road.wait_for(lambda: len(holders(road, "gpu-l20")) == 4)
    assert road.allocatable("gpu-l20") == 4


def test_a_node_that_cannot_go_back_keeps_what_serves_it_while_the_others_go_back(open_road: OpenRoad) -> None:
    road = open_road()
    road.forward("run-1", FEW).roll_out()
    older = road.labels()
    road.forward("run-2", MANY).roll_out()
    crowd(road, "gpu-l20", 5)
    newer = road.labels()
    go_back(road.back("run-3"))
    assert road.labels() == {"gpu-l20": newer["gpu-l20"], "gpu-t4": older["gpu-t4"]}
    assert (road.allocatable("gpu-l20"), road.allocatable("gpu-t4"), road.out_of_service()) == (7, 4, [])
    names = {one["metadata"]["name"] for one in road.client.items(DAEMONSETS)}
    assert {name.rpartition("-")[2] for name in names} == {newer["gpu-l20"][REVISION], older["gpu-t4"][REVISION]}


def test_pods_that_would_be_lost_are_told_before_the_cordon_and_evicted_if_that_is_allowed(open_road: OpenRoad) -> None:
    road = grow(open_road())
    loners(road, "gpu-l20", 5)
    since = road.cluster.position()
    with pytest.raises(InputError, match="of the pods that would have to go .* set kubegpu_evict_force to lose them"):
        road.plan_back(on_overcommit="evict", nodes=["gpu-l20"])
    assert road.plan_back(on_overcommit="evict")["waves"] == [["gpu-t4"]]
    assert road.cluster.writes(since) == []
    back = road.back("run-3", on_overcommit="evict", evict_force=True)
    assert "gpu-l20" in back.nodes
    go_back(back.of(options={**back.options, "force": True}))
    # A pod with a controller may have left and is starting anew in its place.
    road.wait_for(lambda: (len(holders(road, "gpu-l20")), road.allocatable("gpu-l20")) == (4, 4))
    assert len(running(road)) < 5


def test_an_accepted_rollback_below_what_pods_hold_evicts_nobody(open_road: OpenRoad) -> None:
    road = grow(open_road())
    crowd(road, "gpu-l20", 5)
    uids = {pod["metadata"]["uid"] for pod in running(road)}
    back = road.back("run-3", on_overcommit="accept")
    assert any("Accepted by kubegpu_on_overcommit: accept" in warning for warning in road.plan["warnings"])
    go_back(back)
    assert {pod["metadata"]["uid"] for pod in running(road)} == uids


@pytest.mark.parametrize("known", [True, False])
def test_a_rollback_recreates_pods_whose_slots_vanish_and_no_others(open_road: OpenRoad, known: bool) -> None:
    """7 slots back to 4: of pods on slots 0 and 5 one is stale. Then 4 slots to 7 again: none is, known or not."""
    road = grow(open_road())
    crowd(road, "gpu-l20", 2)
    uids = sorted(pod["metadata"]["uid"] for pod in running(road))
    mending = {"stale_pods": "recreate", "facts_dir": road.write_facts("gpu-l20", dict(zip(uids, (0, 5))))}
    back = road.back("run-3", **mending)
    # Of the cluster's own pods there nothing is known; they are from the time before the first rollout.
    stale = {pod["uid"] for pod in road.plan["nodes"]["gpu-l20"]["stale_pods"]}
    assert stale & set(uids) == {uids[1]}
    results = go_back(back.of(options={**back.options, **mending}))
    assert {pod["uid"] for pod in results["in_service"]["nodes"]["gpu-l20"]["recreated"]} & set(uids) == {uids[1]}
    road.wait_for(lambda: len(running(road)) == 2)

    uids = sorted(pod["metadata"]["uid"] for pod in running(road))
    mending["facts_dir"] = road.write_facts("gpu-l20", dict(zip(uids, (0, 1))) if known else {})
    again = road.back("run-4", snapshot_run="run-3", **mending)
    assert (road.plan["nodes"]["gpu-l20"]["changed"], road.plan["nodes"]["gpu-l20"]["stale_pods"]) == (True, [])
    results = go_back(again.of(options={**again.options, **mending}))
    assert results["in_service"]["nodes"]["gpu-l20"]["recreated"] == []
    assert sorted(pod["metadata"]["uid"] for pod in running(road)) == uids


@pytest.mark.parametrize("scenario", ["reference", "addon-owned"])
def test_a_rollback_is_taken_back_by_its_own_snapshot(open_road: OpenRoad, scenario: str) -> None:
    road = open_road(scenario)
    road.forward("run-1").roll_out()
    labels, amounts = road.labels(), road.amounts()
    go_back(road.back("run-2", on_overcommit="accept"))
    go_back(road.back("run-3", snapshot_run="run-2"))
    assert (road.labels(), road.amounts(), road.out_of_service()) == (labels, amounts, [])


def test_refusals_name_the_runs_that_there_are(open_road: OpenRoad) -> None:
    road = open_road()
    with pytest.raises(InputError, match="no rollout has left a complete snapshot"):
        road.plan_back()
    road.forward("run-1").roll_out()
    with pytest.raises(
        InputError, match="no complete snapshot of run 'run-7' exists. There are snapshots of the runs run-1"
    ):
        road.plan_back(snapshot_run="run-7")


@pytest.mark.parametrize(
    ("scenario", "done"), [("reference", 1), ("reference", 3), ("addon-owned", 2), ("addon-owned", 3)]
)
def test_a_run_takes_single_nodes_back_that_it_has_in_maintenance(
    open_road: OpenRoad, scenario: str, done: int
) -> None:
    road = open_road(scenario)
    labels, amounts = road.labels(), road.amounts()
    rollout = road.forward("run-1")
    for step in rollout.begin_steps:
        step()
    failed = rollout.nodes[:1]
    for step in rollout.of(nodes=failed).wave_steps[:done]:
        step()
    back = road.back("run-1", snapshot_run="run-1", nodes=list(failed))
    assert back.nodes == failed
    steps = [back.withdrawn, back.serving, back.in_service]
    assert failures({step.__name__: step() for step in steps}) == {}
    assert (road.labels(), road.amounts(), road.out_of_service()) == (labels, amounts, [])


@pytest.mark.parametrize(
    ("scenario", "left", "done"),
    [
        ("reference", 2, 3),
        ("reference", 3, 2),
        ("addon-owned", 1, 2),
        ("addon-owned", 2, 3),
        ("addon-owned", 3, 1),
    ],
)
def test_a_run_takes_nodes_back_that_an_earlier_one_had_left_out_of_service(
    open_road: OpenRoad, scenario: str, left: int, done: int
) -> None:
    """The first run stops after ``left`` steps, and the next one after ``done`` steps on the same node."""
    road = open_road(scenario)
    labels, amounts = road.labels(), road.amounts()
    rollout = road.forward("run-1")
    failed = rollout.nodes[:1]
    for step in [*rollout.begin_steps, *rollout.of(nodes=failed).wave_steps[:left], rollout.unlock]:
        step()
    again = road.forward("run-2")
    for step in [*again.begin_steps, *again.of(nodes=failed).wave_steps[:done]]:
        step()
    back = road.back("run-2", snapshot_run="run-2", nodes=list(failed))
    assert (back.nodes, road.plan["skipped"]) == (failed, [])
    steps = [back.withdrawn, back.serving, back.in_service]
    assert failures({step.__name__: step() for step in steps}) == {}
    assert (road.labels(), road.amounts(), road.out_of_service()) == (labels, amounts, [])


@pytest.mark.parametrize("approved", [True, False], ids=["under the approved id", "anew"])
def test_a_run_that_goes_on_with_another_one_names_the_snapshot_that_its_nodes_go_back_to(
    open_road: OpenRoad, approved: bool
) -> None:
    road = open_road()
    labels, amounts = road.labels(), road.amounts()
    rollout = road.forward("run-1")
    plan_id, failed = road.plan["plan_id"], rollout.nodes[:1]
    for step in [*rollout.begin_steps, *rollout.of(nodes=failed).wave_steps[:2], rollout.unlock]:
        step()
    again = road.forward("run-2")
    assert road.plan["plan_id"] != plan_id
    again.lock()
    recorded = again.snapshot(plan_id=plan_id if approved else "")
    assert recorded["snapshot_run"] == ("run-1" if approved else "run-2")
    for step in [again.present, again.of(nodes=failed).in_maintenance]:
        step()
    back = road.back("run-2", snapshot_run=recorded["snapshot_run"], nodes=list(failed))
    steps = [back.withdrawn, back.serving, back.in_service]
    assert failures({step.__name__: step() for step in steps}) == {}
    assert (road.labels(), road.amounts(), road.out_of_service()) == (labels, amounts, [])


def test_the_same_plan_carried_out_taken_back_and_carried_out_again_is_taken_back_by_its_own_run(
    open_road: OpenRoad,
) -> None:
    road = open_road()
    labels = road.labels()
    rollout = road.forward("run-1")
    plan_id = road.plan["plan_id"]
    assert failures(rollout.roll_out()) == {}
    go_back(road.back("run-2", on_overcommit="accept"))
    rollout = road.forward("run-3")
    assert road.plan["plan_id"] == plan_id
    assert failures(rollout.roll_out()) == {}
    back = road.back("run-4", on_overcommit="accept")
    assert road.plan["snapshot"]["run"] == "run-3"
    assert road.plan_back(snapshot_run="run-3", on_overcommit="accept")["plan_id"] == road.plan["plan_id"]
    go_back(back)
    assert road.labels() == labels
