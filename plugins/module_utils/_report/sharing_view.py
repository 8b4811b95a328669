# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How each GPU, or MIG device, is shared, and why. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import LABELS
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Row,
    Section,
    Table,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    describe_amounts,
    describe_share,
    describe_value,
    join_some,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK

Plan = Mapping[str, Any]

_SHARING = {"none": "not shared", "time_slicing": "time-slicing", "mps": "MPS"}
#: Of a node, and of its MIG devices, in a plan that goes back.
_AS_BEFORE = "as before"


def describe_sharing(sharing: Any) -> str:
    """Sharing in NVIDIA's words."""
    return _SHARING.get(str(sharing), describe_value(sharing))


def describe_replicas(node: Mapping[str, Any]) -> str:
    """Replicas of each GPU: a number, or one for each resource."""
    replicas = node.get("replicas")
    if isinstance(replicas, Mapping):
        return describe_amounts(replicas) if replicas else "1"
    return "1" if replicas is None else str(replicas)


def configs_section(plan: Plan, names: list[str], limit: int) -> Optional[Section]:
    """Totals by config, where there are too many nodes to show them all."""
    if len(names) <= limit:
        return None
    columns = [
        Column("Config"),
        Column("Sharing"),
        *(Column(title, right=True) for title in ("Nodes", "Change", "GPUs", "Slots before", "after")),
    ]
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for name in names:
        node = plan["nodes"][name]
        groups.setdefault((str(node.get("key")), describe_sharing(node.get("sharing"))), []).append(node)
    rows = []
    for (key, sharing), members in sorted(groups.items()):
        figures = (
            len(members),
            sum(1 for node in members if node.get("changed")),
            *(sum(node.get(name) or 0 for node in members) for name in ("gpu_count", "slots_before", "slots_after")),
        )
        rows.append((key, sharing, *map(str, figures)))
    return Section("Configs", table=capped_table(columns, rows, limit))


def sharing_section(plan: Plan, names: list[str], limit: int) -> Section:
    """Replicas, slots and headroom, with the arithmetic."""
    columns = [
        Column("Node"),
        Column("Config"),
        *(Column(title, right=True) for title in ("Process", "Replicas", "Use", "Slot", "Headroom", "Slots")),
    ]
    rows = [row for name in names[:limit] for row in _sharing_rows(name, plan["nodes"][name])]
    totals = plan.get("totals") or {}
    total = ("Total", *[""] * 6, f"{totals.get('slots_before')} → {totals.get('slots_after')}")
    text = (
        "Process is process_memory_mib, as it is stated. Slot and headroom are MiB for each process, too; use is the part of a GPU's memory "
        "that is taken when every slot is. "
        "Replicas = floor(highest use × GPU memory / process)."
    )
    table = Table(columns, rows, total, left_out=max(0, len(names) - limit))
    if plan.get("kind") == ROLLBACK:
        text = "Nothing is computed: each node gets back the slots that it had."
    if not rows:
        return Section("How each GPU is shared", "No node is planned for.")
    items = [*capped_items(_arithmetic(plan, names), limit), *_unsure_facts(plan, names)]
    return Section("How each GPU is shared", text, table, items)


def _arithmetic(plan: Plan, names: list[str]) -> list[str]:
    """How the replicas come about, once for each config and size of card."""
    told = {}
    for name in names:
        node = plan["nodes"][name]
        if node.get("key"):
            for how in _how(node):
                told[f"Config {node['key']}: {how}"] = True
    return sorted(told)


def _how(node: Mapping[str, Any]) -> Iterator[str]:
    """Mechanisms, with the arithmetic of each kind of device where there is any: of what is not shared there is none."""
    strategy = (node.get("mig") or {}).get("strategy")
    # A rollback computes nothing, and its arithmetic says so.
    words = [describe_sharing(node.get("sharing"))] if node.get("sharing") != _AS_BEFORE else []
    if strategy:
        words.insert(0, "MIG as before" if strategy == _AS_BEFORE else f"MIG {strategy}")
    sizing = node.get("sizing") or {}
    parts = sizing.get("resources") or {"": sizing}
    for resource, part in sorted(parts.items()):
        arithmetic = part.get("arithmetic")
        if not arithmetic or (strategy and node.get("sharing") == "none"):
            yield ", ".join(words)
        else:
            name = f"{resource.replace('nvidia.com/', '')}: " if len(parts) > 1 else ""
            yield ", ".join([*words, f"{name}{arithmetic}"])


def _unsure_facts(plan: Plan, names: list[str]) -> Iterator[str]:
    """What was taken on trust of nodes that nobody looked into."""
    by_confidence: dict[str, list[str]] = {}
    for name in names:
        if plan["nodes"][name].get("facts") == LABELS:
            by_confidence.setdefault(str(plan["nodes"][name].get("confidence") or "from labels"), []).append(name)
    for confidence, found in by_confidence.items():
        yield f"Facts of {join_some(found, 8)}: {confidence}. So the memory in use there was not checked against the slots."


def _sharing_rows(name: str, node: Mapping[str, Any]) -> Iterator[Row]:
    """A row for the node; where it has several kinds of devices, one for each, the first of them with what is of the node."""
    slots = f"{node.get('slots_before')} → {node.get('slots_after')}"
    key, sizing = describe_value(node.get("key")), node.get("sizing") or {}
    parts = sizing.get("resources") or {}
    if len(parts) < 2:
        yield (name, key, *_figures(sizing, _only(node)), slots)
        return
    replicas = node.get("replicas") or {}
    for number, (resource, part) in enumerate(sorted(parts.items())):
        yield (
            "" if number else name,
            f"{key}: {resource.replace('nvidia.com/', '')}",
            *_figures(part, str(replicas.get(resource, 1))),
            "" if number else slots,
        )


def _only(node: Mapping[str, Any]) -> str:
    """Replicas; of a single kind of device without its name, which the slots tell. Of a rollback the slots alone are known."""
    if node.get("sharing") == _AS_BEFORE:
        return NOTHING
    replicas = node.get("replicas")
    return (
        str(next(iter(replicas.values())))
        if isinstance(replicas, Mapping) and len(replicas) == 1
        else describe_replicas(node)
    )


def _figures(sizing: Mapping[str, Any], replicas: str) -> tuple[str, ...]:
    return (
        describe_value(sizing.get("process_memory_mib")),
        replicas,
        describe_share(sizing.get("utilization")),
        describe_value(sizing.get("slot_mib")),
        describe_value(sizing.get("headroom_mib")),
    )
