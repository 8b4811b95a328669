# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the memory of each card: in report.json, as bars and as a table."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._report.memory_story import MemoryStory, make_process, make_used_gpu
from unit.plugins.module_utils._report.story import make_facts

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.geometry import MAX_NODES
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.holders_view import show_holders
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_bars import draw_bars
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.page import render_page
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.palette import COLOURS
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure, Line, Rect, Text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text

from .test_page import assert_inside, check

WHENS = ("before", "after")


@pytest.fixture
def story() -> MemoryStory:
    return MemoryStory()


def summary(story: MemoryStory) -> dict[str, Any]:
    rollout = Rollout(
        story.plan, story.before, story.after, story.journal, facts=story.facts, facts_after=story.facts_after
    )
    return summarise(rollout, "2026-03-01T12:01:00Z")


def cards(story: MemoryStory) -> dict[str, dict[str, Any]]:
    return {card["node"]: card for card in summary(story)["cards"]}


def rects(figure: Figure, style: str) -> list[Rect]:
    return [shape for shape in figure.shapes if isinstance(shape, Rect) and shape.style == style]


def lines(figure: Figure, style: str) -> list[Line]:
    return [shape for shape in figure.shapes if isinstance(shape, Line) and shape.style == style]


def draw(story: MemoryStory, width: float = 940) -> Figure:
    return draw_bars(summary(story)["cards"], WHENS, width)


def mig_gpu(*processes: dict[str, Any]) -> dict[str, Any]:
    """An A100 with two devices of a half each, and what is left of it."""
    profiles = [{"name": "3g.20gb", "placements": [{"start": 0, "size": 4}, {"start": 4, "size": 4}]}]
    instances = [
        {"id": 2, "profile": "3g.20gb", "start": 4, "size": 4},
        {"id": 1, "profile": "3g.20gb", "start": 0, "size": 4},
    ]
    devices = [
        {
            "uuid": f"MIG-{number}",
            "profile": "3g.20gb",
            "memory_total_mib": 19968,
            "gpu_instance_id": number,
            "compute_instance_id": 0,
        }
        for number in (2, 1)
    ]
    mig = {"capable": True, "mode": "enabled", "profiles": profiles, "instances": instances, "devices": devices}
    return {**make_used_gpu("Tesla T4", 6000, *processes, memory_total_mib=40960, mig=mig), "product": "NVIDIA A100"}


def test_summarise_tells_who_held_each_card_before_and_after(story: MemoryStory) -> None:
    card = cards(story)["gpu-l20"]
    [before], [after] = card["before"]["devices"], card["after"]["devices"]
    assert [(user["name"], user["workload"], user["mib"]) for user in before["users"]] == [
        ("nlp-0", "nlp", 4621),
        ("nvidia-persistenced", None, 12),
    ]
    # two processes of a pod are one user
    assert [(user["name"], user["mib"]) for user in after["users"]] == [
        ("nlp-2", 4621),
        ("web-0", 4100),
        ("nvidia-persistenced", 12),
    ]
    assert (before["slots"], after["slots"], after["slot_mib"], after["ceiling_mib"]) == (1, 8, 5758, 41461)


def test_summarise_memory_that_is_not_told_is_not_zero(story: MemoryStory) -> None:
    several = [make_process("nlp-0", 10), make_process("nlp-0", None)]
    story.facts["gpu-l20"] = make_facts(make_used_gpu("NVIDIA L20", None, *several))
    state = cards(story)["gpu-l20"]["before"]
    assert [user["mib"] for user in state["devices"][0]["users"]] == [None]
    figure = draw(story)
    assert "memory in use not told by 1 pod in 1 slot, NVML tells nothing of 1 of them" in figure.description
    table = render_text(show_holders(summary(story)["cards"], WHENS, 50)[0], Screen())
    [row] = [line.split() for line in table.splitlines() if "default/nlp-0" in line]
    assert row == ["gpu-l20", "0", "default/nlp-0", "unknown", "0"]
    assert "1 card of 2, in use in all: 4401 MiB before, 8301 MiB after." in table


def test_summarise_process_whose_runtime_is_not_known_is_not_called_outside_of_pods(story: MemoryStory) -> None:
    process = {**make_process(None, 900), "attribution": "runtime_unknown"}
    story.facts_after["gpu-l20"] = make_facts(make_used_gpu("NVIDIA L20", 900, process))
    text = render_text(show_holders(summary(story)["cards"], WHENS, 50)[0], Screen())
    assert "python3 (whose it is, is not known)" in text


def test_summarise_host_that_was_not_read_again_is_shown_as_it_was(story: MemoryStory) -> None:
    del story.facts_after["gpu-t4"]
    assert cards(story)["gpu-t4"]["after"] is None
    assert "after: not known" in [shape.text for shape in draw(story).shapes if isinstance(shape, Text)]
    # where nobody has read anything again there is nothing to say of each
    story.facts_after = {}
    assert not [shape for shape in draw(story).shapes if isinstance(shape, Text) and shape.text.startswith("after")]
    story.facts = {}
    assert summary(story)["cards"] == []


def test_summarise_only_nodes_that_changed_are_shown_if_any_did(story: MemoryStory) -> None:
    story.plan["nodes"]["gpu-t4"]["changed"] = False
    assert set(cards(story)) == {"gpu-l20"}
    story.plan["nodes"]["gpu-l20"]["changed"] = False
    assert set(cards(story)) == {"gpu-l20", "gpu-t4"}


def test_summarise_mig_devices_are_at_their_places_with_who_is_on_them(story: MemoryStory) -> None:
    processes = [
        make_process("nlp-2", 3000, gpu_instance_id=1, compute_instance_id=0),
        make_process("web-0", 2000, gpu_instance_id=2, compute_instance_id=0),
    ]
    story.facts_after["gpu-l20"] = make_facts(mig_gpu(*processes))
    story.after["nodes"]["gpu-l20"]["resources"] = {"nvidia.com/mig-3g.20gb": {"allocatable": 4}}
    card = cards(story)["gpu-l20"]
    found = [(one["uuid"], one["start_mib"], one["slots"], one["users"][0]["name"]) for one in card["after"]["devices"]]
    assert found == [("MIG-1", 0, 2, "nlp-2"), ("MIG-2", 20480, 2, "web-0")]
    figure = draw_bars([card], WHENS, 1000)
    first, second = rects(figure, "mig-device")
    assert second.x == pytest.approx(500)
    assert first.x + first.width <= second.x
    # one line in the middle of each device
    assert [line.x1 for line in lines(figure, "slot-line")] == pytest.approx([243.75, 743.75])
    assert_inside(figure)
    text = render_text(show_holders([card], WHENS, 50)[0], Screen())
    assert "0, 3g.20gb (2 of 2)" in text
    assert "6000 MiB in use by 2 pods in 4 slots of 2 MIG devices" in text


def test_summarise_devices_that_nobody_advertises_have_no_slots(story: MemoryStory) -> None:
    story.facts_after["gpu-l20"] = make_facts(mig_gpu())
    story.after["nodes"]["gpu-l20"]["resources"] = {}
    card = cards(story)["gpu-l20"]
    assert [device["slots"] for device in card["after"]["devices"]] == [0, 0]
    assert "after: 6000 MiB in use by 0 pods on 2 MIG devices" in draw_bars([card], WHENS, 940).description


def test_draw_bars_are_on_one_scale_with_slots_and_ceiling(story: MemoryStory) -> None:
    figure = draw(story)
    l20, _again, t4, _after = rects(figure, "card")
    assert t4.width / l20.width == pytest.approx(15360 / 46068)
    # eight slots end at seven lines, three at two
    assert len(lines(figure, "slot-line")) == 7 + 2
    assert {round(line.x1, 3) for line in lines(figure, "ceiling")} == {
        round(940 * 41461 / 46068, 3),
        round(940 * 13824 / 46068, 3),
    }
    assert_inside(figure)


def test_draw_bars_card_that_is_not_shared_has_no_ceiling(story: MemoryStory) -> None:
    story.after["nodes"]["gpu-t4"]["resources"]["nvidia.com/gpu"]["allocatable"] = 1
    # of the other one both bars have it: what was before is compared with it
    assert len(lines(draw(story), "ceiling")) == 2


def test_draw_bars_workload_has_one_colour_on_all_cards_and_legend_has_what_is_drawn(story: MemoryStory) -> None:
    figure = draw(story)
    legend = {words: style for style, words in figure.legend}
    assert set(legend) >= {"default/nlp", "default/web", "reserved by the driver", "end of a slot"}
    titles = {shape.title.split(",")[0] for shape in rects(figure, legend["default/nlp"])}
    assert titles == {f"default/nlp-{number} of default/nlp" for number in range(4)}
    assert "in use by nobody whom NVML names" in legend
    assert [shape.title for shape in rects(figure, "unattributed")] == ["1000 MiB that NVML attributes to no process"]


def test_draw_bars_of_many_workloads_folds_those_that_use_least(story: MemoryStory) -> None:
    many = [make_process(f"w{number}", 1000 - number) for number in range(COLOURS + 4)]
    story.facts_after["gpu-l20"] = make_facts(make_used_gpu("NVIDIA L20", 12000, *many))
    figure = draw(story)
    styles = [style for style, _words in figure.legend if style.startswith("user-")]
    # nlp and web use more than each of these
    assert styles == [*(f"user-{number}" for number in range(COLOURS)), "user-others"]
    # and what is outside of pods is too small to be seen
    assert len(rects(figure, "user-others")) == 6 + 1


def test_draw_bars_of_hundreds_of_processes_stay_inside_and_few(story: MemoryStory) -> None:
    many = [{**make_process(f"w{number}", 20), "namespace": "default", "pod": f"w{number}"} for number in range(500)]
    story.facts_after["gpu-l20"] = make_facts(make_used_gpu("NVIDIA L20", 10000, *many))
    figure = draw(story, 440)
    assert len(figure.shapes) < 60
    folded = rects(figure, "user-others")[-1]
    assert folded.title == "default/w0, default/w1, default/w10 and 497 more, after: 10000 MiB together"
    assert_inside(figure)


def test_draw_bars_more_than_the_card_stays_in_the_drawing(story: MemoryStory) -> None:
    story.facts_after["gpu-t4"] = make_facts(
        make_used_gpu("Tesla T4", 15000, make_process("nlp-3", 40000), make_process("web-1", 9))
    )
    assert_inside(draw(story))
    page = render_page(summary(story), [])
    assert 'width="-' not in page


@pytest.mark.parametrize("count", [9, MAX_NODES, MAX_NODES + 1])
def test_draw_bars_of_many_cards_are_close_and_capped(story: MemoryStory, count: int) -> None:
    card = cards(story)["gpu-l20"]
    figure = draw_bars([{**card, "node": f"gpu-{number}"} for number in range(count)], WHENS, 440)
    assert len(rects(figure, "card")) == 2 * min(count, MAX_NODES)
    assert figure.height < 25 * min(count, MAX_NODES)
    assert "The upper bar of each pair is before, the lower one after." in str(figure.note)
    assert ("first 40 of 41 cards" in str(figure.note)) is (count > MAX_NODES)
    assert_inside(figure)


def test_show_holders_has_a_row_for_each_pod_of_each_card(story: MemoryStory) -> None:
    [document] = show_holders(summary(story)["cards"], WHENS, 50)
    text = render_text(document, Screen(80, 80))
    assert "2 cards, in use in all: 9041 MiB before, 18034 MiB after." in text
    assert [line.split() for line in text.splitlines() if "default/nlp" in line] == [
        ["gpu-l20", "0", "default/nlp-0", "4621", "0"],
        ["gpu-l20", "0", "default/nlp-2", "0", "4621"],
        ["gpu-t4", "0", "default/nlp-1", "4401", "0"],
        ["gpu-t4", "0", "default/nlp-3", "0", "4401"],
    ]
    assert "nvidia-persistenced (outside of pods)" in text
    assert "nobody whom NVML names" in text
    assert max(map(len, text.splitlines())) <= 80
    assert show_holders([], WHENS, 50) == []


def test_render_page_with_cards_is_well_formed_and_escapes_names(story: MemoryStory) -> None:
    evil = '<script>alert(1)</script>"><img src=x>'
    story.facts_after["gpu-l20"]["gpus"][0]["processes"][0].update(pod_uid="new", pod=evil, namespace=evil)
    story.facts_after["gpu-t4"]["gpus"][0]["processes"][0].update(pod_uid=None, command=evil)
    figures = summary(story)
    text = render_page(figures, show_holders(figures["cards"], WHENS, 50))
    assert not {"script", "img"} & set(check(text).tags)
    assert text.count('<figure class="cards-memory">') == 1
