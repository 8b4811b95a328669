# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pausing what keeps NVIDIA's driver open on a node, and undoing it. PRIVATE to the collection.

What is done stands in the note on the node, in the same request that does it. So a run that takes the node over, a
rollback and a person know how to put it back, and no node comes back into service without that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Dict, Iterable, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.find import Found, Holder
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.methods import LABEL, TAINT
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.names import TAINT as OUR_TAINT
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.names import TAINT_KEY
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.record import (
    RECORD_KEY,
    Record,
    SetLabel,
    labels_before,
    read_record,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import PATCH, Decision, done, refuse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodePatch, NodeState

Taints = Optional[Tuple[Mapping[str, Any], ...]]


@dataclass(frozen=True)
class Undoing:
    """What puts a node back to how it was before something was paused on it.

    :param labels: None as a value takes the label off.
    :param taints: all that the node is to have; None leaves them.
    """

    labels: Mapping[str, Optional[str]]
    taints: Taints


def undoing(node: NodeState) -> Undoing:
    """Labels go back where they still are as they were set, and our taint goes."""
    return Undoing(labels_before(node.labels, record_on(node) or Record()), lifted(node))


def lifted(node: NodeState) -> Taints:
    """The node's taints without ours; None if it has not got it."""
    if not _is_tainted(node):
        return None
    return tuple(taint for taint in node.taints if taint.get("key") != TAINT_KEY)


def record_on(node: NodeState) -> Record | None:
    """What is paused on the node, by its note."""
    return read_record(node.maintenance.restore) if node.maintenance else None


def decide_paused(node: NodeState, found: Found, obstacle: str) -> Decision:
    """Take what was found off the node, in one request.

    What is paused already, by this run or by one whose node it took over, stays noted as it is.

    :param obstacle: why this run must not change the node, "" if it may.
    """
    if obstacle:
        return refuse(obstacle)
    if found.problems or node.maintenance is None:
        return refuse(" ".join(found.problems))
    noted = record_on(node)
    record = _extended(noted or Record(), node, found.holders)
    labels = {label: one.value for label, one in record.labels.items() if node.labels.get(label) != one.value}
    taints = (*node.taints, OUR_TAINT) if record.taint and not _is_tainted(node) else None
    if not record.daemonsets:
        return done("nothing keeps NVIDIA's driver open but what goes anyway")
    if record == noted and not labels and taints is None:
        return done("already paused")
    note = replace(node.maintenance, restore={**node.maintenance.restore, RECORD_KEY: record.to_dict()})
    patch = NodePatch(labels, {names.MAINTENANCE_ANNOTATION: note.to_text()}, taints=taints)
    how = _listed(labels, taints, OUR_TAINT["key"])
    return Decision(PATCH, patch=patch, actions=(f"patch node {node.name}: pause {', '.join(record.daemonsets)}{how}",))


def decide_resumed(node: NodeState, obstacle: str) -> Decision:
    """Let what was paused come back, in one request.

    :param obstacle: why this run must not change the node, "" if it may.
    """
    note, record = node.maintenance, record_on(node)
    if note is None or record is None:
        return done("nothing is paused on it", settled=True)
    if obstacle:
        return refuse(obstacle)
    undo = undoing(node)
    restore = {name: value for name, value in note.restore.items() if name != RECORD_KEY}
    annotations = {names.MAINTENANCE_ANNOTATION: replace(note, restore=restore).to_text()}
    how = _listed(undo.labels, undo.taints, f"{TAINT_KEY}-")
    action = f"patch node {node.name}: resume {', '.join(record.daemonsets)}{how}"
    return Decision(PATCH, patch=NodePatch(undo.labels, annotations, taints=undo.taints), actions=(action,))


def tainted_of(holders: Iterable[Holder]) -> set[str]:
    """DaemonSets, "namespace/name", whose pods have to be deleted: nothing else takes them off."""
    return {holder.daemonset for holder in holders if holder.method.kind == TAINT}


def _extended(record: Record, node: NodeState, holders: Sequence[Holder]) -> Record:
    labels: Dict[str, SetLabel] = dict(record.labels)
    for holder in holders:
        label = holder.method.label
        if holder.method.kind == LABEL and label not in labels:
            labels[label] = SetLabel(node.labels.get(label), holder.method.value)
    return Record(
        labels=labels,
        taint=record.taint or bool(tainted_of(holders)),
        daemonsets=tuple(sorted({*record.daemonsets, *(holder.daemonset for holder in holders)})),
    )


def _is_tainted(node: NodeState) -> bool:
    return any(taint.get("key") == TAINT_KEY for taint in node.taints)


def _listed(labels: Mapping[str, Optional[str]], taints: Taints, taint: str) -> str:
    parts = [f"{label}={value}" if value is not None else f"{label}-" for label, value in sorted(labels.items())]
    parts += [f"taint {taint}"] if taints is not None else []
    return f" ({', '.join(parts)})" if parts else ""
