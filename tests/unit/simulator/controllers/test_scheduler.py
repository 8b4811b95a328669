from __future__ import annotations

from typing import Any

import pytest

from simulator.controllers.quantities import pod_requests
from simulator.controllers.scheduler.filters import (
    CORDONED,
    NOT_NAMED,
    NOT_SELECTED,
    REPELLED,
    TAINTED,
    UNSPREAD,
    Refusal,
    Wish,
    refusal,
)
from simulator.controllers.scheduler.messages import unschedulable_message
from simulator.controllers.scheduler.scoring import best
from simulator.controllers.scheduler.view import NodeInfo

NO_VICTIMS, NOT_HELPFUL = "No preemption victims found for incoming pod", "Preemption is not helpful for scheduling"


def node(name: str, gpus: int = 0, **spec: Any) -> NodeInfo:
    labels = {"kubernetes.io/hostname": name, **spec.pop("labels", {})}
    allocatable = {"cpu": "8", "memory": "16Gi", "pods": "3", "nvidia.com/gpu": str(gpus)}
    return NodeInfo(
        {
            "metadata": {"name": name, "uid": name, "labels": labels},
            "spec": spec,
            "status": {"allocatable": allocatable},
        }
    )


def pod(name: str = "new", *, gpus: int = 0, cpu: str = "0", **spec: Any) -> dict[str, Any]:
    requests = {"nvidia.com/gpu": str(gpus), "cpu": cpu}
    container = {"name": "main", "resources": {"requests": requests}}
    metadata = {"name": name, "namespace": "default", "uid": name, "labels": {"app": "app"}}
    return {"metadata": metadata, "spec": {"containers": [container], **spec}, "status": {}}


def wish(incoming: dict[str, Any], *nodes: NodeInfo) -> Wish:
    return Wish(incoming, pod_requests(incoming), {info.name: info for info in nodes})


def test_insufficient_devices_could_be_freed_only_where_the_node_has_enough_in_all() -> None:
    full, none = node("full", gpus=1), node("none")
    full.add(pod("old", gpus=1))
    incoming = wish(pod(gpus=1), full, none)
    assert refusal(incoming, full) == Refusal(("Insufficient nvidia.com/gpu",), resolvable=True)
    assert refusal(incoming, none) == Refusal(("Insufficient nvidia.com/gpu",), resolvable=False)


def test_every_insufficient_resource_is_named() -> None:
    info = node("small")
    found = refusal(wish(pod(gpus=1, cpu="9"), info), info)
    assert found == Refusal(("Insufficient cpu", "Insufficient nvidia.com/gpu"))


def test_too_many_pods() -> None:
    info = node("crowded")
    for number in range(3):
        info.add(pod(f"p{number}"))
    assert refusal(wish(pod(), info), info) == Refusal(("Too many pods",), resolvable=True)


@pytest.mark.parametrize(
    ("node_spec", "pod_spec", "expected"),
    [
        ({"unschedulable": True}, {}, CORDONED),
        (
            {"unschedulable": True},
            {"tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}]},
            None,
        ),
        ({"taints": [{"key": "k", "effect": "NoSchedule"}]}, {}, TAINTED),
        ({"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}, {}, None),
        ({}, {"nodeSelector": {"a": "b"}}, NOT_SELECTED),
        ({"labels": {"a": "b"}}, {"nodeSelector": {"a": "b"}}, None),
    ],
)
def test_node_refuses_by_cordon_taint_and_selector(node_spec: Any, pod_spec: Any, expected: Refusal | None) -> None:
    info = node("n", **node_spec)
    assert refusal(wish(pod(**pod_spec), info), info) == expected


def test_required_anti_affinity_and_hard_spread_refuse_the_occupied_node() -> None:
    taken, free = node("taken"), node("free")
    taken.add(pod("old"))
    selector = {"labelSelector": {"matchLabels": {"app": "app"}}, "topologyKey": "kubernetes.io/hostname"}
    repelled = pod(affinity={"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [selector]}})
    assert refusal(wish(repelled, taken, free), taken) == REPELLED
    assert refusal(wish(repelled, taken, free), free) is None
    spread = pod(topologySpreadConstraints=[{**selector, "maxSkew": 1, "whenUnsatisfiable": "DoNotSchedule"}])
    assert refusal(wish(spread, taken, free), taken) == UNSPREAD
    assert refusal(wish(spread, taken, free), free) is None


def test_soft_spread_prefers_the_empty_host() -> None:
    taken, free = node("a-taken"), node("b-free")
    taken.add(pod("old"))
    constraint = {
        "labelSelector": {"matchLabels": {"app": "app"}},
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
    }
    incoming = wish(pod(topologySpreadConstraints=[constraint]), taken, free)
    assert best(incoming, [taken, free]).name == "b-free"


def test_less_loaded_node_wins_and_equal_ones_go_by_name() -> None:
    first, second = node("a"), node("b")
    assert best(wish(pod(cpu="1"), first, second), [second, first]).name == "a"
    first.add(pod("old", cpu="4"))
    assert best(wish(pod(cpu="1"), first, second), [first, second]).name == "b"


def test_message_counts_nodes_by_reason_and_says_what_preemption_could_do() -> None:
    gpu = Refusal(("Insufficient nvidia.com/gpu",), resolvable=True)
    message = unschedulable_message([gpu, NOT_SELECTED, NOT_SELECTED])
    assert message == (
        "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) didn't match Pod's node affinity/selector. "
        f"no new claims to deallocate, preemption: 0/3 nodes are available: 1 {NO_VICTIMS}, 2 {NOT_HELPFUL}."
    )


def test_message_without_nodes_and_for_pods_that_never_preempt() -> None:
    assert unschedulable_message([]) == "no nodes available to schedule pods"
    assert unschedulable_message([NOT_NAMED], may_preempt=False).endswith(
        "preemption: not eligible due to preemptionPolicy=Never."
    )
