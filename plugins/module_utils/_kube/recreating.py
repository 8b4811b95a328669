# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Having stale pods made anew once their node serves. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.leftovers import Leftover
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.progress import NodeProgress, Timing
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import Chosen, Rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.stale import Suspicion, find_stale
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import events
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.emptying import still_there
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.evicting import Evictor, explain_leftovers
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import NodePods, read_candidates
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.scopes import read_uses
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import DEVICES_SINCE_ANNOTATION
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.text import some_names

RECREATE = "recreate"


def read_stale_uses(wave: Wave, observed: Mapping[str, NodeState]) -> dict[str, NodeUse]:
    """What is known of the devices in use on nodes that may have stale pods.

    :raises KubeGpuError: the facts cannot be read.
    """
    changing = [name for name, target in wave.targets.items() if target.stale or target.ids_change]
    dated = [name for name, node in observed.items() if node.annotations.get(DEVICES_SINCE_ANNOTATION)]
    return read_uses(wave.session.params["facts_dir"], [*changing, *dated])


def mend_stale_pods(wave: Wave, uses: Mapping[str, NodeUse]) -> None:
    """Report stale pods, or evict those that something makes anew and await their end.

    The node is in service meanwhile, so that they find a place at once. A deadline fails the step and leaves it in service,
    and so does trouble of the API. Where pods are only to be reported, trouble costs a warning.
    """
    suspicions = _suspicions(wave, uses)
    wanted = wave.session.params["stale_pods"] == RECREATE
    acting = [name for name in suspicions if wanted and _may_act(wave, name)]
    try:
        _mend(wave, suspicions, acting)
    except ApiError as error:
        trouble = f"stale pods could not be looked at to the end: {error.msg}"
        for name in acting:
            if not wave.results[name].failed:
                wave.fail(name, f"{trouble}{'' if wave.session.check_mode else ' The node is in service.'}")
        if not acting:
            wave.warn(f"On nodes that are back in service, {trouble}")


def _mend(wave: Wave, suspicions: Mapping[str, Suspicion], acting: Sequence[str]) -> None:
    read = [name for name in suspicions if wave.session.check_mode or name not in acting]
    lists = wave.in_parallel(lambda name: read_candidates(wave.session.api, name), read)
    for name in wave.writes:
        wave.results[name].facts.update(stale=[], recreated=[])
    for name, pods in lists.items():
        stale = find_stale(pods, suspicions[name])
        if name in acting:
            going, staying = _sort(stale, _rules(wave))
            _record(wave, name, going, staying)
        else:
            _record(wave, name, [], [Leftover(pod, "", "") for pod in stale])
    if acting and not wave.session.check_mode:
        _recreate(wave, {name: suspicions[name] for name in acting})


def _suspicions(wave: Wave, uses: Mapping[str, NodeUse]) -> dict[str, Suspicion]:
    """Nodes on which there may be stale pods."""
    concerned = {
        name: written.after.annotations.get(DEVICES_SINCE_ANNOTATION, "") if _tells_by_date(wave, name) else ""
        for name, written in wave.writes.items()
        if not wave.results[name].failed
    }
    names = [name for name, since in concerned.items() if since or wave.targets[name].stale]
    return {
        name: Suspicion(
            since=concerned[name],
            planned=wave.targets[name].stale,
            use=uses.get(name, NodeUse()),
            expected=wave.targets[name].expected,
        )
        for name in names
    }


def _tells_by_date(wave: Wave, name: str) -> bool:
    """Whether a pod counts as stale because it came before the device ids changed last.

    On a node that goes back to slots which its pods know, with ids that stay, that date is of the change that is taken back.
    """
    return wave.plan.kind != ROLLBACK or wave.targets[name].ids_change


def _may_act(wave: Wave, name: str) -> bool:
    """Only in service: a node that somebody else has cordoned is that person's, and so is one that is held."""
    return bool(wave.results[name].facts.get("in_service"))


def _rules(wave: Wave) -> Rules:
    """A pod without a controller never goes: it would be lost, not recreated."""
    return Rules(force=False, delete_emptydir_data=wave.session.params["delete_emptydir_data"])


def _sort(stale: Sequence[Candidate], rules: Rules) -> tuple[list[Candidate], list[Leftover]]:
    objections = {pod.uid: rules.objection(pod) for pod in stale}
    going = [pod for pod in stale if not objections[pod.uid][0]]
    staying = [Leftover(pod, *_why(*objections[pod.uid])) for pod in stale if objections[pod.uid][0]]
    return going, staying


def _why(reason: str, message: str) -> tuple[str, str]:
    if reason == "needs_force":
        return "no_controller", "no controller would make it anew; recreate it by hand"
    return reason, message.rstrip(".")


@dataclass(frozen=True)
class _Recreation:
    """Keeps the journal."""

    wave: Wave

    def evicted(self, node: str, pod: Candidate) -> None:
        """Into the journal."""
        note = "it held devices that the node has no more"
        self.wave.journal.note(node, states.RECREATED, note, pod.identity())

    def going(self, progress: NodeProgress) -> None:
        """Told at the end."""


def _recreate(wave: Wave, suspicions: Mapping[str, Suspicion]) -> None:
    session, params, rules = wave.session, wave.session.params, _rules(wave)
    timing = Timing(params["eviction_timeout_seconds"], params["eviction_retry_seconds"])

    with NodePods(session.api, list(suspicions), params["parallel"]) as pods:
        nodes: dict[str, NodeProgress] = {}
        left: dict[str, list[Leftover]] = {}
        for name, suspicion in suspicions.items():
            going, left[name] = _sort(find_stale(pods.of(name), suspicion), rules)
            chosen = Chosen(frozenset(pod.uid for pod in going), rules)
            nodes[name] = NodeProgress(name, chosen, timing, session.clock.monotonic())
        try:
            Evictor(session, pods, params["grace_period"], _Recreation(wave)).empty(nodes)
        finally:
            for name, progress in nodes.items():
                _record(wave, name, progress.evicted(), left[name])
                if progress.evicted():
                    listed = some_names(pod.state.full_name for pod in progress.evicted())
                    wave.tell(name, events.PODS_RECREATED, f"had pods recreated whose devices are gone: {listed}")
    failed = {name: progress for name, progress in nodes.items() if progress.failed}
    for name, leftovers in explain_leftovers(session, failed).items():
        wave.results[name].facts["blocked"] = [leftover.to_dict() for leftover in leftovers]
        wave.fail(name, f"stale pods: {still_there(leftovers, nodes[name])} The node is in service.")


def _record(wave: Wave, name: str, gone: Sequence[Candidate], stale: Sequence[Leftover]) -> None:
    recreated = sorted(gone, key=lambda pod: pod.state.full_name)
    result = wave.results[name]
    result.actions = (*result.actions, *(f"recreate pod {pod.state.full_name} of node {name}" for pod in recreated))
    listed: list[dict[str, Any]] = [leftover.to_dict() for leftover in stale]
    result.facts.update(recreated=[pod.identity() for pod in recreated], stale=listed)
