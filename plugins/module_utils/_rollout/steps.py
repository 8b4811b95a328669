# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of a sharing change on one node, each decided from what the node bears now. PRIVATE to the collection.

Order: in maintenance (cordon and note in one request), plugin withdrawn, new revision served, back in service on proof.
A step that is done already decides to write nothing, and each step refuses a node on which the one before it is not in
force any more. So an interrupted rollout finishes when it is started again, and at no moment is a node schedulable while
what it advertises differs from the revision recorded on it.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import (
    HELD,
    PATCH,
    Decision,
    done,
    refuse,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import Maintenance
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodePatch, NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pausing import lifted, undoing
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.protection import protect, unprotect
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.text import shorten

#: What a note calls the last step that its run began.
CORDONED, WITHDRAWN, SERVING = "cordoned", "withdrawn", "serving"
#: A note is to be read in one look, and all annotations of a node together may have 256 KiB.
_REASON_LIMIT = 500
_LET_GO = "Remove the annotation when the node may be changed, then run again."


@dataclass(frozen=True)
class RunContext:
    """Who decides.

    :param since: RFC 3339, the start of a maintenance that begins now.
    :param holder: run that holds a live lease, None if there is none. In check mode it may be another run.
    """

    run: str
    plan_id: str
    since: str = ""
    holder: str | None = None


def bears_target(node: NodeState, target: NodeTarget) -> bool:
    """The labels are as the plan wants them at the end."""
    labels = all(node.labels.get(label) == value for label, value in target.labels.items())
    return node.key == target.key and node.revision == target.revision and labels and not foreign_label(node, target)


def advertises_target(node: NodeState, target: NodeTarget) -> bool:
    """Allocatable is as the plan wants it at the end. Absent counts as 0."""
    return all(node.allocatable.get(resource, 0) == count for resource, count in target.wanted().items())


def lost_registration(node: NodeState, target: NodeTarget, run: RunContext) -> bool:
    """The node bears its target and does not advertise it, and this run has not served it yet: it is switched anew.

    A foreign plugin that came and went again leaves our plugin ready and its socket gone: allocatable is 0 and stays so
    until the plugin starts again, however long one waits. An interrupted run may leave a node that looks just the same
    and merely needs time. No look at it tells the two apart for sure, and both are right after another withdrawal: the
    node is cordoned, the order of steps is kept, and no pod but the plugin's own is stopped. So each run that begins, or
    takes over, the maintenance of such a node withdraws its plugin once. From the moment on at which it has served the
    node itself (the note says so), it only waits.
    """
    note = node.maintenance
    ours = note is not None and note.run == run.run and note.step != SERVING
    return ours and bears_target(node, target) and not advertises_target(node, target)


def is_switched_anew(node: NodeState, target: NodeTarget, run: RunContext) -> bool:
    """The node bears its target, and this run withdraws its plugin all the same, once: it has lost its registration, or
    MIG instances are to come or go under it.

    A run that brings a node back after its own failure goes by another plan: what it served by the first does not count.
    """
    note = node.maintenance
    ours = note is not None and note.run == run.run and (note.step != SERVING or note.plan != run.plan_id)
    return lost_registration(node, target, run) or (target.changes_layout and ours and bears_target(node, target))


def foreign_label(node: NodeState, target: NodeTarget) -> dict[str, str]:
    """Labels on the node by which somebody else's plugin selects it that is not to serve it."""
    if target.release is None or target.release.method != "label":
        return {}
    return {
        label: value
        for label, value in target.release.label.items()
        if node.labels.get(label) == value and target.labels.get(label) != value
    }


def selecting_labels(node: NodeState, target: NodeTarget) -> dict[str, str]:
    """Labels on the node by which anybody else's plugin selects it, the one that it goes back to among them.

    They are all off while it is withdrawn, so that the one that comes never meets the one that goes.
    """
    back = {label: value for label, value in target.labels.items() if node.labels.get(label) == value}
    return {**foreign_label(node, target), **back}


def decide_in_maintenance(node: NodeState, target: NodeTarget, run: RunContext) -> Decision:
    """Cordon and note, in one request."""
    note = node.maintenance
    if note is None:
        return _begin(node, target, run)
    if note.run == run.run:
        if node.unschedulable:
            return done("already in maintenance by this run")
        return _cordon(node, note, f"patch node {node.name}: cordon again, it was uncordoned meanwhile")
    if not note.run:
        return refuse(
            f"its annotation {names.MAINTENANCE_ANNOTATION} cannot be read: {note.reason[:80]!r}. Find out who wrote it, "
            "remove it by hand, then run again."
        )
    if note.run == run.holder:
        return refuse(
            f"run {note.run} has it in maintenance ({_since(note)}) and holds a live lease. Wait for that run to end."
        )
    return _take_over(node, note, target, run)


def _take_over(node: NodeState, note: Maintenance, target: NodeTarget, run: RunContext) -> Decision:
    """Go on with the maintenance of a run that is gone, unless a person holds the node or may be at work on it."""
    if not note.plan and not target.as_is:
        return refuse(
            f"it is in maintenance by run {note.run} ({_since(note)}) for its own sake, without a plan: a person may be at "
            f"work on it. When that is over, take the lock for run {note.run} and end it by node_maintenance with state "
            f"in_service, or remove the annotation {names.MAINTENANCE_ANNOTATION} and uncordon the node. Then run again."
        )
    if node.hold is not None:
        return refuse(f"{_held(node)} It stays in maintenance as run {note.run} left it. {_LET_GO}")
    taken = Maintenance(
        run=run.run,
        since=note.since or run.since,  # pods that the kubelet has refused from then on are still to be looked after
        was_unschedulable=note.was_unschedulable,
        step=CORDONED,  # the steps begin anew with this run, see lost_registration
        plan=run.plan_id,
        reason=_purpose(target, run),
        restore={**_layout_before(target), **note.restore},
    )
    action = f"patch node {node.name}: take over the maintenance of run {note.run}"
    decision = _cordon(node, taken, action)
    reason = f"taken over from run {note.run}, which holds no lease (in maintenance {_since(note)})"
    return Decision(decision.verdict, reason, decision.patch, decision.actions)


def _begin(node: NodeState, target: NodeTarget, run: RunContext) -> Decision:
    as_planned = bears_target(node, target) and advertises_target(node, target) and not node.not_ready
    if as_planned and not target.as_is and not target.changes_host:
        return done("already serves what the plan wants", settled=True)
    if node.hold is not None:
        return refuse(f"{_held(node)} {_LET_GO}")
    note = Maintenance(
        run=run.run,
        since=run.since,
        was_unschedulable=node.unschedulable,
        step=CORDONED,
        plan=run.plan_id,
        reason=_purpose(target, run),
        restore=_restore(node, target),
    )
    what = "annotate (it was cordoned before)" if node.unschedulable else "cordon and annotate"
    return _cordon(node, note, f"patch node {node.name}: {what}")


def _held(node: NodeState) -> str:
    return f"held by the annotation {names.HOLD_ANNOTATION}: {node.hold or 'no reason given'}."


def _cordon(node: NodeState, note: Maintenance, action: str) -> Decision:
    protection, restore = protect(node, note.restore)
    text = replace(note, restore=restore).to_text()
    patch = NodePatch(annotations={names.MAINTENANCE_ANNOTATION: text, **protection}, unschedulable=True)
    return Decision(PATCH, patch=patch, actions=(action,))


def _purpose(target: NodeTarget, run: RunContext) -> str:
    if target.as_is:
        return f"maintenance by run {run.run}, nothing is to change"
    return f"sharing change to {target.title} by plan {run.plan_id}"


def _restore(node: NodeState, target: NodeTarget) -> dict[str, object]:
    leaving = target.release.label if target.release and target.release.method == "label" else {}
    return {
        "key": node.key,
        "revision": node.revision,
        "labels": {label: node.labels.get(label) for label in sorted({*leaving, *target.labels})},
        "resources": dict(node.allocatable),
        **_layout_before(target),
    }


def _layout_before(target: NodeTarget) -> dict[str, object]:
    """The MIG layout as the plan found it, for a node of which that may change."""
    return {"mig": target.mig.before} if target.mig else {}


def decide_withdrawn(node: NodeState, target: NodeTarget, run: RunContext) -> Decision:
    """Take every plugin off the node, in one request.

    The revision label is set to ``withdrawn``, never just removed: a foreign DaemonSet that was told to stay away from
    nodes with that label would come back at its absence.
    """
    if target.as_is:
        return done("its plugin stays")
    if bears_target(node, target) and not is_switched_anew(node, target, run):
        return done("already bears its new revision", settled=node.maintenance is None)
    obstacle = not_ours(node, run)
    if obstacle:
        return refuse(obstacle)
    selecting = selecting_labels(node, target)
    if node.revision == names.WITHDRAWN and not selecting:
        return done("already withdrawn")
    labels: dict[str, str | None] = dict.fromkeys(selecting)
    if node.revision != names.WITHDRAWN:
        labels[names.REVISION_LABEL] = names.WITHDRAWN
    change = _Change(WITHDRAWN, f"patch node {node.name}: withdraw the plugin", labels)
    return _label(node, change, _purpose(target, run))


def decide_serving(node: NodeState, target: NodeTarget, run: RunContext) -> Decision:
    """Let the new revision in, or the plugin that the node goes back to, in one request."""
    if target.as_is:
        return done("its plugin stays")
    if bears_target(node, target):
        if node.maintenance is None:
            return done("already in service with its new revision", settled=True)
        return done("already bears its new revision")
    obstacle = not_ours(node, run)
    if obstacle:
        return refuse(obstacle)
    if node.revision != names.WITHDRAWN or selecting_labels(node, target):
        return refuse(
            f"its plugin has not been withdrawn: label {names.REVISION_LABEL} is {node.revision!r}, not "
            f"{names.WITHDRAWN!r}. Two plugins on one node end with no GPU at all. Run the step withdrawn first."
        )
    labels: dict[str, str | None] = {names.REVISION_LABEL: target.revision}
    if node.key != target.key:
        labels[names.CONFIG_LABEL] = target.key
    labels.update(target.labels)
    # What pods hold from before this moment may be there no more: told later from the cluster alone, whoever asks.
    since = {names.DEVICES_SINCE_ANNOTATION: run.since} if target.ids_change else {}
    change = _Change(SERVING, f"patch node {node.name}: serve {target.title}", labels, since)
    decision = _label(node, change, _purpose(target, run))
    # Nothing needs to be kept away any more, and the plugin, whosever it is, need not tolerate our taint. In check mode
    # nobody has tainted the node, so the diff does not tell.
    return replace(decision, patch=replace(decision.patch, taints=lifted(node), taints_shown=False))


def decide_in_service(node: NodeState, target: NodeTarget, run: RunContext, unmet: list[str]) -> Decision:
    """Uncordon and remove the note, in one request, on proof alone.

    :param unmet: what the proof lacks, see proof.py.
    """
    note = node.maintenance
    if note is None:
        if unmet:
            return refuse(f"it is in nobody's maintenance, yet {'; '.join(unmet)}. Run again.")
        reason = "was cordoned by somebody else and stays so" if node.unschedulable else "already in service"
        return done(reason, settled=True)
    if note.run != run.run:
        return refuse(_foreign_note(note))
    if unmet:
        return refuse(f"stays out of service: {'; '.join(unmet)}. Look at the plugin pod on the node, then run again.")
    if node.hold is not None:
        return Decision(HELD, f"{_held(node)} It stays cordoned")
    annotations: dict[str, str | None] = {names.MAINTENANCE_ANNOTATION: None, **unprotect(node, note.restore)}
    undo = undoing(node)  # if nobody has resumed what was paused: no node comes back without it
    patch = NodePatch(undo.labels, annotations, taints=undo.taints)
    if note.was_unschedulable:
        action = f"patch node {node.name}: remove the annotation; it was cordoned before and stays so"
        return Decision(PATCH, "was cordoned before and stays so", patch, (action,))
    patch = replace(patch, unschedulable=False)
    return Decision(PATCH, patch=patch, actions=(f"patch node {node.name}: uncordon and remove the annotation",))


def decide_failure(node: NodeState, run: RunContext, reason: str) -> Decision:
    """Put into the note why a step failed, so that the node itself says why it is out of service."""
    note = node.maintenance
    if note is None or note.run != run.run:
        return done("it is not in maintenance by this run")
    failed = replace(note, reason=shorten(reason, _REASON_LIMIT))
    if failed == note:
        return done("its note says so already")
    patch = NodePatch(annotations={names.MAINTENANCE_ANNOTATION: failed.to_text()})
    return Decision(PATCH, patch=patch, actions=(f"patch node {node.name}: note the failure",))


@dataclass(frozen=True)
class _Change:
    """A change of labels, the step that it begins, and annotations that say when."""

    step: str
    action: str
    labels: Mapping[str, str | None]
    annotations: Mapping[str, str] = field(default_factory=dict)


def _label(node: NodeState, change: _Change, purpose: str) -> Decision:
    note = node.maintenance
    noted = {names.MAINTENANCE_ANNOTATION: note.at_step(change.step, purpose).to_text()} if note else {}
    changes = ", ".join(f"{label}={value}" if value else f"{label}-" for label, value in sorted(change.labels.items()))
    patch = NodePatch(labels=change.labels, annotations={**noted, **change.annotations})
    return Decision(PATCH, patch=patch, actions=(f"{change.action} ({changes})",))


def not_ours(node: NodeState, run: RunContext) -> str:
    """Why this run must not change the node's labels now, "" if it may."""
    note = node.maintenance
    if note is None:
        return "it is not in maintenance. Run node_maintenance with state in_maintenance first."
    if note.run != run.run:
        return _foreign_note(note)
    if not node.unschedulable:
        return (
            "it was uncordoned by somebody else meanwhile, and pods could land on it while its plugin changes. "
            "Run again: that cordons the node anew."
        )
    return ""


def _since(note: Maintenance) -> str:
    return f"since {note.since or 'an unknown time'}"


def _foreign_note(note: Maintenance) -> str:
    return (
        f"it is in maintenance by run {note.run or 'unknown'} ({_since(note)}), not by this run. "
        "If that run is dead, run again from the start: that takes the node over."
    )
