# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking nodes out of service and putting them back. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterable, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.lock import Lock, LockRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import NodeWrite
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import failed_pods, plugin_pods, pods_on
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session, Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import PATCH, Decision, refuse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState, unknown_plugins, unsettled
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import unmet_node, unmet_serving
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import (
    RunContext,
    decide_in_maintenance,
    decide_in_service,
)

#: A pod that was bound before the cordon gets so long to be admitted.
_SETTLE_LIMIT_SECONDS = 60.0


def take_out_of_service(session: Session, plan: RolloutPlan) -> Outcome:
    """Cordon the nodes of a wave, and wait until no pod that was bound before is still on its way.

    A node on which a plugin runs that the plan does not know is not touched at all.
    """
    wave = Wave(session, plan, "in_maintenance")
    observed = wave.observe()
    context = _with_holder(wave, observed.values())
    strangers = _strangers(
        wave,
        [
            name
            for name, node in observed.items()
            if decide_in_maintenance(node, wave.targets[name], context).verdict == PATCH
        ],
    )

    def decide(node: NodeState, target: NodeTarget) -> Decision:
        decision = decide_in_maintenance(node, target, context)
        stranger = strangers.get(node.name)
        return refuse(f"{stranger} The node was not touched.") if decision.verdict == PATCH and stranger else decision

    def tell(name: str, written: NodeWrite) -> None:
        if not written.before.unschedulable:
            wave.journal.note(name, states.SCHEDULABLE)
        wave.journal.note(name, states.CORDONED, written.decision.reason)

    wave.write(observed, decide, tell)
    for name, written in wave.writes.items():
        note = written.after.maintenance
        wave.results[name].facts.update(
            was_unschedulable=note.was_unschedulable if note else written.before.unschedulable,
            settled=written.decision.settled,
        )
    waiting = wave.unsettled()
    if session.check_mode:
        for name in waiting:
            wave.results[name].facts["would_wait_for"] = "no pod on its way to the node any more"
    else:
        _settle(wave, waiting)
    return wave.outcome()


def put_into_service(session: Session, plan: RolloutPlan) -> Outcome:
    """Uncordon the nodes of a wave that are proven at this moment, and of these only those that a run had cordoned."""
    wave = Wave(session, plan, "in_service")
    observed = wave.observe()
    pods: dict[str, list[PodState]] = (
        {} if session.check_mode else plugin_pods(session.api, plan, list(wave.targets.values()))
    )

    def decide(node: NodeState, target: NodeTarget) -> Decision:
        if session.check_mode:
            unmet = unmet_node(node, target)
        else:
            unmet = unmet_serving(node, pods.get(node.name, []), target)
        return decide_in_service(node, target, wave.context, unmet)

    def tell(name: str, written: NodeWrite) -> None:
        state = states.PROVEN if written.after.unschedulable else states.IN_SERVICE
        wave.journal.note(name, state, written.decision.reason)

    wave.write(observed, decide, tell)
    for name, written in wave.writes.items():
        held = wave.results[name].facts.get("held", False)
        in_service = not wave.results[name].failed and not held and not written.after.unschedulable
        wave.results[name].facts.update(in_service=in_service, held=held)
        if held:
            wave.journal.note(name, states.HELD, written.decision.reason)
    if not session.check_mode:
        _report_failed_pods(wave)
    return wave.outcome()


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


def _settle(wave: Wave, names: Sequence[str]) -> None:
    """List the pods of cordoned nodes until none is new and each GPU pod is admitted.

    The scheduler learns of a cordon a little late, and a pod that reaches the kubelet when the plugin is gone fails for good.
    """
    session = wave.session
    seen: dict[str, set[str]] = {}
    deadline = session.clock.monotonic() + _SETTLE_LIMIT_SECONDS
    open_names = list(names)
    while open_names:
        session.fence.check()
        lists = wave.in_parallel(lambda name: pods_on(session.api, name), open_names)
        late = session.clock.monotonic() >= deadline
        for name, pods in lists.items():
            uids, waiting = {pod.uid for pod in pods}, unsettled(pods)
            stable = name in seen and uids <= seen[name]
            seen[name] = uids
            if stable and not waiting:
                _accept(wave, name, pods)
            elif late:
                listed = ", ".join(pod.describe() for pod in waiting[:5]) or "new pods keep arriving"
                wave.fail(
                    name,
                    f"pods bound to the node were not admitted within {_SETTLE_LIMIT_SECONDS:g} s: {listed}. Look at the node's "
                    "kubelet, then run the rollout again. The node stays cordoned.",
                )
            else:
                continue
            open_names.remove(name)
        if open_names:
            session.clock.sleep(session.params["settle_seconds"])


def _accept(wave: Wave, name: str, pods: Sequence[PodState]) -> None:
    """The pods of a node that is at rest: count them, and refuse it if a plugin is among them that the plan does not know."""
    wave.results[name].facts["gpu_pods"] = sum(pod.gpu_requests and not pod.finished for pod in pods)
    stranger = _stranger(wave.targets[name], pods)
    if stranger:
        wave.fail(name, f"{stranger} The node stays cordoned.")


def _strangers(wave: Wave, names: Sequence[str]) -> dict[str, str]:
    """Nodes on which a plugin runs that the plan does not know, and what to say about it."""
    lists = wave.in_parallel(lambda name: pods_on(wave.session.api, name), names)
    found = {name: _stranger(wave.targets[name], pods) for name, pods in lists.items()}
    return {name: text for name, text in found.items() if text}


def _stranger(target: NodeTarget, pods: Sequence[PodState]) -> str:
    strangers = unknown_plugins(pods, target.release.daemonset if target.release else "")
    if not strangers:
        return ""
    return (
        f"a device plugin that the plan does not know is on the node ({strangers[0].describe()}). Two plugins on one node end "
        "with no GPU at all. Make a new plan."
    )


def _report_failed_pods(wave: Wave) -> None:
    """Pods that failed admission while their node was in maintenance."""
    noted = {name: written.before.maintenance for name, written in wave.writes.items()}
    since = {name: note.since for name, note in noted.items() if note is not None}
    for name, failures in failed_pods(wave.session.api, since).items():
        wave.results[name].facts["admission_failures"] = failures
