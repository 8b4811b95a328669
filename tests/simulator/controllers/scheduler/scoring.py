"""Which of the nodes that fit is best. Pure and deterministic: equal nodes are taken by name."""

from __future__ import annotations

from typing import Any

from simulator.controllers.meta import controller_of, is_terminating
from simulator.controllers.scheduler.filters import Wish, domain_has, spread_counts
from simulator.controllers.scheduler.view import NodeInfo
from simulator.controllers.selectors import matches_node_terms

Object = dict[str, Any]


def best(wish: Wish, fitting: list[NodeInfo]) -> NodeInfo:
    soft = [
        (item["topologyKey"], spread_counts(wish, item))
        for item in wish.pod["spec"].get("topologySpreadConstraints") or ()
        if item.get("whenUnsatisfiable") == "ScheduleAnyway"
    ]

    def rank(info: NodeInfo) -> tuple[Any, ...]:
        labels = info.node["metadata"].get("labels") or {}
        crowd = sum(counted.get(labels.get(key, ""), 0) for key, counted in soft)
        return crowd, -_preference(wish, info), _siblings(wish.pod, info), _load(wish, info), info.name

    return min(fitting, key=rank)


def _preference(wish: Wish, info: NodeInfo) -> int:
    affinity = wish.pod["spec"].get("affinity") or {}
    score = 0
    for item in _preferred(affinity.get("nodeAffinity")):
        if matches_node_terms([item["preference"]], info.node):
            score += item["weight"]
    for item in _preferred(affinity.get("podAffinity")):
        score += item["weight"] * domain_has(wish, info, item["podAffinityTerm"])
    for item in _preferred(affinity.get("podAntiAffinity")):
        score -= item["weight"] * domain_has(wish, info, item["podAffinityTerm"])
    return score


def _siblings(pod: Object, info: NodeInfo) -> int:
    """Pods of the same controller on the node: by default they are spread over hosts."""
    owner = controller_of(pod)
    if owner is None:
        return 0
    others = (controller_of(other) for other in info.pods.values() if not is_terminating(other))
    return sum(other is not None and other["uid"] == owner["uid"] for other in others)


def _load(wish: Wish, info: NodeInfo) -> float:
    """The requested share of CPU and memory with the pod on the node."""
    shares = []
    for resource in ("cpu", "memory"):
        total = info.allocatable.get(resource, 0)
        if total:
            shares.append((info.requested.get(resource, 0) + wish.requests.get(resource, 0)) / total)
    return sum(shares) / len(shares) if shares else 1.0


def _preferred(rules: Object | None) -> list[Object]:
    return (rules or {}).get("preferredDuringSchedulingIgnoredDuringExecution") or []
