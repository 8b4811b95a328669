# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching whether a wave is well: looks at its nodes and their pods for a while. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.documents import read_document, write_document
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.journal import Journal
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import PODS_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES, passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session, load_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.health import (
    Limits,
    NodeHealth,
    describe_baseline,
    find_loopers,
    list_loopers,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import observe_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod_health import PodHealth, observe_health
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import unmet_node

SCHEMA_VERSION, KIND = 1, "health_baseline"
_FILE = "health"
#: Nodes of which the API server is asked in a second on the average, two requests for each. A wave may have a thousand.
_NODES_A_SECOND = 100
_GONE = "the cluster has no node of this name any more"


@dataclass(frozen=True)
class Look:
    """A node at one moment.

    :param unmet: how it differs from its target, in words.
    """

    pods: Sequence[PodHealth]
    unmet: Sequence[str]
    boot_id: str


def record_wave(session: Session) -> Outcome:
    """Write down how the nodes of a wave are, before they are touched."""
    targets = _targets(session)
    looks = _patiently(session, targets)
    now = session.clock.now()
    baselines = {name: describe_baseline(look.pods, look.boot_id, now) for name, look in looks.items()}
    document = {"schema_version": SCHEMA_VERSION, "kind": KIND, "run": session.run, "nodes": baselines}
    write_document(session.params["baseline_path"], document, _FILE)
    results = {name: {"failed": False, "reason": None, "changed": False} for name in looks}
    return _outcome(session, results, {name: list_loopers(baselines[name]) for name in looks})


def judge_wave(session: Session) -> Outcome:
    """Watch the nodes of a wave, and say of each whether it is well. The journal is told, too."""
    params, targets = session.params, _targets(session)
    baselines = _read_baselines(params["baseline_path"], [target.name for target in targets])
    found = _watch(session, targets, baselines)
    limits = Limits(
        params["max_restarts"], params["max_oom_kills"], params["max_xids"], tuple(params["ignore_xids"] or ())
    )
    results = {name: health.judge(limits, params["xids"].get(name)) for name, health in found.items()}
    journal = Journal(None if session.check_mode else params["journal_path"], session.run, session.clock)
    for name, result in results.items():
        journal.note(name, states.UNHEALTHY if result["failed"] else states.HEALTHY, result["reason"] or "")
    return _outcome(session, results, {name: health.looped_before for name, health in found.items()})


def _targets(session: Session) -> list[NodeTarget]:
    params = session.params
    problems = [
        f"{name} is {params[name]}: use 0 or more."
        for name in ("watch_seconds", "max_restarts", "max_oom_kills", "max_xids")
        if params[name] < 0
    ]
    if params["interval_seconds"] <= 0:
        problems.append(f"interval_seconds is {params['interval_seconds']}: use more than 0.")
    if not params["nodes"]:
        problems.append("no node is named, so nothing would be watched. Name nodes of the plan.")
    if problems:
        raise InputError("options", problems)
    return load_plan(params["plan_path"]).select(params["nodes"])


def _read_baselines(path: str, names: Sequence[str]) -> Mapping[str, Any]:
    document = read_document(path, _FILE)
    nodes = document.get("nodes") if isinstance(document, dict) and document.get("kind") == KIND else None
    if nodes is None or document.get("schema_version") != SCHEMA_VERSION:
        raise KubeGpuError(
            f"The {_FILE} file {path} is none of this version. Have it written again, with record: true."
        )
    missing = [name for name in names if name not in nodes]
    if missing:
        raise KubeGpuError(
            f"The {_FILE} file {path} does not tell how {', '.join(missing)} was before. Record these nodes, too, before they are touched."
        )
    return nodes


def _outcome(session: Session, results: Mapping[str, Any], looped: Mapping[str, Sequence[str]]) -> Outcome:
    return Outcome(
        facts={
            "nodes": dict(results),
            "failed_nodes": [name for name, result in results.items() if result["failed"]],
            "looped_before": [f"{name}: {one}" for name, listed in looped.items() for one in listed],
            "requests": session.counts(),
        }
    )


def _watch(session: Session, targets: Sequence[NodeTarget], baselines: Mapping[str, Any]) -> dict[str, NodeHealth]:
    """What is seen of the nodes in the time given, by name. The first look is at the beginning, the last one at the end.

    The lock is renewed meanwhile. A look that the API's trouble spoils is left out, but not the last one.

    :raises ApiError: the last look could not be had.
    :raises LeaseLostError: the lock was lost.
    """
    clock, interval = session.clock, max(session.params["interval_seconds"], len(targets) / _NODES_A_SECOND)
    loopers = find_loopers(baselines.values())
    found = {target.name: NodeHealth(baselines[target.name], loopers) for target in targets}
    deadline = clock.monotonic() + session.params["watch_seconds"]
    while True:
        session.fence.check()
        last = clock.monotonic() >= deadline
        try:
            looks = _patiently(session, targets) if last else _look_at(session, targets)
        except ApiError as error:
            if last or not passes(error):
                raise
            looks = {}
        for name, look in looks.items():
            found[name].look(look.pods, look.unmet, look.boot_id, clock.now())
        if last:
            return found
        clock.sleep(max(0.0, min(interval, session.fence.patience, deadline - clock.monotonic())))


def _patiently(session: Session, targets: Sequence[NodeTarget]) -> dict[str, Look]:
    for attempt in range(TRIES):
        try:
            return _look_at(session, targets)
        except ApiError as error:
            if attempt == TRIES - 1 or not passes(error):
                raise
            pause(session.clock, attempt, error)
    raise AssertionError("the last try returns or raises")


def _look_at(session: Session, targets: Sequence[NodeTarget]) -> dict[str, Look]:
    """Node by node: the API server keeps pods by node, and a list of all pods may be a hundred times as long."""

    def look(target: NodeTarget) -> Look:
        node = session.api.get_or_none(api_path("nodes", name=target.name))
        pages = session.api.pages(PODS_PATH, fieldSelector=f"spec.nodeName={target.name}")
        pods = [pod for page in pages for pod in map(observe_health, page.items) if pod]
        if node is None:
            return Look(pods, [_GONE], "")
        boot_id = ((node.get("status") or {}).get("nodeInfo") or {}).get("bootID") or ""
        return Look(pods, unmet_node(observe_node(node), target), boot_id)

    looks = work_through(look, targets, session.params["parallel"])
    return {target.name: one for target, one in zip(targets, looks)}
