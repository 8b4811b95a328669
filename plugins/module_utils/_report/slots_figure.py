# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The figure of slots before and after. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import (
    MAX_NODES,
    Rows,
    are_many,
    describe_left_out,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Rect, Shape, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count


def draw_slots(
    nodes: Mapping[str, Mapping[str, Any]], width: float = 440, whens: tuple[str, str] = ("before", "after")
) -> Figure:
    """Slots of each node, before and after, as pairs of bars on one scale.

    :param nodes: as in report.json.
    :param whens: what before and after are called.
    """
    counts = {
        name: (sum(node["resources_before"].values()), sum(node["resources_after"].values()))
        for name, node in nodes.items()
    }
    shown = list(counts)[:MAX_NODES]
    highest = max([1, *(count for name in shown for count in counts[name])])
    # the margin is room for figures
    rows = (
        Rows.beside(width, 2, highest, margin=50) if are_many(len(shown)) else Rows.above(width, 2, highest, margin=34)
    )
    shapes: list[Shape] = []
    for number, name in enumerate(shown):
        shapes.append(rows.label(name, number))
        shapes += _draw_pair(name, counts[name], whens, rows.top(number), rows)
    sentences = [f"{name}: {before} {whens[0]}, {after} {whens[1]}" for name, (before, after) in counts.items()]
    return Figure(
        title=f"GPU slots of each node, {whens[0]} and {whens[1]}",
        description="; ".join(sentences[:MAX_NODES]) or "No nodes.",
        width=width,
        height=max(len(shown) * rows.height, 1),
        shapes=shapes,
        legend=tuple(zip(("before", "after"), whens)),
        note=describe_left_out(len(counts), "nodes"),
    )


def _draw_pair(name: str, counts: tuple[int, int], whens: tuple[str, str], y: float, rows: Rows) -> list[Shape]:
    shapes: list[Shape] = []
    for number, (style, when, count) in enumerate(zip(("before", "after"), whens, counts)):
        top, length = y + number * (rows.thickness + (1 if rows.left else 3)), max(rows.scale.length(count), 1)
        shapes.append(
            Rect(rows.left, top, length, rows.thickness, style, f"{name}, {when}: {describe_count(count, 'slot')}")
        )
        if not rows.left:
            shapes.append(Text(length + 6, top + rows.thickness - 2, str(count), "figure"))
    if rows.left:
        before, after = counts
        end = rows.left + rows.scale.length(max(counts)) + 5
        shapes.append(Text(end, y + 10, str(after) if before == after else f"{before}→{after}", "figure"))
    return shapes
