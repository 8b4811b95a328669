# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan what a node's container runtime needs. Pure. PRIVATE to the collection."""

from __future__ import annotations

import posixpath
from dataclasses import replace
from typing import List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.engines import (
    MODULES,
    engine,
    passed_over,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.losing import restart_loss
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import MISSING, Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan, problems_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.unproven import unproven_restart
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish, wish_problems


def plan_runtime(wish: Wish, observation: Observation) -> RuntimePlan:
    """What the wish needs on the node that was observed, with all problems at once.

    Total and deterministic. A plan with problems is for showing only: nothing of it may be done.
    """
    problems = [*wish_problems(wish), *_engine_problems(wish, observation)]
    if problems or observation.engine is None:
        return problems_of(observation.engine or wish.engine, problems, version=observation.version)
    plan = engine(observation.engine)(wish, observation)
    plan = replace(plan, notes=(*plan.notes, *passed_over(wish, observation.engine)))
    problems = [*_binary_problems(wish, observation), *_file_problems(plan, observation)]
    finished = _finishing(plan.refused(*problems) if problems else plan, observation)
    lossless = restart_loss(_forgetting(finished, wish, observation), wish, observation)
    return unproven_restart(lossless, wish, observation)


def _engine_problems(wish: Wish, observation: Observation) -> List[str]:
    found = []
    if observation.problem:
        found.append(observation.problem)
    elif observation.engine not in MODULES:
        found.append(f"The node's engine is {observation.engine!r}, which is none of {', '.join(MODULES)}.")
    if observation.record_problem:
        found.append(observation.record_problem)
    recorded = (observation.record or {}).get("engine")
    if recorded and observation.engine and recorded != observation.engine:
        found.append(
            f"The record on this node ({wish.state_dir}/record.json) is of {recorded}, and the engine is {observation.engine}. "
            f"Take out what was put there first ({wish.called('state', 'absent')}, {wish.called('engine', str(recorded))}); "
            f"or, where {recorded} and its files are gone for good, remove the record."
        )
    return found


def _binary_problems(wish: Wish, observation: Observation) -> List[str]:
    seen = observation.binary(wish.binary)
    if not wish.present or wish.allow_missing_binary or not seen:
        return []
    if not seen.get("exists"):
        return [
            f"Looking for the runtime's executable {wish.binary}: it is not on the node, and every pod of runtime {wish.name} "
            f"would fail to start. Install NVIDIA's container toolkit, correct {wish.called('binary')}, or set "
            f"{wish.called('allow_missing_binary', 'true')}."
        ]
    if not seen.get("executable"):
        return [f"Looking for the runtime's executable {wish.binary}: it is there and not executable. Set its mode."]
    return []


def _file_problems(plan: RuntimePlan, observation: Observation) -> List[str]:
    """Of the files that the plan writes: by what they are on disk."""
    found = []
    by_target = observation.by_target()
    for change in plan.files:
        seen = by_target.get(change.path)
        if seen is None:
            continue
        if seen.type not in ("file", MISSING):
            found.append(f"Writing {change.path}: it is a {seen.type}, not a file. Move it away.")
        elif seen.problem:
            found.append(f"Reading {seen.path}: {seen.reason}.")
        elif not seen.writable:
            found.append(
                f"Writing {change.path}: it cannot be written, because its file system is mounted read-only or it is marked "
                "immutable (lsattr). Make it writable, or configure the node where its image is made."
            )
    return found


def _finishing(plan: RuntimePlan, observation: Observation) -> RuntimePlan:
    """What an interrupted run still owes: the engine may run with what is no longer in its files, or not at all."""
    if observation.pending is None or not observation.pending.get("owed", True) or plan.problems:
        return plan
    when = observation.pending.get("since") or "an unknown time"
    failed = observation.pending.get("failed")
    why = f"try again, as the last run failed and {failed}" if failed else "finish the run that was interrupted"
    owed = f"{why} ({when}): restart {', '.join(plan.units or observation.units())}"
    return replace(
        plan,
        restart=True,
        units=plan.units or tuple(observation.units()),
        begun=_begun(plan, observation),
        actions=(owed, *plan.actions),
    )


def _forgetting(plan: RuntimePlan, wish: Wish, observation: Observation) -> RuntimePlan:
    """A record of what somebody took out by hand goes with absent: it would say for ever that something of ours is there."""
    noted, seen = (observation.record or {}).get("files") or {}, observation.by_target()
    looked_at = [path in seen or posixpath.dirname(path) in observation.listings for path in noted]
    if wish.present or plan.problems or plan.changed or plan.record is not None or not noted or not all(looked_at):
        return plan
    said = f"forget what was put in, of which nothing is left to be taken out ({wish.state_dir}/record.json)"
    return replace(plan, forgets=True, actions=(said,))


def _begun(plan: RuntimePlan, observation: Observation) -> Tuple[Tuple[str, Optional[str]], ...]:
    """Files of the interrupted run that need nothing more, as they are."""
    by_target = observation.by_target()
    noted = (observation.pending or {}).get("files") or {}
    left = {change.path for change in plan.files}
    return tuple(
        (path, by_target[path].sha256 if path in by_target else (noted[path] or {}).get("after"))
        for path in sorted(noted)
        if path not in left
    )
