# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container runtimes in the plan's words, made by the planner from what hosts told."""

from __future__ import annotations

from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet
from unit.plugins.module_utils._plan.test_runtime import OWED, OWNED, request

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import show_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.verification import verify

PODS = [fleet.pod("job", owner=OWNED), fleet.pod("web", {}, owner=OWNED)]


def cells(wanted: PlanRequest) -> list[str]:
    document = show_plan(build_plan(wanted), 50)
    return [cell for section in document.sections if section.table for row in section.table.rows for cell in row]


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            request({"n0": OWED}, pods=PODS),
            "cordoned, all pods of the node evicted (2), containerd restarted, the plugin stays",
        ),
        (
            request({"n0": OWED}, pods=PODS, runtime_disruption="gpu_pods"),
            "cordoned, all GPU pods of the node evicted (1), containerd restarted, the plugin stays",
        ),
        (
            request({"n0": OWED}, pods=PODS, runtime_disruption="none"),
            "cordoned, nothing evicted, containerd restarted, the plugin stays",
        ),
        (
            request({"n0": {**OWED, "restart": False, "units": []}}, pods=PODS),
            "cordoned, nothing evicted, containerd set up, the plugin stays",
        ),
        (
            request({"n0": OWED}, settled=False, pods=PODS),
            "cordoned, all pods of the node evicted (2), containerd restarted, plugin switched",
        ),
    ],
)
def test_plan_says_who_is_disturbed_by_a_restart(wanted: PlanRequest, words: str) -> None:
    assert words in cells(wanted)


def test_plan_names_no_label_of_ours_where_the_plugin_stays() -> None:
    assert "control plane" not in render_text(show_plan(build_plan(request({"n0": OWED})), 50), Screen(120, 120))
    assert "label of our own DaemonSet" not in cells(request({"n0": OWED}))
    assert "containerd 1.6.20~ds1 to be set up and restarted" in cells(request({"n0": OWED}))


@pytest.mark.parametrize("width", [80, 120])
def test_plan_tells_what_is_done_to_alike_runtimes_in_one_row_and_fits_the_screen(width: int) -> None:
    k3s: dict[str, Any] = {
        **OWED,
        "engine": "k3s",
        "version": None,
        "units": ["k3s.service"],
        "actions": ["write a file"],
    }
    document = show_plan(build_plan(request({"n0": OWED, "n1": OWED, "n2": k3s})), 50)
    [section] = [section for section in document.sections if section.heading == "Container runtimes"]
    assert section.table is not None
    assert section.text.endswith("No wave has two servers of the control plane.")
    assert [tuple(row) for row in section.table.rows] == [
        ("n0, n1", "containerd 1.6.20~ds1", "; ".join(OWED["actions"]), "containerd"),
        ("n2", "k3s", "write a file", "k3s.service"),
    ]
    assert max(map(len, render_text(document, Screen(width, width)).splitlines())) <= width


def test_plan_without_runtimes_says_nothing_of_them() -> None:
    document = show_plan(build_plan(request(None)), 50)
    assert "Container runtimes" not in {section.heading for section in document.sections}


def test_verification_tells_of_a_runtime_that_is_not_as_wanted_where_nothing_was_done() -> None:
    wanted = request({"n0": OWED})
    plan = build_plan(wanted)
    text = render_text(verify(plan, None, wanted.cluster, 50), Screen(200, 200))
    assert "n0: containerd 1.6.20~ds1 is not set up as wanted: add the runtime nvidia to" in text
    assert "is not set up as wanted" not in render_text(
        verify(plan, wanted.cluster, wanted.cluster, 50), Screen(200, 200)
    )
