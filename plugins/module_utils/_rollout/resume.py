# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a plan is what is left of one that was approved and begun before. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import same_devices
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import (
    Snapshot,
    find_snapshot,
    read_content,
    read_snapshots,
)


@dataclass(frozen=True)
class Resume:
    """Whether what a plan changes belongs to a rollout that was approved and begun before.

    :param reason: a sentence.
    :param snapshot: name of the snapshot of the approved plan, None if there is none.
    """

    resumable: bool
    reason: str
    snapshot: str | None = None


def judge_resume(config_maps: Sequence[Mapping[str, Any]], plan_id: str, plan: RolloutPlan) -> Resume:
    """May ``plan`` be carried out under the id of the approved plan ``plan_id``: does it do a part of it, and nothing else?

    :param config_maps: all snapshots, whole.
    """
    snapshot = find_snapshot(read_snapshots(config_maps), plan_id)
    if snapshot is None:
        return Resume(False, f"No complete snapshot of plan {plan_id} exists, so no rollout of it was begun.")
    try:
        targets = read_targets(config_maps, snapshot)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        problem = f"Snapshot {snapshot.name} of plan {plan_id} cannot be read ({type(error).__name__}: {error})."
        return Resume(False, problem, snapshot.name)
    remaining = [target for target in plan.nodes.values() if target.changed]
    others = [target for target in remaining if not _is_approved(target, targets.get(target.name))]
    if others:
        first = others[0]
        approved = targets.get(first.name)
        was = f"key {approved['key']} revision {approved['revision']}" if approved else "nothing"
        if approved and (first.key, first.revision) == (approved["key"], approved["revision"]):
            mig = _same_mig(first, approved)
            was += ", with another change of its container runtime" if mig else ", with other MIG devices"
        problem = (
            f"{len(others)} of {_nodes(len(remaining))} {'are' if others[1:] else 'is'} to become something else than plan {plan_id} had approved, the first "
            f"is {first.name}: key {first.key} revision {first.revision} now, {was} then."
        )
        return Resume(False, problem, snapshot.name)
    left = _nodes(len(remaining)) if remaining else "nothing"
    reason = f"Plan {plan_id} was begun by run {snapshot.run}, and what is left ({left}) is a part of it."
    return Resume(True, reason, snapshot.name)


def _is_approved(target: NodeTarget, approved: Mapping[str, Any] | None) -> bool:
    if approved is None or (approved["key"], approved["revision"]) != (target.key, target.revision):
        return False
    return _same_mig(target, approved) and _same_runtime(target, approved)


def _same_mig(target: NodeTarget, approved: Mapping[str, Any]) -> bool:
    return target.mig is None or same_devices(approved.get("mig"), target.mig.after)


def _same_runtime(target: NodeTarget, approved: Mapping[str, Any]) -> bool:
    return target.runtime is None or (approved.get("runtime") or {}).get("digest") == target.runtime.digest


def _nodes(count: int) -> str:
    return f"{count} node{'' if count == 1 else 's'}"


def read_targets(config_maps: Sequence[Mapping[str, Any]], snapshot: Snapshot) -> dict[str, Mapping[str, Any]]:
    """What a snapshot's plan was to bring about, by node: key and revision, and mig (a layout)
    and runtime (a digest) where these were a part of it.

    :raises KeyError, TypeError, ValueError, AttributeError: a part of the snapshot is missing or is not what we write.
    """
    nodes = read_content(config_maps, snapshot)[1].items()
    targets = {name: entry["target"] for name, entry in nodes if "target" in entry}
    return {name: {**target, "key": target["key"], "revision": target["revision"]} for name, target in targets.items()}
