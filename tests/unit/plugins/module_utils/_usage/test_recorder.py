# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of samples: who is counted together, what is not counted as 0, what is forgotten."""

from __future__ import annotations

import sys
from typing import Any, Dict, List

import pytest
from unit.plugins.module_utils._usage.samples import CARD, CONTAINER, gpu, measure, only_user, process, sample

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.document import read_measurement
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.recorder import Recorder

pytestmark = pytest.mark.node_side

OTHER_CONTAINER = "d" * 64


def test_processes_of_a_container_are_counted_together() -> None:
    user = only_user([process(1, 100), process(2, 300, command="python")], [process(1, 100), process(2, 250)])
    assert user["memory_mib"] == {"peak": 400, "mean": 375.0, "p95": 400, "samples": 2}
    assert user["process_memory_mib"]["peak"] == 300
    assert (user["command"], user["pid"], user["processes"]) == ("python", 2, {"peak": 2, "mean": 2.0})


@pytest.mark.parametrize(
    "other",
    [
        {"container_id": OTHER_CONTAINER},
        {"gpu": "GPU-1"},
        {"mig_device": "MIG-1"},
        {"container_id": None},
        {"container_id": None, "pod_uid": None, "command": "Xorg"},
    ],
    ids=["container", "card", "mig-device", "container-unknown", "host"],
)
def test_users_are_told_apart(other: Dict[str, Any]) -> None:
    users = measure([process(1, 100), process(2, 200, **other)])["users"]
    assert sorted(user["memory_mib"]["peak"] for user in users) == [100, 200]


def test_programs_of_the_host_go_by_their_name_however_often_they_start() -> None:
    outside: Dict[str, Any] = {"container_id": None, "pod_uid": None, "command": "trainer"}
    user = only_user([process(1, 100, **outside)], [process(2, 300, **outside)])
    assert (user["memory_mib"]["peak"], user["restarted"], user["pid"]) == (300, 1, 2)
    assert user["pod_uid"] is user["container_id"] is None


def test_process_with_two_kinds_of_context_is_counted_once() -> None:
    user = only_user([process(1, 500), process(1, 500, kind="graphics")])
    assert (user["memory_mib"]["peak"], user["processes"]["peak"]) == (500, 1)
    assert user["types"] == ["compute", "graphics"]


def test_memory_that_is_not_told_is_not_counted_as_nothing() -> None:
    user = only_user([process(1, None)], [process(1, 800), process(2, None)], [process(1, 700)])
    assert (user["samples"], user["untold"]) == (3, 2)
    assert user["memory_mib"] == {"peak": 700, "mean": 700.0, "p95": 700, "samples": 1}
    assert user["process_memory_mib"]["samples"] == 1
    assert user["over_time"] == [[2.0, 700]]
    never = only_user([process(1, None)], [process(1, None)])
    assert (never["memory_mib"], never["process_memory_mib"], never["untold"]) == (None, None, 2)


def test_user_counts_only_where_it_was_seen() -> None:
    user = only_user([], [process(1, 100)], [], [process(1, 300)], [])
    assert (user["samples"], user["memory_mib"]["mean"]) == (2, 200.0)
    assert (user["first_seen"], user["last_seen"]) == (1.0, 3.0)
    # the same processes as before
    assert user["restarted"] == 0


@pytest.mark.parametrize(
    ("processes", "restarted"),
    [
        ([[(1, 5)], [(1, 5)]], 0),
        ([[(1, 5)], [(1, 9)]], 1),
        ([[(1, 5)], [(2, 9)], [(3, 12)]], 2),
        ([[(1, 5)], [(1, 5), (2, 7)], [(1, 5)]], 2),
        ([[(1, 5)], [(1, None)], [(1, 5)]], 0),
        ([[(1, 5)], [], [(1, 5)]], 0),
        ([[(1, 5)], [], [(1, 6)]], 1),
    ],
    ids=["same", "pid-reused", "anew", "worker-came-and-went", "gone-before-it-was-read", "card-was-silent", "stopped"],
)
def test_restarts_are_told_by_pid_and_start(processes: List[List[Any]], restarted: int) -> None:
    assert (
        only_user(*([process(pid, 100, start) for pid, start in seen] for seen in processes))["restarted"] == restarted
    )


def test_card_that_does_not_answer_is_counted_as_such() -> None:
    recorder = Recorder(1)
    recorder.add(sample(0, gpus=[gpu(1000, 9000, 50)]))
    recorder.add(sample(1, gpus=[gpu(2000, 8000, None)]))
    recorder.add(sample(2, gpus=[gpu(None, None, None, state="lost", reason="Reset it.")]))
    (card,) = recorder.document({"gpus": [{"uuid": CARD, "index": 3, "product": "NVIDIA L20"}]})["gpus"]
    assert (card["index"], card["product"], card["samples"], card["unanswered"]) == (3, "NVIDIA L20", 2, 1)
    assert (card["state"], card["reason"]) == ("lost", "Reset it.")
    assert card["memory_used_mib"] == {"peak": 2000, "mean": 1500.0, "p95": 2000, "samples": 2}
    assert (card["memory_free_mib"], card["utilization_percent"]["samples"]) == ({"min": 8000}, 1)


def test_samples_that_are_missing_are_counted_with_their_reasons() -> None:
    recorder = Recorder(1)
    recorder.add(sample(0, [process(1, 100)]))
    recorder.miss(4, "The node was too busy.", 3)
    recorder.miss(5, "NVML did not answer.")
    document = recorder.document({})
    assert (document["samples"], document["missed"], document["duration_seconds"]) == (1, 4, 5)
    assert document["notes"] == [
        "Samples that are missing: 3. The node was too busy.",
        "Samples that are missing: 1. NVML did not answer.",
    ]
    for number in range(100):
        recorder.miss(6, f"Reason {number}.")
    assert len(recorder.document({})["notes"]) <= 9
    assert recorder.document({})["missed"] == 104


def test_names_come_from_those_who_know_them() -> None:
    recorder = Recorder(1)
    recorder.add(sample(0, [process(1, 100)]))
    names = {CONTAINER: {"namespace": "team", "pod": "serve-0", "container": "main", "slots": 2}}
    (user,) = recorder.document({}, lambda user: names[user["container_id"]])["users"]
    assert (user["namespace"], user["pod"], user["container"], user["slots"]) == ("team", "serve-0", "main", 2)


def test_users_that_are_gone_for_the_longest_are_counted_together() -> None:
    recorder = Recorder(1, most_users=3)
    containers = [f"{number:064x}" for number in range(6)]
    for number, container in enumerate(containers):
        recorder.add(sample(number, [process(1, 100 + number, start=number, container_id=container)]))
    document = recorder.document({})
    users = document["users"]
    others = [user for user in users if user["folded"]]
    assert len(users) == 3
    assert {user["container_id"] for user in users if not user["folded"]} == set(containers[-2:])
    (other,) = others
    assert (other["folded"], other["samples"], other["memory_mib"]["peak"], other["first_seen"]) == (4, 4, 103, 0)
    assert other["pod_uid"] is other["command"] is None
    assert "4 of those that had been gone for the longest" in document["notes"][0]


def test_users_that_are_there_are_never_counted_together() -> None:
    recorder = Recorder(1, most_users=3)
    everyone = [process(number, 100, container_id=f"{number:064x}") for number in range(1, 8)]
    for number in range(3):
        recorder.add(sample(number, everyone))
    assert [user["folded"] for user in recorder.document({})["users"]] == [0] * 7


def test_leak_is_told_of_the_longest_life() -> None:
    """A restart in between would hide it: memory is as it was at the beginning."""
    first = [[process(1, 1000 + number)] for number in range(200)]
    second = [[process(2, 1000 + 5 * number)] for number in range(100)]
    user = only_user(*first, *second)
    assert user["trend_mib_per_hour"] == pytest.approx(3600, rel=0.02)
    assert user["trend_span_seconds"] == pytest.approx(198, abs=2)


def test_memory_that_is_only_taken_at_the_start_is_no_trend() -> None:
    rising = [[process(1, 40 * number)] for number in range(100)]
    assert only_user(*rising, *([[process(1, 4000)]] * 400))["trend_mib_per_hour"] == 0
    assert only_user(*rising[:30])["trend_mib_per_hour"] is None


def test_measurement_can_be_read_back() -> None:
    document = measure([process(1, 100), process(2, None, container_id=None)], [process(1, 2000)])
    assert read_measurement("it", document) == document
    nothing = Recorder(1).document(
        {"id": "none", "started": "2026-03-01T12:00:00Z", "ended": "2026-03-01T12:00:00Z", "nvml_available": False}
    )
    assert read_measurement("it", nothing)["gpus"] == []


def test_memory_does_not_grow_with_samples() -> None:
    recorder = Recorder(1)

    def size_after(samples: range) -> int:
        for number in samples:
            used = 3000 + number * 7919 % 4000
            recorder.add(sample(number, [process(1, used), process(2, used)], gpus=[gpu(used, used, number % 100)]))
        return _size(recorder)

    before = size_after(range(3000))
    assert size_after(range(3000, 12000)) <= before * 1.02


def _size(value: Any) -> int:
    """Bytes of an object and of everything in it."""
    parts: List[Any] = []
    if isinstance(value, dict):
        parts = [*value.keys(), *value.values()]
    elif isinstance(value, (list, tuple, set)):
        parts = list(value)
    parts += list(getattr(value, "__dict__", {}).values())
    slots = [name for kind in type(value).__mro__ for name in getattr(kind, "__slots__", ())]
    parts += [getattr(value, name) for name in slots if not name.startswith("__") and hasattr(value, name)]
    return sys.getsizeof(value) + sum(map(_size, parts))
