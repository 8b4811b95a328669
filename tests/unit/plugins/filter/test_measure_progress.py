# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How a measurement is waited for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter import measure_progress as module
from ansible_collections.kubegpu.sharing.plugins.filter.measure_progress import measure_progress

RUN = "20260101-120000-abcdef"
SAMPLES = {"runs": [{"id": RUN, "state": "running", "running": True}], "missing": []}
ENDED = {"runs": [{"id": RUN, "state": "complete", "running": False}], "missing": []}
SILENT = {"runs": [{"id": "another", "state": "running", "running": True}], "missing": [RUN]}
LOST = {"unreachable": True, "msg": "No route to host"}
BROKEN = {"failed": True, "msg": "MODULE FAILURE"}
NEVER_BEGAN = {"skipped": True, "changed": False}


def progress(monkeypatch: pytest.MonkeyPatch, elapsed: float, looks: dict[str, Any], **times: int) -> dict[str, Any]:
    monkeypatch.setattr(module.time, "monotonic", lambda: 5000.0 + elapsed)
    given = {"seconds": 600, "lost_seconds": 300, "progress_seconds": 60, **times}
    return measure_progress(looks, RUN, begun=5000.0, **given)


def test_begin_counts_from_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.time, "monotonic", lambda: 77.5)
    # as variables of ansible-core 2.18 and older hand them on
    begun = measure_progress({}, RUN, seconds="600", lost_seconds="300", progress_seconds="60")
    assert (begun["begun"], begun["wait_seconds"], begun["done"]) == (77.5, 60, False)


@pytest.mark.parametrize(
    ("elapsed", "looks", "done"),
    [
        pytest.param(60, {"a": SAMPLES, "b": ENDED}, False, id="one samples"),
        pytest.param(60, {"a": ENDED, "b": ENDED}, True, id="all have ended early"),
        pytest.param(60, {"a": NEVER_BEGAN, "b": ENDED}, True, id="one never began"),
        pytest.param(60, {"a": LOST, "b": ENDED}, False, id="one is lost"),
        pytest.param(60, {"a": BROKEN, "b": ENDED}, False, id="one cannot be asked"),
        pytest.param(899, {"a": LOST, "b": ENDED}, False, id="one is lost and has some time left"),
        pytest.param(900, {"a": LOST, "b": ENDED}, True, id="one stays lost"),
        pytest.param(900, {"a": SAMPLES}, True, id="one does not end"),
        pytest.param(60, {"a": SILENT, "b": ENDED}, False, id="one has written nothing yet"),
        pytest.param(605, {"a": SILENT, "b": ENDED}, True, id="one will write nothing any more"),
    ],
)
def test_wait_is_for_hosts_that_may_still_sample(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, looks: dict[str, Any], done: bool
) -> None:
    assert progress(monkeypatch, elapsed, looks)["done"] is done


@pytest.mark.parametrize(
    ("elapsed", "seconds", "wait"),
    [
        (0, 600, 60),
        (590.5, 600, 11),
        (599.9, 600, 2),
        (600.1, 600, 2),
        (607.5, 600, 8),
        (800, 600, 19),
        (0, 86400, 2160),
    ],
)
def test_next_look_comes_soon_after_the_end_and_seldom_in_a_long_measurement(
    monkeypatch: pytest.MonkeyPatch, elapsed: float, seconds: int, wait: int
) -> None:
    assert progress(monkeypatch, elapsed, {"a": SAMPLES}, seconds=seconds)["wait_seconds"] == wait


@pytest.mark.parametrize("seconds", [1, 59, 600, 601, 86400])
@pytest.mark.parametrize("lost_seconds", [0, 7, 300, 7200])
@pytest.mark.parametrize("progress_seconds", [1, 60, 3600])
def test_host_that_never_answers_is_given_up_after_as_many_looks_as_the_playbook_has(
    monkeypatch: pytest.MonkeyPatch, seconds: int, lost_seconds: int, progress_seconds: int
) -> None:
    times = {"seconds": seconds, "lost_seconds": lost_seconds, "progress_seconds": progress_seconds}
    elapsed, looks, done = 0.0, 0, False
    while not done:
        elapsed += progress(monkeypatch, elapsed, {"a": LOST}, **times)["wait_seconds"]
        done = progress(monkeypatch, elapsed, {"a": LOST}, **times)["done"]
        looks += 1
    assert looks <= looks_of_the_playbook()
    assert elapsed >= seconds + lost_seconds


def looks_of_the_playbook() -> int:
    tasks = Path(__file__).parents[4] / "roles/rollout/tasks"
    of_sampling = (tasks / "measure_sample.yml").read_text(encoding="utf-8").count("import_tasks: measure_rounds.yml")
    return of_sampling * (tasks / "measure_rounds.yml").read_text(encoding="utf-8").count("measure_round.yml")


def test_state_of_all_hosts_is_told_in_a_line(monkeypatch: pytest.MonkeyPatch) -> None:
    lost = {f"gpu-{number}": LOST for number in range(7)}
    told = progress(monkeypatch, 120.7, {"a": SAMPLES, "b": SAMPLES, "c": ENDED, "d": SILENT, "e": NEVER_BEGAN, **lost})
    assert told["told"] == (
        "After 120 of 600 s: 2 hosts sample, 1 host has no sample yet, 1 host has ended, 7 hosts do not answer: "
        "gpu-0, gpu-1, gpu-2, gpu-3, gpu-4 and 2 more."
    )
    assert progress(monkeypatch, 1, {"a": NEVER_BEGAN})["told"] == "After 1 of 600 s: no host samples."
