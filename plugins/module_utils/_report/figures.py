# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry of the report's figures. Pure: data in, shapes out. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Line, Rect, Shape, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline import STATES
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    describe_count,
    describe_seconds,
    describe_share,
    join_some,
)

#: Nodes that a figure shows at most.
MAX_NODES = 40
_BAR = 12
# From so many nodes on, rows are set closely.
_MANY = 8
_ROW_GAP = 14
_LABEL = 18
# Height of one GPU with its two lines of text.
_LAYOUT = _LABEL + 2 * _BAR + 19 + _ROW_GAP + 8
_NARROWEST_SEGMENT = 1.5
# The last state of a node has no end: it is drawn over so much of the time.
_TAIL = 0.05
# Nodes that went through no state but these have nothing to show.
_QUIET = ("schedulable", "in_service")


def _left_out(count: int, noun: str) -> Optional[str]:
    return (
        f"The first {MAX_NODES} of {count} {noun} are drawn; report.json has all of them."
        if count > MAX_NODES
        else None
    )


@dataclass(frozen=True)
class Scale:
    """A drawing's width, and what it stands for (slots, MiB or seconds)."""

    width: float
    stands_for: float

    def length(self, amount: float) -> float:
        return self.width * amount / self.stands_for


@dataclass(frozen=True)
class Rows:
    """Where the rows of a figure have their label and their bar.

    :param left: where bars begin.
    :param height: from one row to the next.
    :param bar: how thick a bar is.
    :param drop: from the row's top to the bar's.
    """

    left: float
    height: float
    bar: float
    drop: float

    @classmethod
    def of(cls, count: int, width: float, bars: int) -> Rows:
        """Few rows have their label above the bars; many have it beside them, so that they fill fewer screens."""
        if count <= _MANY:
            return cls(0, _LABEL + 2 + bars * (_BAR + 3) + _ROW_GAP - 3, _BAR, _LABEL + 2)
        return cls(min(width * 0.46, 300), 18, 12 / bars - 1, 3)

    def label(self, name: str, y: float, width: float) -> Text:
        room = self.left - 8 if self.left else width
        return Text(0, y + 13, _shorten(name, room), "label")


def draw_slots(nodes: Mapping[str, Mapping[str, Any]], width: float = 440) -> Figure:
    """Slots of each node, before and after, as pairs of bars on one scale.

    :param nodes: as in report.json.
    """
    counts = {
        name: (sum(node["resources_before"].values()), sum(node["resources_after"].values()))
        for name, node in nodes.items()
    }
    shown = list(counts)[:MAX_NODES]
    rows = Rows.of(len(shown), width, bars=2)
    highest = max([1, *(count for name in shown for count in counts[name])])
    # room for the figure to the right of the longest bar
    scale = Scale(width - rows.left - (50 if rows.left else 34), highest)
    shapes: list[Shape] = []
    for number, name in enumerate(shown):
        shapes.append(rows.label(name, number * rows.height, width))
        shapes += _draw_pair(name, counts[name], number * rows.height + rows.drop, rows, scale)
    sentences = [f"{name}: {before} before, {after} after" for name, (before, after) in counts.items()]
    return Figure(
        title="GPU slots of each node, before and after",
        description="; ".join(sentences[:MAX_NODES]) or "No nodes.",
        width=width,
        height=max(len(shown) * rows.height, 1),
        shapes=shapes,
        legend=(("before", "before"), ("after", "after")),
        note=_left_out(len(counts), "nodes"),
    )


def _draw_pair(name: str, counts: tuple[int, int], y: float, rows: Rows, scale: Scale) -> list[Shape]:
    shapes: list[Shape] = []
    for number, (when, count) in enumerate(zip(("before", "after"), counts)):
        top, length = y + number * (rows.bar + (1 if rows.left else 3)), max(scale.length(count), 1)
        shapes.append(Rect(rows.left, top, length, rows.bar, when, f"{name}, {when}: {describe_count(count, 'slot')}"))
        if not rows.left:
            shapes.append(Text(length + 6, top + rows.bar - 2, str(count), "figure"))
    if rows.left:
        before, after = counts
        end = rows.left + scale.length(max(counts)) + 5
        shapes.append(Text(end, y + 10, str(after) if before == after else f"{before}→{after}", "figure"))
    return shapes


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
        total, slot = node.get("memory_total_mib"), node.get("slot_mib")
        if not total or not slot:
            continue
        replicas = max(1, int(total) // int(slot))
        layout = GpuLayout(
            product=str(node.get("product")),
            key=str(node.get("key")),
            total=int(total),
            replicas=replicas,
            slot=int(slot),
            process=node.get("process_memory_mib"),
            utilization=node.get("utilization"),
        )
        groups.setdefault(layout, []).append(name)
    return groups


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
        height=max(y - _ROW_GAP, 1),
        shapes=shapes,
        legend=(("process", "measured process"), ("headroom", "headroom"), ("unmeasured", "not measured")),
        note=_left_out(len(groups), "kinds of GPU"),
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
        Text(0, y + 12, _shorten(_name_layout(layout, nodes), scale.width - 150), "label"),
        Text(scale.width, y + 12, use, "detail", "end"),
        *_draw_slots_of(layout, y + _LABEL + 4, scale.length(layout.total)),
        Text(0, y + _LABEL + 2 * _BAR + 19, _shorten(_describe_layout(layout), scale.width, 6.2), "detail"),
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
            shapes.append(Rect(left, y, room, 2 * _BAR, "unmeasured", f"{name}: {layout.slot} MiB"))
            continue
        used = room * min(1, layout.process / layout.slot)
        shapes.append(Rect(left, y, room, 2 * _BAR, "headroom", f"{name}: headroom {layout.slot - layout.process} MiB"))
        shapes.append(Rect(left, y, used, 2 * _BAR, "process", f"{name}: process {layout.process} MiB"))
    return shapes


def draw_timeline(timeline: Optional[Mapping[str, Any]], width: float) -> Figure:
    """A row for each node that changed, its states one after the other.

    :param timeline: as in report.json, None if there was no journal.
    """
    rows = [
        (name, segments)
        for name, segments in ((timeline or {}).get("nodes") or {}).items()
        if any(segment["state"] not in _QUIET for segment in segments)
    ]
    seconds = max(float((timeline or {}).get("seconds") or 0), 0.001)
    places = Rows.of(min(len(rows), MAX_NODES), width, bars=1)
    scale = Scale(width - places.left, seconds * (1 + _TAIL))
    shapes: list[Shape] = []
    for number, (name, segments) in enumerate(rows[:MAX_NODES]):
        shapes.append(places.label(name, number * places.height, width))
        shapes += _draw_segments(name, segments, number * places.height + places.drop, places, scale)
    bottom = min(len(rows), MAX_NODES) * places.height
    shapes += _draw_axis(seconds, bottom, places.left, scale)
    description = ". ".join(_describe_segments(name, segments) for name, segments in rows[:MAX_NODES])
    return Figure(
        title="States of each node over time",
        description=description or "No node changed its state.",
        width=width,
        height=bottom + 22,
        shapes=shapes if rows else (),
        legend=tuple((state.replace("_", "-"), words) for state, words in STATES.items()),
        note=_left_out(len(rows), "nodes"),
    )


def _draw_segments(
    name: str, segments: Sequence[Mapping[str, Any]], y: float, places: Rows, scale: Scale
) -> list[Shape]:
    shapes: list[Shape] = []
    for number, segment in enumerate(segments, start=1):
        begin, last = segment["begin"], number == len(segments)
        end = scale.stands_for if last else segment["end"]
        state = segment["state"].replace("_", " ")
        lasted = f"from {begin:.1f} s on" if last else f"for {describe_seconds(end - begin)}"
        message = f" ({segment['message']})" if segment.get("message") else ""
        # a state that lasted a moment still is to be seen
        length = max(scale.length(end - begin), _NARROWEST_SEGMENT)
        words = f"{name}: {state} {lasted}{message}"
        left = places.left + scale.length(begin)
        shapes.append(Rect(left, y, length, places.bar + 2, state.replace(" ", "-"), words, radius=0))
    return shapes


def _describe_segments(name: str, segments: Sequence[Mapping[str, Any]]) -> str:
    parts = [f"{s['state'].replace('_', ' ')} from {s['begin']:.1f} s to {s['end']:.1f} s" for s in segments]
    return f"{name}: {', '.join(parts)}"


def tick_step(seconds: float, most: int) -> float:
    """Distance of an axis' ticks in seconds: a round one, with at most ``most`` ticks."""
    for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600):
        if seconds / step <= most:
            return step
    return 86400.0 * -(-seconds // (86400 * most))


def _draw_axis(seconds: float, y: float, left: float, scale: Scale) -> list[Shape]:
    step = tick_step(seconds, max(2, int(scale.width / 70)))
    shapes: list[Shape] = [Line(left, y, left + scale.width, y)]
    ticks = int(seconds / step + 1e-9)
    for number in range(ticks + 1):
        x = left + scale.length(number * step)
        anchor = "start" if number == 0 else "end" if x > left + scale.width - 20 else "middle"
        shapes.append(Line(x, y, x, y + 4))
        shapes.append(Text(x, y + 17, tick_label(number * step, seconds), "tick", anchor))
    return shapes


def tick_label(moment: float, seconds: float) -> str:
    """A moment on an axis of so many seconds: "2.5 s", or "1:30" in minutes, or "1:05:00" in hours."""
    if seconds < 60:
        return f"{moment:g} s"
    minutes, rest = divmod(round(moment), 60)
    return f"{minutes}:{rest:02d}" if seconds < 3600 else f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"


def _shorten(text: str, width: float, per_character: float = 8) -> str:
    """Text that fits into the width; names are cut in the middle, where they differ least."""
    room = int(width / per_character)
    if len(text) <= room:
        return text
    head = (room - 1) * 2 // 3
    return f"{text[:head]}…{text[len(text) - (room - 1 - head) :]}"
