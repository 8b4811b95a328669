# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that leave a node because it will have too few slots, and stale ones that are made anew. PRIVATE to the collection.

The rollout decides on the pods that it finds then. What is said here is what to expect, by the same rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Collection, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction import scope
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse, read_use
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_node import NodeMig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_plan import NodeContext
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, pod_name, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.overcommit import check_overcommit, short_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.runtime import NodeRuntime
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.stale import stale_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import EvictionWish
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time

_CURES = {
    scope.NEEDS_FORCE: "no controller would make them anew. Remove them, or set kubegpu_evict_force to lose them",
    scope.NEEDS_EMPTYDIR: "their emptyDir volumes would go with them. Remove them, or set kubegpu_evict_delete_emptydir_data",
}


@dataclass(frozen=True)
class Eviction:
    """What is decided about a node's pods.

    :param devices: ids of the devices whose pods go, because the devices go.
    :param fit: slots by resource that the pods which stay must fit into; None: that does not matter.
    :param pods: those that are expected to go: namespace, name, uid.
    :param problems: why it cannot be done so, as sentences without the node.
    :param for_room: those that go for the sake of room.
    :param whole: all of its pods go that can, since its host may be rebooted.
    :param for_runtime: those that go for a restart of its container runtime, with ``runtime``, the scope that it takes.
    """

    devices: Sequence[str] = ()
    fit: Mapping[str, int] | None = None
    pods: Sequence[Mapping[str, str]] = field(default_factory=tuple)
    problems: Sequence[str] = ()
    for_room: Sequence[Mapping[str, str]] = ()
    whole: bool = False
    for_runtime: Sequence[Mapping[str, str]] = ()
    runtime: str = scope.NONE

    @property
    def scope(self) -> str:
        """As node_maintenance calls it."""
        if self.whole or self.runtime == scope.ALL:
            return scope.ALL
        if self.runtime == scope.GPU_PODS:
            return scope.GPU_PODS
        return scope.NONE if self.fit is None and not self.devices else scope.AFFECTED

    def to_dict(self) -> dict[str, Any]:
        """As it stands in the plan."""
        fit = None if self.fit is None else dict(self.fit)
        return {
            "scope": self.scope,
            "devices": list(self.devices),
            "fit": fit,
            "pods": [dict(pod) for pod in self.pods],
        }


@dataclass(frozen=True)
class PodsDecision:
    """What becomes of a node's pods.

    :param stale: those that stay and keep device ids which the node does not have, or will not have.
    :param recreated: those of them that are made anew.
    :param remaining: the node without the pods whose devices go.
    """

    eviction: Eviction
    stale: Sequence[Mapping[str, Any]] = ()
    recreated: Sequence[Mapping[str, Any]] = ()
    remaining: NodeState | None = None

    def reasons(self) -> list[str]:
        """Why a node is not done with though it serves as planned."""
        number = len(self.recreated)
        return [f"{number} stale pod{'s' if number > 1 else ''} to recreate"] if number else []


def decide_pods(context: NodeContext, changes: bool, request: PlanRequest) -> PodsDecision:
    """Which pods of a node go, which are stale, and which of these are made anew.

    :param changes: its plugin changes, or it is to be put back into service.
    """
    rules = scope.Rules(request.evict_force, request.evict_delete_emptydir_data)
    use = read_use({"allocations": context.facts.allocations, "gpus": context.facts.gpus})
    lost = evict_for_mig(context.mig, context.state, use, rules, request.mig_allow_reboot)
    restart = evict_for_runtime(context.runtime, without_pods(context.state, lost.pods), use, rules)
    remaining = without_pods(context.state, [*lost.pods, *restart.pods])
    room = Eviction()
    if changes and request.on_overcommit == "evict" and not context.is_repair:
        room = plan_eviction(remaining, context.expected, use, rules)
    eviction = Eviction(
        lost.devices,
        room.fit,
        sorted([*lost.pods, *restart.pods, *room.pods], key=pod_name),
        [*lost.problems, *restart.problems, *room.problems],
        room.pods,
        lost.whole,
        restart.pods,
        restart.runtime,
    )
    leaving = {pod["uid"] for pod in eviction.pods}
    found = stale_pods(context, changes)
    stale = [pod for pod in found if pod["uid"] not in leaving]
    anew = recreated_pods(context.state, stale, rules) if request.stale_pods == "recreate" else []
    return PodsDecision(eviction, stale, anew, remaining)


def evict_for_mig(
    mig: NodeMig | None, state: NodeState, use: NodeUse, rules: scope.Rules, may_reboot: bool
) -> Eviction:
    """Pods that go because their devices do, and holders of such devices that no eviction moves.

    :param may_reboot: the host may be rebooted, so that all pods go where it may have to be.
    """
    if mig is None or not mig.lost_devices:
        return Eviction()
    whole = may_reboot and bool(mig.may_reboot)
    judge = scope.Scope(EvictionWish(scope.ALL if whole else scope.AFFECTED, mig.lost_devices), rules, use)
    verdicts = judge([_candidate(pod) for pod in (state.entry.get("pods") or () if whole else state.gpu_pods)])
    going = sorted((verdict for verdict in verdicts if verdict.action != scope.STAY), key=_full_name)
    because = "it may have to be rebooted for its MIG mode" if whole else "MIG devices change"
    problems = [f"{because}, {objection}" for objection in _objections(going)]
    problems += immovable_holders(mig, {_full_name(verdict) for verdict in going})
    return Eviction(mig.lost_devices, None, [verdict.pod.identity() for verdict in going], problems, whole=whole)


def evict_for_runtime(runtime: NodeRuntime | None, state: NodeState, use: NodeUse, rules: scope.Rules) -> Eviction:
    """Pods that go because the container runtime is restarted.

    :param state: the node without pods that leave in any case.
    """
    if runtime is None or runtime.disruption == scope.NONE:
        return Eviction()
    judge = scope.Scope(EvictionWish(runtime.disruption), rules, use)
    pods = state.gpu_pods if runtime.disruption == scope.GPU_PODS else state.entry.get("pods") or ()
    verdicts = judge([_candidate(pod) for pod in pods])
    going = sorted((verdict for verdict in verdicts if verdict.action != scope.STAY), key=_full_name)
    named = [verdict.pod.identity() for verdict in going]
    problems = [f"{runtime.title} is restarted, {objection}" for objection in _objections(going)]
    return Eviction(pods=named, problems=problems, for_runtime=named, runtime=runtime.disruption)


def immovable_holders(mig: NodeMig, going: Collection[str]) -> list[str]:
    """Who holds what goes, and is no pod that will be evicted.

    :param going: namespace/name of the pods that are.
    """
    held: dict[str, list[str]] = {}
    for plan in mig.changing:
        for loss in plan.losses:
            for holder in loss.holders:
                if holder.pod is None or holder.pod not in going:
                    held.setdefault(str(holder), []).append(f"{loss.device} of GPU {plan.gpu.index}")
    return [
        f"{who} holds {some(sorted(set(devices)))}, which has to go, and nobody evicts it. End it or move it away, or choose devices "
        "that leave it alone"
        for who, devices in held.items()
    ]


def without_pods(state: NodeState, pods: Sequence[Mapping[str, Any]]) -> NodeState:
    """The node once these pods have left."""
    gone = {pod["uid"] for pod in pods}
    if not gone:
        return state
    resources = {name: dict(entry) for name, entry in (state.entry.get("resources") or {}).items()}
    for pod in state.gpu_pods:
        for name, count in (pod.get("requests") or {}).items() if pod["uid"] in gone else ():
            if name in resources:
                resources[name]["requested"] = int(resources[name].get("requested") or 0) - int(count)
    staying = [pod for pod in state.entry.get("pods") or () if pod["uid"] not in gone]
    return NodeState(state.name, {**state.entry, "pods": staying, "resources": resources})


def plan_eviction(state: NodeState, expected: Mapping[str, int], use: NodeUse, rules: scope.Rules) -> Eviction:
    """Which pods go so that the others fit the slots that the node will have.

    :param expected: what it will advertise.
    :param use: devices that its pods hold, as far as known.
    """
    if not short_of(state, expected):
        return Eviction()
    fit = {resource: expected.get(resource, 0) for resource in sorted({*state.resources, *expected})}
    judge = scope.Scope(EvictionWish(scope.AFFECTED, fit=fit), rules, use, expected=expected)
    verdicts = judge([_candidate(pod) for pod in state.gpu_pods])
    going = sorted((verdict for verdict in verdicts if verdict.action != scope.STAY), key=_full_name)
    because = "kubegpu_on_overcommit is evict, "
    staying = [
        verdict.pod for verdict in verdicts if verdict.action == scope.STAY and not verdict.pod.state.terminating
    ]
    return Eviction(
        fit=fit,
        pods=[verdict.pod.identity() for verdict in going],
        problems=[*(f"{because}{objection}" for objection in _objections(going)), *_immovable(staying, fit)],
    )


def expected_pods(
    state: NodeState, evict: Mapping[str, Any], use: NodeUse | None = None, expected: Mapping[str, int] | None = None
) -> list[dict[str, str]]:
    """Which pods a plan that names none is to be expected to evict.

    :param evict: as it stands at a node of a plan.
    :param use: devices that they hold, as far as known.
    :param expected: what the node will advertise.
    """
    wish = EvictionWish(str(evict.get("scope") or scope.NONE), tuple(evict.get("devices") or ()), evict.get("fit"))
    rules = scope.Rules(force=True, delete_emptydir_data=True)
    judge = scope.Scope(wish, rules, use or NodeUse(), expected=expected or {})
    pods = [_candidate(pod) for pod in state.entry.get("pods") or ()]
    return [verdict.pod.identity() for verdict in judge(pods) if _goes(verdict)]


def refuse_overcommit(state: NodeState, expected: Mapping[str, int]) -> list[str]:
    """Why a plan is refused because of what a node would be short of, with the ways out; sentences without the node."""
    fit = {resource: expected.get(resource, 0) for resource in {*state.resources, *expected}}
    number = len(expected_pods(state, {"scope": scope.AFFECTED, "fit": fit}))
    leave = f"evict ({number} leave{'' if number > 1 else 's'} during the maintenance) or " if number else ""
    cure = f"Remove or move some of them first, or set kubegpu_on_overcommit to {leave}accept"
    return [f"{finding}. {cure}." for finding in check_overcommit(state, expected)]


def recreated_pods(state: NodeState, stale: Sequence[Mapping[str, Any]], rules: scope.Rules) -> list[Mapping[str, Any]]:
    """Stale pods that a rollout can have made anew: only on a node that goes into service, and only by a controller."""
    if state.was_unschedulable or not stale:
        return []
    # Without a controller it would be lost, not made anew, whatever else was allowed.
    rules = replace(rules, force=False)
    judge = scope.Chosen(frozenset(pod["uid"] for pod in stale), rules)
    going = {verdict.pod.uid for verdict in judge([_candidate(pod) for pod in state.gpu_pods]) if _goes(verdict)}
    return [pod for pod in stale if pod["uid"] in going]


def _goes(verdict: scope.Verdict) -> bool:
    return verdict.action == scope.EVICT


def _full_name(verdict: scope.Verdict) -> str:
    return verdict.pod.state.full_name


def _objections(going: Sequence[scope.Verdict]) -> list[str]:
    """Pods that would have to go and may not be evicted just so."""
    problems = []
    for reason, cure in _CURES.items():
        pods = [_full_name(verdict) for verdict in going if verdict.reason == reason]
        if pods:
            problems.append(f"but of the pods that would have to go ({some(pods)}) {cure}")
    return problems


def _immovable(staying: Sequence[Candidate], fit: Mapping[str, int]) -> list[str]:
    """Pods that no eviction moves, where they alone need more than there will be."""
    problems = []
    for resource, slots in fit.items():
        holders = [pod for pod in staying if pod.requests.get(resource)]
        held = sum(pod.requests[resource] for pod in holders)
        if held > slots:
            pods = some(sorted(pod.state.full_name for pod in holders))
            problems.append(
                f"pods of DaemonSets or of the kubelet itself ({pods}) hold {held} {resource}, it would advertise {slots}, and "
                "none of them can be evicted. Take them off the node"
            )
    return problems


def _candidate(pod: Mapping[str, Any]) -> Candidate:
    """A pod of the cluster file, as whoever empties a node sees it."""
    owner = pod.get("owner")
    return Candidate(
        state=PodState(
            namespace=str(pod.get("namespace")),
            name=str(pod.get("name")),
            uid=str(pod.get("uid")),
            phase=str(pod.get("phase")),
            terminating=bool(pod.get("terminating")),
            owner=(owner["kind"], owner["name"]) if owner else None,
        ),
        requests=pod.get("requests") or {},
        priority=int(pod.get("priority") or 0),
        created=parse_time(pod.get("created")),
        mirror=bool(pod.get("mirror")),
        emptydir=bool(pod.get("emptydir")),
    )


def describe_evicted(pods: Sequence[Mapping[str, Any]]) -> str:
    """A warning, without the node."""
    listed = some([pod_name(pod) for pod in pods], 10)
    return f"its pods hold more than it will advertise. By kubegpu_on_overcommit: evict {listed} will be evicted"
