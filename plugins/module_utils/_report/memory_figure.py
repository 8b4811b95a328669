# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of a GPU's memory, cut into slots. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import (
    BAR,
    LABEL,
    MAX_NODES,
    ROW_GAP,
    Scale,
    describe_left_out,
    shorten,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Rect, Shape, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    describe_count,
    describe_share,
    join_some,
)

# Height of one GPU with its two lines of text.
_LAYOUT = LABEL + 2 * BAR + 19 + ROW_GAP + 8


@dataclass(frozen=True)
class GpuLayout:
    """GPUs that are divided alike. Sizes in MiB; ``process`` is None if it was not measured."""

    product: str
    key: str
    total: int
    replicas: int
    slot: int
    process: Optional[int]
    utilization: Any


def group_layouts(nodes: Mapping[str, Mapping[str, Any]]) -> dict[GpuLayout, list[str]]:
    """Nodes by how their GPUs are divided; those of which memory or slot is unknown are left out."""
    groups: dict[GpuLayout, list[str]] = {}
    for name, node in nodes.items():
        for product, part in _devices(node):
            total, slot = part.get("memory_total_mib"), part.get("slot_mib")
            if not total or not slot:
                continue
            layout = GpuLayout(
                product=product,
                key=str(node.get("key")),
                total=int(total),
                replicas=max(1, int(total) // int(slot)),
                slot=int(slot),
                process=part.get("process_memory_mib"),
                utilization=part.get("utilization"),
            )
            groups.setdefault(layout, []).append(name)
    return groups


def _devices(node: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """What is divided on a node, with its figures: its GPUs, or each kind of MIG devices."""
    product, parts = str(node.get("product")), node.get("by_resource") or {}
    for resource, part in sorted(parts.items()):
        kind = resource.rpartition("/")[2]
        is_mig = resource in (node.get("mig_devices") or {})
        yield (f"{product}, {'MIG device' if kind == 'gpu' else kind}" if is_mig else product), part
    if not parts:
        yield product, node


def draw_memory(nodes: Mapping[str, Mapping[str, Any]], width: float = 440) -> Figure:
    """One GPU of each kind, its memory cut into slots, each with the measured process and its headroom."""
    groups = list(group_layouts(nodes).items())
    largest = max([1, *(layout.total for layout, _names in groups[:MAX_NODES])])
    shapes: list[Shape] = []
    sentences = []
    y = 0.0
    for layout, names in groups[:MAX_NODES]:
        shapes += _draw_layout(layout, len(names), y, Scale(width, largest))
        sentences.append(f"{_name_layout(layout, len(names))}, {_describe_layout(layout)}, on {join_some(names)}")
        y += _LAYOUT
    return Figure(
        title="Memory of a GPU, cut into slots",
        description=". ".join(sentences) or "No GPU whose memory is known.",
        width=width,
        height=max(y - ROW_GAP, 1),
        shapes=shapes,
        legend=(("process", "measured process"), ("headroom", "headroom"), ("unmeasured", "not measured")),
        note=describe_left_out(len(groups), "kinds of GPU"),
    )


def _name_layout(layout: GpuLayout, nodes: int) -> str:
    return f"{layout.product}, config {layout.key}" + (f", {nodes} nodes" if nodes > 1 else "")


def _describe_layout(layout: GpuLayout) -> str:
    slots = f"{describe_count(layout.replicas, 'slot')} × {layout.slot} MiB"
    if layout.process is None:
        return f"{slots}, process not measured"
    return f"{slots}: {layout.process} process + {layout.slot - layout.process} headroom"


def _draw_layout(layout: GpuLayout, nodes: int, y: float, scale: Scale) -> list[Shape]:
    use = "" if layout.utilization is None else f"{describe_share(layout.utilization)} used when full"
    return [
        Text(0, y + 12, shorten(_name_layout(layout, nodes), scale.width - 150), "label"),
        Text(scale.width, y + 12, use, "detail", "end"),
        *_draw_slots_of(layout, y + LABEL + 4, scale.length(layout.total)),
        Text(0, y + LABEL + 2 * BAR + 19, shorten(_describe_layout(layout), scale.width, 6.2), "detail"),
    ]


def _draw_slots_of(layout: GpuLayout, y: float, width: float) -> list[Shape]:
    shapes: list[Shape] = []
    slot = width * layout.slot / layout.total
    # many narrow slots have no room for a gap
    gap = 2 if slot > 8 else 0.5
    for number in range(layout.replicas):
        left, room = number * slot, max(slot - gap, 0.5)
        name = f"slot {number + 1} of {layout.replicas}"
        if layout.process is None:
            shapes.append(Rect(left, y, room, 2 * BAR, "unmeasured", f"{name}: {layout.slot} MiB"))
            continue
        used = room * min(1, layout.process / layout.slot)
        shapes.append(Rect(left, y, room, 2 * BAR, "headroom", f"{name}: headroom {layout.slot - layout.process} MiB"))
        shapes.append(Rect(left, y, used, 2 * BAR, "process", f"{name}: process {layout.process} MiB"))
    return shapes
