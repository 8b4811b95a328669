# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of the planner, on generated fleets."""

from __future__ import annotations

import copy
import random
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.rehearsal import rehearse

MODELS = sorted(fleet.CARDS)


@st.composite
def requests(draw: Any) -> PlanRequest:
    """A fleet of up to 14 nodes with up to 4 GPUs each, some with a plugin of somebody else, some cordoned or held."""
    configs: dict[str, Any] = {}
    for model in draw(st.lists(st.sampled_from(MODELS), min_size=1, unique=True)):
        sharing = draw(st.sampled_from(["measured", "stated", "none"]))
        config: dict[str, Any] = {"match": {"product": model}, "sharing": "time_slicing"}
        if sharing == "measured":
            config["process_memory_mib"] = draw(st.integers(500, fleet.CARDS[model] * 9 // 10))
        elif sharing == "stated":
            config["replicas"] = draw(st.integers(2, 12))
        else:
            config["sharing"] = "none"
        configs[model.split()[-1].lower()] = config
    nodes, facts, hosts, foreign = {}, {}, {}, []
    for number in range(draw(st.integers(1, 14))):
        name = f"n{number:02d}"
        model, count = draw(st.sampled_from(MODELS)), draw(st.integers(1, 4))
        # The first one can be planned: a plan for none is refused.
        if not number:
            model = next(iter(configs.values()))["match"]["product"]
        pods = [fleet.pod(f"p-{name}-{i}") for i in range(draw(st.integers(0, count)))]
        nodes[name] = fleet.node(
            count,
            pods,
            unschedulable=draw(st.booleans()),
            ready=draw(st.sampled_from([True, True, True, False])) or not number,
            hold=draw(st.sampled_from([None, None, None, "mine"])) if number else None,
        )
        if draw(st.booleans()):
            hosts[f"host-{name}"] = name
            facts[f"host-{name}"] = fleet.host_facts(fleet.gpu(model, index, name) for index in range(count))
        else:
            nodes[name]["labels"].update(fleet.labelled(model.replace(" ", "-"), fleet.CARDS[model], count))
        if draw(st.booleans()):
            foreign.append(name)
    selector = draw(st.sampled_from([["DaemonSet kube-system/" + fleet.FOREIGN], ["Deployment ml/web"]]))
    return PlanRequest(
        configs=configs,
        cluster=fleet.cluster(
            nodes,
            plugins=[fleet.foreign_plugin(foreign)] if foreign else [],
            label_users={"nvidia-device-enable": selector},
        ),
        host_facts=facts,
        hosts=hosts,
        wave=draw(st.sampled_from(["25%", "50%", 1, 3, "100%"])),
        max_unavailable=draw(st.sampled_from(["25%", 1, 2, "100%"])),
    )


@st.composite
def crowded(draw: Any) -> PlanRequest:
    """The same, with GPUs that are shared already, pods of all sorts on them, and leave to move these."""
    request: PlanRequest = draw(requests())
    for name, entry in request.cluster["nodes"].items():
        slots = entry["resources"]["nvidia.com/gpu"]["capacity"] * draw(st.integers(1, 4))
        pods = [
            fleet.pod(
                f"p-{name}-{number}",
                owner=draw(st.sampled_from([{"kind": "ReplicaSet", "name": "rs", "uid": "rs"}, None])),
                bound=draw(st.sampled_from([None, "2026-01-01T00:00:00Z"])),
                priority=draw(st.integers(0, 2)),
            )
            for number in range(draw(st.integers(0, slots)))
        ]
        entry.update(
            fleet.node(slots, pods, **{word: entry[word] for word in ("labels", "unschedulable", "ready", "hold")})
        )
    return replace(
        request,
        on_overcommit="evict",
        evict_force=True,
        stale_pods=draw(st.sampled_from(["report", "recreate"])),
    )


@settings(max_examples=120, deadline=None)
@given(crowded())
def test_build_plan_with_evictions_on_its_result_is_empty(request: PlanRequest) -> None:
    plan = build_plan(request)
    again = build_plan(replace(request, cluster=fleet.roll_out(request.cluster, plan)))
    assert again["empty"], [node["reasons"] for node in again["nodes"].values()]
    assert again["totals"]["evicted_pods"] == 0


@settings(max_examples=120, deadline=None)
@given(crowded())
def test_evicted_pods_are_those_that_do_not_fit_and_no_more(request: PlanRequest) -> None:
    plan = build_plan(request)
    for name, node in plan["nodes"].items():
        held, slots = len(request.cluster["nodes"][name]["pods"]), node["slots_after"]
        assert len(node["evict"]["pods"]) == max(0, held - slots)
        assert node["evict"]["scope"] == ("affected" if held > slots else "none")
        leaving = {pod["uid"] for pod in node["evict"]["pods"]}
        assert not leaving & {pod["uid"] for pod in node["stale_pods"]}
        assert (node["disruption"] == "affected") == bool(leaving or node["recreate"])


@settings(max_examples=120, deadline=None)
@given(crowded())
def test_rehearsal_changes_nothing_counts_every_pod_and_fills_no_slot_twice(request: PlanRequest) -> None:
    plan = build_plan(request)
    before = copy.deepcopy(plan)
    rehearsal = rehearse(plan, request.cluster)
    assert (plan, rehearse(plan, request.cluster)) == (before, rehearsal)
    assert [wave["nodes"] for wave in rehearsal["waves"]] == plan["waves"]
    told = [e["name"] for wave in rehearsal["waves"] for e in wave["evictions"] if e["step"] == "in_maintenance"]
    assert sorted(told) == sorted(pod["name"] for node in plan["nodes"].values() for pod in node["evict"]["pods"])
    after = {name: entry["resources"]["nvidia.com/gpu"]["capacity"] for name, entry in request.cluster["nodes"].items()}
    for number, wave in enumerate(rehearsal["waves"]):
        assert wave["gpu_slots_in_cluster"] == sum(after.values())
        after.update({name: plan["nodes"][name]["slots_after"] for name in plan["waves"][number]})
        out = set(wave["nodes"])
        in_maintenance = [e for e in wave["evictions"] if e["step"] == "in_maintenance"]
        assert not out & {e["target"] for e in in_maintenance}, "none goes to a node that is out"
        assert wave["slots_missing"] <= wave["slots_missing_at_worst"]
        assert wave["slots_missing_at_worst"] >= sum(e["verdict"] == "no_place" for e in in_maintenance)


@settings(max_examples=120, deadline=None)
@given(requests(), st.randoms(use_true_random=False))
def test_build_plan_any_order_of_input_gives_the_same_plan(request: PlanRequest, chance: random.Random) -> None:
    shuffled = replace(
        request,
        configs=_shuffle(request.configs, chance),
        cluster={**_shuffle(request.cluster, chance), "nodes": _shuffle(request.cluster["nodes"], chance)},
        hosts=_shuffle(request.hosts, chance),
        host_facts=_shuffle(request.host_facts, chance),
    )
    assert build_plan(shuffled) == build_plan(request)


@settings(max_examples=120, deadline=None)
@given(requests())
def test_build_plan_on_the_result_of_a_plan_is_empty(request: PlanRequest) -> None:
    plan = build_plan(request)
    again = build_plan(replace(request, cluster=fleet.roll_out(request.cluster, plan)))
    assert again["empty"], [node["reasons"] for node in again["nodes"].values()]
    assert again["waves"] == []
    assert again["releases"] == []
    assert again["totals"]["slots_before"] == again["totals"]["slots_after"] == plan["totals"]["slots_after"]


@settings(max_examples=60, deadline=None)
@given(crowded(), st.integers(2, 9), st.booleans())
def test_build_plan_on_the_result_of_a_second_plan_over_the_first_is_empty(
    request: PlanRequest, replicas: int, rename: bool
) -> None:
    first = fleet.roll_out(request.cluster, build_plan(request))
    shared = {"sharing": "time_slicing", "replicas": replicas, "rename": rename}
    configs = {key: {"match": config["match"], **shared} for key, config in request.configs.items()}
    changed = replace(request, configs=configs, cluster=first)
    plan = build_plan(changed)
    second = fleet.roll_out(first, plan)
    again = build_plan(replace(changed, cluster=second))
    assert again["empty"], [node["reasons"] for node in again["nodes"].values()]
    for name, node in plan["nodes"].items():
        held = sum(sum(pod["requests"].values()) for pod in second["nodes"][name]["pods"])
        assert held <= node["slots_after"], "what stays fits"


@settings(max_examples=100, deadline=None)
@given(requests(), st.randoms(use_true_random=False))
def test_plan_id_ignores_pods_usage_and_times(request: PlanRequest, chance: random.Random) -> None:
    other = copy.deepcopy(request)
    for name, entry in other.cluster["nodes"].items():
        entry["resource_version"] = "999"
        entry["annotations"]["kubegpu.sharing/note"] = "x"
        entry["pods"] = [{**pod, "restarts": 9, "created": "2030-01-01T00:00:00Z"} for pod in entry["pods"]]
        if chance.random() < 0.5:
            entry["pods"].append(fleet.pod(f"cpu-{name}", {}))
    other.cluster["pending"].append(fleet.pod("waiting", 2, since="2030-01-01T00:00:00Z"))
    for facts in other.host_facts.values():
        for gpu in facts["gpus"]:
            gpu["memory_used_mib"] = chance.randint(0, 300)
    assert build_plan(other)["plan_id"] == build_plan(request)["plan_id"]


@settings(max_examples=200, deadline=None)
@given(requests())
def test_waves_hold_every_changed_node_once_canaries_first_within_the_limits(request: PlanRequest) -> None:
    plan = build_plan(request)
    changed = sorted(name for name, node in plan["nodes"].items() if node["changed"])
    flat = [name for wave in plan["waves"] for name in wave]
    assert sorted(flat) == changed
    assert plan["wave_sizes"] == [len(wave) for wave in plan["waves"]]
    assert all(plan["waves"])
    keys = {plan["nodes"][name]["key"] for name in changed}
    assert {plan["nodes"][name]["key"] for name in flat[: len(keys)]} == keys
    # Independently of the planner: how many may be out of service, and how many are.
    nodes = request.cluster["nodes"]
    out = {name for name, entry in nodes.items() if entry["unschedulable"] or not entry["ready"]}
    most = _of(request.max_unavailable, len(nodes))
    for number, wave in enumerate(plan["waves"]):
        assert len(set(wave) - out) <= max(1, most - len(out))
        if number and len(set(flat[: len(keys)]) & set(wave)) == 0:
            assert len(wave) <= _of(request.wave, len(changed))


@settings(max_examples=100, deadline=None)
@given(requests())
def test_nodes_that_are_held_or_not_ready_are_listed_and_left_alone(request: PlanRequest) -> None:
    plan = build_plan(request)
    skipped = {entry["node"] for entry in plan["skipped"]}
    for name, entry in request.cluster["nodes"].items():
        assert (name in plan["nodes"]) != (name in skipped)
        if entry["hold"] or not entry["ready"]:
            assert name in skipped


def _of(share: Any, total: int) -> int:
    if isinstance(share, str):
        return max(1, int(share.rstrip("%")) * total // 100)
    return share


def _shuffle(mapping: Any, chance: random.Random) -> dict[Any, Any]:
    keys = list(mapping)
    chance.shuffle(keys)
    return {key: mapping[key] for key in keys}
