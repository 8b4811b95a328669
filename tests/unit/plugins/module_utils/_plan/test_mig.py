# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans that lay out MIG devices: what a node gets, what is lost by it, and what is refused."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet
from unit.plugins.module_utils._plan.mig_fleet import EXPORTER, OWNED, allocation, carry_out, h20, node, request

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan, plan_diff
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.result import plan_facts
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.rehearsal import rehearse

SEVEN = {"devices": {"1g.12gb": 7}}
ONE_G = "nvidia.com/mig-1g.12gb"
THREE_G = "nvidia.com/mig-3g.48gb"


def refusal(wanted: PlanRequest) -> list[str]:
    with pytest.raises(InputError) as raised:
        build_plan(wanted)
    return raised.value.problems


def node_of(wanted: PlanRequest) -> dict[str, Any]:
    entry: dict[str, Any] = build_plan(wanted)["nodes"]["h20"]
    return entry


def test_whole_card_becomes_seven_devices() -> None:
    running = fleet.pod("job", owner=OWNED)
    wanted = request(
        [h20()], SEVEN, fleet.node(1, [running]), [allocation(running, "GPU-h20-0", resource="nvidia.com/gpu")]
    )
    plan = build_plan(wanted)
    entry = plan["nodes"]["h20"]
    assert entry["expected_resources"] == entry["mig_devices"] == {ONE_G: 7}
    assert (entry["slots_before"], entry["slots_after"], entry["sharing"], entry["replicas"]) == (
        1,
        7,
        "none",
        {ONE_G: 1},
    )
    assert entry["reasons"][-1] == "GPU 0: MIG mode enabled instead of disabled, 7 MIG devices to create"
    assert entry["evict"] == {
        "scope": "affected",
        "devices": ["GPU-h20-0"],
        "fit": None,
        "pods": [{"namespace": "ml", "name": "job", "uid": "uid-job"}],
    }
    assert (entry["disruption"], entry["ids_change"], entry["stale_pods"]) == ("affected", True, [])
    mig = entry["mig"]
    assert mig["request"] == {"state": "present", "mig_devices": {"1g.12gb": 7}, "enable": "when_needed"}
    assert [one["start"] for one in mig["after"]["gpus"][0]["instances"]] == list(range(7))
    assert mig["before"]["gpus"][0]["mode"] == "disabled"
    assert (mig["lost_devices"], mig["reset"], mig["reset_coupled"]) == (["GPU-h20-0"], [], False)
    assert mig["gpus"][0]["losses"][0]["holders"] == [{"pid": None, "pod": "ml/job", "command": None}]
    assert (
        "node h20: MIG devices change: ml/job will be evicted, since the devices that they hold go." in plan["warnings"]
    )
    assert json.loads(json.dumps(plan)) == plan
    assert "migStrategy: mixed" in plan["configs"]["h20"]["config_file"]
    # The pod that leaves leaves room.
    assert (plan["totals"]["free_before"], plan["totals"]["free_after"]) == (0, 7)


@pytest.mark.parametrize(
    ("before", "mig", "config"),
    [
        ((), SEVEN, {}),
        ((), {"strategy": "single", "devices": {"1g.12gb": 7}}, {}),
        ((), {"devices": ["3g.48gb", "1g.12gb", "1g.12gb"]}, {"sharing": "time_slicing", "replicas": 2}),
        ((("3g.48gb", 4), ("1g.12gb", 0)), SEVEN, {"sharing": "time_slicing", "replicas": {ONE_G: 2}, "rename": True}),
        ((("1g.12gb", 3), ("1g.12gb", 0)), {"strategy": "none"}, {"sharing": "time_slicing", "replicas": 3}),
        ((("1g.12gb", 3), ("1g.12gb", 0)), {"devices": [{"gpus": [0], "devices": {"3g.48gb": 1, "1g.12gb": "2"}}]}, {}),
        ((("1g.12gb", 0),), SEVEN, {"sharing": "time_slicing", "process_memory_mib": 4401}),
    ],
)  # fmt: skip
def test_planning_on_the_result_is_empty(before: Any, mig: Any, config: dict[str, Any]) -> None:
    wanted = request([h20(*before), h20(*before, index=1)], mig, **config)
    if "devices" in mig and isinstance(mig["devices"], list) and isinstance(mig["devices"][0], dict):
        wanted = request([h20(*before)], mig, **config)
    plan = build_plan(wanted)
    assert not plan["empty"]
    again = build_plan(carry_out(wanted, plan))
    assert [entry["reasons"] for entry in again["nodes"].values()] == [[]]
    assert again["empty"]
    assert not again["nodes"]["h20"]["mig"]["changes"]


def test_repartition_under_the_same_revision_is_a_change() -> None:
    wanted = request([h20()], {"devices": {"1g.12gb": 7}})
    done = carry_out(wanted, build_plan(wanted))
    fewer = replace(done, configs={"h20": {"match": {"product": "NVIDIA H20"}, "mig": {"devices": {"1g.12gb": 4}}}})
    entry = node_of(fewer)
    assert entry["from"]["revision"] == entry["to"]["revision"]
    assert entry["reasons"][-1] == "GPU 0: 3 MIG devices to destroy"
    assert len(entry["evict"]["devices"]) == 3


def test_what_can_stay_stays_and_its_pod_too() -> None:
    pods = [fleet.pod(name, {ONE_G: 1}, owner=OWNED) for name in ("stays", "goes")]
    gpu = h20(("1g.12gb", 0), ("1g.12gb", 4))
    held = [allocation(pods[0], "MIG-h20-0-1"), allocation(pods[1], "MIG-h20-0-2")]
    wanted = request([gpu], {"devices": {"3g.48gb": 1, "1g.12gb": 1}}, node({ONE_G: 2}, pods), held)
    entry = node_of(wanted)
    [lost] = entry["mig"]["lost_devices"]
    gone = {"MIG-h20-0-1": "stays", "MIG-h20-0-2": "goes"}[lost]
    assert [pod["name"] for pod in entry["evict"]["pods"]] == [gone]
    assert entry["stale_pods"] == []
    assert entry["expected_resources"] == {ONE_G: 1, THREE_G: 1}


def test_layout_that_is_there_disturbs_nobody() -> None:
    pods = [fleet.pod("job", {ONE_G: 1})]
    gpu = h20(*(("1g.12gb", start) for start in range(7)))
    entry = node_of(request([gpu], SEVEN, node({ONE_G: 7}, pods), [allocation(pods[0], "MIG-h20-0-3")]))
    assert (entry["disruption"], entry["mig"]["changes"], entry["mig"]["lost_devices"]) == ("switch", False, [])
    assert entry["evict"]["scope"] == "none"
    assert entry["stale_pods"] == []


def test_slots_on_devices_that_stay_make_their_pods_stale() -> None:
    pods = [fleet.pod("job", {ONE_G: 1})]
    gpu = h20(*(("1g.12gb", start) for start in range(7)))
    config = {"sharing": "time_slicing", "replicas": 2}
    entry = node_of(request([gpu], SEVEN, node({ONE_G: 7}, pods), [allocation(pods[0], "MIG-h20-0-3")], **config))
    assert entry["expected_resources"] == {ONE_G: 14}
    assert [pod["name"] for pod in entry["stale_pods"]] == ["job"]


def test_replicas_follow_from_the_memory_of_the_device() -> None:
    wanted = request(
        [h20()], {"devices": {"3g.48gb": 1, "1g.12gb": 3}}, sharing="time_slicing", process_memory_mib=4401
    )
    plan = build_plan(wanted)
    entry = plan["nodes"]["h20"]
    assert entry["expected_resources"] == {ONE_G: 6, THREE_G: 9}
    assert entry["replicas"] == {ONE_G: 2, THREE_G: 9}
    assert entry["sizing"]["resources"][ONE_G]["arithmetic"] == "floor(0.9 x 11008 / 4401) = 2"
    assert entry["sizing"]["resources"][ONE_G]["slot_mib"] == 5504
    assert plan["configs"]["h20"]["replicas"] == {ONE_G: 2, THREE_G: 9}


def test_a_resource_that_is_not_named_is_not_shared() -> None:
    words: dict[str, Any] = {"sharing": "time_slicing", "process_memory_mib": {ONE_G: 4401}, "rename": True}
    entry = node_of(request([h20()], {"devices": {"3g.48gb": 1, "1g.12gb": 3}}, **words))
    assert entry["expected_resources"] == {f"{ONE_G}.shared": 6, THREE_G: 1}
    assert entry["mig_devices"] == {ONE_G: 3, THREE_G: 1}


def test_single_goes_by_the_name_of_a_gpu() -> None:
    mig = {"strategy": "single", "devices": {"1g.12gb": 7}}
    plan = build_plan(request([h20(), h20(index=1)], mig, sharing="time_slicing", replicas=2))
    entry = plan["nodes"]["h20"]
    assert entry["expected_resources"] == {"nvidia.com/gpu": 28}
    assert entry["mig_devices"] == {"nvidia.com/gpu": 14}
    assert entry["reasons"][-1] == "GPU 0, 1: MIG mode enabled instead of disabled, 7 MIG devices to create"
    assert "migStrategy: single" in plan["configs"]["h20"]["config_file"]


def test_gpus_without_mig_stand_whole_beside_it() -> None:
    mig = {"devices": [{"gpus": 1, "devices": {"1g.12gb": 7}}]}
    entry = node_of(request([h20(), h20(index=1)], mig, fleet.node(2)))
    assert entry["expected_resources"] == {"nvidia.com/gpu": 1, ONE_G: 7}
    assert entry["mig"]["lost_devices"] == ["GPU-h20-1"]


def test_strategy_none_switches_mig_off() -> None:
    pods = [fleet.pod("job", {ONE_G: 1}, owner=OWNED)]
    wanted = request(
        [h20(("1g.12gb", 2))], {"strategy": "none"}, node({ONE_G: 1}, pods), [allocation(pods[0], "MIG-h20-0-1")]
    )
    plan = build_plan(wanted)
    entry = plan["nodes"]["h20"]
    assert entry["mig"]["request"] == {"state": "absent", "gpus": "all"}
    assert entry["expected_resources"] == {"nvidia.com/gpu": 1}
    assert entry["mig"]["lost_devices"] == ["GPU-h20-0", "MIG-h20-0-1"]
    assert [pod["name"] for pod in entry["evict"]["pods"]] == ["job"]
    [finding] = [one for one in plan["compatibility"] if one["code"] == "resource_vanishes"]
    assert "asks for nvidia.com/mig-1g.12gb (ml/job)" in finding["message"]


@pytest.mark.parametrize(
    ("gpus", "mig", "problem"),
    [
        ([h20()], {"devices": {"1g.10gb": 7}}, "1g.10gb is no profile of GPU 0 (NVIDIA H20), which has 1g.12gb, "),
        ([h20()], {"devices": {"1g.12gb": 8}}, "cannot stand side by side on 8 memory units"),
        ([h20()], {"devices": [{"gpus": 3, "devices": {"1g.12gb": 7}}]}, "mig.devices[0].gpus: 3 matches no GPU of this host."),
        (
            [h20(), fleet.gpu("NVIDIA H20", 1, "h20")],
            SEVEN,
            "mig.devices: GPU 1 (NVIDIA H20) has no MIG; leave it out.",
        ),
        (
            [h20(), h20(index=1)],
            {"strategy": "single", "devices": [{"gpus": 0, "devices": {"1g.12gb": 7}}]},
            "mig: strategy single needs MIG devices on every GPU of a node, and devices names none for GPU 1 (NVIDIA H20)",
        ),
        (
            [h20(), h20(("1g.12gb", 0), index=1)],
            {"devices": [{"gpus": 0, "devices": {"1g.12gb": 7}}]},
            "mig.devices does not name GPU 1 (NVIDIA H20), on which MIG is enabled; name it too, or disable MIG there.",
        ),
    ],
)  # fmt: skip
def test_impossible_devices_are_told_with_node_and_reason(gpus: Any, mig: Any, problem: str) -> None:
    [told] = refusal(request(gpus, mig))
    assert told.startswith("node h20: kubegpu_sharing_configs.h20.mig")
    assert problem in told


def test_instances_that_may_not_be_read_are_a_problem() -> None:
    gpu = h20(("1g.12gb", 0))
    gpu["mig"].update(instances=None, instances_reason="NVML: Insufficient Permissions")
    [told] = refusal(request([gpu], SEVEN))
    assert "instances of GPU 0 could not be read (NVML: Insufficient Permissions)" in told


def test_labels_are_not_enough() -> None:
    entry = node({"nvidia.com/gpu": 1}, labels=fleet.labelled("NVIDIA-H20", 97871))
    wanted = replace(request([h20()], SEVEN, entry), host_facts={}, hosts={})
    [told] = refusal(wanted)
    assert told.startswith(
        "node h20: kubegpu_sharing_configs.h20.mig lays out the GPUs themselves, which takes facts that NVML reads"
    )


def test_process_that_nobody_evicts_is_a_problem() -> None:
    process = {**fleet.process(4711, 900), "gpu_instance_id": 1, "compute_instance_id": 0}
    gpu = h20(("3g.48gb", 0), processes=[process])
    [told] = refusal(request([gpu], SEVEN, node({THREE_G: 1})))
    assert told == (
        "node h20: process 4711 (python) holds 3g.48gb at 0 of GPU 0, which has to go, and nobody evicts it. End it or move it away, or "
        "choose devices that leave it alone."
    )


def test_pod_that_no_controller_makes_anew_is_a_problem_unless_forced() -> None:
    pods = [fleet.pod("bare", {THREE_G: 1})]
    wanted = request(
        [h20(("3g.48gb", 0))], SEVEN, node({THREE_G: 1}, pods), [allocation(pods[0], "MIG-h20-0-1", resource=THREE_G)]
    )
    [told] = refusal(wanted)
    assert (
        "MIG devices change, but of the pods that would have to go (ml/bare) no controller would make them anew."
        in told
    )
    assert node_of(replace(wanted, evict_force=True))["evict"]["pods"][0]["name"] == "bare"


def test_idle_pod_of_a_daemonset_is_a_problem() -> None:
    owner = {"kind": "DaemonSet", "name": "monitor"}
    pods = [fleet.pod("monitor-1", {THREE_G: 1}, owner=owner)]
    wanted = request(
        [h20(("3g.48gb", 0))], SEVEN, node({THREE_G: 1}, pods), [allocation(pods[0], "MIG-h20-0-1", resource=THREE_G)]
    )
    told = refusal(wanted)[0]
    assert "pod ml/monitor-1 holds 3g.48gb at 0 of GPU 0, which has to go, and nobody evicts it." in told


def test_pods_of_which_nobody_knows_what_they_hold_go_too() -> None:
    pods = [fleet.pod("job", {THREE_G: 1}, owner=OWNED)]
    entry = node_of(request([h20(("3g.48gb", 0))], SEVEN, node({THREE_G: 1}, pods), allocations=()))
    assert [pod["name"] for pod in entry["evict"]["pods"]] == ["job"]


def test_plan_id_is_of_layouts_and_not_of_users_or_ids() -> None:
    def planned(*instances: tuple[str, int], number: int = 1, users: int = 0, devices: Any = None) -> str:
        gpu = h20(*instances)
        for one in gpu["mig"]["instances"]:
            one["id"] += number
        for one in gpu["mig"]["devices"]:
            one.update(gpu_instance_id=one["gpu_instance_id"] + number, uuid=f"{one['uuid']}-{number}")
        pods = [fleet.pod(f"job-{index}", {THREE_G: 1}, owner=OWNED) for index in range(users)]
        mig = {"devices": devices or {"1g.12gb": 7}}
        return str(build_plan(request([gpu], mig, node({THREE_G: 1}, pods)))["plan_id"])

    same = planned(("3g.48gb", 0))
    assert planned(("3g.48gb", 0), number=5, users=1) == same
    assert planned(("3g.48gb", 0), devices={"1g.12gb": 6}) != same


def test_reset_of_coupled_gpus_is_told_and_takes_their_pods_along() -> None:
    def a100(index: int, **fields: Any) -> dict[str, Any]:
        gpu = fleet.gpu("NVIDIA A100-SXM4-40GB", index, "h20", compute_capability="8.0", memory_total_mib=40960)
        mig = {
            "capable": True,
            "mode": "disabled",
            "pending": "disabled",
            "profiles": [],
            "devices": [],
            "instances": [],
        }
        return {**gpu, "mig": mig, **fields}

    pods = [fleet.pod("beside", 1, owner=OWNED)]
    wanted = request(
        [a100(0), a100(1)],
        {"devices": [{"gpus": 0, "devices": {"1g.5gb": 7}}]},
        fleet.node(2, pods),
        [allocation(pods[0], "GPU-h20-1", resource="nvidia.com/gpu")],
    )
    config = {"match": {"product": "NVIDIA A100-SXM4-40GB"}, "mig": wanted.configs["h20"]["mig"]}
    plan = build_plan(replace(wanted, configs={"a100": config}))
    mig = plan["nodes"]["h20"]["mig"]
    assert (mig["reset"], mig["reset_coupled"]) == (["GPU-h20-0", "GPU-h20-1"], True)
    assert [pod["name"] for pod in plan["nodes"]["h20"]["evict"]["pods"]] == ["beside"]
    assert any("NVLink couples the GPUs: 0, 1 are reset together" in warning for warning in plan["warnings"])


def test_other_strategy_of_gpu_feature_discovery_is_told() -> None:
    entry = node({"nvidia.com/gpu": 1}, labels={"nvidia.com/mig.strategy": "single"})
    [warning] = build_plan(request([h20()], SEVEN, entry))["warnings"]
    assert warning.startswith(
        "node h20: GPU Feature Discovery runs with MIG strategy single (nvidia.com/mig.strategy), and this config has mixed"
    )


def test_holders_of_the_driver_are_told_and_refused_beforehand() -> None:
    wanted = request([h20()], SEVEN)
    found = node_of(replace(wanted, cluster={**wanted.cluster, "daemonsets": [EXPORTER]}))["mig"]["holders"]
    assert [(one["daemonset"], one["method"]) for one in found["daemonsets"]] == [("monitoring/dcgm-exporter", "taint")]
    stubborn = {**EXPORTER, "tolerations": [{"operator": "Exists"}]}
    [told] = refusal(replace(wanted, cluster={**wanted.cluster, "daemonsets": [stubborn]}))
    assert told.startswith(
        "node h20: DaemonSet monitoring/dcgm-exporter keeps NVIDIA's driver open and cannot be paused"
    )
    ignored = replace(
        wanted, cluster={**wanted.cluster, "daemonsets": [stubborn]}, mig_ignore_holders=("monitoring/dcgm-exporter",)
    )
    assert node_of(ignored)["mig"]["holders"]["ignored"] == ["monitoring/dcgm-exporter"]


def test_live_processes_on_a_device_that_stays_must_fit_its_slots() -> None:
    pods = [fleet.pod("job", {ONE_G: 1})]
    process = {**fleet.process(7, 6000, "uid-job"), "gpu_instance_id": 1, "compute_instance_id": 0}
    gpu = h20(*(("1g.12gb", start) for start in range(7)), processes=[process])
    wanted = request(
        [gpu],
        SEVEN,
        node({ONE_G: 7}, pods),
        [allocation(pods[0], "MIG-h20-0-1")],
        sharing="time_slicing",
        replicas=2,
    )
    [told] = refusal(wanted)
    assert (
        "pod ml/job uses 6000 MiB of MIG device 1g.12gb (MIG-h20-0-1) of GPU 0, more than a slot of 5504 MiB (11008 / 2)"
        in told
    )
    assert node_of(replace(wanted, accept_live_memory=("h20",)))["slots_after"] == 14


@pytest.mark.parametrize(
    ("told", "warning"),
    [
        pytest.param(None, "MIG device 1g.12gb (MIG-h20-0-1) of GPU 0: memory of pod ml/job is not known", id="device"),
        pytest.param([], "GPU 0: memory is not known", id="card"),
    ],
)
def test_memory_that_is_not_told_on_a_device_that_stays_is_warned_of_once(told: Any, warning: str) -> None:
    pods = [fleet.pod("job", {ONE_G: 1})]
    process = {**fleet.process(7, None, "uid-job"), "gpu_instance_id": 1, "compute_instance_id": 0}
    gpu = h20(*(("1g.12gb", start) for start in range(7)), processes=[process] if told is None else told)
    gpu["memory_reason"] = "Run with become."
    held = [allocation(pods[0], "MIG-h20-0-1")]
    wanted = request([gpu], SEVEN, node({ONE_G: 7}, pods), held, sharing="time_slicing", replicas=2)
    warnings = [one for one in build_plan(wanted)["warnings"] if "Run with become." in one]
    assert [one.partition(", so that")[0] for one in warnings] == [f"node h20: {warning}"]


def test_pods_on_devices_that_stay_under_another_name_overcommit() -> None:
    pods = [fleet.pod("job", {ONE_G: 1}, owner=OWNED)]
    gpu = h20(*(("1g.12gb", start) for start in range(7)))
    mig = {"strategy": "single", "devices": {"1g.12gb": 7}}
    wanted = request([gpu], mig, node({ONE_G: 7}, pods), [allocation(pods[0], "MIG-h20-0-3")])
    [told] = refusal(wanted)
    assert f"pods hold 1 {ONE_G}, but it would advertise 0" in told
    entry = node_of(replace(wanted, on_overcommit="evict"))
    assert entry["evict"]["fit"] == {ONE_G: 0, "nvidia.com/gpu": 7}
    assert [pod["name"] for pod in entry["evict"]["pods"]] == ["job"]


@pytest.mark.parametrize(
    ("before", "after"),
    list(itertools.product(({"1g.12gb": 7}, {"3g.48gb": 2}, {"4g.48gb": 1, "1g.12gb": 3}), repeat=2)),
)
def test_lost_devices_are_those_that_are_there_no_more(before: dict[str, int], after: dict[str, int]) -> None:
    wanted = request([h20()], {"devices": before})
    done = carry_out(wanted, build_plan(wanted))
    had = {one["uuid"] for one in done.host_facts["h20"]["gpus"][0]["mig"]["devices"]}
    changed = replace(done, configs={"h20": {"match": {"product": "NVIDIA H20"}, "mig": {"devices": after}}})
    plan = build_plan(changed)
    result = carry_out(changed, plan)
    has = {one["uuid"] for one in result.host_facts["h20"]["gpus"][0]["mig"]["devices"]}
    assert set(plan["nodes"]["h20"]["mig"]["lost_devices"]) == had - has
    assert build_plan(result)["empty"]


def test_rehearsal_reckons_with_names_that_vanish_and_names_that_come() -> None:
    pods = [fleet.pod("job", {"nvidia.com/gpu": 1}, owner=OWNED)]
    waiting = fleet.pod("waits", {ONE_G: 1}, phase="Pending")
    wanted = request([h20()], SEVEN, fleet.node(1, pods), [allocation(pods[0], "GPU-h20-0", resource="nvidia.com/gpu")])
    wanted = replace(wanted, cluster={**wanted.cluster, "pending": [waiting]})
    [wave] = rehearse(build_plan(wanted), wanted.cluster)["waves"]
    [eviction] = wave["evictions"]
    assert (eviction["verdict"], eviction["later"]) == ("no_place", None)
    assert eviction["reason"] == "no node that it may use has 1 nvidia.com/gpu free"
    assert (wave["slots_missing"], wave["gpu_slots_in_cluster"]) == (1, 1)


def test_rehearsal_of_devices_that_nobody_holds_evicts_nobody() -> None:
    pods = [fleet.pod("job", {ONE_G: 1})]
    gpu = h20(("3g.48gb", 4), ("1g.12gb", 0))
    wanted = request([gpu], SEVEN, node({ONE_G: 1, THREE_G: 1}, pods), [allocation(pods[0], "MIG-h20-0-2")])
    plan = build_plan(wanted)
    assert plan["nodes"]["h20"]["mig"]["lost_devices"] == ["MIG-h20-0-1"]
    [wave] = rehearse(plan, wanted.cluster)["waves"]
    assert (wave["evictions"], wave["slots_missing_at_worst"]) == ([], 0)


def test_taint_that_a_killed_run_left_is_no_obstacle() -> None:
    taint = {"key": "kubegpu.sharing/maintenance", "value": "nvml", "effect": "NoSchedule"}
    note = {"run": "killed", "was_unschedulable": False, "restore": {}}
    entry = fleet.node(1, taints=[taint], maintenance=note, unschedulable=True)
    waiting = fleet.pod("waits", {ONE_G: 1}, phase="Pending")
    wanted = request([h20()], SEVEN, entry)
    wanted = replace(wanted, cluster={**wanted.cluster, "pending": [waiting]})
    plan = build_plan(wanted)
    assert rehearse(plan, wanted.cluster)["waves"][0]["slots_missing"] == 0


@pytest.mark.parametrize(
    ("entry", "problem"),
    [
        (
            node({ONE_G: 7}, labels=fleet.labelled("NVIDIA-H20-MIG-1g.12gb", 11008, 7)),
            "its labels describe MIG devices (NVIDIA-H20-MIG-1g.12gb), not the card. What MIG devices it has, NVML alone tells",
        ),
        (node({ONE_G: 7}, key="h20", labels={}), "it lacks the labels of GPU Feature Discovery"),
    ],
)
def test_node_of_a_mig_config_that_cannot_be_read_is_no_silent_skip(entry: Any, problem: str) -> None:
    wanted = request([h20()], SEVEN)
    wanted = replace(wanted, cluster=fleet.cluster({**wanted.cluster["nodes"], "unread": entry}))
    [told] = refusal(wanted)
    assert told.startswith("node unread: the node was not read, and ")
    assert problem in told
    held = fleet.cluster({**wanted.cluster["nodes"], "unread": {**entry, "hold": "mine"}})
    assert [one["node"] for one in build_plan(replace(wanted, cluster=held))["skipped"]] == ["unread"]


def test_what_runs_on_a_gpu_that_its_pods_leave_does_not_matter() -> None:
    pods = [fleet.pod("job", {THREE_G: 1}, owner=OWNED)]
    process = {**fleet.process(7, 40000, "uid-job"), "gpu_instance_id": 1, "compute_instance_id": 0}
    gpu = h20(("3g.48gb", 0), processes=[process], memory_used_mib=40000)
    words = {"sharing": "time_slicing", "replicas": 4}
    held = [allocation(pods[0], "MIG-h20-0-1", resource=THREE_G)]
    entry = node_of(request([gpu], {"strategy": "none"}, node({THREE_G: 1}, pods), held, **words))
    assert entry["expected_resources"] == {"nvidia.com/gpu": 4}


def test_what_runs_on_a_whole_gpu_beside_mig_has_to_fit() -> None:
    pods = [fleet.pod("job", 1, owner=OWNED)]
    process = {**fleet.process(7, 60000, "uid-job"), "gpu_instance_id": None, "compute_instance_id": None}
    mig = {"devices": [{"gpus": 1, "devices": {"1g.12gb": 7}}]}
    words = {"sharing": "time_slicing", "replicas": {"nvidia.com/gpu": 2}}
    held = [allocation(pods[0], "GPU-h20-0", resource="nvidia.com/gpu")]
    gpus = [h20(processes=[process], memory_used_mib=60000), h20(index=1)]
    [told] = refusal(request(gpus, mig, fleet.node(2, pods), held, **words))
    assert "pod ml/job (process 7) uses 60000 MiB of GPU 0, more than a slot of 48935 MiB (97871 / 2)" in told


def test_gpus_in_the_same_state_are_each_told_with_their_own_users() -> None:
    pods = [fleet.pod(name, {THREE_G: 1}, owner=OWNED) for name in ("a", "b")]
    gpus = [h20(("3g.48gb", 0)), h20(("3g.48gb", 0), index=1), h20(("3g.48gb", 0), index=2)]
    held = [allocation(pod, f"MIG-h20-{index}-1", resource=THREE_G) for index, pod in enumerate(pods)]
    entry = node_of(request(gpus, SEVEN, node({THREE_G: 3}, pods), held))
    holders = [[one["holders"][0]["pod"] for one in gpu["losses"]] for gpu in entry["mig"]["gpus"]]
    assert holders == [["ml/a"], ["ml/b"], []]
    assert [gpu["uuid"] for gpu in entry["mig"]["gpus"]] == ["GPU-h20-0", "GPU-h20-1", "GPU-h20-2"]
    assert [pod["name"] for pod in entry["evict"]["pods"]] == ["a", "b"]


def test_result_tells_which_layouts_differ_and_which_hosts_take_part() -> None:
    wanted = request([h20()], SEVEN)
    plan = build_plan(wanted)
    told = plan_facts(plan, None)
    assert told["mig_nodes"] == ["h20"]
    assert told["mig_differences"] == ["h20: GPU 0: MIG mode enabled instead of disabled, 7 MIG devices to create"]
    done = plan_facts(build_plan(carry_out(wanted, plan)), None)
    assert (done["mig_nodes"], done["mig_differences"]) == ([], [])


def test_diff_shows_the_instances_of_a_layout_that_changes() -> None:
    wanted = request([h20(("3g.48gb", 4), ("1g.12gb", 0))], {"devices": {"1g.12gb": 1, "4g.48gb": 1}})
    diff = plan_diff(build_plan(wanted))
    assert diff["before"]["h20"]["mig"] == {"GPU 0": {"mode": "enabled", "instances": ["1g.12gb at 0", "3g.48gb at 4"]}}
    assert diff["after"]["h20"]["mig"]["GPU 0"]["instances"] == ["4g.48gb at 0", "1g.12gb at 6"]
    done = carry_out(wanted, build_plan(wanted))
    assert plan_diff(build_plan(done)) == {"before": {}, "after": {}}


def compatibility(mig: Any, **fields: Any) -> dict[str, str]:
    wanted = request([h20()], mig)
    nodes = {**wanted.cluster["nodes"], "whole": fleet.node(1, labels=fleet.labelled("Tesla-T4", 15360))}
    plan = build_plan(replace(wanted, cluster={**wanted.cluster, "nodes": nodes, **fields}))
    return {entry["code"]: entry["message"] for entry in plan["compatibility"]}


def test_devices_that_go_by_the_name_of_a_gpu_are_no_whole_cards() -> None:
    single = {"strategy": "single", "devices": {"1g.12gb": 7}}
    found = compatibility(single)
    assert found["one_name_for_whole_and_shared"].startswith("is a whole card on whole and a MIG device on h20;")
    assert "Use MIG strategy mixed, or keep" in found["one_name_for_whole_and_shared"]
    # Under mixed they have a name of their own.
    assert compatibility(SEVEN) == {}


def test_selectors_and_quotas_that_strategy_single_changes_are_told() -> None:
    quota = {"namespace": "ml", "name": "q", "resource": "requests.nvidia.com/gpu", "hard": 2, "used": 1}
    beside = {"quotas": [quota], "label_users": {"nvidia.com/gpu.product": ["Deployment ml/train"]}}
    found = compatibility({"strategy": "single", "devices": {"1g.12gb": 7}}, **beside)
    assert (
        "appends -MIG- and the profile to its value on nodes of MIG strategy single" in found["selects_product_label"]
    )
    assert "which counts MIG devices (strategy single), no longer whole cards" in found["quota_counts_slots"]
    assert compatibility(SEVEN, **beside) == {}
