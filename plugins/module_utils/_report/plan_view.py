# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan in words: how each GPU is shared and why, what changes, who is disturbed. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import Cluster
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Section,
    capped_items,
    capped_table,
    list_left_alone,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.holds import (
    Hold,
    describe_holds,
    find_holds,
    holds_section,
    left_for_other_reasons,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.mig_view import mig_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_changes import (
    changes_section,
    releases_section,
    stale_section,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.rehearsal_view import BUDGETS, rehearsal_sections
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.rollback_view import rollback_sections
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.runtime_view import runtime_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.sharing_view import (
    configs_section,
    sharing_section,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    describe_count,
    describe_left_alone,
    describe_value,
    in_order,
    join_some,
)

Plan = Mapping[str, Any]

_SEVERITIES = ("error", "warning", "info")


def show_plan(plan: Plan, limit: int, cluster: Optional[Cluster] = None) -> Document:
    """The plan.

    :param limit: rows of a table at most.
    :param cluster: the cluster that it was made for, if known: since when nodes are held.
    """
    nodes = plan.get("nodes") or {}
    names, holds = in_order(nodes), find_holds(plan, cluster)
    sections = [
        _refusal(plan),
        *rollback_sections(plan),
        configs_section(plan, names, limit),
        sharing_section(plan, names, limit),
        runtime_section(plan, names, limit),
        mig_section(plan, names, limit),
        changes_section(plan, names, limit),
        releases_section(plan),
        stale_section(plan, names, limit),
        *rehearsal_sections(plan, limit),
        _compatibility_section(plan, limit),
        _waves_section(plan, limit),
        _warnings_section(plan, limit),
        holds_section(holds, limit, plan.get("kind")),
        list_left_alone(left_for_other_reasons(plan.get("skipped") or []), limit),
    ]
    return Document(
        f"Plan {plan.get('plan_id')}", describe_plan(plan, holds), [section for section in sections if section]
    )


def shorten_approved(document: Document) -> Document:
    """Of a plan that somebody has seen and approved by its id, the headline is enough, and what no id tells: budgets have their own time."""
    kept = [section for section in document.sections if section.heading == BUDGETS]
    return replace(document, subtitle=f"As approved: {document.subtitle}", sections=kept)


def title_left(document: Document, approved: str) -> Document:
    """Of what is left of a plan, people know the approved plan's id. Planned anew, the rest has one of its own."""
    return replace(document, title=f"What is left of approved plan {approved}")


def describe_plan(plan: Plan, holds: Sequence[Hold]) -> str:
    """A plan in a sentence."""
    totals = plan.get("totals") or {}
    nodes = plan.get("nodes") or {}
    # The report counts the whole cluster: say what is counted here.
    slots = f"GPU slots {totals.get('slots_before')} → {totals.get('slots_after')} on the planned nodes"
    left_alone = describe_left_alone(len(left_for_other_reasons(plan.get("skipped") or []))) + describe_holds(holds)
    if not nodes:
        return f"No node is planned for{left_alone}."
    planned = describe_count(len(nodes), "planned GPU node")
    if plan.get("empty"):
        return f"Nothing to change: {planned} already as wanted; {slots}{left_alone}."
    changed = sum(1 for node in nodes.values() if node.get("changed"))
    verb = "changes" if changed == 1 else "change"
    return f"{changed} of {planned} {verb}, in {describe_count(len(plan.get('waves') or []), 'wave')}; {slots}{left_alone}."


def _refusal(plan: Plan) -> Optional[Section]:
    problems = [_message(problem) for problem in plan.get("problems") or []]
    return Section("Refused: nothing will be changed", items=problems) if problems else None


def _compatibility_section(plan: Plan, limit: int) -> Section:
    findings = sorted(plan.get("compatibility") or [], key=_severity)
    columns = [Column("Severity"), Column("Object", wrap=True), Column("What sharing means for it", wrap=True)]
    rows = [
        (
            describe_value(found.get("severity")),
            describe_value(found.get("object")),
            describe_value(found.get("message")),
        )
        for found in findings
    ]
    if not rows:
        return Section("Compatibility with workloads", "Nothing found that sharing would break.")
    return Section("Compatibility with workloads", table=capped_table(columns, rows, limit))


def _severity(finding: Mapping[str, Any]) -> int:
    severity = finding.get("severity")
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else len(_SEVERITIES)


def _waves_section(plan: Plan, limit: int) -> Optional[Section]:
    seen: set[str] = set()
    items = []
    for number, wave in enumerate(plan.get("waves") or [], start=1):
        keys = [_served_by(plan["nodes"].get(name) or {}) for name in wave]
        items.append(
            f"Wave {number}, {describe_count(len(wave), 'node')}{_describe_canaries(keys, seen)}: {join_some(list(wave), 8)}"
        )
        seen.update(keys)
    return Section("Waves", items=capped_items(items, limit)) if items else None


def _served_by(node: Mapping[str, Any]) -> str:
    """The config of a node, or somebody else's plugin that it goes back to."""
    return str(node.get("key") or (node.get("to") or {}).get("plugin"))


def _describe_canaries(keys: Sequence[str], seen: set[str]) -> str:
    """A wave in which every node is the first of its config tries these configs."""
    if not keys or len(set(keys)) < len(keys) or seen & set(keys):
        return ""
    return f" ({'canary' if len(keys) == 1 else 'canaries'} of {', '.join(keys)})"


def _warnings_section(plan: Plan, limit: int) -> Optional[Section]:
    warnings = [_message(warning) for warning in plan.get("warnings") or []]
    return Section("Warnings", items=capped_items(warnings, limit)) if warnings else None


def _message(entry: Any) -> str:
    return str(entry.get("message") or entry) if isinstance(entry, Mapping) else str(entry)
