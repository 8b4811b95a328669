# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What follows from measurements, on real documents of the recorder."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from unit.plugins.module_utils._measure import world
from unit.plugins.module_utils._measure.world import Node, Proc
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.proposal import build_proposal

# What readers of proposals are tried on. Written anew by ``python -m unit.plugins.module_utils._measure.test_proposal``.
SAMPLE = Path(__file__).with_name("data") / "proposal.json"
SHARED = {"match": {"product": "Tesla T4"}, "sharing": "time_slicing"}


def propose(*nodes: Node, configs: Any = None, **more: Any) -> dict[str, Any]:
    return build_proposal(world.request(*nodes, configs=configs, **more))


def codes(proposal: dict[str, Any]) -> list[str]:
    return [one["code"] for one in proposal["warnings"]]


def t4(*procs: Proc, pods: Any = (), **more: Any) -> Node:
    return Node("gpu-t4", procs=procs, pods=tuple(pods), **more)


def only(proposal: dict[str, Any], key: str = "t4") -> dict[str, Any]:
    return dict(proposal["configs"][key])


def test_reference_figures_come_out_and_nothing_changes() -> None:
    proposal = propose(*world.reference())
    assert {key: config["process_memory_mib"] for key, config in proposal["configs"].items()} == {
        "l20": 4621,
        "t4": 4401,
    }
    assert [config["changed"] for config in proposal["configs"].values()] == [False, False]
    assert yaml.safe_load(proposal["fragment"]) is None
    assert proposal["warnings"] == []
    l20 = only(proposal, "l20")
    assert l20["decided_by"] == {
        "namespace": "ml",
        "workload": "Deployment/nlp",
        "pod": "nlp-a",
        "container": "main",
        "node": "gpu-l20",
        "gpu": 0,
    }
    assert l20["arithmetic"] == "4621, the measured peak without a margin"
    assert l20["confidence"] == "ok"
    (workload,) = proposal["workloads"]
    assert (workload["kind"], workload["name"], workload["configs"]) == ("Deployment", "nlp", ["l20", "t4"])
    assert (workload["pods"], workload["peak_mib"], workload["nodes"]) == (2, 4621, ["gpu-l20", "gpu-t4"])
    assert proposal["outside"] == [
        {"node": "gpu-t4", "gpu": 0, "who": "process 900 nvidia-persistenced outside of pods", "peak_mib": 8}
    ]


def test_other_figures_are_written_as_a_fragment_with_their_origin() -> None:
    proposal = propose(*world.reference(l20=4018), margin="0.15")
    l20 = only(proposal, "l20")
    # 4400 is another sample of the same process.
    assert (l20["measured_peak_mib"], l20["arithmetic"]) == (4400, "ceil(4400 x 1.15) = 5060")
    assert (l20["process_memory_mib"], l20["current"], l20["margin"]) == (5060, 4621, "0.15")
    read = yaml.safe_load(proposal["fragment"])["kubegpu_sharing_configs"]
    assert read == {
        "l20": {**fleet.REFERENCE_CONFIGS["l20"], "process_memory_mib": 5060},
        "t4": {**fleet.REFERENCE_CONFIGS["t4"], "process_memory_mib": 5062},
    }
    assert "process_memory_mib: 5060  # was 4621" in proposal["fragment"]
    assert "container main of pod ml/nlp-a on gpu-l20, GPU 0, of Deployment ml/nlp" in proposal["fragment"]


@pytest.mark.parametrize(
    ("margin", "peak", "proposed"),
    [("0", 4018, 4018), ("0.15", 4018, 4621), ("0.1", 10, 11), ("0.1", 11, 13), (0.07, 100, 107), ("1", 1, 2)],
)
def test_margin_is_decimal_and_rounds_up(margin: Any, peak: int, proposed: int) -> None:
    node = t4(Proc([peak], "a"), pods=[world.pod("a")])
    assert only(propose(node, configs={"t4": SHARED}, margin=margin))["process_memory_mib"] == proposed


@pytest.mark.parametrize(("margin", "shown"), [(0.0, "0.00"), ("0", "0.00"), ("0.1", "0.10"), ("0.125", "0.125")])
def test_margin_is_shown_with_two_digits(margin: Any, shown: str) -> None:
    assert propose(t4(), configs={"t4": SHARED}, margin=margin)["margin"] == shown


def test_workload_on_several_kinds_of_cards_is_told_for_each() -> None:
    (workload,) = propose(*world.reference())["workloads"]
    assert [(one["config"], one["peak_mib"], one["samples"]) for one in workload["containers"]] == [
        ("l20", 4621, 4),
        ("t4", 4401, 4),
    ]


def test_the_highest_of_all_workloads_decides() -> None:
    pods = [world.pod("a", "Deployment/small"), world.pod("b", "StatefulSet/large"), world.pod("c", "Deployment/small")]
    node = t4(Proc([900, 901], "a", pid=1), Proc([3000, 2000], "b", pid=2), Proc([905], "c", pid=3), pods=pods)
    proposal = propose(node, configs={"t4": SHARED})
    config = only(proposal)
    assert (config["process_memory_mib"], config["decided_by"]["workload"]) == (3000, "StatefulSet/large")
    assert (config["workloads"], config["current"], config["changed"]) == (2, None, True)
    assert "not stated before" in proposal["fragment"]
    assert [(one["name"], one["pods"], one["peak_mib"]) for one in proposal["workloads"]] == [
        ("large", 1, 3000),
        ("small", 2, 905),
    ]


def test_processes_of_a_container_count_together_at_each_moment() -> None:
    node = t4(Proc([900, 100], "a", pid=1), Proc([100, 800], "a", pid=2), pods=[world.pod("a")])
    config = propose(node, configs={"t4": SHARED})
    # 1000 and 900, never 900 + 800.
    assert only(config)["process_memory_mib"] == 1000
    assert config["workloads"][0]["containers"][0]["processes"] == 2


def test_container_with_several_slots_counts_for_each() -> None:
    node = t4(Proc([3001], "a"), pods=[world.pod("a", gpus=2)], slots={"a": 2})
    proposal = propose(node, configs={"t4": SHARED})
    assert only(proposal)["process_memory_mib"] == 1501
    assert only(proposal)["arithmetic"] == "ceil(3001 / 2 slots) = 1501"
    assert codes(proposal) == ["uneven"]


@pytest.mark.parametrize(
    ("gpus", "cards", "proposed"),
    [pytest.param(2, 2, 3000, id="one on each card"), pytest.param(4, 2, 1500, id="two on each"), (3, 2, 3000)],
)
def test_without_allocations_the_requests_tell_slots(gpus: int, cards: int, proposed: int) -> None:
    procs = [Proc([3000], "a", gpu=index, pid=index + 1) for index in range(cards)]
    node = t4(*procs, pods=[world.pod("a", gpus=gpus)], slots=None, gpus=cards)
    assert only(propose(node, configs={"t4": SHARED}))["process_memory_mib"] == proposed


def test_container_without_devices_counts_for_the_slot_of_its_pod() -> None:
    pods = [world.pod("a", containers={"main": 1, "side": 0})]
    node = t4(Proc([3000], "a", pid=1), Proc([200], "a", "side", pid=2), pods=pods)
    proposal = propose(node, configs={"t4": SHARED})
    assert only(proposal)["process_memory_mib"] == 3200
    assert only(proposal)["arithmetic"] == "3000 + 200 = 3200"
    assert codes(proposal) == ["beside"]


def test_pod_without_an_allocation_is_told_and_never_sized() -> None:
    pods = [world.pod("a"), world.pod("spy", containers={"main": 0})]
    node = t4(Proc([3000], "a", pid=1), Proc([9000], "spy", pid=2), pods=pods)
    proposal = propose(node, configs={"t4": SHARED})
    assert only(proposal)["process_memory_mib"] == 3000
    assert proposal["outside"] == [
        {"node": "gpu-t4", "gpu": 0, "who": "pod ml/spy without an allocation", "peak_mib": 9000}
    ]


@pytest.mark.parametrize(
    ("user", "who"),
    [
        ({"runtime_unknown": True}, "process 7 python of an unknown container runtime"),
        ({"command": None}, "process 7 that had ended when it was looked at"),
        ({"container_id": "ab" * 32}, "process 7 python in a container outside of pods"),
        ({"folded": 3}, "3 users that are counted together"),
    ],
)
def test_what_is_no_pod_is_called_what_it_is(user: dict[str, Any], who: str) -> None:
    node = t4(Proc([700], pid=7))
    document = world.measure(node)
    document["users"][0].update(user)
    proposal = build_proposal(world.request(node, configs={"t4": SHARED}, measurements={"f": document}))
    assert [one["who"] for one in proposal["outside"]] == [who]


def test_notes_of_a_sampling_are_told() -> None:
    node = t4()
    document = world.measure(node, notes=["The allocations could not be read."])
    proposal = build_proposal(world.request(node, configs={"t4": SHARED}, measurements={"f": document}))
    assert [(one["code"], one["severity"], one["message"]) for one in proposal["warnings"]] == [
        ("note", "info", "node gpu-t4: The allocations could not be read.")
    ]


def test_memory_that_nvml_does_not_tell_never_counts_as_0() -> None:
    node = t4(Proc([None, None], "a"), pods=[world.pod("a")])
    proposal = propose(node, configs={"t4": SHARED})
    config = only(proposal)
    assert (config["process_memory_mib"], config["confidence"], config["changed"]) == (None, "untold", False)
    assert "not to say that it is 0" in config["why"]
    assert codes(proposal) == ["untold"]
    assert proposal["workloads"][0]["peak_mib"] is None


def test_memory_that_is_told_at_times_is_proposed_with_a_doubt() -> None:
    node = t4(Proc([None, 700], "a"), pods=[world.pod("a")])
    config = only(propose(node, configs={"t4": SHARED}))
    assert (config["process_memory_mib"], config["confidence"]) == (700, "untold")


def test_single_samples_that_are_not_told_are_no_doubt() -> None:
    node = t4(Proc([700] * 99 + [None], "a"), pods=[world.pod("a")])
    proposal = propose(node, configs={"t4": SHARED})
    assert only(proposal)["confidence"] == "ok"
    assert [(one["code"], one["severity"]) for one in proposal["warnings"]] == [("untold", "info")]


def test_container_that_nobody_can_name_is_not_taken_to_hold_all_slots_of_its_pod() -> None:
    asks = world.pod("a", containers={"x": 1, "y": 1})
    node = t4(Proc([3000], "a", "restarted"), pods=[asks], slots=None)
    assert only(propose(node, configs={"t4": SHARED}))["process_memory_mib"] == 3000


def test_stated_replicas_stay_and_the_measured_number_is_told() -> None:
    configs = {"t4": {**SHARED, "replicas": 3}}
    proposal = propose(t4(Proc([4401], "a"), pods=[world.pod("a")]), configs=configs)
    config = only(proposal)
    assert (config["process_memory_mib"], config["changed"], config["replicas_stated"]) == (4401, False, True)
    assert yaml.safe_load(proposal["fragment"]) is None
    assert (
        "# t4 states replicas: 3. By measurement, process_memory_mib: 4401 could stand in their place."
        in (proposal["fragment"])
    )


def test_config_that_shares_nothing_is_not_sized() -> None:
    configs = {"t4": {"match": {"product": "Tesla T4"}}}
    config = only(propose(t4(Proc([4401], "a"), pods=[world.pod("a")]), configs=configs))
    assert (config["process_memory_mib"], config["measured_peak_mib"], config["sharing"]) == (None, 4401, "none")
    assert "nothing to size" in config["why"]


def test_config_that_nothing_ran_under_says_so() -> None:
    config = only(propose(t4(), configs={"t4": SHARED}))
    assert (config["process_memory_mib"], config["confidence"]) == (None, "none")
    assert config["why"] == "No process of a pod with a GPU was seen on its GPUs."


def test_without_any_config_one_is_proposed_for_each_model() -> None:
    proposal = propose(*world.reference(), configs={})
    assert {key: config["process_memory_mib"] for key, config in proposal["configs"].items()} == {
        "l20": 4621,
        "t4": 4401,
    }
    assert yaml.safe_load(proposal["fragment"])["kubegpu_sharing_configs"] == fleet.REFERENCE_CONFIGS


def test_without_any_config_and_any_user_nothing_is_proposed() -> None:
    proposal = propose(t4(), configs={})
    assert proposal["configs"] == {}


def test_names_of_made_up_configs_differ_and_mig_is_left_out() -> None:
    documents = {}
    for number, product in enumerate(("Tesla T4", "NVIDIA T4", "NVIDIA H20")):
        node = Node(f"n{number}", procs=(Proc([700], "a"),), pods=(world.pod("a"),))
        document = world.measure(node)
        document["gpus"][0].update(product=product, mig_devices=list(MIG) if product == "NVIDIA H20" else [])
        documents[f"f{number}"] = document
    request = replace(world.request(configs={}, measurements=documents), clusters=[{"nodes": {}}])
    assert {key: config["words"]["match"] for key, config in build_proposal(request)["configs"].items()} == {
        "t4": {"product": "NVIDIA T4"},
        "t4-2": {"product": "Tesla T4"},
    }


MIG = (
    {"uuid": "MIG-1", "profile": "1g.12gb", "gpu_instance_id": 1, "compute_instance_id": 0, "memory_total_mib": 11008},
    {"uuid": "MIG-2", "profile": "3g.48gb", "gpu_instance_id": 2, "compute_instance_id": 0, "memory_total_mib": 44800},
)


def h20(**config: Any) -> dict[str, Any]:
    words = {"match": {"product": "NVIDIA H20"}, "mig": {"devices": {"1g.12gb": 4, "3g.48gb": 1}}, **config}
    request = world.request(h20_node(), configs={"h20": words})
    # MIG devices are no fact of labels.
    return build_proposal(replace(request, facts="nodes"))


def h20_node() -> Node:
    return Node(
        "h20",
        "NVIDIA H20",
        procs=(Proc([2000], "a", mig="MIG-1", pid=1), Proc([5000], "b", mig="MIG-2", pid=2)),
        pods=(
            world.pod("a", resource="nvidia.com/mig-1g.12gb"),
            world.pod("b", resource="nvidia.com/mig-3g.48gb"),
        ),
        mig_devices=MIG,
    )


def test_mig_devices_of_the_strategy_single_are_gpus() -> None:
    config = only(h20(sharing="time_slicing", mig={"strategy": "single", "devices": {"1g.12gb": 7}}), "h20")
    assert (config["process_memory_mib"], list(config["by_resource"])) == (5000, [world.GPU])


def test_devices_that_the_config_does_without_count_for_all_that_it_has() -> None:
    config = only(h20(sharing="time_slicing", mig={"devices": {"1g.12gb": 7}}), "h20")
    assert config["process_memory_mib"] == 5000


def test_query_is_asked_whether_mig_is_enabled() -> None:
    words = {"match": {"query": "mig.mode == 'enabled'"}, "sharing": "time_slicing", "mig": {"devices": {"1g.12gb": 7}}}
    request = world.request(h20_node(), configs={"cut": words})
    assert only(build_proposal(replace(request, facts="nodes")), "cut")["process_memory_mib"] == 5000


def test_mig_devices_are_sized_by_resource() -> None:
    config = only(h20(sharing="time_slicing"), "h20")
    assert config["process_memory_mib"] == {"nvidia.com/mig-1g.12gb": 2000, "nvidia.com/mig-3g.48gb": 5000}
    assert {name: part["decided_by"]["pod"] for name, part in config["by_resource"].items()} == {
        "nvidia.com/mig-1g.12gb": "a",
        "nvidia.com/mig-3g.48gb": "b",
    }


def test_mig_mapping_keeps_its_resources_and_a_number_stays_a_number() -> None:
    mapping = h20(sharing="time_slicing", process_memory_mib={"nvidia.com/mig-1g.12gb": 1500})
    assert only(mapping, "h20")["process_memory_mib"] == {"nvidia.com/mig-1g.12gb": 2000}
    assert "was {nvidia.com/mig-1g.12gb: 1500}" in mapping["fragment"]
    number = h20(sharing="time_slicing", process_memory_mib=1500)
    assert only(number, "h20")["process_memory_mib"] == 5000


def test_runs_count_together_and_name_pods_that_are_gone_by_their_own_cluster() -> None:
    today = t4(Proc([1000], "a"), pods=[world.pod("a", "Deployment/nlp")])
    before = t4(Proc([2000], "old"), pods=[world.pod("old", "Deployment/nlp")])
    measurements = {"r0/x.json": world.measure(before, run="r0"), "r1/x.json": world.measure(today)}
    request = world.request(today, configs={"t4": SHARED}, measurements=measurements)
    proposal = build_proposal(replace(request, earlier=[world.cluster([before])]))
    assert [(one["name"], one["pods"]) for one in proposal["workloads"]] == [("nlp", 2)]
    assert (only(proposal)["process_memory_mib"], proposal["seconds"]) == (2000, 2.0)
    # Without its cluster file it still counts, as a pod of its own.
    proposal = build_proposal(request)
    assert only(proposal)["decided_by"]["workload"] == "Pod/old"
    assert codes(proposal) == ["gone"]


@pytest.mark.parametrize("read", [False, True], ids=["labels", "facts"])
def test_node_that_has_other_cards_now_was_measured_on_those_it_had(read: bool) -> None:
    before = Node("gpu-1", "Tesla T4", procs=(Proc([4401], "nlp-a"),), pods=(world.pod("nlp-a"),))
    now = Node("gpu-1", "NVIDIA L20", procs=(Proc([2000], "nlp-b"),), pods=(world.pod("nlp-b"),))
    proposal = propose(
        now,
        measurements={"r0/gpu-1.json": world.measure(before, run="r0"), "r1/gpu-1.json": world.measure(now)},
        earlier=[world.cluster([before])],
        host_facts={"gpu-1": fleet.host_facts([fleet.gpu("NVIDIA L20")])} if read else {},
    )
    assert {key: config["process_memory_mib"] for key, config in proposal["configs"].items()} == {
        "l20": 2000,
        "t4": 4401,
    }


def test_last_cluster_file_tells_what_a_pod_is_of() -> None:
    node = t4(Proc([1000], "a"), pods=[world.pod("a", "Deployment/new")])
    earlier = world.cluster([t4(pods=[world.pod("a", "Deployment/old")])])
    proposal = build_proposal(replace(world.request(node, configs={"t4": SHARED}), earlier=[earlier]))
    assert only(proposal)["decided_by"]["workload"] == "Deployment/new"


def test_node_that_has_left_the_cluster_is_known_by_the_first_file() -> None:
    node = t4(Proc([1000], "a"), pods=[world.pod("a")])
    words = {"match": {"query": "architecture == 'Turing'"}, "sharing": "time_slicing"}
    request = world.request(node, configs={"t4": words})
    proposal = build_proposal(replace(request, clusters=[world.cluster([node]), world.cluster([])]))
    assert only(proposal)["process_memory_mib"] == 1000


def test_pod_that_is_gone_and_had_no_devices_is_outside() -> None:
    node = t4(Proc([1000], "a", pid=1), Proc([7000], "gone", pid=2), pods=[world.pod("a")])
    document = world.measure(node)
    for user in document["users"]:
        user["slots"] = None if user["pod"] == "gone" else 1
    request = world.request(node, configs={"t4": SHARED}, measurements={"f": document})
    proposal = build_proposal(request)
    assert only(proposal)["process_memory_mib"] == 1000
    assert [one["who"] for one in proposal["outside"]] == ["pod ml/gone without an allocation"]
    # Where nothing tells of allocations, it counts: rather too large a size than one too small.
    for user in document["users"]:
        user["slots"] = None
    assert only(build_proposal(request))["process_memory_mib"] == 7000


def test_containers_outside_add_up_and_runs_do_not() -> None:
    pods = [world.pod("spy", containers={"x": 0, "y": 0})]
    node = t4(Proc([500], "spy", "x", pid=1), Proc([70], "spy", "y", pid=2), pods=pods)
    documents = {run: world.measure(node, run=run) for run in ("r1", "r2")}
    proposal = build_proposal(world.request(node, configs={"t4": SHARED}, measurements=documents))
    assert [one["peak_mib"] for one in proposal["outside"]] == [570]


@pytest.mark.parametrize(
    ("containers", "known", "name"),
    [
        pytest.param({"main": 1, "side": 0}, True, "main", id="by its id"),
        pytest.param({"main": 1}, False, "main", id="the only one"),
        pytest.param({"main": 1, "side": 0}, False, None, id="one of two"),
    ],
)
def test_container_that_the_node_could_not_name(containers: dict[str, int], known: bool, name: str | None) -> None:
    node = t4(Proc([700], "a"), pods=[world.pod("a", containers=containers)])
    document = world.measure(node)
    document["users"][0]["container"] = None
    if not known:
        document["users"][0]["container_id"] = "ef" * 32
    proposal = build_proposal(world.request(node, configs={"t4": SHARED}, measurements={"f": document}))
    assert only(proposal)["decided_by"]["container"] == name
    assert only(proposal)["process_memory_mib"] == 700


def test_pod_that_waited_at_first_and_ran_later_is_not_told() -> None:
    after = t4(Proc([1000], "a"), pods=[world.pod("a")])
    waiting = {"namespace": "ml", "name": "a", "uid": world.uid("a"), "requests": {world.GPU: 1}}
    other = {"namespace": "ml", "name": "net", "uid": "uid-net", "requests": {"nvidia.com/hostdev": 1}}
    request = world.request(after, configs={"t4": SHARED})
    clusters = [world.cluster([t4()], [waiting, other]), world.cluster([after])]
    assert build_proposal(replace(request, clusters=clusters))["never_ran"] == []


def test_host_without_samples_is_no_measured_host() -> None:
    node = t4(Proc([1000], "a"), pods=[world.pod("a")])
    nothing = {**world.measure(Node("gpu-b")), "samples": 0, "gpus": [], "nvml_available": False, "reason": "none"}
    documents = {"a": world.measure(node), "b": nothing}
    proposal = build_proposal(world.request(node, configs={"t4": SHARED}, measurements=documents))
    assert (proposal["measurements"], proposal["hosts"]) == (2, 1)


def test_pod_that_comes_during_the_sampling_is_known_by_the_second_cluster_file() -> None:
    before = t4(pods=[])
    after = t4(Proc([1000], "a"), pods=[world.pod("a", "Job/train")])
    request = world.request(after, configs={"t4": SHARED})
    proposal = build_proposal(replace(request, clusters=[world.cluster([before]), world.cluster([after])]))
    assert only(proposal)["decided_by"]["workload"] == "Job/train"
    assert codes(proposal) == []


def test_static_pod_is_found_by_the_uid_of_the_kubelet() -> None:
    static = {**world.pod("a"), "uid": "mirror", "static_uid": world.uid("a")}
    proposal = propose(t4(Proc([1000], "a"), pods=[static]), configs={"t4": SHARED})
    assert only(proposal)["process_memory_mib"] == 1000
    assert (proposal["never_ran"], codes(proposal)) == ([], [])


def test_pods_that_never_ran_are_told_with_the_reason() -> None:
    pods = [
        world.pod("idle"),
        world.pod("starting", phase="Pending"),
        world.pod("ended", phase="Failed"),
        world.pod("late", bound="2026-03-01T12:10:00Z"),
    ]
    far = Node("gpu-far", pods=(world.pod("far"),))
    waiting = {
        "namespace": "ml",
        "name": "new",
        "uid": "uid-new",
        "requests": {world.GPU: 1},
        "message": "0/2 nodes are available: 2 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/2.",
        "workload": {"kind": "Deployment", "namespace": "ml", "name": "nlp"},
    }
    near = t4(pods=pods)
    request = world.request(near, configs={"t4": SHARED})
    cluster = world.cluster([near, far], [waiting])
    cluster["nodes"]["cpu-1"] = fleet.node(0, labels={})
    proposal = build_proposal(replace(request, clusters=[cluster]))
    assert {one["name"]: one["why"] for one in proposal["never_ran"]} == {
        "far": "its node gpu-far was not measured",
        "late": "it came to gpu-t4 after the measurement",
        "idle": "it ran on gpu-t4, and no process of it was seen on a GPU",
        "new": "it waits for a node: 0/2 nodes are available: 2 Insufficient nvidia.com/gpu",
        "starting": "it was bound to gpu-t4 and did not run (Pending)",
    }
    assert codes(proposal).count("never_ran") == 5
    assert [one["object"] for one in proposal["warnings"] if one["code"] == "unmeasured"] == ["gpu-far"]


def test_pod_of_a_workload_that_was_seen_is_a_lesser_matter() -> None:
    pods = [world.pod("a", "Deployment/nlp"), world.pod("b", "Deployment/nlp"), world.pod("c", "Deployment/other")]
    proposal = propose(t4(Proc([1000], "a"), pods=pods), configs={"t4": SHARED})
    assert [(one["code"], one["severity"], one["object"]) for one in proposal["warnings"]] == [
        ("never_ran", "warning", "Deployment ml/other"),
        ("never_ran", "info", "Deployment ml/nlp"),
    ]


def test_workload_that_grows_is_warned_of() -> None:
    growing = [1000 + 2 * number for number in range(200)]
    node = t4(Proc(growing, "a", pid=1), Proc([3000] * 200, "b", pid=2), pods=[world.pod("a"), world.pod("b")])
    proposal = propose(node, configs={"t4": SHARED})
    assert [(one["code"], one["object"]) for one in proposal["warnings"]] == [("growing", "Pod ml/a")]
    assert proposal["workloads"][0]["warnings"] == ["growing"]
    assert codes(propose(node, configs={"t4": SHARED}, growth_mib=500)) == []
    assert codes(propose(node, configs={"t4": SHARED}, growth_percent=50)) == []


def test_step_that_memory_stays_at_is_no_growth() -> None:
    node = t4(Proc([1000] * 100 + [3000] * 100, "a"), pods=[world.pod("a")])
    assert codes(propose(node, configs={"t4": SHARED})) == []


def test_workload_whose_gpus_computed_nothing_is_warned_of() -> None:
    pods = [world.pod("a", "Deployment/nlp")]
    idle = t4(Proc([220] * 10, "a"), pods=pods, utilization=0)
    proposal = propose(idle, configs={"t4": SHARED})
    assert [(one["code"], one["severity"], one["object"]) for one in proposal["warnings"]] == [
        ("idle", "warning", "Deployment ml/nlp")
    ]
    assert only(proposal)["confidence"] == "idle"
    assert "# Its GPUs computed nothing while it was measured" in proposal["fragment"]
    assert codes(propose(replace(idle, utilization=None), configs={"t4": SHARED})) == []
    # Another pod of it has worked.
    busy = Node("gpu-2", procs=(Proc([4401] * 10, "b"),), pods=(world.pod("b", "Deployment/nlp"),))
    proposal = propose(idle, busy, configs={"t4": SHARED})
    assert (codes(proposal), only(proposal)["confidence"]) == ([], "ok")


@pytest.mark.parametrize(("free", "warned"), [(100, ["full"]), (400, []), (None, [])], ids=["full", "room", "untold"])
def test_workload_on_a_card_that_was_full_is_warned_of(free: int | None, warned: list[str]) -> None:
    node = t4(Proc([4401] * 3, "a"), pods=[world.pod("a", "Deployment/nlp")])
    document = world.measure(node)
    document["gpus"][0]["memory_free_mib"] = None if free is None else {"min": free}
    proposal = propose(node, configs={"t4": SHARED}, measurements={"r1/gpu-t4.json": document})
    assert codes(proposal) == warned
    if warned:
        assert proposal["warnings"][0]["message"].startswith("GPU 0 of gpu-t4 had no memory left at times")


def test_framework_that_takes_all_is_warned_of_with_the_flag() -> None:
    found = {"framework": "vLLM", "effect": "grabs_fraction", "evidence": "argument --x=0.9", "advice": "Lower it."}
    grown = {**found, "framework": "JAX", "effect": "grows"}
    pods = [world.pod("a", "Deployment/llm", frameworks=[found, grown])]
    proposal = propose(t4(Proc([9000], "a"), pods=pods), configs={"t4": SHARED})
    (warning,) = proposal["warnings"]
    assert (warning["code"], warning["object"]) == ("grabs_all", "Deployment ml/llm")
    assert "(argument --x=0.9). Lower it." in warning["message"]


def test_short_measurement_is_said_once_and_short_lives_one_by_one() -> None:
    node = t4(Proc([1000] * 10, "a", pid=1), Proc([800] * 3, "b", pid=2), pods=[world.pod("a"), world.pod("b")])
    proposal = propose(node, configs={"t4": SHARED}, min_seconds=600)
    assert [(one["code"], one["object"]) for one in proposal["warnings"]] == [("short", "the measurement")]
    assert only(proposal)["confidence"] == "short"
    proposal = propose(node, configs={"t4": SHARED}, min_seconds=10)
    assert [(one["code"], one["object"]) for one in proposal["warnings"]] == [("short", "Pod ml/b")]
    assert only(proposal)["confidence"] == "ok"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"complete": False}, "interrupted"),
        ({"nvml_available": False, "reason": "no library"}, "unmeasured"),
    ],
)
def test_trouble_of_a_host_is_told(changed: dict[str, Any], code: str) -> None:
    node = t4(Proc([1000], "a"), pods=[world.pod("a")])
    request = world.request(node, configs={"t4": SHARED}, measurements={"f": world.measure(node, **changed)})
    assert code in codes(build_proposal(request))


def test_missed_samples_are_told_if_they_are_many() -> None:
    node = t4(Proc([1000] * 100, "a"), pods=[world.pod("a")])
    document = world.measure(node)
    for missed, told in ((4, []), (20, ["missed"])):
        request = world.request(node, configs={"t4": SHARED}, measurements={"f": {**document, "missed": missed}})
        assert codes(build_proposal(request)) == told


def test_gpus_without_a_config_are_told() -> None:
    proposal = propose(*world.reference(), configs={"t4": SHARED})
    assert [(one["code"], one["object"]) for one in proposal["warnings"]] == [("unmatched", "node gpu-l20")]
    assert "no config matches" in proposal["warnings"][0]["message"]
    assert only(proposal)["process_memory_mib"] == 4401


def test_query_is_asked_on_the_facts_of_the_measurement_where_there_are_no_others() -> None:
    node = Node("gpu-x", "NVIDIA L20", procs=(Proc([700], "a"),), pods=(world.pod("a"),))
    configs = {"big": {"match": {"query": "memory_total_mib > `40000`"}, "sharing": "time_slicing"}}
    bare = {**world.cluster([node])}
    bare["nodes"]["gpu-x"]["labels"] = {}
    request = replace(world.request(node, configs=configs), clusters=[bare])
    assert only(build_proposal(request), "big")["process_memory_mib"] == 700


def test_all_problems_are_told_at_once() -> None:
    request = world.request(
        t4(), configs={"t4": {**SHARED, "shering": 1}}, margin="much", min_seconds=-1, measurements={"r1/x.json": {}}
    )
    with pytest.raises(InputError) as refused:
        build_proposal(request)
    text = str(refused.value)
    for part in ("r1/x.json", "margin: 'much'", "min_seconds is -1", "shering"):
        assert part in text


def test_no_measurement_is_refused() -> None:
    with pytest.raises(InputError, match="there is no measurement; measure first"):
        build_proposal(world.request(configs={"t4": SHARED}))


def test_names_from_the_cluster_cannot_break_the_fragment() -> None:
    evil = "a\nkubegpu_sharing_configs: {}\n#\x1b[2J"
    node = t4(Proc([1000], "a"), pods=[{**world.pod("a"), "name": evil}])
    proposal = propose(node, configs={"t4": SHARED})
    assert yaml.safe_load(proposal["fragment"]) == {
        "kubegpu_sharing_configs": {"t4": {**SHARED, "process_memory_mib": 1000}}
    }
    assert "\x1b" not in proposal["fragment"]


def test_sample_for_readers_is_what_is_proposed() -> None:
    assert json.loads(SAMPLE.read_text(encoding="utf-8")) == json.loads(json.dumps(build_proposal(world.sample())))


if __name__ == "__main__":
    SAMPLE.write_text(json.dumps(build_proposal(world.sample()), indent=1) + "\n", encoding="utf-8")
