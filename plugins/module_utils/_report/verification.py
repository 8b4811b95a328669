# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is the cluster as the plan wants it? PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import (
    Cluster,
    allocatable,
    object_name,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Document,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    describe_amounts,
    describe_count,
    describe_duration,
    describe_value,
    in_order,
)

Plan = Mapping[str, Any]


def verify(plan: Plan, before: Optional[Cluster], after: Cluster, limit: int) -> Document:
    """Comparison of every node of the plan.

    :param before: the cluster as it was planned for, if known: pods that were pending then should no longer be.
    :param limit: rows of a table at most.
    """
    differences = {
        name: node_differences(name, plan["nodes"][name], after) for name in in_order(plan.get("nodes") or {})
    }
    wrong = sum(1 for found in differences.values() if found)
    pending = after.get("pending") or []
    verdict = (
        f"All {describe_count(len(differences), 'node')} as planned"
        if not wrong
        else f"{wrong} of {describe_count(len(differences), 'node')} not as planned"
    )
    subtitle = f"{verdict}; {_describe_pending(before, after)}."
    sections = [
        _nodes_section(plan, after, differences, limit),
        _differences_section(differences, limit),
        _pending_section(pending, limit),
    ]
    return Document(
        f"Verification of plan {plan.get('plan_id')}", subtitle, [section for section in sections if section]
    )


def _describe_pending(before: Optional[Cluster], after: Cluster) -> str:
    now = describe_count(len(after.get("pending") or []), "GPU pod")
    if before is None:
        return f"{now} pending"
    return f"{now} pending, {len(before.get('pending') or [])} before"


def node_differences(name: str, planned: Mapping[str, Any], after: Cluster) -> list[str]:
    """What is not as planned on a node, in words; empty if all is."""
    node = (after.get("nodes") or {}).get(name)
    if node is None:
        return ["the cluster no longer has this node"]
    return [
        *_label_differences(planned.get("to") or {}, node),
        *_resource_differences(planned.get("expected_resources") or {}, node),
        *_plugin_differences(name, (planned.get("to") or {}).get("revision"), after),
        *_service_differences(planned, node),
    ]


def _label_differences(to: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[str]:
    for word in ("key", "revision"):
        if to.get(word) is not None and node.get(word) != to[word]:
            yield f"its {word} is {node.get(word) or 'not set'}, planned is {to[word]}"


def _resource_differences(expected: Mapping[str, int], node: Mapping[str, Any]) -> Iterator[str]:
    observed = allocatable(node)
    for resource in sorted({*expected, *observed}):
        if observed.get(resource, 0) != expected.get(resource, 0):
            yield f"it advertises {observed.get(resource, 0)} of {resource}, planned are {expected.get(resource, 0)}"


def _plugin_differences(name: str, revision: Optional[str], after: Cluster) -> Iterator[str]:
    if revision is None:
        return
    pods = [pod for plugin in after.get("plugins") or [] for pod in plugin.get("pods") or [] if pod.get("node") == name]
    ours = [pod for pod in pods if pod.get("revision_label") == revision and not pod.get("terminating")]
    if not ours:
        yield f"no plugin pod of revision {revision} runs there"
    for pod in pods:
        if pod not in ours:
            yield f"plugin pod {pod.get('name')}, which is not of revision {revision}, is still there"
        elif not pod.get("ready"):
            yield f"plugin pod {pod.get('name')} is not ready"


def _service_differences(planned: Mapping[str, Any], node: Mapping[str, Any]) -> Iterator[str]:
    if not node.get("ready", True):
        yield "it is not Ready"
    if node.get("maintenance"):
        yield f"it is still in maintenance ({describe_value(node['maintenance'].get('reason'))})"
    elif node.get("unschedulable") and not planned.get("was_unschedulable"):
        yield "it is cordoned, by somebody else"


def _nodes_section(plan: Plan, after: Cluster, differences: Mapping[str, list[str]], limit: int) -> Section:
    columns = [
        Column("Node"),
        Column("Config"),
        Column("Revision"),
        Column("Planned", right=True),
        Column("Advertised", right=True),
        Column("Verdict"),
    ]
    names = [
        *(name for name in differences if differences[name]),
        *(name for name in differences if not differences[name]),
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
                "✗ differs" if differences[name] else "✓ as planned",
            )
        )
    return Section(
        "Nodes", "" if rows else "The plan has no nodes.", capped_table(columns, rows, limit) if rows else None
    )


def _differences_section(differences: Mapping[str, list[str]], limit: int) -> Optional[Section]:
    items = [f"{name}: {difference}." for name, found in differences.items() for difference in found]
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
