# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a measurement. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measurement_view import (
    describe_change,
    other_warnings,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_figure import draw_memory
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.page import (
    Head,
    compose_page,
    draw_cards,
    drawing,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.palette import Palette
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.slots_figure import draw_slots
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.usage_over_time import draw_courses
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    describe_count,
    join_some,
)

#: What stands in the two bars of a card.
WHENS = ("now", "as proposed")
_TITLE = "Who held the memory of each card when it was fullest"
_FOOTNOTE = (
    "Slots are what a plan makes of the planned nodes' GPUs, summed over resources and nodes. A peak is the highest of all samples: what "
    "happened between two of them is not in it."
)


def render_measurement(figures: Mapping[str, Any], documents: Sequence[Document]) -> str:
    """The page.

    :param figures: content of the measurement's report.json.
    :param documents: views whose tables go below the figures.
    """
    now, proposed = figures["slots_now"], figures["slots_proposed"]
    known = now is not None and proposed is not None
    samplings = list(figures["samplings"])
    head = Head(
        title=f"GPU memory measured: {now} slots now, {proposed} as proposed" if known else "GPU memory measured",
        of="measurement" if len(samplings) == 1 else "measurements",
        identity=join_some(samplings) or NOTHING,
        verdict=f"{describe_change(figures)}.",
        mood="bad" if figures["proposal_problems"] else "",
        cards=_cards(figures),
        footnote=_FOOTNOTE,
        cluster=figures.get("cluster"),
    )
    cards, courses = figures["cards"], figures["courses"]
    palette = Palette.of(cards, courses)
    drawings = [*_draw_slots(figures["nodes"]), *draw_cards(cards, WHENS, palette, _TITLE)]
    if courses:
        drawings.append(drawing("courses", [draw_courses(courses, palette, len(cards), width) for width in (940, 440)]))
    return compose_page(head, drawings, documents, figures["created"])


def _draw_slots(nodes: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the proposal leads to; nothing where no plan tells."""
    counts = {
        name: {
            "resources_before": {"": node["slots_now"] or 0},
            "resources_after": {"": node["slots_proposed"]},
        }
        for name, node in nodes.items()
        if node["slots_proposed"] is not None
    }
    if not counts:
        return []
    return [drawing("slots", [draw_slots(counts, whens=WHENS)]), drawing("memory", [draw_memory(nodes)])]


def _describe_shortly(seconds: float) -> str:
    """So that it fits where figures stand: "3 h", "10 min" or "43 s"."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{int(seconds // size)} {unit}"
    return f"{int(seconds)} s"


def _cards(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    warnings = [one for one in other_warnings(figures) if one.get("severity") == "warning"]
    hosts = describe_count(int(figures["hosts"] or 0), "host")
    slots = [
        {"value": str(figures[f"slots_{name}"]), "words": words}
        for name, words in (("now", "GPU slots now"), ("proposed", "with the proposal"))
        if figures[f"slots_{name}"] is not None
    ]
    return [
        *slots,
        _counted(len(figures["workloads"] or ()), "workload", "measured"),
        {"value": _describe_shortly(figures["seconds"] or 0), "words": f"of samples, {hosts}"},
        _counted(len(figures["never_ran"] or ()), "GPU pod", "not measured"),
        _counted(len(warnings), "warning", ""),
    ]


def _counted(count: int, noun: str, more: str) -> dict[str, str]:
    value, words = describe_count(count, noun).split(" ", 1)
    return {"value": value, "words": f"{words} {more}".rstrip()}
