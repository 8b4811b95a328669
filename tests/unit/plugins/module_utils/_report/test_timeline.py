# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""States of nodes by the journal."""

from __future__ import annotations

import json
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline import build_timeline, read_journal


def entry(second: float, node: str, state: str, message: str = "") -> dict[str, Any]:
    return {"time": f"2026-03-01T12:00:{second:06.3f}Z", "node": node, "state": state, "message": message}


def test_read_journal_is_in_order_of_time_and_passes_over_an_unfinished_line() -> None:
    lines = [json.dumps(entry(2, "a", "withdrawn")), json.dumps(entry(1, "a", "cordoned")), '{"time": "2026-03-01T12:0']
    assert [found["state"] for found in read_journal("\n".join(lines))] == ["cordoned", "withdrawn"]


def test_read_journal_passes_over_what_is_no_entry() -> None:
    assert read_journal('[]\n{"time": "yesterday"}\n{}\n\n') == []


def test_build_timeline_states_last_until_the_next_and_the_last_to_the_end() -> None:
    timeline = build_timeline(
        [entry(0, "a", "cordoned"), entry(2, "b", "cordoned"), entry(3, "a", "withdrawn"), entry(5, "b", "failed")]
    )
    assert timeline is not None
    assert timeline.seconds == 5
    assert [(s.state, s.begin, s.end) for s in timeline.nodes["a"]] == [("cordoned", 0, 3), ("withdrawn", 3, 5)]
    assert [(s.state, s.begin, s.end) for s in timeline.nodes["b"]] == [
        ("schedulable", 0, 2),
        ("cordoned", 2, 5),
        ("failed", 5, 5),
    ]
    assert timeline.out_of_service("b") == 3


def test_build_timeline_joins_repeated_states_of_a_resumed_run() -> None:
    timeline = build_timeline([entry(0, "a", "cordoned"), entry(1, "a", "cordoned"), entry(4, "a", "in_service")])
    assert timeline is not None
    assert [(s.state, s.begin, s.end) for s in timeline.nodes["a"]] == [("cordoned", 0, 4), ("in_service", 4, 4)]
    assert timeline.out_of_service("a") == 4


def test_build_timeline_a_held_node_stays_out_of_service() -> None:
    timeline = build_timeline([entry(0, "a", "cordoned"), entry(3, "a", "held"), entry(5, "b", "cordoned")])
    assert timeline is not None
    assert [(s.state, s.begin, s.end) for s in timeline.nodes["a"]] == [("cordoned", 0, 3), ("held", 3, 5)]
    assert timeline.out_of_service("a") == 5


def leaves(second: float, node: str, state: str) -> dict[str, Any]:
    return {**entry(second, node, state), "pod": {"namespace": "n", "name": "p", "uid": "u"}}


def test_build_timeline_evictions_are_a_state_of_the_cordoned_node() -> None:
    timeline = build_timeline(
        [
            entry(0, "a", "cordoned"),
            leaves(1, "a", "evicted"),
            leaves(2, "a", "evicted"),
            entry(4, "a", "withdrawn"),
            entry(6, "a", "in_service"),
            leaves(7, "a", "recreated"),
        ]
    )
    assert timeline is not None
    assert [(s.state, s.begin, s.end) for s in timeline.nodes["a"]] == [
        ("cordoned", 0, 1),
        ("evicting", 1, 4),
        ("withdrawn", 4, 6),
        ("in_service", 6, 7),
    ]
    assert [(mark.seconds, mark.state, mark.pod) for mark in timeline.marks["a"]] == [
        (1, "evicted", "n/p"),
        (2, "evicted", "n/p"),
        (7, "recreated", "n/p"),
    ]
    # pods that are made anew afterwards do not make the rollout longer
    assert (timeline.seconds, timeline.settled, timeline.out_of_service("a")) == (7, 6, 6)


def test_build_timeline_a_node_that_comes_back_after_it_failed_was_restored() -> None:
    timeline = build_timeline(
        [entry(0, "a", "cordoned"), entry(3, "a", "failed"), entry(4, "a", "withdrawn"), entry(9, "a", "in_service")]
    )
    assert timeline is not None
    assert [s.state for s in timeline.nodes["a"]] == ["cordoned", "failed", "withdrawn", "restored"]
    assert (timeline.left_out("a"), timeline.out_of_service("a")) == (False, 9)


def test_build_timeline_tells_nodes_that_have_not_come_back() -> None:
    timeline = build_timeline([entry(0, "a", "cordoned"), entry(1, "b", "cordoned"), entry(2, "b", "in_service")])
    assert timeline is not None
    assert [timeline.left_out(name) for name in ("a", "b", "untouched")] == [True, False, False]


def test_build_timeline_passes_over_other_entries() -> None:
    assert build_timeline([]) is None
    assert build_timeline([{"time": "2026-03-01T12:00:00Z", "state": "locked", "node": None}]) is None


def test_timeline_to_dict_has_plain_types() -> None:
    timeline = build_timeline([entry(0, "a", "cordoned", "run r1"), entry(1.5, "a", "in_service")])
    assert timeline is not None
    document = timeline.to_dict()
    assert document == {
        "start": "2026-03-01T12:00:00.000Z",
        "seconds": 1.5,
        "nodes": {
            "a": [
                {"state": "cordoned", "begin": 0.0, "end": 1.5, "message": "run r1"},
                {"state": "in_service", "begin": 1.5, "end": 1.5, "message": ""},
            ]
        },
        "pods": {},
    }


def test_watch_over_a_node_in_service_is_a_figure_of_its_own() -> None:
    timeline = build_timeline([entry(0, "a", "cordoned"), entry(11, "a", "in_service"), entry(38, "a", "unhealthy")])
    assert timeline is not None
    assert (timeline.settled, timeline.watched(), timeline.out_of_service("a")) == (11, 27, 11)


def test_node_that_nobody_watched_has_no_watch() -> None:
    timeline = build_timeline([entry(0, "a", "cordoned"), entry(11, "a", "in_service")])
    assert timeline is not None
    assert timeline.watched() is None
