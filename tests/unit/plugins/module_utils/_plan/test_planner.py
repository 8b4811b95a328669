# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
import json
from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan, plan_diff
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

T4 = {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "process_memory_mib": 4401}


def refusal(request: PlanRequest) -> list[str]:
    with pytest.raises(InputError) as raised:
        build_plan(request)
    return raised.value.problems


def one_node(
    gpus: int = 1, pods: Any = (), configs: Any = None, slots: int | None = None, **fields: Any
) -> PlanRequest:
    """A node t4-1 with T4s, read by NVML."""
    cards = [fleet.gpu("Tesla T4", index, "t4-1") for index in range(gpus)]
    return PlanRequest(
        configs=configs or {"t4": copy.deepcopy(T4)},
        cluster=fleet.cluster({"t4-1": fleet.node(gpus if slots is None else slots, pods, **fields)}),
        host_facts={"t4-1": fleet.host_facts(cards)},
        hosts={"t4-1": ""},
    )


def in_cluster(request: PlanRequest, **fields: Any) -> PlanRequest:
    return replace(request, cluster={**request.cluster, **fields})


def beside_another(request: PlanRequest) -> PlanRequest:
    """With a second T4, known by its labels."""
    another = fleet.node(1, labels=fleet.labelled("Tesla-T4", 15360))
    return in_cluster(request, nodes={**request.cluster["nodes"], "another": another})


def test_reference_cluster_goes_from_two_slots_to_eleven() -> None:
    plan = build_plan(fleet.reference())
    assert plan["totals"]["slots_before"] == 2
    assert plan["totals"]["slots_after"] == 11
    figures = {
        name: (
            node["replicas"],
            node["sizing"]["slot_mib"],
            node["sizing"]["headroom_mib"],
            node["sizing"]["utilization"],
        )
        for name, node in plan["nodes"].items()
    }
    assert figures == {"gpu-l20": (8, 5758, 1137, 0.8025), "gpu-t4": (3, 5120, 719, 0.8596)}
    assert plan["nodes"]["gpu-l20"]["sizing"]["arithmetic"] == "floor(0.9 x 46068 / 4621) = 8"
    assert [node["disruption"] for node in plan["nodes"].values()] == ["switch", "switch"]
    assert [pod["name"] for node in plan["nodes"].values() for pod in node["stale_pods"]] == [
        "nlp-gpu-l20",
        "nlp-gpu-t4",
    ]
    assert plan["waves"] == [["gpu-l20"], ["gpu-t4"]]
    assert plan["releases"][0]["label"] == {"nvidia-device-enable": "enable"}
    assert not plan["empty"]


def test_plan_is_json_and_points_from_nodes_to_objects() -> None:
    plan = build_plan(fleet.reference())
    assert json.loads(json.dumps(plan)) == plan
    assert len(plan["plan_id"]) == 16
    for node in plan["nodes"].values():
        config = plan["configs"][node["key"]]
        assert node["to"]["revision"] == config["revision"]
        assert [manifest["kind"] for manifest in config["objects"]] == ["ConfigMap", "DaemonSet"]
        assert config["objects"][0]["data"]["config.yaml"] == config["config_file"]


def test_diff_is_what_the_changed_nodes_bear() -> None:
    request = fleet.reference()
    plan = build_plan(request)
    diff = plan_diff(plan)
    assert diff["before"]["gpu-t4"] == {"key": None, "revision": None, "resources": {"nvidia.com/gpu": 1}}
    assert diff["after"]["gpu-t4"]["resources"] == {"nvidia.com/gpu": 3}
    after = replace(request, cluster=fleet.roll_out(request.cluster, plan))
    assert plan_diff(build_plan(after)) == {"before": {}, "after": {}}


# --- what bad input gets ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            {"configs": {"t4": {**T4, "process_memory_mib": 15361}}},
            "kubegpu_sharing_configs.t4.process_memory_mib is 15361, more than the 15360 MiB of Tesla T4: such a process does not fit "
            "on the card. Correct the measurement, or match larger cards.",
        ),
        (
            {"configs": {"t4": {**T4, "process_memory_mib": 14000}}},
            "kubegpu_sharing_configs.t4.process_memory_mib is 14000, but on Tesla T4 the margins leave no room for a single process: "
            "floor(0.9 x 15360 / 14000) = 0. Raise kubegpu_sizing.max_memory_utilization, lower min_headroom_mib, or set sharing: none.",
        ),
        (
            {"configs": {"t4": T4, "every": {"match": {"query": "memory_total_mib > `1`"}, "sharing": "none"}}},
            "node t4-1: GPUs of model Tesla T4 match 2 configs (every, t4). Make the matches of kubegpu_sharing_configs exclude each "
            "other.",
        ),
        (
            {"hosts": {"t4-1": "", "t4-2": ""}},
            "host t4-2: the cluster has no node 't4-2'. Did you mean t4-1? If it is no node of this cluster, take it out of the group.",
        ),
        (
            {"hosts": {"a": "t4-1", "b": "t4-1"}},
            "hosts a and b are both node t4-1; take one out, or correct kubegpu_node_name.",
        ),
        ({"facts": "label"}, "kubegpu_facts is 'label'; give one of auto, nodes, labels."),
        ({"wave": "half"}, 'kubegpu_wave: \'half\' is not a whole number; give a number of nodes, or a percentage such as "25%".'),
        ({"max_unavailable": 0}, 'kubegpu_max_unavailable: 0 is less than 1; give a number of nodes, or a percentage such as "25%".'),
        ({"accept_live_memory": ("t4-9",)}, "kubegpu_accept_live_memory: the cluster has no node 't4-9'. Did you mean t4-1?"),
    ],
    ids=["larger-than-card", "margins", "two-configs", "unknown-host", "one-node-twice", "facts", "wave", "max", "accept"],
)  # fmt: skip
def test_bad_input_is_refused_with_place_value_and_cure(change: dict[str, Any], problem: str) -> None:
    assert refusal(replace(one_node(), **change)) == [problem]


def test_gpus_of_one_node_under_different_configs_are_refused() -> None:
    request = one_node(2)
    request.host_facts["t4-1"]["gpus"][1] = fleet.gpu("NVIDIA L20", 1)
    problems = refusal(replace(request, configs=fleet.REFERENCE_CONFIGS))
    assert len(problems) == 1
    assert problems[0].startswith(
        "node t4-1: its GPUs fall under different configs, but a node has one: GPU 1 (NVIDIA L20) under l20; GPU 0 (Tesla T4) under t4."
    )
    problems = refusal(request)
    assert "GPU 0 (Tesla T4) under t4; GPU 1 (NVIDIA L20) under none" in problems[0]


def test_query_that_yields_no_boolean_is_refused() -> None:
    problems = refusal(one_node(configs={"t4": {**T4, "match": {"query": "memory_total_mib"}}}))
    assert len(problems) == 1
    assert (
        "kubegpu_sharing_configs.t4.match.query 'memory_total_mib' yields 15360, neither true nor false" in problems[0]
    )


@pytest.mark.parametrize(("kind", "beside"), [("ConfigMap", "config_maps"), ("DaemonSet", "daemon_sets")])
def test_object_of_our_name_that_somebody_else_made_is_refused(kind: str, beside: str) -> None:
    request = one_node()
    name = build_plan(request)["configs"]["t4"]["objects"][0]["metadata"]["name"]
    request = in_cluster(request, **{beside: [{"name": name, "managed": False}]})
    assert refusal(request) == [
        f"{kind} kubegpu-system/{name} exists and is not ours: it lacks the label app.kubernetes.io/managed-by: kubegpu.sharing. "
        "Remove or rename it; nothing that somebody else made is overwritten."
    ]


def test_dynamic_resource_allocation_on_a_node_is_refused() -> None:
    problems = refusal(in_cluster(one_node(), dra_nodes=["t4-1"]))
    assert "node t4-1: its GPUs are handed out by dynamic resource allocation" in problems[0]


def test_mig_that_is_enabled_under_a_config_that_does_not_speak_of_it_is_refused() -> None:
    request = one_node()
    request.host_facts["t4-1"]["gpus"][0]["mig"] = {"capable": True, "mode": "enabled", "pending": "enabled"}
    [problem] = refusal(request)
    assert "node t4-1: MIG is enabled on GPU 0, and kubegpu_sharing_configs.t4 says nothing of MIG." in problem
    assert "(mig: {strategy: mixed, devices: {1g.12gb: 7}})" in problem
    assert "mig: {strategy: none}" in problem


def test_two_foreign_plugins_on_a_node_are_refused() -> None:
    plugins = [fleet.foreign_plugin(["t4-1"]), fleet.foreign_plugin(["t4-1"], name="another")]
    problems = refusal(in_cluster(one_node(), plugins=plugins))
    assert "node t4-1: two device plugins of others serve or select it (kube-system/another and" in problems[0]


def test_hosts_of_another_cluster_are_told_once() -> None:
    hosts = {f"other-{number}": "" for number in range(9)}
    problems = refusal(replace(one_node(), hosts={**hosts, "t4-1": ""}))
    assert len(problems) == 1
    assert problems[0].startswith(
        "9 hosts are no nodes of the cluster (other-0, other-1, other-2, other-3, other-4 and 4 more)."
    )


def test_a_problem_of_many_nodes_is_told_once() -> None:
    nodes = {f"n{number}": fleet.node() for number in range(8)}
    request = PlanRequest(
        configs={"t4": T4},
        cluster=fleet.cluster(nodes, dra_nodes=sorted(nodes)),
        host_facts={name: fleet.host_facts([fleet.gpu()]) for name in nodes},
        hosts=dict.fromkeys(nodes, ""),
    )
    problems = refusal(request)
    assert len(problems) == 1
    assert problems[0].startswith("nodes n0, n1, n2, n3, n4 and 3 more: its GPUs are handed out")


def test_all_problems_are_told_at_once() -> None:
    request = in_cluster(
        one_node(configs={"t4": {**T4, "process_memory_mib": 99999}, "x": {"colour": 1}}), dra_nodes=["t4-1"]
    )
    problems = refusal(
        replace(request, hosts={"t4-1": "", "nobody": ""}, wave="x", device_plugin={"version": "latest"})
    )
    for part in (
        "latest",
        "colour",
        "has no match",
        "'nobody'",
        "kubegpu_wave",
        "99999, more than",
        "dynamic resource",
    ):
        assert any(part in problem for problem in problems), part
    assert len(problems) == 7


def test_a_misspelt_config_leaves_no_false_trace_on_its_nodes() -> None:
    request = one_node(2, configs={"t4": T4, "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "shared"}})
    request.host_facts["t4-1"]["gpus"][1] = fleet.gpu("NVIDIA L20", 1)
    problems = refusal(request)
    assert len(problems) == 1
    assert "kubegpu_sharing_configs.l20.sharing is 'shared'" in problems[0]


# --- which nodes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"hold": "mine"}, "on hold: mine"),
        ({"hold": ""}, "on hold: no reason given"),
        ({"ready": False}, "the node is not Ready"),
    ],
)
def test_node_to_leave_alone_is_listed(fields: dict[str, Any], reason: str) -> None:
    plan = build_plan(beside_another(one_node(**fields)))
    assert plan["skipped"] == [{"node": "t4-1", "reason": reason}]
    assert list(plan["nodes"]) == ["another"]
    # No rollout has been there, so that it is as it always was.
    assert plan["totals"]["left_alone"] == 0
    assert not any("was left alone" in warning for warning in plan["warnings"])


def test_node_that_nothing_matches_is_listed() -> None:
    request = in_cluster(one_node(), nodes={**one_node().cluster["nodes"], "l20-1": fleet.node()})
    facts = {**request.host_facts, "l20-1": fleet.host_facts([fleet.gpu("NVIDIA L20")])}
    plan = build_plan(replace(request, hosts={"t4-1": "", "l20-1": ""}, host_facts=facts))
    assert plan["skipped"] == [{"node": "l20-1", "reason": "no config matches NVIDIA L20"}]
    configs = {**request.configs, "h20": {"match": {"product": "NVIDIA H20"}, "sharing": "none"}}
    assert build_plan(replace(request, configs=configs))["warnings"] == [
        "kubegpu_sharing_configs.h20 matches no GPU. The models found are Tesla T4."
    ]


def test_node_without_facts_is_listed() -> None:
    request = beside_another(one_node())
    plan = build_plan(replace(request, hosts={}, host_facts={}))
    assert plan["skipped"][0]["reason"].startswith(
        "the node was not read, and it lacks the labels of GPU Feature Discovery"
    )


NO_NODE = "no GPU node can be planned, so this run would share nothing: "
CURE = (
    "Give facts (a host in the inventory that is reached, or labels of GPU Feature Discovery), a match in kubegpu_sharing_configs or a "
    "kubegpu_default_config for the models found, take a hold off (annotation kubegpu.sharing/hold), or wait until the node is Ready."
)


@pytest.mark.parametrize(
    ("request_", "problems"),
    [
        (one_node(hold="mine"), [f"{NO_NODE}node t4-1: on hold: mine. {CURE}"]),
        (one_node(ready=False), [f"{NO_NODE}node t4-1: the node is not Ready. {CURE}"]),
        (
            one_node(configs={"l20": {"match": {"product": "Tesla T44"}, "sharing": "none"}}),
            [
                f"{NO_NODE}node t4-1: no config matches Tesla T4. {CURE}",
                "kubegpu_sharing_configs.l20 matches no GPU. The models found are Tesla T4. Did you mean Tesla T4?",
            ],
        ),
        (
            replace(one_node(), hosts={}, host_facts={}),
            [
                f"{NO_NODE}node t4-1: the node was not read, and it lacks the labels of GPU Feature Discovery (nvidia.com/gpu.product, "
                f"nvidia.com/gpu.memory, nvidia.com/gpu.count). {CURE}"
            ],
        ),
    ],
    ids=["held", "not-ready", "no-match", "no-facts"],
)
def test_plan_for_no_node_at_all_is_refused_with_the_reasons(request_: PlanRequest, problems: list[str]) -> None:
    assert refusal(request_) == problems


def test_cluster_without_gpus_needs_no_plan() -> None:
    plan = build_plan(PlanRequest(configs={"t4": T4}, cluster=fleet.cluster({"web": fleet.node(0, labels={})})))
    assert (plan["empty"], plan["nodes"]) == (True, {})


@pytest.mark.parametrize(
    ("fields", "warning"),
    [
        ({"hold": "mine", "key": "old"}, "node t4-1: bears config old, but was left alone: on hold: mine."),
        ({"ready": False, "revision": "withdrawn"}, "node t4-1: bears revision withdrawn, but was left alone: the node is not Ready."),
        (
            {"hold": "mine", "key": "t4", "maintenance": {"run": "r1", "step": "serving"}},
            "node t4-1: bears config t4 and was left out of service by run r1, but was left alone: on hold: mine.",
        ),
    ],
)  # fmt: skip
def test_node_of_a_rollout_that_is_left_alone_is_warned_of(fields: dict[str, Any], warning: str) -> None:
    plan = build_plan(beside_another(one_node(**fields)))
    assert warning in plan["warnings"]
    assert plan["totals"]["left_alone"] == 1


def test_host_that_bears_another_nodes_name_is_refused() -> None:
    request = beside_another(one_node())
    assert refusal(replace(request, hosts={"another": "t4-1"}, host_facts={})) == [
        "host another is node t4-1, but there is also a node another, which no host is: a rollout could not tell the two apart. Rename "
        "the host, correct its kubegpu_node_name, or add a host for node another."
    ]
    facts = {"another": request.host_facts["t4-1"]}
    crossed = build_plan(replace(request, hosts={"another": "t4-1", "t4-1": "another"}, host_facts=facts))
    assert {name: node["host"] for name, node in crossed["nodes"].items()} == {"another": "t4-1", "t4-1": "another"}
    alone = replace(request, hosts={"another": "t4-1"}, host_facts=facts, limited=True)
    assert list(build_plan(alone)["nodes"]) == ["t4-1"]


def test_host_without_a_gpu_is_listed() -> None:
    request = in_cluster(one_node(), nodes={**one_node().cluster["nodes"], "web": fleet.node(0, labels={})})
    facts = {"nvml_available": False, "reason_code": "no_gpu", "reason": "No GPU.", "gpus": []}
    plan = build_plan(replace(request, hosts={"t4-1": "", "web": ""}, host_facts={**request.host_facts, "web": facts}))
    assert plan["skipped"] == [{"node": "web", "reason": "no sign of an NVIDIA GPU (No GPU.)"}]


def test_nodes_of_the_cluster_without_a_host_are_planned_from_labels() -> None:
    request = one_node()
    request.cluster["nodes"]["t4-2"] = fleet.node(1, labels=fleet.labelled("Tesla-T4", 15360))
    plan = build_plan(request)
    assert (plan["nodes"]["t4-1"]["facts"], plan["nodes"]["t4-2"]["facts"]) == ("nvml", "labels")
    assert plan["nodes"]["t4-2"]["host"] is None
    assert plan["nodes"]["t4-2"]["sizing"]["memory_usable_mib"] is None


def test_node_that_a_run_left_without_a_plugin_is_still_planned() -> None:
    # After five minutes the kubelet has forgotten the resource, and the label that led the old plugin there is gone.
    note = {"run": "r1", "step": "withdrawn", "was_unschedulable": False}
    request = one_node(labels={}, resources={}, maintenance=note, unschedulable=True)
    node = build_plan(request)["nodes"]["t4-1"]
    assert node["reasons"] == ["new config t4", "advertises 0, planned 3", "resumed after run r1"]
    assert node["disruption"] == "switch"
    labelled = beside_another(replace(request, hosts={}, host_facts={}))
    assert build_plan(labelled)["skipped"][0]["node"] == "t4-1"
    assert build_plan(labelled)["warnings"][0].startswith(
        "node t4-1: was left out of service by run r1, but was left alone: the node was not read"
    )


def test_query_gives_the_same_answer_after_sharing_changed_the_label() -> None:
    config = {"match": {"query": "product == 'Tesla-T4'"}, "sharing": "time_slicing", "replicas": 3}
    for product in ("Tesla-T4", "Tesla-T4-SHARED"):
        nodes = {"t4-1": fleet.node(1, labels=fleet.labelled(product, 15360))}
        plan = build_plan(PlanRequest(configs={"t4": config}, cluster=fleet.cluster(nodes)))
        assert plan["nodes"]["t4-1"]["key"] == "t4"


def test_limited_plans_the_hosts_alone_with_the_same_revision() -> None:
    request = one_node()
    # Smaller memory elsewhere decides for all, in this run or not.
    request.cluster["nodes"]["t4-2"] = fleet.node(1, labels=fleet.labelled("Tesla-T4", 10000))
    whole, limited = build_plan(request), build_plan(replace(request, limited=True))
    assert list(limited["nodes"]) == ["t4-1"]
    assert limited["plan_id"] != whole["plan_id"]
    assert limited["nodes"]["t4-1"]["to"] == whole["nodes"]["t4-1"]["to"]
    assert limited["nodes"]["t4-1"]["replicas"] == 2


ANY = {"match": {"query": "memory_total_mib > `1`"}, "sharing": "time_slicing", "process_memory_mib": 4700}
UNREAD = (
    "kubegpu_sharing_configs.all computes its replicas from the smallest card that it matches, and what cards node gpu-t4 outside "
    "--limit has is unknown: a run without --limit might come to another number. Run without --limit, have GPU Feature Discovery "
    "label all GPU nodes, match by product, or state replicas."
)


def limited_to_l20(config: Any, **fields: Any) -> PlanRequest:
    """The reference cluster with one config, as a run with --limit gpu-l20 sees it."""
    request = fleet.reference()
    facts = {"gpu-l20": request.host_facts["gpu-l20"]}
    request = replace(request, configs={"all": config}, hosts={"gpu-l20": ""}, host_facts=facts, limited=True)
    return replace(request, **fields)


def test_limit_that_hides_a_smaller_card_is_refused() -> None:
    whole = replace(fleet.reference(), configs={"all": ANY})
    assert build_plan(whole)["nodes"]["gpu-l20"]["replicas"] == 2
    assert refusal(limited_to_l20(ANY)) == [UNREAD]
    default = {"sharing": "time_slicing", "process_memory_mib": 4700}
    assert refusal(limited_to_l20(default, default_config="all")) == [UNREAD]
    by_product = {**default, "match": {"product": "NVIDIA L20"}}
    assert refusal(limited_to_l20(by_product, default_config="all")) == [UNREAD]


def test_limit_names_all_nodes_that_it_hides() -> None:
    request = limited_to_l20(ANY)
    request.cluster["nodes"]["gpu-2"] = fleet.node()
    assert "what cards nodes gpu-2, gpu-t4 outside --limit have is unknown" in refusal(request)[0]


@pytest.mark.parametrize(
    "config",
    [
        {**ANY, "match": {"product": "NVIDIA L20"}},
        {"match": ANY["match"], "sharing": "time_slicing", "replicas": 8},
        {"match": ANY["match"], "sharing": "none"},
    ],
    ids=["product", "stated", "whole"],
)
def test_limit_is_harmless_where_hidden_cards_decide_nothing(config: Any) -> None:
    assert list(build_plan(limited_to_l20(config))["nodes"]) == ["gpu-l20"]


def test_limit_with_labels_elsewhere_gives_the_number_of_the_full_run() -> None:
    request = limited_to_l20(ANY)
    request.cluster["nodes"]["gpu-t4"]["labels"].update(fleet.labelled("Tesla-T4", 15360))
    assert build_plan(request)["nodes"]["gpu-l20"]["replicas"] == 2


def test_limit_with_facts_from_labels_hides_nothing_that_a_full_run_would_see() -> None:
    request = limited_to_l20(ANY, facts="labels")
    request.cluster["nodes"]["gpu-l20"]["labels"].update(fleet.labelled("NVIDIA-L20", 46068))
    assert list(build_plan(request)["nodes"]) == ["gpu-l20"]


@pytest.mark.parametrize("hosts", [{}, {"web": ""}])
def test_limited_to_no_gpu_node_is_refused(hosts: dict[str, str]) -> None:
    request = in_cluster(one_node(), nodes={**one_node().cluster["nodes"], "web": fleet.node(0, labels={})})
    problems = refusal(replace(request, hosts=hosts, limited=True))
    assert problems == [
        f"none of the hosts in this run ({', '.join(hosts) or 'none'}) is a GPU node; name others in --limit."
    ]


# --- what becomes of them -------------------------------------------------------------------------------------------------


def test_smallest_card_of_a_key_decides_with_a_warning() -> None:
    config = {"match": {"query": "`true`"}, "sharing": "time_slicing", "process_memory_mib": 4401}
    request = one_node(2, configs={"all": config})
    request.host_facts["t4-1"]["gpus"][1] = fleet.gpu("NVIDIA L20", 1)
    plan = build_plan(request)
    assert plan["nodes"]["t4-1"]["replicas"] == 3
    assert plan["nodes"]["t4-1"]["slots_after"] == 6
    assert "matches cards of different memory (15360, 46068 MiB); the smallest decides" in plan["warnings"][0]


def test_one_replica_is_not_shared_with_a_warning() -> None:
    plan = build_plan(one_node(configs={"t4": {**T4, "process_memory_mib": 10000}}))
    node = plan["nodes"]["t4-1"]
    assert (node["sharing"], node["replicas"], node["slots_after"]) == ("none", 1, 1)
    assert "sharing" not in plan["configs"]["t4"]["config_file"]
    assert plan["configs"]["t4"]["replicas"] == {}
    assert "floor(0.9 x 15360 / 10000) = 1, so only one process of 10000 MiB fits" in plan["warnings"][0]


def test_stated_replicas_leave_headroom_unknown() -> None:
    plan = build_plan(
        one_node(configs={"t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "replicas": "4"}})
    )
    sizing = plan["nodes"]["t4-1"]["sizing"]
    assert (sizing["slot_mib"], sizing["headroom_mib"], sizing["utilization"]) == (3840, None, None)


def test_renamed_resource_is_expected_under_its_new_name() -> None:
    plan = build_plan(one_node(configs={"t4": {**T4, "rename": True}}))
    assert plan["nodes"]["t4-1"]["expected_resources"] == {"nvidia.com/gpu.shared": 3}


def after_rollout(request: PlanRequest) -> PlanRequest:
    return replace(request, cluster=fleet.roll_out(request.cluster, build_plan(request)))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda node: node["resources"]["nvidia.com/gpu"].update(allocatable=0), "advertises 0, planned 3"),
        (lambda node: node.update(key="old"), "config t4 instead of old"),
        (lambda node: node.update(key=None), "new config t4"),
        (lambda node: node.update(revision="withdrawn"), "another revision of config t4"),
        (
            lambda node: node["resources"].update({"nvidia.com/gpu.shared": {"allocatable": 2}}),
            "advertises nvidia.com/gpu 3, nvidia.com/gpu.shared 2, planned nvidia.com/gpu 3",
        ),
        (
            lambda node: node.update(maintenance={"run": "r1", "step": "serving", "was_unschedulable": False}, unschedulable=True),
            "resumed after run r1",
        ),
    ],
)  # fmt: skip
def test_node_that_differs_in_anything_is_changed(spoil: Any, reason: str) -> None:
    request = after_rollout(one_node())
    assert build_plan(request)["empty"]
    spoil(request.cluster["nodes"]["t4-1"])
    node = build_plan(request)["nodes"]["t4-1"]
    assert node["reasons"] == [reason]
    # Nothing is switched on a node that only awaits its return into service.
    assert node["disruption"] == ("none" if reason.startswith("resumed") else "switch")
    assert node["release"] is None
    assert node["was_unschedulable"] is False


def test_objects_that_somebody_removed_are_missed() -> None:
    request = in_cluster(after_rollout(one_node()), config_maps=[], daemon_sets=[])
    reasons = build_plan(request)["nodes"]["t4-1"]["reasons"]
    assert [reason.partition(" ")[0] for reason in reasons] == ["ConfigMap", "DaemonSet"]
    assert all(reason.endswith(" is missing") for reason in reasons)


def test_foreign_plugin_that_came_back_is_a_change() -> None:
    request = after_rollout(one_node())
    request.cluster["plugins"].append(fleet.foreign_plugin(["t4-1"]))
    node = build_plan(request)["nodes"]["t4-1"]
    assert node["reasons"] == ["served by a plugin that is not ours"]
    assert node["release"]["daemonset"] == f"kube-system/{fleet.FOREIGN}"
    assert node["disruption"] == "switch"


@pytest.mark.parametrize("users", [[f"DaemonSet kube-system/{fleet.FOREIGN}"], []], ids=["label", "affinity"])
def test_foreign_plugin_whose_pod_is_missing_now_is_released_all_the_same(users: list[str]) -> None:
    request = in_cluster(one_node(), plugins=[fleet.foreign_plugin([])], label_users={"nvidia-device-enable": users})
    node = build_plan(request)["nodes"]["t4-1"]
    assert node["reasons"] == ["new config t4", "advertises 1, planned 3", "selected by a plugin that is not ours"]
    assert node["release"]["method"] == ("label" if users else "affinity")
    assert build_plan(after_rollout(request))["empty"]


def test_foreign_plugin_that_selects_other_nodes_is_left_as_it_is() -> None:
    elsewhere = fleet.foreign_plugin([], node_selector={"nvidia-device-enable": "other"})
    plan = build_plan(in_cluster(one_node(), plugins=[elsewhere]))
    assert (plan["releases"], plan["nodes"]["t4-1"]["release"]) == ([], None)


def test_cordon_of_a_person_is_remembered() -> None:
    assert build_plan(one_node(unschedulable=True))["nodes"]["t4-1"]["was_unschedulable"] is True


def test_no_node_in_service_is_allowed_but_one_goes_on_with_a_warning() -> None:
    nodes = {f"n{number}": fleet.node(unschedulable=number == 0) for number in range(4)}
    request = PlanRequest(
        configs={"t4": T4},
        cluster=fleet.cluster(nodes),
        host_facts={name: fleet.host_facts([fleet.gpu()]) for name in nodes},
        hosts=dict.fromkeys(nodes, ""),
        wave="100%",
    )
    plan = build_plan(request)
    assert plan["waves"] == [["n0"], ["n1"], ["n2"], ["n3"]]
    assert "kubegpu_max_unavailable 25% allows 1 of 4 GPU nodes out of service, and 1 is (n0)" in plan["warnings"][-1]


# --- what it refuses to do to pods ----------------------------------------------------------------------------------------


def test_process_larger_than_the_slot_is_refused_unless_accepted() -> None:
    running = fleet.pod("big")
    request = one_node(1, [running])
    request.host_facts["t4-1"]["gpus"][0].update(
        memory_used_mib=6000, processes=[fleet.process(4312, 6000, running["uid"])]
    )
    problems = refusal(request)
    assert (
        "node t4-1: pod ml/big (process 4312) uses 6000 MiB of GPU 0, more than a slot of 5120 MiB (15360 / 3). Give each process "
        "less memory, plan fewer replicas, or name the node in kubegpu_accept_live_memory after a look at it."
    ) in problems
    accepted = build_plan(replace(request, accept_live_memory=("t4-1",)))
    assert not accepted["empty"]
    assert any("more than a slot" in warning and "Accepted" in warning for warning in accepted["warnings"])
    # and it stays in sight when nothing is to be changed any more
    again = build_plan(after_rollout(replace(request, accept_live_memory=("t4-1",))))
    assert again["empty"]
    assert any("more than a slot" in warning and "Accepted" in warning for warning in again["warnings"])


def test_shrinking_below_what_is_allocated_is_refused_unless_accepted() -> None:
    request = one_node(1, [fleet.pod(f"p{number}") for number in range(5)], slots=5)
    assert refusal(request) == [
        "node t4-1: pods hold 5 nvidia.com/gpu, but it would advertise 3; the next reboot would refuse the surplus. They are ml/p0, "
        "ml/p1, ml/p2, ml/p3, ml/p4. Remove or move some of them first, or set kubegpu_on_overcommit to evict (2 leave during the "
        "maintenance) or accept."
    ]
    accepted = build_plan(replace(request, on_overcommit="accept"))
    assert any("Accepted by kubegpu_on_overcommit: accept" in warning for warning in accepted["warnings"])


def test_taint_that_the_plugin_does_not_tolerate_is_refused() -> None:
    taint = {"key": "dedicated", "value": "ml", "effect": "NoExecute"}
    request = one_node(taints=[taint])
    assert refusal(request) == [
        "node t4-1: its taint dedicated=ml:NoExecute keeps the device plugin's pod away; add a toleration to "
        "kubegpu_device_plugin.tolerations"
    ]
    tolerated = replace(request, device_plugin={"tolerations": [{"key": "dedicated", "operator": "Exists"}]})
    assert not build_plan(tolerated)["empty"]
