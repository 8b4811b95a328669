# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pausing what keeps NVIDIA's driver open on the nodes of a wave, and letting it come back. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.find import Found
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.holders import daemonset_of, find_again
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import NodePods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import passes
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session, Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.assume import assume_steps_before
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import PATCH, REFUSED, Decision, done
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pausing import (
    decide_paused,
    decide_resumed,
    record_on,
    tainted_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import not_ours
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.text import some_names

#: So often the lease is looked after and deadlines are noticed, and a pod that could not be deleted is tried again.
_TICK_SECONDS = 1.0
_UNTOUCHED = "Nothing was paused on the node, and nothing evicted from it."


@dataclass
class Going:
    """What is to leave a node.

    :param daemonsets: "namespace/name".
    :param tainted: those of them whose pods nobody takes off but by deleting them.
    :param tried: when a pod was tried to be deleted last, by UID; None: it was.
    """

    daemonsets: frozenset[str]
    tainted: frozenset[str]
    tried: dict[str, float | None] = field(default_factory=dict)

    def left(self, pods: Sequence[Candidate]) -> list[Candidate]:
        """Pods that are still there, by name. One that has finished holds nothing."""
        left = [pod for pod in pods if daemonset_of(pod) in self.daemonsets and not pod.state.finished]
        return sorted(left, key=lambda pod: pod.state.full_name)

    def due(self, pods: Sequence[Candidate], now: float) -> list[Candidate]:
        """Pods that are to be deleted now."""
        standing = [pod for pod in self.left(pods) if not pod.state.terminating and daemonset_of(pod) in self.tainted]
        return [pod for pod in standing if self._is_due(pod.uid, now)]

    def _is_due(self, uid: str, now: float) -> bool:
        tried = self.tried.get(uid, float("-inf"))
        return tried is not None and now >= tried + _TICK_SECONDS


def pause(session: Session, plan: RolloutPlan) -> Outcome:
    """Find what holds the driver of the nodes once more, take it off, and wait until its pods' objects are gone.

    A node with something that cannot be paused, or that the plan does not know, has failed and is not touched.
    """
    wave = Wave(session, plan, "paused")
    observed = wave.observe()
    with wave.carried_through():
        names = [name for name in wave.well() if name in observed and wave.targets[name].changes_layout]
        with NodePods(session.api, names, session.params["parallel"]) as pods:
            _pause(wave, observed, names, pods)
    return wave.outcome()


def _pause(wave: Wave, observed: Mapping[str, NodeState], names: Sequence[str], pods: NodePods) -> None:
    found = find_again(wave, {name: observed[name] for name in names}, pods)
    wave.write(observed, lambda node, target: _decide_paused(wave, node, target, found))
    waiting = {name: _going(wave.writes[name].after, found[name]) for name in wave.well() if name in found}
    for name in wave.well():
        wave.results[name].facts["paused"] = found[name].to_dict()["daemonsets"] if name in found else []
    if wave.session.check_mode:
        _foresee(wave, waiting, pods)
        return
    for name in wave.well():
        if name not in waiting:
            wave.end(name)
    _await_gone(wave, waiting, pods)


def _decide_paused(wave: Wave, node: NodeState, target: NodeTarget, found: Mapping[str, Found]) -> Decision:
    if not target.changes_layout:
        return done("its MIG layout stays")
    decision = decide_paused(node, found[node.name], not_ours(node, wave.context))
    if decision.verdict == REFUSED and found[node.name].problems:
        return replace(decision, reason=f"{decision.reason} {_UNTOUCHED}")
    return decision


def _going(node: NodeState, found: Found) -> Going:
    record = record_on(node)
    return Going(frozenset(record.daemonsets if record else ()), frozenset(tainted_of(found.holders)))


def _foresee(wave: Wave, waiting: Mapping[str, Going], pods: NodePods) -> None:
    """Check mode: what would be deleted and awaited, judged from the pods that are there."""
    for name, going in waiting.items():
        left = going.left(pods.of(name))
        _record_deleted(wave, name, going.due(left, 0.0))
        if left:
            listed = some_names(pod.state.full_name for pod in left)
            wave.results[name].facts["would_wait_for"] = f"the end of {listed}"


def _record_deleted(wave: Wave, name: str, pods: Sequence[Candidate]) -> None:
    result = wave.results[name]
    result.actions = (*result.actions, *(f"delete pod {pod.state.full_name} of node {name}" for pod in pods))


def _await_gone(wave: Wave, waiting: Mapping[str, Going], pods: NodePods) -> None:
    session = wave.session
    open_nodes = dict(waiting)
    deadline = session.clock.monotonic() + session.params["timeout_seconds"]
    while open_nodes:
        session.fence.check()
        pods.changes.look()
        now = session.clock.monotonic()
        for name, going in list(open_nodes.items()):
            left = _look(going, name, pods)
            if left and now >= deadline:
                wave.fail(name, _still_there(left, session.params["timeout_seconds"]))
            elif left:
                _delete(wave, name, going, now, left)
                continue
            else:
                wave.end(name)
            del open_nodes[name]
        if open_nodes:
            pods.changes.wait(max(0.0, min(deadline - now, _TICK_SECONDS, session.fence.patience)))


def _look(going: Going, name: str, pods: NodePods) -> list[Candidate]:
    """Pods that are still there: none only by a list that is no older than this look."""
    current = pods.current(name)
    left = going.left(pods.of(name))
    if left or current or not going.daemonsets:
        return left
    return going.left(pods.list_anew(name))


def _delete(wave: Wave, name: str, going: Going, now: float, left: Sequence[Candidate]) -> None:
    """Delete these very pods. What does not get through is tried again, as long as the wait lasts."""
    for pod in going.due(left, now):
        going.tried[pod.uid] = now
        wave.session.fence.check()
        path = api_path("pods", pod.state.namespace, pod.state.name)
        try:
            wave.session.api.delete(path, {"preconditions": {"uid": pod.uid}})
        except ApiError as error:
            if error.status not in (404, 409) and not passes(error):
                raise
            continue
        going.tried[pod.uid] = None
        _record_deleted(wave, name, [pod])


def _still_there(left: Sequence[Candidate], seconds: float) -> str:
    listed = "; ".join(pod.state.describe() for pod in left[:5])
    return (
        f"what keeps NVIDIA's driver open is still there after {seconds:g} s: {listed}. Look at these pods and at the node's "
        "kubelet, then run again: that goes on here. The node stays cordoned."
    )


def resume(session: Session, plan: RolloutPlan) -> Outcome:
    """Let come back what was paused on the nodes, and wait for it a while. What does not come is told, and no failure."""
    wave = Wave(session, plan, "resumed")
    observed = wave.observe()
    with wave.carried_through():
        before = _as_paused(wave, observed) if session.check_mode else observed
        wave.write(before, lambda node, _target: decide_resumed(node, not_ours(node, wave.context)))
        for name in wave.well():
            record = record_on(wave.writes[name].before) if wave.writes[name].changed else None
            wave.results[name].facts.update(resumed=list(record.daemonsets) if record else [], absent=[])
            wave.end(name)
        try:
            _await_back(wave)
        except ApiError as error:
            wave.warn(f"Whether what was paused runs again could not be looked at: {error.msg}")
    return wave.outcome()


def _as_paused(wave: Wave, observed: Mapping[str, NodeState]) -> dict[str, NodeState]:
    """Check mode: the nodes as they would be, had they been paused before."""
    names = [name for name in wave.well() if name in observed and wave.targets[name].changes_layout]
    nodes = dict(observed)
    with NodePods(wave.session.api, names, wave.session.params["parallel"]) as pods:
        found = find_again(wave, {name: observed[name] for name in names}, pods)
    for name in names:
        node = assume_steps_before("paused", observed[name], wave.targets[name], wave.context)
        decision = _decide_paused(wave, node, wave.targets[name], found)
        nodes[name] = node.patched(decision.patch) if decision.verdict == PATCH else node
    return nodes


def _await_back(wave: Wave) -> None:
    session = wave.session
    seconds = session.params["return_seconds"]
    missing = {name: set(wave.results[name].facts["resumed"]) for name in wave.well()}
    missing = {name: titles for name, titles in missing.items() if titles}
    if session.check_mode:
        for name, titles in missing.items():
            wave.results[name].facts["would_wait_for"] = f"pods of {some_names(titles)}, at most {seconds:g} s"
        return
    deadline = session.clock.monotonic() + seconds
    with NodePods(session.api, list(missing), session.params["parallel"]) as pods:
        while missing:
            session.fence.check()
            pods.changes.look()
            for name, titles in list(missing.items()):
                titles -= {daemonset_of(pod) for pod in pods.of(name) if pod.state.ready and not pod.state.terminating}
                if not titles:
                    del missing[name]
            left = deadline - session.clock.monotonic()
            if left <= 0:
                break
            if missing:
                pods.changes.wait(min(left, _TICK_SECONDS, session.fence.patience))
        for name, titles in missing.items():
            _tell_absent(wave, name, titles, pods.of(name))


def _tell_absent(wave: Wave, name: str, titles: set[str], pods: Sequence[Candidate]) -> None:
    wave.results[name].facts["absent"] = sorted(titles)
    seen = [pod.state.describe() for pod in pods if daemonset_of(pod) in titles]
    shown = f" ({'; '.join(sorted(seen))})" if seen else ""
    wave.warn(
        f"Node {name}: {some_names(titles)} may run again, and had no ready pod there after "
        f"{wave.session.params['return_seconds']:g} s{shown}. See to it later: it does not keep the node out of service."
    )
