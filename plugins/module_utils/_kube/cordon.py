# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking nodes out of service, and pods off them. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import Scope
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import events
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.emptying import (
    describe_objections,
    empty,
    foresee,
    objections,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import ask_ahead
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.lock import Lock, LockRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import NodePods, read_finished
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import NodeWrite
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import pods_on
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.scopes import read_scopes
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.settling import describe_stranger, settle
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session, Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import PATCH, REFUSED, Decision, refuse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import RunContext, decide_in_maintenance


def take_out_of_service(session: Session, plan: RolloutPlan) -> Outcome:
    """Cordon the nodes of a wave, evict what must go, and wait until no pod that was bound before is still on its way.

    A node on which a plugin runs that the plan does not know is not touched at all, nor is one with pods that must go and
    may not be evicted.
    """
    wave = Wave(session, plan, "in_maintenance")
    scopes = read_scopes(session.params, list(wave.targets.values()))
    observed = wave.observe()
    with wave.carried_through():
        _take_out(wave, observed, scopes)
    return wave.outcome()


def _take_out(wave: Wave, observed: Mapping[str, NodeState], scopes: Mapping[str, Scope]) -> None:
    session = wave.session
    later = session.params["evictions"] == "later"
    context = _with_holder(wave, observed.values())
    first = {name: decide_in_maintenance(node, wave.targets[name], context) for name, node in observed.items()}
    emptied = [name for name, decision in first.items() if _may_be_emptied(decision) and name in scopes]
    begun = [name for name, decision in first.items() if decision.verdict == PATCH]
    if begun and not session.check_mode:
        ask_ahead(session.fence)
    with NodePods(session.api, emptied, session.params["parallel"]) as pods:
        obstacles = _obstacles(wave, scopes, pods, begun)
        _cordon(wave, observed, context, obstacles)
        if not later:
            (foresee if session.check_mode else empty)(wave, scopes, pods)
    waiting = [name for name in wave.unsettled() if later or name not in scopes]
    if session.check_mode:
        for name in waiting:
            wave.results[name].facts["would_wait_for"] = "no pod on its way to the node any more"
    else:
        settle(wave, waiting)
    if not later:
        _tell_finished(wave)


def _tell_finished(wave: Wave) -> None:
    """For the hosts: devices of pods that have finished are nobody's, whatever the kubelet remembers."""
    names = [name for name in wave.well() if wave.targets[name].mig]
    found = wave.in_parallel(lambda name: read_finished(wave.session.api, name), names)
    for name, uids in found.items():
        wave.results[name].facts["finished_pods"] = uids


def _may_be_emptied(decision: Decision) -> bool:
    return decision.verdict != REFUSED and not decision.settled


def _cordon(wave: Wave, observed: Mapping[str, NodeState], context: RunContext, obstacles: Mapping[str, str]) -> None:
    def decide(node: NodeState, target: NodeTarget) -> Decision:
        decision = decide_in_maintenance(node, target, context)
        obstacle = obstacles.get(node.name)
        return refuse(f"{obstacle} The node was not touched.") if decision.verdict == PATCH and obstacle else decision

    def tell(name: str, written: NodeWrite) -> None:
        if not written.before.unschedulable:
            wave.journal.note(name, states.SCHEDULABLE)
        wave.journal.note(name, states.CORDONED, written.decision.reason)
        _tell_begun(wave, written)

    wave.write(observed, decide, tell)
    for name, written in wave.writes.items():
        note = written.after.maintenance
        wave.results[name].facts.update(
            was_unschedulable=note.was_unschedulable if note else written.before.unschedulable,
            settled=written.decision.settled,
        )


def _tell_begun(wave: Wave, written: NodeWrite) -> None:
    before, note = written.before.maintenance, written.after.maintenance
    if note is None:
        return
    reason = events.TAKEN_OVER if before is not None and before.run != note.run else events.BEGUN
    took = f"{written.decision.reason}; " if written.decision.reason else ""
    # Each Event begins with run and plan.
    why = note.reason.replace(f" by plan {wave.context.plan_id}", "") if wave.context.plan_id else note.reason
    stays = "; it was cordoned before and will stay so" if note.was_unschedulable else ""
    wave.events.write(written.after, reason, f"{took}out of service for {why}{stays}")


def _with_holder(wave: Wave, nodes: Iterable[NodeState]) -> RunContext:
    """The context of the decision. Who holds the lock matters only where another run's note is met."""
    foreign = [node for node in nodes if node.maintenance and node.maintenance.run != wave.session.run]
    if not foreign:
        return wave.context
    request = LockRequest(wave.session.params["lock_namespace"], wave.session.run)
    lease = Lock(wave.session.api, wave.session.clock, request).read()
    alive = lease is not None and not lease.expired(wave.session.clock.now())
    holder = lease.holder if lease is not None and alive else None
    return RunContext(wave.context.run, wave.context.plan_id, wave.context.since, holder)


def _obstacles(wave: Wave, scopes: Mapping[str, Scope], pods: NodePods, names: Sequence[str]) -> dict[str, str]:
    """Nodes that are not to be begun with, and why: an unknown plugin, or pods that would have to go and may not."""
    blocked = objections(scopes, pods, names)
    for name, leftovers in blocked.items():
        wave.results[name].facts["blocked"] = [leftover.to_dict() for leftover in leftovers]
    listed = [name for name in names if name not in scopes]
    lists: dict[str, Sequence[PodState]] = wave.in_parallel(lambda name: pods_on(wave.session.api, name), listed)
    lists.update({name: [pod.state for pod in pods.of(name)] for name in names if name in scopes})
    strangers = {name: describe_stranger(wave.targets[name], found) for name, found in lists.items()}
    return {
        **{name: describe_objections(leftovers) for name, leftovers in blocked.items()},
        **{name: text for name, text in strangers.items() if text},
    }
