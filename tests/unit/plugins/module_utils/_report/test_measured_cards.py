# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who held the memory of each card while it was measured: in report.json, as figures and as a page."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._measure.world import H20_DEVICES, Node, Proc, measure
from unit.plugins.module_utils._report.measured_story import SECOND, MeasuredStory, measure_l20

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measured_cards import MAX_COURSES
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measurement_page import render_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measurement_view import show_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.palette import Palette
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Area, Figure, Line, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.usage_over_time import draw_courses
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.merge import merge_measurements

from .test_measurement_view import summary
from .test_page import check

LATER = {"started": "2026-03-03T08:00:00Z", "ended": "2026-03-03T08:10:00Z"}


@pytest.fixture
def story() -> MeasuredStory:
    return MeasuredStory()


def cards(story: MeasuredStory) -> dict[str, dict[str, Any]]:
    return {card["node"]: card for card in summary(story)["cards"]}


def held(state: dict[str, Any]) -> list[tuple[str, Any]]:
    return [(user["name"], user["mib"]) for device in state["devices"] for user in device["users"]]


def one_card(*procs: Proc, product: str = "Tesla T4", **more: Any) -> dict[str, Any]:
    """A merged measurement of gpu-t4."""
    return merge_measurements([measure(Node("gpu-t4", product, procs=procs, **more), 10.0)])


def draw(story: MeasuredStory, width: float = 940) -> Figure:
    figures = summary(story)
    palette = Palette.of(figures["cards"], figures["courses"])
    return draw_courses(figures["courses"], palette, len(figures["cards"]), width)


def areas(figure: Figure, style: str) -> list[Area]:
    return [shape for shape in figure.shapes if isinstance(shape, Area) and shape.style == style]


def edges_at(area: Area, x: float) -> tuple[float, float]:
    """Where an area begins and ends at a place, from above."""
    ends = zip(area.points, [*area.points[1:], area.points[0]])
    found = [y for (x1, y), (x2, _y) in ends if min(x1, x2) < x < max(x1, x2)]
    return min(found), max(found)


def test_cards_show_who_was_there_when_the_card_was_fullest(story: MeasuredStory) -> None:
    card = cards(story)["gpu-l20"]
    assert card["before"]["used_mib"] == 4012 + 900 + 12
    assert held(card["before"]) == [("nlp-0", 4012), ("web-0", 900), ("nvidia-persistenced", 12)]
    [now], [proposed] = card["before"]["devices"], card["after"]["devices"]
    assert (now["slots"], proposed["slots"], proposed["slot_mib"], proposed["ceiling_mib"]) == (1, 10, 4606, 41461)


def test_cards_peaks_of_different_times_are_not_added_up(story: MeasuredStory) -> None:
    first, second = Proc([9000] * 5 + ["-"] * 5, "nlp-1", pid=1), Proc(["-"] * 5 + [8000] * 5, "web-1", pid=2)
    story.measurements["gpu-t4"] = one_card(first, second)
    assert held(cards(story)["gpu-t4"]["before"]) == [("nlp-1", 9000)]


def test_cards_memory_that_was_never_told_is_named_and_not_zero(story: MeasuredStory) -> None:
    story.measurements["gpu-t4"] = one_card(Proc([None] * 5, "nlp-1"), Proc([100] * 5, "web-1", pid=2))
    assert held(cards(story)["gpu-t4"]["before"]) == [("nlp-1", None), ("web-1", 100)]


def test_cards_containers_of_a_pod_are_one_and_names_come_from_the_node_where_the_cluster_has_none(
    story: MeasuredStory,
) -> None:
    users = cards(story)["gpu-t4"]["before"]["devices"][0]["users"]
    assert [(user["namespace"], user["name"], user["mib"]) for user in users] == [
        ("default", "nlp-1", 3100),
        ("ml", "serve-0", 3300 + 200),
    ]


def test_cards_users_of_mig_devices_are_on_theirs(story: MeasuredStory) -> None:
    procs = (
        Proc([5200] * 5, "embed-0", mig="MIG-h20-1", pid=31),
        Proc([5350] * 5, "embed-1", mig="MIG-h20-2", pid=32),
    )
    story.measurements["gpu-t4"] = one_card(*procs, product="NVIDIA H20", mig_devices=H20_DEVICES)
    story.clusters[0]["nodes"]["gpu-t4"]["resources"] = {"nvidia.com/mig-1g.12gb": {"allocatable": 14}}
    devices = cards(story)["gpu-t4"]["before"]["devices"]
    assert [(device["slots"], len(device["users"])) for device in devices] == [(2, 1)] * 2 + [(2, 0)] * 5
    assert [device["start_mib"] for device in devices] == [11008 * number for number in range(7)]


def test_cards_of_a_node_whose_mig_devices_would_change_are_shown_as_they_are_alone(story: MeasuredStory) -> None:
    story.proposed["nodes"]["gpu-t4"]["mig"] = {"changes": True}
    assert cards(story)["gpu-t4"]["after"] is None


def test_draw_courses_stacks_pods_on_one_another(story: MeasuredStory) -> None:
    figure = draw(story)
    legend = {words: style for style, words in figure.legend}
    [nlp, *_others] = areas(figure, legend["default/nlp"])
    [web] = areas(figure, legend["default/web"])
    # at six minutes of ten: web stands on nlp
    at = 940 * 0.605
    (web_top, web_bottom), (nlp_top, nlp_bottom) = edges_at(web, at), edges_at(nlp, at)
    assert web_bottom == pytest.approx(nlp_top)
    assert (web_bottom - web_top) / (nlp_bottom - nlp_top) == pytest.approx(900 / 3390, rel=0.05)
    # it came after 200 s of 600
    assert min(x for x, _y in web.points) == pytest.approx(940 / 3)
    assert web.title == "default/web-0 of default/web: 900 MiB at most"


def test_draw_courses_says_up_to_what_memory_it_is_drawn(story: MeasuredStory) -> None:
    """Neither is to scale with its card: 4024 of 46068 MiB would be a line at the bottom."""
    ticks = [shape.text for shape in draw(story).shapes if isinstance(shape, Text) and shape.style == "tick"]
    details = [shape.text for shape in draw(story).shapes if isinstance(shape, Text) and shape.style == "detail"]
    highest = [int(text.split()[0]) for text in details]
    assert [text for text in ticks if text.endswith(" MiB")] == [f"{round(mib * 1.15)} MiB" for mib in highest]


def test_draw_courses_of_several_samplings_leave_a_gap_between_them(story: MeasuredStory) -> None:
    story.measurements["gpu-l20"] = merge_measurements([measure_l20(), measure_l20(SECOND, 4300, **LATER)])
    assert summary(story)["samplings"] == ["20260301-120000-abc123", SECOND]
    figure = draw(story)
    axes = [shape for shape in figure.shapes if isinstance(shape, Line) and shape.x2 - shape.x1 > 300][:2]
    assert axes[1].x1 - axes[0].x2 == pytest.approx(16)
    labels = [shape.text for shape in figure.shapes if isinstance(shape, Text) and shape.style == "tick"]
    assert labels[:2] == ["2026-03-01 12:00 UTC, 10 minutes", "2026-03-03 08:00 UTC, 10 minutes"]
    narrow = [shape.text for shape in draw(story, 440).shapes if isinstance(shape, Text) and shape.style == "tick"]
    assert narrow[:2] == ["2026-03-01 12:00 UTC", "2026-03-03 08:00 UTC"]


def test_draw_courses_stay_within_the_drawing(story: MeasuredStory) -> None:
    # more than the card has, as a driver that counts memory twice may tell
    story.measurements["gpu-t4"] = one_card(Proc([20000] * 5, "nlp-1"), Proc([19000] * 5, "web-1", pid=2))
    for width in (440, 940):
        figure = draw(story, width)
        for shape in figure.shapes:
            if isinstance(shape, Area):
                assert all(0 <= x <= width + 0.01 and 0 <= y <= figure.height for x, y in shape.points)


def test_draw_courses_of_a_single_sample_still_are_to_be_seen(story: MeasuredStory) -> None:
    story.measurements = {"gpu-t4": one_card(Proc([3000], "nlp-1"))}
    figure = draw(story)
    [area] = areas(figure, "user-0")
    assert max(x for x, _y in area.points) == pytest.approx(940)


def test_summarise_of_many_cards_keeps_the_courses_of_the_fullest(story: MeasuredStory) -> None:
    fleet = {
        f"gpu-{number}": merge_measurements(
            [measure(Node(f"gpu-{number}", "Tesla T4", procs=(Proc([1000 + number] * 3, "nlp-1"),)), 10.0)]
        )
        for number in range(30)
    }
    story.measurements = fleet
    figures = summary(story)
    assert len(figures["cards"]) == 30
    assert [course["node"] for course in figures["courses"]] == [f"gpu-{number}" for number in range(18, 30)]
    assert draw(story).note == f"The {MAX_COURSES} cards of 30 that were fullest are drawn."


def test_render_measurement_is_a_page_of_its_own(story: MeasuredStory) -> None:
    figures = summary(story, extra={"cluster": "reference"})
    text = render_measurement(figures, [show_measurement(figures, 50)])
    found = check(text)
    assert not {"script", "link", "img"} & set(found.tags)
    assert found.references == []
    for words in (
        "GPU memory measured: 2 slots now, 14 as proposed",
        "Cluster reference",
        "2 GPU slots now, 11 as configured, 14 with the proposal.",
        "10 slots × 4606 MiB: 4012 process + 594 headroom",
        "Who held the memory of each card when it was fullest",
        "Memory of each card over time",
    ):
        assert words in text


def test_render_measurement_escapes_what_comes_from_pods(story: MeasuredStory) -> None:
    evil = '<script>alert(1)</script>"><img src=x>'
    story.proposal["workloads"][0]["name"] = evil
    story.proposal["warnings"][0]["message"] = evil
    story.measurements["gpu-t4"] = one_card(Proc([100] * 3, command=evil), Proc([100] * 3, evil, pid=2))
    figures = summary(story)
    assert not {"script", "img"} & set(check(render_measurement(figures, [show_measurement(figures, 50)])).tags)


def test_render_measurement_without_plans_or_samples_still_is_a_page(story: MeasuredStory) -> None:
    figures = summary(story, plan=None, proposed=None, measurements={}, clusters=[])
    text = render_measurement(figures, [show_measurement(figures, 50)])
    check(text)
    assert "<svg" not in text
    assert "<h1>GPU memory measured</h1>" in text
