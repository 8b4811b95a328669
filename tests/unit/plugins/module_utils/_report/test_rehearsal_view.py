# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rehearsal of a plan, for a terminal."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_changes import changes_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.rehearsal_view import rehearsal_section
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


def show(*waves: Any, known: bool = True, limit: int = 50, width: int = 100) -> str:
    plan = {"rehearsal": {"waves": list(waves), "budgets_known": known}}
    section = rehearsal_section(plan, limit)
    assert section
    text = render_text(Document("t", "", [section]), Screen(width, width))
    assert max(map(len, text.splitlines())) <= width
    return text.partition("\n\n")[2]


@pytest.mark.parametrize("plan", [{}, {"rehearsal": {}}, {"rehearsal": {"waves": [], "budgets_known": True}}])
def test_there_is_no_section_without_waves(plan: Any) -> None:
    assert rehearsal_section(plan, 50) is None


def test_waves_in_a_row_that_disturb_nobody_are_one_line() -> None:
    assert show(wave(1), wave(2, out=8), wave(3)) == (
        "Rehearsal\n  · Waves 1 to 3: at most 8 of 40 slots out of service (wave 2); no pod is evicted.\n"
    )
    assert show(wave(1)) == "Rehearsal\n  · Wave 1: 2 of 40 slots out of service; no pod is evicted.\n"


def test_who_finds_no_place_and_which_budget_refuses_is_told() -> None:
    gone = [
        eviction("a"),
        eviction("b", "no_place"),
        eviction("c", "no_place", {"wave": 2, "node": "gpu-1"}),
        eviction("d", "no_place", {"wave": 3, "node": "gpu-1"}),
        eviction("e", "not_replaced"),
        eviction("f", "no_place"),
        eviction("g", step="in_service"),
    ]
    refusing = [budget("nlp"), budget("one", "not_replaced", 1), budget("two", "several_budgets", 1)]
    text = show(wave(1), wave(2, *gone, budgets=refusing, worst=4, missing=3), wave(3, budgets=[budget("nlp")]))
    assert " ".join(text.split()).partition("preemption. ")[2] == (
        "· Wave 1: 2 of 40 slots out of service; no pod is evicted. "
        "· Wave 2: 2 of 40 slots out of service; 6 pods evicted: 1 has a place at once, 2 have a place only later, 2 have no place, "
        "1 has no controller that makes them anew; 1 stale pod recreated: it has a place at once; evicted pods lack 4 slots at "
        "worst, 3 after the wave. "
        "· Wave 3: 2 of 40 slots out of service; no pod is evicted. "
        "· Budget ml/nlp will refuse in wave 2 (ml/a, ml/b): it allows 0, with 2 of 2 pods healthy and 2 demanded. "
        "· Budget ml/one will refuse in wave 2 (ml/a, ml/b): it allows 1, with 2 of 2 pods healthy and 2 demanded, and more of its "
        "pods go than find another place. "
        "· Budget ml/two will refuse in wave 2 (ml/a, ml/b): it allows 1, with 2 of 2 pods healthy and 2 demanded, and the API "
        "evicts no pod that has more than one budget. "
        "· Wave 2, 2 pods (ml/b, ml/f): no node that it may use has 1 nvidia.com/gpu free, and none will have. "
        "· Wave 2, 1 pod (ml/c): no node that it may use has 1 nvidia.com/gpu free, until the wave is done. "
        "· Wave 2, 1 pod (ml/d): no node that it may use has 1 nvidia.com/gpu free, until wave 3 is done. "
        "· Wave 2, 1 pod (ml/e): no controller makes it anew."
    )


def test_unknown_budgets_are_said_to_be_unknown_where_pods_are_evicted() -> None:
    assert "may not be listed" in show(wave(1, eviction("a")), known=False)
    assert "may not be listed" not in show(wave(1), known=False)


def test_thousands_of_pods_and_waves_are_short() -> None:
    pods = [eviction(f"p{number}", "no_place") for number in range(1000)]
    text = show(*(wave(number, *pods, worst=9) for number in range(1, 201)), limit=20, width=80)
    assert "1000 pods (ml/p0, ml/p1, ml/p2 and 997 more)" in " ".join(text.split())
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
