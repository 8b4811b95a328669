# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of each node's states over time. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import (
    MAX_NODES,
    Rows,
    are_many,
    describe_left_out,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Line, Rect, Shape, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline import STATES
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_seconds, join_some

_NARROWEST_SEGMENT = 1.5
# The last state of a node has no end: it is drawn over so much of the time.
_TAIL = 0.05
# Nodes that went through no state but these have nothing to show.
_QUIET = ("schedulable", "in_service", "healthy")
# Pods that left within so many units of the drawing are one mark.
_MARK = 2.0
_MARKS = {"evicted": "a pod was evicted", "recreated": "a stale pod was evicted, to be made anew"}


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
    layout = Rows.beside if are_many(len(rows)) else Rows.above
    places = layout(width, 1, seconds * (1 + _TAIL))
    shapes: list[Shape] = []
    left = (timeline or {}).get("pods") or {}
    for number, (name, segments) in enumerate(rows[:MAX_NODES]):
        shapes.append(places.label(name, number))
        shapes += _draw_segments(name, segments, places.top(number), places)
        shapes += _draw_marks(name, left.get(name) or (), places.top(number), places)
    bottom = min(len(rows), MAX_NODES) * places.height
    shapes += _draw_axis(seconds, bottom, places)
    description = ". ".join(_describe_segments(name, segments) for name, segments in rows[:MAX_NODES])
    return Figure(
        title="States of each node over time",
        description=description or "No node changed its state.",
        width=width,
        height=bottom + 22,
        shapes=shapes if rows else (),
        legend=_legend(rows[:MAX_NODES], left),
        note=describe_left_out(len(rows), "nodes"),
    )


def _draw_segments(name: str, segments: Sequence[Mapping[str, Any]], y: float, places: Rows) -> list[Shape]:
    scale = places.scale
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
        shapes.append(Rect(left, y, length, places.thickness + 2, state.replace(" ", "-"), words, radius=0))
    return shapes


def _draw_marks(name: str, marks: Sequence[Mapping[str, Any]], y: float, places: Rows) -> list[Shape]:
    """A tick for the pods that left at about the same moment."""
    groups: dict[tuple[int, str], list[Mapping[str, Any]]] = {}
    for mark in marks:
        groups.setdefault((int(places.scale.length(mark["at"]) / (2 * _MARK)), mark["state"]), []).append(mark)
    shapes: list[Shape] = []
    for (_place, state), found in groups.items():
        pods = join_some([mark["pod"] for mark in found])
        words = f"{name}: {state} {pods} at {found[0]['at']:.1f} s"
        left = places.left + places.scale.length(found[0]["at"])
        shapes.append(Rect(left, y + 3, _MARK, places.thickness - 4, state, words, radius=0))
    return shapes


def _legend(
    rows: Sequence[tuple[str, Sequence[Mapping[str, Any]]]], left: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[tuple[str, str], ...]:
    """What is drawn, in the order in which a node goes through it."""
    drawn = {segment["state"] for _name, segments in rows for segment in segments}
    drawn |= {mark["state"] for name, _segments in rows for mark in left.get(name) or ()}
    words = {**STATES, **_MARKS}
    return tuple((state.replace("_", "-"), words[state]) for state in words if state in drawn)


def _describe_segments(name: str, segments: Sequence[Mapping[str, Any]]) -> str:
    parts = [f"{s['state'].replace('_', ' ')} from {s['begin']:.1f} s to {s['end']:.1f} s" for s in segments]
    return f"{name}: {', '.join(parts)}"


def tick_step(seconds: float, most: int) -> float:
    """Distance of an axis' ticks in seconds: a round one, with at most ``most`` ticks."""
    for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600):
        if seconds / step <= most:
            return step
    return 86400.0 * -(-seconds // (86400 * most))


def _draw_axis(seconds: float, y: float, places: Rows) -> list[Shape]:
    left, scale = places.left, places.scale
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
