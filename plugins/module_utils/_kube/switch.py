# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Taking the old plugin off nodes and letting the new one serve them. PRIVATE to the collection."""

from __future__ import annotations

from typing import Callable, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import NodeWrite
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import read_daemonsets
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.proving import (
    DaemonSets,
    Wait,
    await_nodes,
    steadily_advertised,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Decide, Session, Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import PATCH, Decision, refuse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.objects import lost_release
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import (
    Timing,
    describe_allocatable,
    unmet_serving,
    unmet_withdrawn,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import (
    RunContext,
    bears_target,
    decide_serving,
    decide_withdrawn,
)

StepDecision = Callable[[NodeState, NodeTarget, RunContext], Decision]


def withdraw(session: Session, plan: RolloutPlan) -> Outcome:
    """Take every plugin off the nodes of a wave, and wait until nothing of it is left."""
    wave = Wave(session, plan, "withdrawn")
    observed = wave.observe()
    wait = Wait(
        timing=Timing(session.params["timeout_seconds"]),
        unmet=unmet_withdrawn,
        expected=lambda target: f"no plugin pod and allocatable {describe_allocatable({}, target.resources)}",
        state=states.WITHDRAWN,
        cure="Look at the pod and at the node's kubelet, then run again: that goes on here. The node stays cordoned.",
    )
    with wave.carried_through():
        daemonsets = read_daemonsets(session.api, plan, list(wave.targets.values()))
        wave.write(observed, _unless_lost(wave, daemonsets, decide_withdrawn))
        waiting = [name for name in wave.unsettled() if not bears_target(wave.writes[name].after, wave.targets[name])]
        _wait(wave, waiting, wait, daemonsets)
    return wave.outcome()


def serve(session: Session, plan: RolloutPlan) -> Outcome:
    """Let the plan's revision serve the nodes of a wave, and wait until each advertises what the plan says, without a break."""
    wave = Wave(session, plan, "serving")
    observed = wave.observe()
    timing = Timing(session.params["timeout_seconds"], session.params["soak_seconds"])
    wait = Wait(
        timing=timing,
        unmet=unmet_serving,
        expected=steadily_advertised(timing),
        state=states.PROVEN,
        cure="Look at the plugin pod's log and at the node's driver, then run again: that goes on here. The node stays "
        "cordoned.",
    )

    def tell(name: str, _written: NodeWrite) -> None:
        wave.journal.note(name, states.SERVING, wave.targets[name].title)

    with wave.carried_through():
        daemonsets = read_daemonsets(session.api, plan, list(wave.targets.values()))
        wave.write(observed, _unless_lost(wave, daemonsets, decide_serving), tell)
        _wait(wave, wave.unsettled(), wait, daemonsets)
    return wave.outcome()


def _unless_lost(wave: Wave, daemonsets: DaemonSets, decide: StepDecision) -> Decide:
    """The decision of a step, but no label is changed while a foreign DaemonSet does not let go of the node.

    Its owner may take it back at any time, and two plugins on one node end with no GPU at all. In check mode nobody has
    told it yet to let go.
    """
    releases = [] if wave.session.check_mode else wave.plan.releases_of(list(wave.targets.values()))
    lost = {release.daemonset: lost_release(release, daemonsets[release.daemonset]) for release in releases}

    def decide_unless_lost(node: NodeState, target: NodeTarget) -> Decision:
        decision = decide(node, target, wave.context)
        obstacle = lost.get(target.release.daemonset, "") if target.release else ""
        return refuse(obstacle) if decision.verdict == PATCH and obstacle else decision

    return decide_unless_lost


def _wait(wave: Wave, names: Sequence[str], wait: Wait, daemonsets: DaemonSets) -> None:
    """Wait for all nodes at once; in check mode, say what would be waited for."""
    for name in wave.well():
        if name not in names:
            wave.end(name)
    if wave.session.check_mode:
        for name in names:
            wave.results[name].facts["would_wait_for"] = wait.foretell(wave.targets[name])
        return
    await_nodes(wave, names, wait, daemonsets, wave.end)
