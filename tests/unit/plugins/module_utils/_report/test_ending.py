# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout that has stopped reads as one, whatever the cluster advertises."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document, Section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.ending import show_stop
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.page import render_page
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.summary import show_summary
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.text import Screen, render_text

REASON = (
    "6 restarts of containers with GPUs since the wave began, 0 allowed (kubegpu_health_max_restarts): nlp/a (app)."
)
UNDO = "ansible-playbook kubegpu.sharing.rollback -i inventory -e kubegpu_rollback_run=r1"
STOPPED = {
    "schema_version": 1,
    "outcome": "failed",
    "wave": 1,
    "waves": 1,
    "headline": "1 of 2 nodes of this wave failed, and is in service all the same, so no further wave is begun.",
    "failures": {"gpu-l20": REASON},
    "unwell": ["gpu-l20"],
    "next": [{"words": "To take back what this run did:", "commands": [UNDO]}],
}
FINISHED = {"schema_version": 1, "outcome": "finished", "waves": 1}


def figures(story: Any, ending: Any) -> dict[str, Any]:
    rollout = Rollout(story.plan, story.before, story.after, story.journal, facts=story.facts, ending=ending)
    return summarise(rollout, "2026-03-01T12:01:00Z")


def hold(story: Any, mib: int, pod_uid: str = "uid-nlp-0") -> None:
    (gpu,) = story.facts["gpu-l20"]["gpus"]
    gpu["processes"].append({"pod_uid": pod_uid, "used_memory_mib": mib, "mig_device": None})


def test_report_of_a_stopped_rollout_leads_with_it_though_all_nodes_are_as_planned(story: Any) -> None:
    found = figures(story, STOPPED)
    assert (found["outcome"], found["failures"], found["as_planned"]) == ("failed", {"gpu-l20": REASON}, True)
    document = show_summary(found, 50)
    assert document.subtitle.startswith("Stopped at wave 1 of 1: 1 of 2 nodes of this wave failed, and is in service")
    text = render_text(document, Screen())
    assert "Why it stopped" in text
    assert f"$ {UNDO}" in text
    page = render_page(found, [])
    assert '<p class="verdict bad">Stopped at wave 1 of 1: ' in page
    assert f"<li>gpu-l20: {REASON}</li>" in page
    assert f"<code>{UNDO}</code>" in page


def test_report_of_a_finished_rollout_is_good(story: Any) -> None:
    found = figures(story, FINISHED)
    assert (found["outcome"], found["failures"], found["stop"]) == ("finished", {}, None)
    assert '<p class="verdict good">All 2 planned nodes as planned.' in render_page(found, [])


def test_report_of_a_rollout_that_never_ended_is_not_good(story: Any) -> None:
    found = figures(story, {})
    assert found["outcome"] == "interrupted"
    assert '<p class="verdict bad">This rollout has not come to its end' in render_page(found, [])


@pytest.mark.parametrize("state", ["failed", "unhealthy"])
def test_journal_alone_tells_of_a_node_that_failed(story: Any, state: str) -> None:
    story.journal.append({"time": "2026-03-01T12:00:30Z", "node": "gpu-t4", "state": state, "message": "Xid 31"})
    found = figures(story, None)
    assert (found["outcome"], found["failures"]) == ("failed", {"gpu-t4": "Xid 31"})
    assert 'class="verdict bad"' in render_page(found, [])


def test_nobody_knows_how_a_rollout_without_a_record_ended(story: Any) -> None:
    assert figures(story, None)["outcome"] is None


def test_what_pods_used_is_held_against_the_slot(story: Any) -> None:
    hold(story, 9000)
    (hint,) = figures(story, STOPPED)["stop"]["hints"]
    assert hint.startswith("gpu-l20: pods there used up to 9000 MiB of GPU 0 for each slot before, and a slot is 5758 ")
    text = render_text(show_stop(STOPPED, story.plan, story.facts, 50), Screen())
    assert "9000 MiB of GPU 0" in text
    assert f"$ {UNDO}" in text


def test_pod_with_two_slots_may_use_twice_as_much(story: Any) -> None:
    hold(story, 9000)
    ids = ["GPU-0::1", "GPU-0::2"]
    story.facts["gpu-l20"]["allocations"] = [{"pod_uid": "uid-nlp-0", "device_ids": ids}]
    assert figures(story, STOPPED)["stop"]["hints"] == []


def test_wave_that_was_not_begun_is_not_called_the_place_of_the_stop(story: Any) -> None:
    closed = {**STOPPED, "wave": 0, "headline": "1 of 2 waves is done.", "failures": {}, "unwell": [], "next": []}
    assert show_summary(figures(story, closed), 50).subtitle.startswith("1 of 2 waves is done. GPU slots")


def test_page_has_the_lines_of_a_section_as_they_are(story: Any) -> None:
    section = Section("The fragment", lines=["configs:", "  l20: <8>"])
    page = render_page(figures(story, FINISHED), [Document("A file", "", [section])])
    assert "<pre>configs:\n  l20: &lt;8&gt;</pre>" in page
