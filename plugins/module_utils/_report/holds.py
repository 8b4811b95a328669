# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that a person keeps: who forgets them has fewer GPUs without a word. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Iterable, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import ON_HOLD
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import Cluster
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Section, capped_items
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    describe_count,
    describe_time,
    in_order,
    join_some,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import HOLD_ANNOTATION
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK

Skipped = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Hold:
    """A node with the annotation kubegpu.sharing/hold.

    :param out: whether it is out of scheduling; None if that is not known.
    :param since: since when, RFC 3339; "" where no run has taken it out.
    :param run: the run that has.
    """

    node: str
    why: str
    out: Optional[bool] = None
    since: str = ""
    run: str = ""

    def to_dict(self) -> dict[str, Any]:
        """For report.json."""
        return asdict(self)

    def describe(self) -> str:
        """Such as "gpu-1: disk is being replaced; out of service since 2026-03-01 12:00 UTC (run 20260301-115900-a1b2c3)"."""
        where = "" if self.out is None else "; out of service" if self.out else "; in service"
        since = f" since {describe_time(self.since)} (run {self.run})" if self.since else ""
        return f"{self.node}: {self.why}{where}{since}"


def find_holds(plan: Mapping[str, Any], cluster: Optional[Cluster]) -> list[Hold]:
    """Nodes of a plan that are held, and those that it left alone because they are.

    :param cluster: how the nodes are now, if known.
    """
    nodes = (cluster or {}).get("nodes") or {}
    reasons = {str(entry.get("node")): str(entry.get("reason")) for entry in plan.get("skipped") or []}
    found = {name: reason[len(ON_HOLD) :] for name, reason in reasons.items() if reason.startswith(ON_HOLD)}
    for name in plan.get("nodes") or {}:
        if (nodes.get(name) or {}).get("hold") is not None:
            found[name] = nodes[name]["hold"] or "no reason given"
    return [_hold(name, found[name], nodes.get(name)) for name in in_order(found)]


def _hold(name: str, why: str, node: Optional[Mapping[str, Any]]) -> Hold:
    if node is None:
        return Hold(name, why)
    note = node.get("maintenance") or {}
    out = bool(node.get("unschedulable") or note)
    return Hold(name, why, out, str(note.get("since") or ""), str(note.get("run") or "unknown"))


def left_for_other_reasons(skipped: Skipped) -> list[Mapping[str, Any]]:
    """What is left alone, without what is held."""
    return [entry for entry in skipped if not str(entry.get("reason")).startswith(ON_HOLD)]


def describe_holds(holds: Sequence[Hold]) -> str:
    """What a headline adds: "; 1 node is held by hand: gpu-1 (disk is being replaced)"; empty if none is."""
    if not holds:
        return ""
    names = join_some([f"{hold.node} ({hold.why})" for hold in holds])
    return f"; {describe_count(len(holds), 'node is', 'nodes are')} held by hand: {names}"


def holds_section(holds: Sequence[Hold], limit: int, kind: Optional[str]) -> Optional[Section]:
    """What is held, and how it comes back; None if nothing is.

    :param kind: of the plan: after a rollback, a rollout would do the opposite.
    """
    if not holds:
        return None
    which = "this node" if len(holds) == 1 else "these nodes"
    text = (
        f"The annotation {HOLD_ANNOTATION} keeps runs from {which}. Once the work there is done, remove it as below and run "
        f"{'the rollback' if kind == ROLLBACK else 'the rollout'} again."
    )
    command = f"kubectl annotate node {_arguments(hold.node for hold in holds)} {HOLD_ANNOTATION}-"
    items = capped_items([hold.describe() for hold in holds], limit)
    return Section("Held by hand", text, items=items, commands=[command])


def _arguments(names: Iterable[str]) -> str:
    listed = list(names)
    return " ".join(listed) if len(listed) <= 8 else "NAME..."
