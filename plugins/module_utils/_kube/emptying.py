# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Emptying the nodes of a wave, as far as it is wished, and what is said about it. PRIVATE to the collection."""

from __future__ import annotations

from typing import Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.leftovers import Leftover, describe_all
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.progress import NodeProgress, Timing
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import (
    BLOCKED,
    EVICT,
    Scope,
    Verdict,
    count_staying,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import events
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.evicting import Evictor, explain_leftovers
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import NodePods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.settling import (
    ADMISSION_SECONDS,
    accept,
    not_settled,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.text import some_names


def objections(scopes: Mapping[str, Scope], pods: NodePods, names: Iterable[str]) -> dict[str, list[Leftover]]:
    """Nodes with pods that must leave and may not be evicted without a word of the operator, and these pods."""
    found = {name: _blocked(scopes[name](pods.of(name))) for name in names if name in scopes}
    return {name: blocked for name, blocked in found.items() if blocked}


def describe_objections(blocked: Sequence[Leftover]) -> str:
    """Why a node is not begun with."""
    return f"{_count(blocked)} may not be evicted: {describe_all(blocked)}."


def foresee(wave: Wave, scopes: Mapping[str, Scope], pods: NodePods) -> None:
    """Check mode: what would leave, judged from the pods that are there."""
    for name in [name for name in wave.unsettled() if name in scopes]:
        verdicts = scopes[name](pods.of(name))
        going = [verdict.pod for verdict in verdicts if verdict.action == EVICT]
        _record(wave, name, [pod for pod in going if not pod.state.terminating], verdicts)
        _tell_assumed(wave, name, verdicts)
        if going:
            wave.results[name].facts["would_wait_for"] = f"the end of {_count(going)}"


def empty(wave: Wave, scopes: Mapping[str, Scope], pods: NodePods) -> None:
    """Evict and await. A node whose pods do not all go in time has failed, and stays cordoned."""
    session, params = wave.session, wave.session.params
    timing = Timing(
        timeout=params["eviction_timeout_seconds"],
        retry=params["eviction_retry_seconds"],
        settle=params["settle_seconds"],
        admission=ADMISSION_SECONDS,
    )
    now = session.clock.monotonic()
    nodes = {name: NodeProgress(name, scopes[name], timing, now) for name in wave.unsettled() if name in scopes}

    story = _Story(wave)
    try:
        Evictor(session, pods, params["grace_period"], story).empty(nodes)
    finally:
        for name, progress in nodes.items():
            _record(wave, name, progress.evicted(), progress.verdicts)
            _tell_assumed(wave, name, [attempt.verdict for attempt in progress.attempts.values()])
            story.going(progress)
    _tell_failures(wave, nodes)
    for name in nodes:
        if not wave.results[name].failed:
            # Those that the node was found empty by: what a broken watch shows may be older.
            accept(wave, name, [verdict.pod.state for verdict in nodes[name].verdicts])


class _Story:
    """What is told while pods end, so that nobody waits for it when the last one has."""

    def __init__(self, wave: Wave) -> None:
        self._wave = wave
        self._told: set[str] = set()

    def evicted(self, node: str, pod: Candidate) -> None:
        """Into the journal."""
        self._wave.journal.note(node, states.EVICTED, "to empty its node", pod.identity())

    def going(self, progress: NodeProgress) -> None:
        """An Event on pods of which none has told yet."""
        fresh = [pod for pod in progress.evicted() if pod.uid not in self._told]
        if fresh:
            self._told.update(pod.uid for pod in fresh)
            listed = some_names(pod.state.full_name for pod in fresh)
            node = self._wave.writes[progress.node].after
            self._wave.events.write(node, events.PODS_EVICTED, f"evicted {_count(fresh)}: {listed}")


def _tell_failures(wave: Wave, nodes: Mapping[str, NodeProgress]) -> None:
    failed = {name: progress for name, progress in nodes.items() if progress.failed}
    for name, leftovers in explain_leftovers(wave.session, failed).items():
        wave.results[name].facts["blocked"] = [leftover.to_dict() for leftover in leftovers]
        if leftovers:
            wave.fail(name, f"{still_there(leftovers, nodes[name])} The node stays cordoned.")
        else:
            wave.fail(name, not_settled(nodes[name].waiting, nodes[name].trouble))


def still_there(leftovers: Sequence[Leftover], progress: NodeProgress) -> str:
    """The failure of a deadline, or of evictions that were refused for good, in words."""
    when = f"after {progress.timing.timeout:g} s" if not _all_stuck(progress) else "and cannot be evicted"
    verb = "is" if len(leftovers) == 1 else "are"
    return f"{_count(leftovers)} {verb} still there {when}: {describe_all(leftovers)}. Clear what holds them, then run again."


def _all_stuck(progress: NodeProgress) -> bool:
    return all(attempt.stuck for attempt in progress.left.values())


def _blocked(verdicts: Iterable[Verdict]) -> list[Leftover]:
    return [
        Leftover(verdict.pod, verdict.reason, verdict.message.rstrip("."))
        for verdict in verdicts
        if verdict.action == BLOCKED
    ]


def _record(wave: Wave, name: str, gone: Iterable[Candidate], verdicts: Sequence[Verdict]) -> None:
    evicted = sorted(gone, key=lambda pod: pod.state.full_name)
    result = wave.results[name]
    result.actions = (*result.actions, *(f"evict pod {pod.state.full_name} from node {name}" for pod in evicted))
    result.facts.update(
        evicted=[pod.identity() for pod in evicted],
        blocked=[leftover.to_dict() for leftover in _blocked(verdicts)],
        stayed=count_staying(verdicts),
    )


def _tell_assumed(wave: Wave, name: str, verdicts: Iterable[Verdict]) -> None:
    assumed = {verdict.pod.state.full_name for verdict in verdicts if verdict.assumed}
    wave.results[name].facts["assumed_affected"] = sorted(assumed)


def _count(things: Sequence[object]) -> str:
    return "1 pod" if len(things) == 1 else f"{len(things)} pods"
