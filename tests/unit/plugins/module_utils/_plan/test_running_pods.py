# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a change of a node means for the pods that run on it: stale allocations, live memory, over-commitment."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Sequence

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import FactReader, NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import KeyPlan, decide_key
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.live_memory import LiveMemory, check_live_memory
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.measured_peaks import add_peaks
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_plan import NodeContext
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.overcommit import check_overcommit
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.stale import stale_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.options import PluginOptions
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.arithmetic import Margins

MEASURED = SharingConfig("t4", product="Tesla T4", sharing="time_slicing", process_memory_mib=4401)


def read(gpus: Sequence[dict[str, Any]], allocations: Any = None) -> NodeFacts:
    return FactReader("auto").read(fleet.node(), fleet.host_facts(gpus, allocations))


def decide(facts: NodeFacts, config: SharingConfig = MEASURED) -> KeyPlan:
    plan = decide_key(config, facts.cards, Margins(), PluginOptions()).plan
    assert plan
    return plan


def shared(replicas: int, **fields: Any) -> SharingConfig:
    return SharingConfig("t4", product="Tesla T4", sharing="time_slicing", replicas=replicas, **fields)


def allocation(pod: str, *devices: str, resource: str = "nvidia.com/gpu") -> dict[str, Any]:
    return {"pod_uid": f"uid-{pod}", "container": "c", "resource": resource, "device_ids": list(devices)}


# --- stale allocations ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("devices", "config", "stale"),
    [
        (["GPU-n-0"], MEASURED, True),
        (["GPU-n-0::2"], MEASURED, False),
        (["GPU-n-0::3"], MEASURED, True),
        (["GPU-n-0::0"], SharingConfig("t4"), True),
        (["GPU-n-0"], SharingConfig("t4"), False),
        (["GPU-other::0"], MEASURED, True),
        (["GPU-n-0::0"], replace(MEASURED, rename=True), True),
    ],
    ids=["whole-to-shared", "kept", "beyond", "shared-to-whole", "whole", "other-card", "renamed"],
)
def test_stale_pods_are_told_by_the_kubelets_allocations(
    devices: list[str], config: SharingConfig, stale: bool
) -> None:
    facts = read([fleet.gpu()], [allocation("a", *devices)])
    state = NodeState("n", fleet.node(1, [fleet.pod("a")]))
    found = stale_pods(NodeContext(state, None, facts, decide(facts, config)), True)
    assert [pod["name"] for pod in found] == (["a"] if stale else [])


@pytest.mark.parametrize(
    ("slots", "replicas", "stale"),
    [(1, 3, True), (3, 8, False), (8, 3, True), (3, 1, True), (1, 1, False), (3, 3, False)],
)
def test_stale_pods_without_allocations_are_inferred_from_slots(slots: int, replicas: int, stale: bool) -> None:
    facts = read([fleet.gpu()])
    config = shared(replicas) if replicas > 1 else SharingConfig("t4")
    state = NodeState("n", fleet.node(slots, [fleet.pod("a")]))
    assert bool(stale_pods(NodeContext(state, None, facts, decide(facts, config)), True)) is stale
    assert stale_pods(NodeContext(state, None, facts, decide(facts, config)), False) == []


def test_stale_pods_leave_out_pods_without_gpu_ended_or_leaving() -> None:
    pods = [
        fleet.pod("cpu", {}),
        fleet.pod("done", phase="Succeeded"),
        fleet.pod("leaving", terminating=True),
        fleet.pod("b"),
        fleet.pod("a"),
    ]
    facts = read([fleet.gpu()])
    found = stale_pods(NodeContext(NodeState("n", fleet.node(1, pods)), None, facts, decide(facts)), True)
    assert found == [{"namespace": "ml", "name": name, "uid": f"uid-{name}"} for name in ("a", "b")]


def test_stale_pods_on_an_unchanged_node_are_still_told() -> None:
    # Left over from the rollout before: they would fail at the next reboot.
    facts = read([fleet.gpu()], [allocation("old", "GPU-n-0"), allocation("gone", "GPU-n-0")])
    state = NodeState("n", fleet.node(3, [fleet.pod("old")]))
    assert [pod["name"] for pod in stale_pods(NodeContext(state, None, facts, decide(facts)), False)] == ["old"]


def test_stale_pods_of_a_node_between_two_plugins_go_by_what_it_had() -> None:
    entry = fleet.node(1, [fleet.pod("a")])
    entry["resources"]["nvidia.com/gpu"]["allocatable"] = 0
    facts = read([fleet.gpu()])
    assert stale_pods(NodeContext(NodeState("n", entry), None, facts, decide(facts)), True)


# --- live memory ---------------------------------------------------------------------------------------------------------


def live(
    gpus: list[dict[str, Any]],
    pods: Sequence[Any],
    allocations: Any = None,
    config: SharingConfig = MEASURED,
    ids_change: bool = True,
) -> LiveMemory:
    facts = read(gpus, allocations)
    return check_live_memory(NodeState("n", fleet.node(len(gpus), pods)), facts, decide(facts, config), ids_change)


def t4(used: int, *processes: dict[str, Any], index: int = 0) -> dict[str, Any]:
    return fleet.gpu(index=index, node="n", memory_used_mib=used, processes=list(processes))


def test_live_memory_of_the_measured_process_is_fine() -> None:
    assert live([t4(4401, fleet.process(7, 4401, "uid-a"))], [fleet.pod("a")]) == LiveMemory()


def measured(gpu: dict[str, Any], **peaks: int) -> dict[str, Any]:
    """A GPU with the peaks of pods."""
    users = [measured_use(gpu, f"uid-{name}", peak) for name, peak in peaks.items()]
    found: dict[str, Any] = add_peaks({"gpus": [gpu]}, {"users": users})["gpus"][0]
    return found


def measured_use(gpu: dict[str, Any], uid: str, peak: int, first: float = 0, last: float = 60) -> dict[str, Any]:
    """What a container of a pod was measured to use, from one second to another."""
    memory = {"memory_mib": {"peak": peak}, "first_seen": first, "last_seen": last}
    return {"gpu": gpu["uuid"], "mig_device": None, "pod_uid": uid, **memory}


def test_measured_peak_of_a_pod_is_that_of_containers_beside_each_other_and_of_no_two_lives_of_one() -> None:
    gpu = t4(0)
    lives = [measured_use(gpu, "uid-a", 4000, 0, 20), measured_use(gpu, "uid-a", 4401, 25, 60)]
    sidecar = measured_use(gpu, "uid-a", 300, 10, 60)
    found = add_peaks({"gpus": [gpu]}, {"users": lives})["gpus"][0]["measured_peaks"]
    assert [peak["mib"] for peak in found] == [4401]
    found = add_peaks({"gpus": [gpu]}, {"users": [*lives, sidecar]})["gpus"][0]["measured_peaks"]
    assert [peak["mib"] for peak in found] == [4701]


def test_measured_peak_of_a_pod_is_the_highest_of_all_measurements() -> None:
    gpu = t4(0)
    idle, busy = ({"users": [measured_use(gpu, "uid-a", peak)]} for peak in (200, 4401))
    for runs in ((idle, busy), (busy, idle)):
        assert add_peaks({"gpus": [gpu]}, *runs)["gpus"][0]["measured_peaks"][0]["mib"] == 4401


def test_live_memory_counts_the_measured_peak_of_a_pod_that_runs() -> None:
    idle = measured(t4(100, fleet.process(7, 100, "uid-a")), a=9000)
    found = live([idle], [fleet.pod("a")], ids_change=False)
    assert found.refusals == (
        "pod ml/a (process 7) uses up to 9000 MiB, as measured, of GPU 0, more than a slot of 5120 MiB (15360 / 3)",
        "GPU 0 has 9000 MiB in use when its pods use what they were measured to, and 2 free slots x 4401 MiB on top make "
        "17802 MiB, more than the 14960 MiB that are usable",
    )


@pytest.mark.parametrize(
    ("peaks", "pods"),
    [({"a": 4000}, ["a"]), ({"gone": 9000}, ["a"]), ({}, ["a"])],
    ids=["less-than-now", "pod-is-gone", "none"],
)
def test_live_memory_of_other_peaks_is_that_of_the_moment(peaks: dict[str, int], pods: list[str]) -> None:
    gpu = t4(4401, fleet.process(7, 4401, "uid-a"))
    assert live([measured(gpu, **peaks)], [fleet.pod(name) for name in pods]) == live([gpu], [fleet.pod("a")])


def test_live_memory_counts_a_pod_without_a_process_by_its_peak() -> None:
    found = live([measured(t4(0), a=9000)], [fleet.pod("a")], [allocation("a", "GPU-n-0::0")], ids_change=False)
    assert found.refusals[0].startswith("pod ml/a uses up to 9000 MiB, as measured, of GPU 0")


WHY = "NVML does not tell the memory of 1 of 2 processes on this GPU. Measure elsewhere."
LEAST = "is not known, so that what is seen is the least that is in use."


def test_live_memory_that_is_not_told_is_warned_of_and_is_not_0() -> None:
    gpu = t4(5121, fleet.process(7, None, "uid-a"), fleet.process(8, 1, "uid-b"))
    gpu["memory_reason"] = WHY
    found = live([gpu], [fleet.pod("a"), fleet.pod("b")], ids_change=False)
    assert found == LiveMemory((), (f"GPU 0: memory of pod ml/a (process 7) {LEAST} {WHY}",))


def test_live_memory_of_a_pod_that_is_told_in_part_is_at_least_that() -> None:
    found = live([t4(6000, fleet.process(7, 5121, "uid-a"), fleet.process(8, None, "uid-a"))], [fleet.pod("a")])
    assert "pod ml/a (several processes) uses at least 5121 MiB of GPU 0" in found.refusals[0]
    assert found.warnings[0].startswith(f"GPU 0: memory of pod ml/a (several processes) {LEAST} NVML does not tell")


def test_live_memory_of_a_card_that_lists_no_processes_is_warned_of() -> None:
    gpu = {**t4(300), "memory_reason": "NVML does not tell which processes run on this GPU."}
    assert live([gpu], []).warnings == (f"GPU 0: memory {LEAST} NVML does not tell which processes run on this GPU.",)


def test_live_memory_of_a_card_that_does_not_tell_its_own_is_that_of_its_processes() -> None:
    gpu = {**t4(0, fleet.process(7, 4401, "uid-a")), "memory_used_mib": None, "memory_reason": "Untold."}
    assert live([gpu], [fleet.pod("a")], ids_change=False).warnings == (f"GPU 0: memory {LEAST} Untold.",)
    full = {**gpu, "processes": [fleet.process(pid, 5100, f"uid-{pid}") for pid in (7, 8, 9)]}
    assert "has 15300 MiB in use" in live([full], [fleet.pod("a")]).refusals[0]


@pytest.mark.parametrize(
    ("told", "who"),
    [
        ({"attribution": "runtime_unknown"}, "process 9, whose container runtime is unknown, uses 6000 MiB"),
        ({"attribution": "ended"}, "process 9, which had ended when its pod was looked up, uses 6000 MiB"),
        ({"attribution": "host"}, "process 9 outside of pods uses 6000 MiB"),
        # a pod that the cluster was not read with, by the names that the node knows
        ({"pod_uid": "uid-new", "namespace": "ml", "pod": "new"}, "pod ml/new (process 9) uses 6000 MiB"),
        ({"container_id": "1f" * 32, "namespace": "ml", "pod": "edge"}, "pod ml/edge uses 6000 MiB"),
        ({"pod_uid": "uid-a", "namespace": "ml", "pod": "a"}, "pod ml/a (process 9) uses 6000 MiB"),
        ({"pod_uid": "uid-gone"}, "pod uid-gone (process 9) uses 6000 MiB"),
    ],
)
def test_live_memory_names_holders_by_what_is_known_of_them(told: dict[str, Any], who: str) -> None:
    found = live([t4(6000, {**fleet.process(9, 6000), **told})], [fleet.pod("a")])
    assert any(refusal.startswith(who) for refusal in found.refusals), found


@pytest.mark.parametrize(
    ("gpu", "who"),
    [
        (t4(5121, fleet.process(7, 5121, "uid-a")), "pod ml/a (process 7) uses 5121 MiB"),
        (
            t4(5200, fleet.process(7, 2600, "uid-a"), fleet.process(8, 2600, "uid-a")),
            "pod ml/a (several processes) uses 5200 MiB",
        ),
        (t4(6000, fleet.process(9, 6000)), "process 9 outside of pods uses 6000 MiB"),
        (t4(6000, fleet.process(9, 6000, "uid-gone")), "pod uid-gone (process 9) uses 6000 MiB"),
    ],
)
def test_live_memory_holder_of_more_than_a_slot_is_named(gpu: dict[str, Any], who: str) -> None:
    refusals = live([gpu], [fleet.pod("a")], config=shared(3)).refusals
    assert refusals == (f"{who} of GPU 0, more than a slot of 5120 MiB (15360 / 3)",)


def test_live_memory_that_leaves_no_room_for_the_free_slots_is_refused() -> None:
    # 5000 in use and 2 free slots of 4401 make 13802; with 400 reserved 14960 are usable, with 2000 it is 13360.
    gpu = t4(5000, fleet.process(7, 5000, "uid-a"))
    assert live([gpu], [fleet.pod("a")]).refusals == ()
    gpu["memory_reserved_mib"] = 2000
    assert live([gpu], [fleet.pod("a")]).refusals == (
        "GPU 0 has 5000 MiB in use, and 2 free slots x 4401 MiB on top make 13802 MiB, more than the 13360 MiB that are usable",
    )


def test_live_memory_full_card_has_no_free_slots() -> None:
    pods = [fleet.pod(name) for name in "abc"]
    gpu = t4(13203, *(fleet.process(number, 4401, f"uid-{name}") for number, name in enumerate("abc", start=1)))
    assert live([gpu], pods) == LiveMemory()


def test_live_memory_counts_slots_where_the_kubelet_gave_them() -> None:
    # Both pods on GPU 1, so GPU 0 has 3 free slots and 3000 MiB held by something else.
    gpus = [t4(3000), t4(8802, index=1)]
    allocations = [allocation("a", "GPU-n-1"), allocation("b", "GPU-n-1")]
    refusals = live(gpus, [fleet.pod("a"), fleet.pod("b")], allocations).refusals
    assert len(refusals) == 1
    assert refusals[0].startswith("GPU 0 has 3000 MiB in use, and 3 free slots x 4401 MiB on top make 16203 MiB")


def test_live_memory_warns_of_new_pods_beside_an_old_device_id() -> None:
    gpus = [t4(4401, fleet.process(1, 4401, "uid-a")), t4(4401, fleet.process(2, 4401, "uid-b"), index=1)]
    pods = [fleet.pod("a"), fleet.pod("b")]
    found = live(gpus, pods)
    assert found.refusals == ()
    assert (
        "GPU 0: the kubelet may put 3 new processes beside the one that keeps its old device id, 17604 MiB"
        in found.warnings[0]
    )
    assert live(gpus, pods, ids_change=False).warnings == ()


def test_live_memory_without_nvml_or_sharing_finds_nothing() -> None:
    gpu = t4(15000, fleet.process(7, 15000, "uid-a"))
    assert live([gpu], [fleet.pod("a")], config=SharingConfig("t4")) == LiveMemory()
    labels = FactReader("labels").read(fleet.node(labels=fleet.labelled("Tesla-T4", 15360)), None)
    assert check_live_memory(NodeState("n", fleet.node()), labels, decide(labels), True) == LiveMemory()


# --- over-commitment -----------------------------------------------------------------------------------------------------


def test_overcommit_names_what_is_short_and_who_holds_it() -> None:
    state = NodeState("n", fleet.node(4, [fleet.pod("b"), fleet.pod("a", 3), fleet.pod("cpu", {})]))
    assert check_overcommit(state, {"nvidia.com/gpu": 4}) == []
    assert check_overcommit(state, {"nvidia.com/gpu": 3}) == [
        "pods hold 4 nvidia.com/gpu, but it would advertise 3; the next reboot would refuse the surplus. They are ml/a, ml/b"
    ]


def test_overcommit_a_renamed_resource_is_short_under_its_old_name() -> None:
    state = NodeState("n", fleet.node(1, [fleet.pod("a")]))
    findings = check_overcommit(state, {"nvidia.com/gpu.shared": 8})
    assert len(findings) == 1
    assert findings[0].startswith("pods hold 1 nvidia.com/gpu, but it would advertise 0;")


def test_overcommit_other_plugins_resources_do_not_count() -> None:
    entry = copy.deepcopy(fleet.node(1))
    entry["resources"]["nvidia.com/hostdev"] = {"capacity": 2, "allocatable": 2, "requested": 2, "free": 0}
    assert check_overcommit(NodeState("n", entry), {"nvidia.com/gpu": 1}) == []
