# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of a GPU's memory, cut into slots. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Union

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import (
    BAR,
    LABEL,
    MAX_NODES,
    ROW_GAP,
    Scale,
    describe_left_out,
    shorten,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.mig_layout import (
    MigDevice,
    MigLayout,
    mig_layouts,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Rect, Shape, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    describe_count,
    describe_share,
    join_some,
)

_LEGEND = (
    ("process", "process memory, as stated"),
    ("headroom", "headroom"),
    ("unmeasured", "process memory not stated"),
    ("mig-device", "MIG device"),
)
# Height of a line of text below a bar.
_LINE = 17
Layout = Union["GpuLayout", MigLayout]


@dataclass(frozen=True)
class GpuLayout:
    """GPUs that are divided alike. Sizes in MiB; ``process`` is None if it is not stated."""

    product: str
    key: str
    total: int
    replicas: int
    slot: int
    process: Optional[int]
    utilization: Any


def group_layouts(nodes: Mapping[str, Mapping[str, Any]]) -> dict[Layout, list[str]]:
    """Nodes by how their GPUs are divided; those of which memory or slot is unknown are left out."""
    groups: dict[Layout, list[str]] = {}
    for name, node in nodes.items():
        for mig_layout in mig_layouts(node):
            groups.setdefault(mig_layout, []).append(name)
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
        if is_mig and node.get("mig_layouts"):
            # drawn as the cards that they are cut from
            continue
        yield (f"{product}, {'MIG device' if kind == 'gpu' else kind}" if is_mig else product), part
    if not parts:
        yield product, node


def draw_memory(nodes: Mapping[str, Mapping[str, Any]], width: float = 440) -> Figure:
    """One GPU of each kind, its memory cut into slots, each with the process memory that is stated and its headroom."""
    groups = list(group_layouts(nodes).items())
    largest = max([1, *(layout.total for layout, _names in groups[:MAX_NODES])])
    shapes: list[Shape] = []
    sentences = []
    y = 0.0
    for layout, names in groups[:MAX_NODES]:
        lines = _describe_layout(layout)
        shapes += _draw_layout(layout, lines, len(names), y, Scale(width, largest))
        sentences.append(f"{_name_layout(layout, len(names))}, {'; '.join(lines)}, on {join_some(names)}")
        y += LABEL + 2 * BAR + 2 + _LINE * len(lines) + ROW_GAP + 8
    drawn = {shape.style for shape in shapes}
    return Figure(
        title="Memory of a GPU, cut into slots",
        description=". ".join(sentences) or "No GPU whose memory is known.",
        width=width,
        height=max(y - ROW_GAP, 1),
        shapes=shapes,
        legend=[(style, words) for style, words in _LEGEND if style in drawn],
        note=describe_left_out(len(groups), "kinds of GPU"),
    )


def _name_layout(layout: Layout, nodes: int) -> str:
    return f"{layout.product}, config {layout.key}" + (f", {nodes} nodes" if nodes > 1 else "")


def _describe_layout(layout: Layout) -> list[str]:
    """The lines below a bar."""
    if isinstance(layout, MigLayout):
        return layout.describe()
    slots = f"{describe_count(layout.replicas, 'slot')} × {layout.slot} MiB"
    if layout.process is None:
        return [f"{slots}, process memory not stated"]
    return [f"{slots}: {layout.process} process + {layout.slot - layout.process} headroom"]


def _draw_layout(layout: Layout, lines: list[str], nodes: int, y: float, scale: Scale) -> list[Shape]:
    share = None if isinstance(layout, MigLayout) else layout.utilization
    use = "" if share is None else f"{describe_share(share)} used when full"
    length, top = scale.length(layout.total), y + LABEL + 4
    details = [
        Text(0, y + LABEL + 2 * BAR + 19 + _LINE * number, shorten(line, scale.width, 6.2), "detail")
        for number, line in enumerate(lines)
    ]
    return [
        Text(0, y + 12, shorten(_name_layout(layout, nodes), scale.width - (150 if use else 0)), "label"),
        Text(scale.width, y + 12, use, "detail", "end"),
        *(
            _draw_devices(layout, top, length)
            if isinstance(layout, MigLayout)
            else _draw_slots_of(layout, 0, top, length)
        ),
        *details,
    ]


def _draw_devices(layout: MigLayout, y: float, width: float) -> list[Shape]:
    """A card with its devices at their places; what is left of it is given to none."""
    shapes: list[Shape] = [Rect(0, y + 2 * BAR - 3, width, 3, "card", f"{layout.product}, {layout.units} memory units")]
    for device in layout.devices:
        left, room = width * device.start / layout.units, width * device.size / layout.units
        shapes.append(
            Rect(left, y - 2, room - 3, 2 * BAR + 4, "mig-device", f"MIG device {device.name}, {device.total} MiB")
        )
        shapes += _draw_slots_of(device, left + 2, y, room - 7, f"{device.name}, ")
    return shapes


def _draw_slots_of(layout: Union[GpuLayout, MigDevice], x: float, y: float, width: float, of: str = "") -> list[Shape]:
    shapes: list[Shape] = []
    slot = width * layout.slot / layout.total
    # many narrow slots have no room for a gap
    gap = 2 if slot > 8 else 0.5
    for number in range(layout.replicas):
        left, room = x + number * slot, max(slot - gap, 0.5)
        name = f"{of}slot {number + 1} of {layout.replicas}"
        if layout.process is None:
            shapes.append(Rect(left, y, room, 2 * BAR, "unmeasured", f"{name}: {layout.slot} MiB"))
            continue
        used = room * min(1, layout.process / layout.slot)
        shapes.append(Rect(left, y, room, 2 * BAR, "headroom", f"{name}: headroom {layout.slot - layout.process} MiB"))
        shapes.append(Rect(left, y, used, 2 * BAR, "process", f"{name}: process {layout.process} MiB"))
    return shapes
