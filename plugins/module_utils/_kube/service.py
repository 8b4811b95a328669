# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Putting nodes back into service, and mending what the switch left on them. PRIVATE to the collection."""

from __future__ import annotations

from typing import Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import events
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import NodeWrite
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import plugin_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.proving import (
    Wait,
    await_nodes,
    steadily_advertised,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.recreating import mend_stale_pods, read_stale_uses
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.refused_pods import report_refused_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session, Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import PATCH, Decision
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK, NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import (
    Timing,
    describe_allocatable,
    unmet_node,
    unmet_serving,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import decide_in_service


def put_into_service(session: Session, plan: RolloutPlan) -> Outcome:
    """Uncordon the nodes of a wave that are proven at this moment, and of these only those that a run had cordoned.

    A rollout has had them soak before. Where there is none, they do it here.
    Then pods that a kubelet refused meanwhile are removed if something makes them anew, and stale pods are reported or
    recreated.
    """
    wave = Wave(session, plan, "in_service")
    observed = wave.observe()
    uses = read_stale_uses(wave, observed)  # now: once a node is in service, nothing but the API's trouble is to come
    with wave.carried_through():
        _put_back(wave, _soak(wave, observed))
    with wave.carried_through():
        if not session.check_mode:
            report_refused_pods(wave)
        mend_stale_pods(wave, uses)
    return wave.outcome()


def _soak(wave: Wave, observed: Mapping[str, NodeState]) -> Mapping[str, NodeState]:
    """Wait until nodes that were taken out of service for their own sake are as before, without a break for the soak time.

    :returns: the nodes as they are then. For one that does not come so far the step has failed.
    """
    names = [name for name in wave.well() if name in observed and _is_to_soak(wave, observed[name])]
    timing = Timing(wave.session.params["timeout_seconds"], wave.session.params["soak_seconds"])
    wait = Wait(
        timing=timing,
        unmet=unmet_serving,
        expected=steadily_advertised(timing),
        state=states.PROVEN,
        cure="It stays out of service. Look at its kubelet and its device plugin, then run again.",
    )
    if wave.session.check_mode:
        for name in names:
            wave.results[name].facts["would_wait_for"] = wait.foretell(wave.targets[name])
        return observed
    await_nodes(wave, names, wait, {}, _only_noted)
    present = {**observed, **wave.nodes.read(names)}
    for name in [name for name in names if wave.results[name].failed]:
        wave.results[name].facts.update(in_service=not present[name].unschedulable, held=False)
    return present


def _only_noted(_name: str) -> None:
    """A node that has soaked is still to be put into service: the step has not come to its end for it."""


def _is_to_soak(wave: Wave, node: NodeState) -> bool:
    """It would be put into service if it were proven, and no rollout has seen to that.

    One that somebody has uncordoned by hand meanwhile takes pods already.
    """
    target = wave.targets[node.name]
    back = decide_in_service(node, target, wave.context, [])
    return target.as_is and node.unschedulable and back.verdict == PATCH


def _put_back(wave: Wave, observed: Mapping[str, NodeState]) -> None:
    session = wave.session
    targets = list(wave.targets.values())
    pods: dict[str, list[PodState]] = {} if session.check_mode else plugin_pods(session.api, wave.plan, targets)

    def decide(node: NodeState, target: NodeTarget) -> Decision:
        if session.check_mode:
            unmet = unmet_node(node, target)
        else:
            unmet = unmet_serving(node, pods.get(node.name, []), target)
        return decide_in_service(node, target, wave.context, unmet)

    def tell(name: str, written: NodeWrite) -> None:
        state = states.PROVEN if written.after.unschedulable else states.IN_SERVICE
        wave.journal.note(name, state, written.decision.reason)

    try:
        wave.write(observed, decide, tell)
    finally:
        _record_service(wave)


def _record_service(wave: Wave) -> None:
    for name, written in wave.writes.items():
        wave.end(name)
        held = wave.results[name].facts.get("held", False)
        in_service = not wave.results[name].failed and not held and not written.after.unschedulable
        wave.results[name].facts.update(in_service=in_service, held=held)
        if held:
            wave.journal.note(name, states.HELD, written.decision.reason)
            wave.tell(name, events.HELD, written.decision.reason)
        elif written.changed:
            _tell_finished(wave, written)


def _tell_finished(wave: Wave, written: NodeWrite) -> None:
    name = written.before.name
    target = wave.targets[name]
    reason = events.RESTORED if wave.plan.kind == ROLLBACK else events.FINISHED
    serves = f"serves {target.title}, allocatable {describe_allocatable(target.expected, target.resources)}"
    where = "stays cordoned, as it was before" if written.after.unschedulable else "back in service"
    wave.tell(name, reason, f"{serves}; {where}")
