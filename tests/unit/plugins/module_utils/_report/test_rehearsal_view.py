# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal of a plan, as people see it."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.words import APPROXIMATION
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document, Section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_changes import changes_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.rehearsal_view import rehearsal_sections
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text


def eviction(name: str, verdict: str = "placed", later: Any = None, step: str = "in_maintenance") -> dict[str, Any]:
    reasons = {
        "no_place": "no node that it may use has 1 nvidia.com/gpu free",
        "not_replaced": "no controller makes it anew",
    }
    return {
        "namespace": "ml",
        "name": name,
        "node": "gpu-1",
        "step": step,
        "budgets": [],
        "verdict": verdict,
        "target": "gpu-2" if verdict == "placed" else None,
        "reason": reasons.get(verdict, ""),
        "later": later,
    }


def wave(number: int, *evictions: Any, out: int = 2, budgets: Any = (), worst: int = 0, missing: int = 0) -> Any:
    return {
        "wave": number,
        "nodes": ["gpu-1"],
        "evictions": list(evictions),
        "blocking_budgets": list(budgets),
        "slots_out": out,
        "slots_missing_at_worst": worst,
        "slots_missing": missing,
        "gpu_slots_in_cluster": 40,
    }


def budget(name: str, reason: str = "allows_none", allowed: int = 0) -> dict[str, Any]:
    numbers = {"allowed": allowed, "healthy": 2, "desired": 2, "expected": 2}
    return {"namespace": "ml", "name": name, "reason": reason, "pods": ["ml/a", "ml/b"], **numbers}


def sections(*waves: Any, known: bool = True, limit: int = 50) -> list[Section]:
    return rehearsal_sections({"rehearsal": {"waves": list(waves), "budgets_known": known}}, limit)


def show(*waves: Any, known: bool = True, limit: int = 50, width: int = 100) -> str:
    text = render_text(Document("t", "", sections(*waves, known=known, limit=limit)), Screen(width, width))
    assert max(map(len, text.splitlines())) <= width
    return text.partition("\n\n")[2]


def rows(section: Section) -> list[tuple[str, ...]]:
    assert section.table
    return [tuple(row) for row in section.table.rows]


@pytest.mark.parametrize("plan", [{}, {"rehearsal": {}}, {"rehearsal": {"waves": [], "budgets_known": True}}])
def test_there_is_no_section_without_waves(plan: Any) -> None:
    assert rehearsal_sections(plan, 50) == []


def test_a_plan_that_disturbs_nobody_is_one_line() -> None:
    assert show(wave(1), wave(2, out=8), wave(3)) == (
        "Rehearsal\n  · Waves 1 to 3: at most 8 of 40 slots out of service (wave 2); no pod is evicted.\n"
    )
    assert show(wave(1)) == "Rehearsal\n  · Wave 1: 2 of 40 slots out of service; no pod is evicted.\n"


def test_who_finds_no_place_and_which_budget_refuses_is_told_by_wave() -> None:
    gone = [
        eviction("a"),
        eviction("b", "no_place"),
        eviction("c", "no_place", {"wave": 2, "node": "gpu-1"}),
        eviction("d", "no_place", {"wave": 3, "node": "gpu-7"}),
        eviction("e", "not_replaced"),
        eviction("f", "no_place"),
        {**eviction("g", step="in_service"), "target": "gpu-1"},
    ]
    refusing = [budget("nlp"), budget("one", "not_replaced", 1), budget("two", "several_budgets", 1)]
    again = {**budget("nlp"), "pods": ["ml/b", "ml/c"]}
    waves, pods, budgets = sections(
        wave(1), wave(2, *gone, budgets=refusing, worst=4, missing=3), wave(3, budgets=[again]), wave(4, out=9)
    )
    assert (waves.heading, waves.text) == ("Rehearsal", APPROXIMATION)
    fates = "2 at once, 2 only later, 2 nowhere, 1 not made anew"
    assert rows(waves) == [
        ("1", "2 of 40 slots", "none", "-", "none"),
        ("2", "2 of 40 slots", "6 evicted, 1 recreated", fates, "4 at worst, 3 after the wave"),
        ("3 to 4", "9 of 40 slots at most", "none", "-", "none"),
    ]
    no_place = "no node that it may use has 1 nvidia.com/gpu free"
    assert rows(pods) == [
        ("2", "gpu-1", "2", "ml/b, ml/f", f"nowhere: {no_place}"),
        ("2", "gpu-1", "1", "ml/c", f"the same node, but only once the wave is done: {no_place} before"),
        ("2", "gpu-1", "1", "ml/d", f"gpu-7, but only once wave 3 is done: {no_place} before"),
        ("2", "gpu-1", "1", "ml/e", "nowhere: no controller makes it anew"),
        ("2", "gpu-1", "1", "ml/a", "gpu-2"),
        ("2", "gpu-1", "1", "ml/g", "the same node"),
    ]
    assert rows(budgets) == [
        ("ml/nlp", "2", "0", "2 of 2", "2", "3 pods: ml/a, ml/b, ml/c", "-"),
        ("ml/one", "2", "1", "2 of 2", "2", "2 pods: ml/a, ml/b", "more pods go than find another place"),
        ("ml/two", "2", "1", "2 of 2", "2", "2 pods: ml/a, ml/b", "no pod with more than one budget is evicted"),
    ]


def test_slots_that_are_missing_from_earlier_waves_are_told_of_a_wave_that_evicts_nobody() -> None:
    waves, _pods = sections(wave(1, eviction("a", "no_place"), worst=1, missing=1), wave(2, worst=1))
    assert [row[-1] for row in rows(waves)] == ["1 at worst, 1 after the wave", "1 at worst, none after the wave"]


def test_unknown_budgets_are_said_to_be_unknown_where_pods_are_evicted() -> None:
    assert "may not be listed" in show(wave(1, eviction("a")), known=False)
    assert "may not be listed" not in show(wave(1), known=False)
    unknown = {**budget("nlp"), "healthy": None, "desired": None, "expected": None}
    (row,) = rows(sections(wave(1, eviction("a"), budgets=[unknown]))[2])
    assert row[3:5] == ("-", "-")


def test_thousands_of_pods_and_waves_are_short() -> None:
    pods = [eviction(f"p{number}", "no_place") for number in range(1000)]
    waves = [wave(number, *pods, worst=9) for number in range(1, 201)]
    assert rows(sections(*waves)[1])[0][2:4] == ("1000", "ml/p0, ml/p1, ml/p2 and 997 more")
    text = show(*waves, limit=20, width=80)
    assert text.count("… and 180 more") == 2
    assert len(text.splitlines()) < 150


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        (
            {"evict": {"scope": "affected", "fit": {}, "pods": [{}, {}]}},
            "cordoned, plugin switched, 2 pods evicted to fit",
        ),
        ({"evict": {"scope": "affected", "fit": {}, "pods": []}}, "cordoned, plugin switched, pods evicted to fit"),
        ({"recreate": True, "stale_pods": [{}]}, "cordoned, plugin switched, then 1 stale pod recreated"),
        (
            {"recreate": True, "stale_pods": [{}, {}], "from": {"key": "new"}},
            "the plugin stays, then 2 stale pods recreated",
        ),
        ({"evict": {"scope": "affected", "fit": None, "pods": []}}, "pods on the GPUs that change are evicted"),
        ({"disruption": "switch"}, "cordoned, plugin switched, nothing evicted"),
    ],
)
def test_changes_say_which_pods_are_disturbed(fields: dict[str, Any], words: str) -> None:
    node = {"changed": True, "disruption": "affected", "from": {"key": "old"}, "to": {"key": "new"}, "reasons": ["r"]}
    section = changes_section({"nodes": {"gpu-1": {**node, **fields}}}, ["gpu-1"], 50)
    assert section is not None
    assert section.table is not None
    assert section.table.rows[0][2] == words


@pytest.mark.parametrize(("after", "leaves"), [("new", "-"), ("newer", "label of our own DaemonSet")])
def test_changes_say_that_a_plugin_stays_where_only_stale_pods_go(after: str, leaves: str) -> None:
    served = {"key": "t4", "revision": "new", "resources": {}}
    node = {"changed": True, "disruption": "affected", "recreate": True, "stale_pods": [{}], "reasons": ["r"]}
    node.update({"from": served, "to": {**served, "revision": after}})
    section = changes_section({"nodes": {"gpu-1": node}}, ["gpu-1"], 50)
    assert section is not None
    assert section.table is not None
    assert section.table.rows[0][3] == leaves
