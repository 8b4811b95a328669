# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Geometry of the figures, and the page around them."""

from __future__ import annotations

import copy
import re
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.obstacles import warn_of_budgets
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import MAX_NODES
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_figure import (
    GpuLayout,
    draw_memory,
    group_layouts,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.page import render_page
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import show_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.slots_figure import draw_slots
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.summary import show_summary
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Rect, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline import STATES
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline_figure import (
    draw_timeline,
    tick_label,
    tick_step,
)

from .test_rehearsal_view import budget, eviction, wave


def summary(story: Any, **extra: Any) -> dict[str, Any]:
    return summarise(Rollout(story.plan, story.before, story.after, story.journal, extra), "2026-03-01T12:01:00Z")


def page(story: Any, **extra: Any) -> str:
    figures = summary(story, **extra)
    return render_page(figures, [show_summary(figures, 50), show_plan(story.plan, 50)])


def many(node: dict[str, Any], count: int) -> dict[str, dict[str, Any]]:
    return {f"gpu-{number}": node for number in range(count)}


def rects(figure: Figure, style: str = "") -> list[Rect]:
    return [shape for shape in figure.shapes if isinstance(shape, Rect) and style in ("", shape.style)]


def texts(figure: Figure) -> list[str]:
    return [shape.text for shape in figure.shapes if isinstance(shape, Text)]


def assert_inside(figure: Figure) -> None:
    for shape in rects(figure):
        assert shape.x >= 0
        assert shape.x + shape.width <= figure.width + 0.01
        assert shape.y + shape.height <= figure.height + 0.01


def test_draw_slots_bars_are_on_one_scale(story: Any) -> None:
    figure = draw_slots(summary(story)["nodes"])
    before, after = rects(figure, "before"), rects(figure, "after")
    assert after[0].width / before[0].width == pytest.approx(8)
    assert after[1].width / after[0].width == pytest.approx(3 / 8)
    assert figure.description == "gpu-l20: 1 before, 8 after; gpu-t4: 1 before, 3 after"
    assert_inside(figure)


def test_draw_slots_of_none_keeps_a_visible_bar(story: Any) -> None:
    node = {**summary(story)["nodes"]["gpu-l20"], "resources_before": {}, "resources_after": {}}
    assert [shape.width for shape in rects(draw_slots({"gpu-l20": node}))] == [1, 1]


@pytest.mark.parametrize("count", [9, 40, 41, 5000])
def test_figures_of_many_nodes_are_capped_and_say_so(story: Any, count: int) -> None:
    found = summary(story)
    slots = draw_slots(many(found["nodes"]["gpu-l20"], count))
    assert len(rects(slots)) == 2 * min(count, MAX_NODES)
    assert_inside(slots)
    timeline = {"seconds": 10.1, "nodes": many(found["timeline"]["nodes"]["gpu-l20"], count)}
    states = draw_timeline(timeline, 440)
    assert_inside(states)
    for figure in (slots, states):
        assert figure.note == (
            f"The first 40 of {count} nodes are drawn; report.json has all of them." if count > 40 else None
        )


def test_draw_memory_slots_fill_the_card_and_processes_their_part(story: Any) -> None:
    figure = draw_memory(summary(story)["nodes"])
    processes, slots = rects(figure, "process"), rects(figure, "headroom")
    assert (len(processes), len(slots)) == (11, 11)
    assert processes[0].width / slots[0].width == pytest.approx(4621 / 5758)
    # both cards are on one scale of memory
    assert sum(shape.width + 2 for shape in slots[8:]) / sum(shape.width + 2 for shape in slots[:8]) == pytest.approx(
        15360 / 46068, rel=0.01
    )
    assert "8 slots × 5758 MiB: 4621 process + 1137 headroom" in texts(figure)
    assert "80.2 % used when full" in texts(figure)
    assert_inside(figure)


def test_draw_memory_not_measured_is_shown_as_such(story: Any) -> None:
    node = {**summary(story)["nodes"]["gpu-l20"], "process_memory_mib": None, "headroom_mib": None, "utilization": None}
    figure = draw_memory({"gpu-l20": node})
    assert len(rects(figure, "unmeasured")) == 8
    assert not rects(figure, "process")
    assert "8 slots × 5758 MiB, process memory not stated" in texts(figure)


def test_group_layouts_joins_nodes_that_are_divided_alike(story: Any) -> None:
    groups = group_layouts(many(summary(story)["nodes"]["gpu-t4"], 3))
    [(layout, names)] = list(groups.items())
    assert isinstance(layout, GpuLayout)
    assert (layout.replicas, layout.slot, names) == (3, 5120, ["gpu-0", "gpu-1", "gpu-2"])
    assert group_layouts({"x": {"memory_total_mib": None, "slot_mib": None}}) == {}


def test_draw_timeline_segments_follow_each_other(story: Any) -> None:
    figure = draw_timeline(summary(story)["timeline"], 1000)
    first_row = rects(figure)[:5]
    assert [shape.style for shape in first_row] == ["cordoned", "withdrawn", "serving", "proven", "in-service"]
    for shape, following in zip(first_row, first_row[1:]):
        assert following.x == pytest.approx(shape.x + shape.width)
    assert first_row[0].width / first_row[1].width == pytest.approx(3.0 / 3.5)
    assert first_row[-1].x + first_row[-1].width == pytest.approx(1000)
    assert "gpu-l20: cordoned from 0.0 s to 3.0 s" in figure.description
    assert_inside(figure)


def test_draw_timeline_marks_pods_that_left_together_once(story: Any) -> None:
    def leave(second: float, state: str, name: str) -> dict[str, Any]:
        pod = {"namespace": "default", "name": name, "uid": name}
        time = f"2026-03-01T12:00:{second:06.3f}Z"
        return {"time": time, "node": "gpu-l20", "state": state, "message": "", "pod": pod}

    gone = [leave(1.0, "evicted", f"train-{number}") for number in range(5)]
    story.journal = sorted(
        [*story.journal, *gone, leave(2.5, "evicted", "late"), leave(10.1, "recreated", "nlp-0")],
        key=lambda line: line["time"],
    )
    figure = draw_timeline(summary(story)["timeline"], 1000)
    assert [shape.title for shape in rects(figure, "evicted")] == [
        "gpu-l20: evicted default/train-0, default/train-1, default/train-2 and 2 more at 1.0 s",
        "gpu-l20: evicted default/late at 2.5 s",
    ]
    assert len(rects(figure, "recreated")) == 1
    assert [shape.style for shape in rects(figure)][:3] == ["cordoned", "evicting", "withdrawn"]
    assert [style for style, _words in figure.legend][-2:] == ["evicted", "recreated"]
    assert_inside(figure)


def test_page_of_a_stopped_rollout_does_not_read_as_if_nodes_had_come_back(story: Any) -> None:
    story.journal[-1].update(state="failed", message="still there after 600 s")
    assert "until the stop; 1 node still out" in page(story)


def test_page_of_a_rollback_says_so(story: Any) -> None:
    story.plan["kind"] = "rollback"
    assert "Report on the rollback of plan 0123456789abcdef" in page(story)


def test_draw_timeline_without_journal_is_empty() -> None:
    figure = draw_timeline(None, 440)
    assert (figure.shapes, figure.description) == ((), "No node changed its state.")


@pytest.mark.parametrize(("seconds", "most"), [(0.05, 5), (10, 6), (61, 6), (3600, 12), (90000, 6), (10_000_000, 6)])
def test_tick_step_is_round_and_gives_few_ticks(seconds: float, most: int) -> None:
    step = tick_step(seconds, most)
    assert seconds / step <= most


@pytest.mark.parametrize(
    ("moment", "seconds", "label"), [(2.5, 10, "2.5 s"), (90, 300, "1:30"), (3900, 8000, "1:05:00"), (0, 300, "0:00")]
)
def test_tick_label(moment: float, seconds: float, label: str) -> None:
    assert tick_label(moment, seconds) == label


class Checker(HTMLParser):
    """Collects what must not be there, and checks that elements are closed in order."""

    VOID = ("meta", "br", "rect", "line")

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.references: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "action")]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        if tag not in ("meta", "br"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def check(text: str) -> Checker:
    checker = Checker()
    checker.feed(text)
    assert checker.open == []
    assert len(checker.ids) == len(set(checker.ids))
    return checker


def test_render_page_is_self_contained_and_well_formed(story: Any) -> None:
    text = page(story)
    found = check(text)
    assert not {"script", "link", "img", "iframe", "object"} & set(found.tags)
    assert found.references == []
    assert "url(" not in text
    assert "@import" not in text
    assert re.findall(r"https?://\S+", text.replace("http://www.w3.org/2000/svg", "")) == []


def test_render_page_drawings_are_xml_with_text_alternatives(story: Any) -> None:
    drawings = re.findall(r"<svg.*?</svg>", page(story), re.DOTALL)
    assert len(drawings) == 4
    for drawing in drawings:
        root = ElementTree.fromstring(drawing)
        named = {element.get("id") for element in root}
        assert set(str(root.get("aria-labelledby")).split()) <= named


def test_render_page_shows_figures_plan_and_legend(story: Any) -> None:
    text = page(story, cluster="reference")
    for words in (
        "2 → 11",
        "Cluster reference",
        "0123456789abcdef",
        "2026-03-01 12:01:00 UTC",
        "All 2 planned nodes as planned.",
    ):
        assert words in text
    assert "floor(0.9 x 46068 / 4621) = 8" in text
    drawn = ("cordoned", "withdrawn", "serving", "proven", "in_service")
    for style in drawn:
        assert f'<i class="{style.replace("_", "-")}"></i>{STATES[style]}' in text
    # what did not happen needs no explanation
    assert STATES["failed"] not in text


def test_render_page_has_the_rehearsal_and_the_budgets_that_refuse_are_its_first_warnings(story: Any) -> None:
    gone = [eviction("a"), eviction("b", "no_place")]
    waves = [wave(1, *gone, budgets=[budget("nlp")], worst=1, missing=1), wave(2)]
    story.plan["rehearsal"] = {"waves": waves, "budgets_known": True}
    story.plan["warnings"] = [*warn_of_budgets(story.plan["rehearsal"]), "the planner's own"]
    text = page(story)
    check(text)
    parts = ["Rehearsal", "Where evicted pods would go", "Budgets that will refuse evictions", "Warnings"]
    places = [text.index(f"<h3>{part}</h3>") for part in parts]
    assert places == sorted(places)
    for words in (
        "1 at once, 1 nowhere",
        "1 at worst, 1 after the wave",
        "nowhere: no node that it may use has",
        ">gpu-2<",
    ):
        assert words in text
    assert re.search(r"<li>Disruption budget ml/nlp will refuse .*</li>\s*<li>the planner&#39;s own</li>", text)


def test_render_page_escapes_what_comes_from_the_cluster(story: Any) -> None:
    evil = '<script>alert(1)</script>"><img src=x>'
    story.before["pending"][0]["name"] = evil
    story.plan["warnings"] = [evil]
    story.plan["nodes"]["gpu-t4"]["product"] = evil
    story.journal[0]["message"] = evil
    for part in (story.before, story.after):
        part["nodes"][evil] = part["nodes"]["gpu-l20"]
    story.plan["nodes"][evil] = copy.deepcopy(story.plan["nodes"]["gpu-l20"])
    story.journal.append({"time": "2026-03-01T12:00:05Z", "node": evil, "state": "failed", "message": evil})
    found = check(page(story, cluster=evil))
    assert not {"script", "img"} & set(found.tags)


def test_render_page_without_journal_or_nodes_still_is_a_page(story: Any) -> None:
    story.journal = []
    story.plan["nodes"] = {}
    text = page(story)
    check(text)
    assert "No node changed its state." in text
