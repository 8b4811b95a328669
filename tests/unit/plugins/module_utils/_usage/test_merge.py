# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Several measurements of one host."""

from __future__ import annotations

from typing import Any, Dict

from unit.plugins.module_utils._usage.samples import CONTAINER, measure, process

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.merge import merge_measurements


def run(number: int, *samples: Any, **head: Any) -> Dict[str, Any]:
    """A measurement that began so many hours after noon."""
    return measure(*samples, id=f"run-{number}", begin=3600.0 * number, **head)


def test_parts_are_counted_together_and_gaps_stay_gaps() -> None:
    merged = merge_measurements([run(2, [process(1, 300)]), run(0, [process(1, 100)], [process(1, 200)])])
    (user,) = merged["users"]
    assert (merged["parts"], merged["samples"], merged["duration_seconds"]) == (2, 3, 1)
    assert (merged["started"], merged["ended"]) == ("2026-03-01T12:00:00Z", "2026-03-01T14:00:00Z")
    assert user["memory_mib"] == {"peak": 300, "mean": 200.0, "p95": 300, "samples": 3}
    assert (user["first_seen"], user["last_seen"]) == (0, 7200)
    assert user["over_time"] == merged["gpus"][0]["over_time"]
    assert user["over_time"] == [
        {"started": "2026-03-01T12:00:00Z", "points": [[0.0, 100], [1.0, 200]]},
        {"started": "2026-03-01T14:00:00Z", "points": [[0.0, 300]]},
    ]


def test_names_that_a_later_part_does_not_know_are_kept() -> None:
    known, unknown = run(0, [process(1, 100)]), run(1, [process(1, 50, pod_uid=None)])
    known["users"][0].update(namespace="team", pod="serve-0", container="main", slots=2)
    (user,) = merge_measurements([known, unknown])["users"]
    assert (user["namespace"], user["pod"], user["container"], user["slots"]) == ("team", "serve-0", "main", 2)
    assert (user["pod_uid"], user["container_id"]) == ("pod", CONTAINER)


def test_container_that_was_started_anew_is_another_user() -> None:
    merged = merge_measurements([run(0, [process(1, 100)]), run(1, [process(1, 100, container_id="d" * 64)])])
    assert [user["samples"] for user in merged["users"]] == [1, 1]


def test_trend_is_that_of_the_longest_part() -> None:
    steady = [[process(1, 1000)] for _number in range(300)]
    leaking = [[process(1, 1000 + number)] for number in range(100)]
    (user,) = merge_measurements([run(0, *steady), run(1, *leaking)])["users"]
    assert (user["trend_mib_per_hour"], user["trend_span_seconds"] > 200) == (0, True)
    # a part that is too short to tell has no say
    (user,) = merge_measurements([run(0, *leaking), run(1, *steady[:30])])["users"]
    assert user["trend_mib_per_hour"] > 3000


def test_part_that_was_cut_off_and_host_without_nvml_are_told() -> None:
    silent = run(1, nvml_available=False, reason="No driver.")
    merged = merge_measurements([run(0, [process(1, 100)]), {**silent, "gpus": []}, run(2, complete=False)])
    assert (merged["complete"], merged["nvml_available"]) == (False, True)
    assert [card["uuid"] for card in merged["gpus"]] == ["GPU-0"]


def test_of_a_measurement_that_was_fetched_twice_the_longer_counts() -> None:
    early, whole = run(0, [process(1, 100)], complete=False), run(0, [process(1, 100)], [process(1, 400)])
    for given in ([early, whole], [whole, early]):
        merged = merge_measurements(given)
        assert (merged["parts"], merged["samples"], merged["complete"]) == (1, 2, True)
        assert merged["users"][0]["memory_mib"]["peak"] == 400


def test_mig_devices_of_all_parts_are_known() -> None:
    def card(*uuids: str) -> Dict[str, Any]:
        return {"uuid": "GPU-0", "mig_devices": [{"uuid": uuid, "profile": "1g.12gb"} for uuid in uuids]}

    first, second = (
        run(0, [process(1, 1)], gpus=[card("MIG-1")]),
        run(1, [process(1, 1)], gpus=[card("MIG-1", "MIG-2")]),
    )
    (merged,) = merge_measurements([first, second])["gpus"]
    assert [device["uuid"] for device in merged["mig_devices"]] == ["MIG-1", "MIG-2"]


def test_program_of_an_unknown_runtime_is_not_the_one_of_the_host_of_the_same_name() -> None:
    nobody: Dict[str, Any] = {"pod_uid": None, "container_id": None, "command": "python3"}
    first = measure([process(1, 100, runtime_unknown=True, **nobody)], id="a")
    second = measure([process(2, 300, **nobody)], id="b", begin=60)
    users = merge_measurements([first, second])["users"]
    assert [(user["runtime_unknown"], user["memory_mib"]["peak"]) for user in users] == [(True, 100), (False, 300)]
