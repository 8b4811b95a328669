"""Why a pod does not fit a node. Pure; in the order of the real scheduler's plugins, the first that refuses speaks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from simulator.controllers.meta import is_terminating
from simulator.controllers.quantities import Amounts
from simulator.controllers.scheduler.view import NodeInfo
from simulator.controllers.selectors import matches_labels, selects_node, tolerates, untolerated

Object = dict[str, Any]
UNSCHEDULABLE_TAINT = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}


@dataclass(frozen=True)
class Refusal:
    """The reasons of one node; ``resolvable``: removing pods from it might help."""

    reasons: tuple[str, ...]
    resolvable: bool = False


NOT_SELECTED = Refusal(("node(s) didn't match Pod's node affinity/selector",))
NOT_NAMED = Refusal(("node(s) didn't satisfy plugin(s) [NodeAffinity]",))
CORDONED = Refusal(("node(s) were unschedulable",))
TAINTED = Refusal(("node(s) had untolerated taint(s)",))
UNSPREAD = Refusal(("node(s) didn't match pod topology spread constraints",), resolvable=True)
NO_TOPOLOGY = Refusal(("node(s) didn't match pod topology spread constraints (missing required label)",))
REPELLED = Refusal(("node(s) didn't match pod anti-affinity rules",), resolvable=True)
NOT_ATTRACTED = Refusal(("node(s) didn't match pod affinity rules",))


@dataclass(frozen=True)
class Wish:
    """A pod to place, with what is computed once for all nodes."""

    pod: Object
    requests: Amounts
    nodes: dict[str, NodeInfo]


def refusal(wish: Wish, info: NodeInfo) -> Refusal | None:
    """None if the pod fits."""
    return _refused_by_node(wish.pod["spec"], info) or _refused_by_resources(wish, info) or _refused_by_pods(wish, info)


def _refused_by_node(spec: Object, info: NodeInfo) -> Refusal | None:
    tolerations = spec.get("tolerations")
    if info.node["spec"].get("unschedulable") and not tolerates(tolerations, UNSCHEDULABLE_TAINT):
        return CORDONED
    if untolerated(tolerations, info.node["spec"].get("taints"), ("NoSchedule", "NoExecute")) is not None:
        return TAINTED
    return None if selects_node(spec, info.node) else NOT_SELECTED


def _refused_by_resources(wish: Wish, info: NodeInfo) -> Refusal | None:
    reasons: list[str] = []
    resolvable = True
    allowed = info.allocatable.get("pods", 0)
    if len(info.pods) + 1 > allowed:
        reasons.append("Too many pods")
        resolvable = allowed > 0
    for resource, wanted in sorted(wish.requests.items()):
        if not wanted:
            continue
        total = info.allocatable.get(resource, 0)
        if wanted > total - info.requested.get(resource, 0):
            reasons.append(f"Insufficient {resource}")
            resolvable = resolvable and wanted <= total
    return Refusal(tuple(reasons), resolvable) if reasons else None


def _refused_by_pods(wish: Wish, info: NodeInfo) -> Refusal | None:
    spec = wish.pod["spec"]
    for constraint in spec.get("topologySpreadConstraints") or ():
        if constraint.get("whenUnsatisfiable") == "DoNotSchedule":
            found = _spread_refusal(wish, info, constraint)
            if found:
                return found
    affinity = spec.get("affinity") or {}
    for term in _required(affinity.get("podAntiAffinity")):
        if domain_has(wish, info, term):
            return REPELLED
    for term in _required(affinity.get("podAffinity")):
        if not domain_has(wish, info, term):
            return NOT_ATTRACTED
    return None


def _spread_refusal(wish: Wish, info: NodeInfo, constraint: Object) -> Refusal | None:
    key = constraint["topologyKey"]
    here = (info.node["metadata"].get("labels") or {}).get(key)
    if here is None:
        return NO_TOPOLOGY
    counted = spread_counts(wish, constraint)
    own = int(matches_labels(constraint.get("labelSelector"), wish.pod["metadata"].get("labels")))
    skew = counted.get(here, 0) + own - min(counted.values(), default=0)
    return UNSPREAD if skew > constraint.get("maxSkew", 1) else None


def spread_counts(wish: Wish, constraint: Object) -> dict[str, int]:
    """Matching pods by value of the topology key, over the nodes that the pod's selector and affinity allow."""
    key = constraint["topologyKey"]
    selector = _with_label_keys(constraint, wish.pod)
    counted: dict[str, int] = {}
    for info in wish.nodes.values():
        value = (info.node["metadata"].get("labels") or {}).get(key)
        if value is None or not selects_node(wish.pod["spec"], info.node):
            continue
        matching = sum(_same_app(pod, selector, wish.pod) for pod in info.pods.values())
        counted[value] = counted.get(value, 0) + matching
    return counted


def domain_has(wish: Wish, info: NodeInfo, term: Object) -> bool:
    """Whether a pod that the (anti-)affinity term selects runs in the node's topology domain."""
    key = term["topologyKey"]
    here = (info.node["metadata"].get("labels") or {}).get(key)
    if here is None:
        return False
    namespaces = term.get("namespaces") or [wish.pod["metadata"].get("namespace")]
    domain = [info] if key == "kubernetes.io/hostname" else wish.nodes.values()
    return any(
        matches_labels(term.get("labelSelector"), pod["metadata"].get("labels"))
        and pod["metadata"].get("namespace") in namespaces
        for other in domain
        if (other.node["metadata"].get("labels") or {}).get(key) == here
        for pod in other.pods.values()
    )


def _with_label_keys(constraint: Object, pod: Object) -> Object | None:
    selector = constraint.get("labelSelector")
    keys = constraint.get("matchLabelKeys") or ()
    labels = pod["metadata"].get("labels") or {}
    extra = {key: labels[key] for key in keys if key in labels}
    if not extra or selector is None:
        return selector
    return {**selector, "matchLabels": {**(selector.get("matchLabels") or {}), **extra}}


def _same_app(pod: Object, selector: Object | None, incoming: Object) -> bool:
    if is_terminating(pod) or pod["metadata"].get("namespace") != incoming["metadata"].get("namespace"):
        return False
    return matches_labels(selector, pod["metadata"].get("labels"))


def _required(rules: Object | None) -> list[Object]:
    return (rules or {}).get("requiredDuringSchedulingIgnoredDuringExecution") or []
