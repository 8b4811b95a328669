# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the cluster as the plan wants it? PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import (
    Cluster,
    allocatable,
    object_name,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.disturbance import describe_pod, refused_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Section,
    capped_items,
    capped_table,
    list_left_alone,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.holds import (
    describe_holds,
    find_holds,
    holds_section,
    left_for_other_reasons,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.node_verdict import Verdict, judge_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    describe_amounts,
    describe_count,
    describe_duration,
    describe_left_alone,
    describe_value,
    in_order,
)

Plan = Mapping[str, Any]
_ACCEPTED = "Accepted by kubegpu_"


def verify(plan: Plan, before: Optional[Cluster], after: Cluster, limit: int) -> Document:
    """Comparison of every node of the plan.

    :param before: the cluster as it was planned for, if known: pods that were pending then should no longer be.
    :param limit: rows of a table at most.
    """
    verdicts = {name: _judge(name, plan, before, after) for name in in_order(plan.get("nodes") or {})}
    holds, skipped = find_holds(plan, after), left_for_other_reasons(plan.get("skipped") or [])
    verdict = describe_verdicts(len(verdicts), sum(1 for found in verdicts.values() if found.differences))
    others = f"{describe_left_alone(len(skipped))}{describe_holds(holds)}"
    subtitle = f"{verdict}{others}; {_describe_pending(before, after)}."
    sections = [
        _nodes_section(plan, after, verdicts, limit),
        _differences_section(verdicts, limit),
        _pending_section(after.get("pending") or [], limit),
        _refused_section(before, after, limit),
        holds_section(holds, limit, plan.get("kind")),
        _accepted_section(plan, limit),
        list_left_alone(skipped, limit),
    ]
    # The id of a plan that changes nothing is known to nobody.
    title = "Verification" if plan.get("empty") else f"Verification of plan {plan.get('plan_id')}"
    return Document(title, subtitle, [section for section in sections if section])


def _accepted_section(plan: Plan, limit: int) -> Optional[Section]:
    """What would have been refused, and was let pass by a variable: as planned does not mean that it is well."""
    items = [str(warning) for warning in plan.get("warnings") or () if _ACCEPTED in str(warning)]
    return Section("Accepted, not cured", items=capped_items(items, limit)) if items else None


def _judge(name: str, plan: Plan, before: Optional[Cluster], after: Cluster) -> Verdict:
    """Where nothing was done since the plan was made, GPUs that it wants to lay out anew and runtimes to set up are not as planned."""
    planned = plan["nodes"][name]
    found = judge_node(name, planned, after)
    parts = (
        [(planned.get(word) or {}).get("differences") or () for word in ("runtime", "mig")] if before is None else []
    )
    on_host = [f"{name}: {difference}" for part in parts for difference in part]
    return replace(found, differences=[*found.differences, *on_host])


def describe_verdicts(count: int, differ: int) -> str:
    """The verdict on all nodes.

    :param count: nodes of the plan.
    :param differ: nodes that are not as planned.
    """
    if not count:
        return "No node was planned for"
    if differ:
        return f"{differ} of {describe_count(count, 'planned node')} not as planned"
    return "The planned node is as planned" if count == 1 else f"All {count} planned nodes as planned"


def _describe_pending(before: Optional[Cluster], after: Cluster) -> str:
    now = describe_count(len(after.get("pending") or []), "GPU pod")
    if before is None:
        return f"{now} pending"
    return f"{now} pending, {len(before.get('pending') or [])} before"


def _nodes_section(plan: Plan, after: Cluster, verdicts: Mapping[str, Verdict], limit: int) -> Section:
    columns = [
        Column("Node"),
        Column("Config"),
        Column("Revision"),
        Column("Planned", right=True),
        Column("Advertised", right=True),
        Column("Verdict", wrap=True),
    ]
    names = [
        *(name for name in verdicts if verdicts[name].differences),
        *(name for name in verdicts if not verdicts[name].differences),
    ]
    rows = []
    for name in names:
        planned, node = plan["nodes"][name], (after.get("nodes") or {}).get(name) or {}
        rows.append(
            (
                name,
                describe_value(node.get("key")),
                describe_value(node.get("revision")),
                describe_amounts(planned.get("expected_resources") or {}),
                describe_amounts(allocatable(node)),
                verdicts[name].describe(),
            )
        )
    return Section(
        "Nodes", "" if rows else "The plan has no nodes.", capped_table(columns, rows, limit) if rows else None
    )


def _differences_section(verdicts: Mapping[str, Verdict], limit: int) -> Optional[Section]:
    items = [difference for found in verdicts.values() for difference in found.differences]
    return Section("Differences", items=capped_items(items, limit)) if items else None


def _pending_section(pending: list[Mapping[str, Any]], limit: int) -> Optional[Section]:
    if not pending:
        return None
    columns = [Column("Pod"), Column("Pending for"), Column("Why", wrap=True)]
    rows = [
        (
            object_name(pod),
            describe_duration(pod.get("seconds")),
            describe_value(pod.get("message") or pod.get("reason")),
        )
        for pod in pending
    ]
    return Section("Still pending", table=capped_table(columns, rows, limit))


def _refused_section(before: Optional[Cluster], after: Cluster, limit: int) -> Optional[Section]:
    if before is None:
        return None
    items = [describe_pod(entry) for entry in refused_pods(before, after)]
    return Section("Pods that a kubelet refused meanwhile", items=capped_items(items, limit)) if items else None
