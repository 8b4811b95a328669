# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a node goes back, and to what. PRIVATE to the collection.

It goes back only if it bears what the run had made of it, or was left on the way: what somebody has changed since then is
theirs, and is told.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, List, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import ON_HOLD, NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    CONFIG_LABEL,
    REVISION_LABEL,
    WITHDRAWN,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.mig import MigBack

_COUNT_LABEL = "nvidia.com/gpu.count"


@dataclass(frozen=True)
class Judgement:
    """What is decided about a node.

    :param left_alone: why it stays as it is; "" if it takes part.
    :param reasons: why it is changed; empty if it is already as it was.
    """

    left_alone: str = ""
    reasons: List[str] = field(default_factory=list)


@dataclass(frozen=True)
class Return:
    """A node and what it was before the run.

    :param entry: of the snapshot.
    :param mig: what becomes of its MIG instances; None if the run left them alone.
    """

    state: NodeState
    entry: Mapping[str, Any]
    mig: MigBack | None = None

    @property
    def name(self) -> str:
        """The node's."""
        return self.state.name

    @property
    def key(self) -> str | None:
        """The config that it bore."""
        return self.entry["labels"].get(CONFIG_LABEL)

    @property
    def revision(self) -> str | None:
        """Our revision that served it; None if none of ours did."""
        return self.entry["labels"].get(REVISION_LABEL)

    @property
    def expected(self) -> dict[str, int]:
        """What it advertised, without zeros."""
        return dict(self.entry["resources"])

    @property
    def other_labels(self) -> dict[str, str]:
        """Labels that it had besides and that the run took off: somebody else's plugin selects on them."""
        own = (CONFIG_LABEL, REVISION_LABEL)
        return {
            label: value
            for label, value in sorted(self.entry["labels"].items())
            if label not in own and value is not None
        }

    @property
    def labels_after(self) -> dict[str, str]:
        """All its labels, once it is back."""
        merged = {**self.state.labels, **self.entry["labels"]}
        return {label: value for label, value in merged.items() if value is not None}

    @property
    def bears_it(self) -> bool:
        """Its labels are as they were."""
        return all(self.state.labels.get(label) == value for label, value in self.entry["labels"].items())

    @property
    def is_back(self) -> bool:
        """It is as it was, whoever has it in maintenance."""
        return self.bears_it and self.state.resources == self.expected and not self.is_parted_otherwise

    @property
    def is_parted_otherwise(self) -> bool:
        """Its MIG instances are not what they were."""
        return self.mig is not None and self.mig.changes

    def ids_change(self, gpus: int = 0) -> bool:
        """Whether device ids that pods hold may be there no more afterwards, judged by the number of slots: now, and as an interrupted run found it.

        A card is one device when whole and others when shared; from shared to shared with more slots the old ids stay.

        :param gpus: how many the node has, where that was read; 0: its label tells it, if it has one.
        """
        now, noted, then = self.state.resources, self.state.noted_resources, self.expected
        if self.is_back or not then:
            return False
        if self.is_parted_otherwise:
            return True
        if any(found and set(found) != set(then) for found in (now, noted)):
            return True
        after, count = sum(then.values()), self.state.labels.get(_COUNT_LABEL, "")
        cards = gpus or (int(count) if count.isdigit() else None)
        figures = [sum(now.values()) or self.state.capacity(), sum(noted.values())]
        return any(_may_lose(before, after, cards) for before in figures if before)


def judge(back: Return, run: str) -> Judgement:
    """Decide about a node of the snapshot that the cluster has.

    :param run: whose changes are taken back.
    """
    state = back.state
    alone = _why_left_alone(back)
    if alone:
        return Judgement(left_alone=alone)
    if state.maintenance or state.revision == WITHDRAWN:
        return _judge_under_way(back, run)
    if back.is_back:
        return Judgement()
    if back.mig is not None and _bears(state) == _set_by_run(back):
        return _judge_layout(back, run)
    if back.bears_it:
        now, then = (_show(amounts) for amounts in (state.resources, back.expected))
        return Judgement(
            left_alone=f"it bears what it bore before run {run}, but advertises {now} instead of {then}. Look at its device plugin"
        )
    if _bears(state) != _set_by_run(back):
        return Judgement(
            left_alone=f"it was changed after run {run}, which had set {_title(*_set_by_run(back))}: it bears {_title(*_bears(state))} now"
        )
    return Judgement(reasons=[_way(back)])


def _may_lose(before: int, after: int, cards: int | None) -> bool:
    shared = cards is not None and before > cards
    return before != after and not (after > before and shared)


def _why_left_alone(back: Return) -> str:
    if back.state.hold is not None:
        return f"{ON_HOLD}{back.state.hold or 'no reason given'}"
    if not back.state.entry.get("ready", True):
        return "the node is not Ready"
    if back.entry["target"] is None and not back.is_back:
        return "the snapshot, of an older version, does not tell what the run had set"
    if back.revision == WITHDRAWN:
        return "the snapshot found it without any plugin, so there is nothing to go back to"
    if not back.expected and not back.is_back:
        return "the snapshot does not tell what it advertised, so nothing would prove that it is back"
    return ""


def _judge_under_way(back: Return, run: str) -> Judgement:
    """A node between two states: what it was before, its note tells."""
    note = back.state.maintenance or {}
    restore = note.get("restore") or {}
    origin = (restore.get("key"), restore.get("revision")) if "revision" in restore else None
    who = f"run {note.get('run') or 'unknown'}"
    if origin is not None and origin not in (_set_by_run(back), (back.key, back.revision)):
        return Judgement(
            left_alone=f"{who} left it out of service, and before that it bore {_title(*origin)}, while run {run} had set "
            f"{_title(*_set_by_run(back))}. Run the rollout of {who} again, or go back to its snapshot"
        )
    left = f"left out of service by {who}" if note else "left without a plugin"
    return Judgement(reasons=[left if back.bears_it else f"{left}; {_way(back)}"])


def _judge_layout(back: Return, run: str) -> Judgement:
    """A node with MIG instances that bears what the run had set, which may be what it bore before: its layout tells."""
    target = back.entry["target"] or {}
    if back.mig is not None and back.mig.is_of_others(target.get("mig")):
        return Judgement(left_alone=f"its MIG instances were changed after run {run}")
    return Judgement(
        reasons=[f"{_way(back)}, with the MIG instances of before" if back.is_parted_otherwise else _way(back)]
    )


def _way(back: Return) -> str:
    return f"back to {_title(back.key, back.revision) if back.revision else 'the plugin that served it before'}"


def _bears(state: NodeState) -> tuple[str | None, str | None]:
    return state.key, state.revision


def _set_by_run(back: Return) -> tuple[str | None, str | None]:
    target = back.entry["target"] or {}
    return target.get("key"), target.get("revision")


def _title(key: str | None, revision: str | None) -> str:
    if revision is None:
        return f"config {key}, no revision of ours" if key else "no config of ours"
    return f"config {key} revision {revision}"


def _show(resources: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in sorted(resources.items())) or "nothing"


def kept_runtime(back: Return) -> List[str]:
    """That its container runtime stays as it is: a runtime that is ready serves any way of sharing, and to take it out would cost another
    restart with all pods of the node gone. A sentence without the node; nothing where the run had left it alone.
    """
    runtime = (back.entry.get("target") or {}).get("runtime")
    if not runtime:
        return []
    return [
        f"its container runtime ({runtime.get('engine')}), which the rollout was to set up, stays as it is now, since a runtime that is "
        "ready serves any way of sharing. The role nvidia_container_runtime with kubegpu_runtime_state: absent takes out what it put in."
    ]
