# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Every call of a change fails in every way: the layout from before stands again, or the message says what stands."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Iterator

import pytest
from integration.mig_config.sequences import BESIDE_POD, CHANGES, REPARTITION, Call, Change, Stage, record_calls

from simulator.nvml.state import NvmlError

pytestmark = pytest.mark.integration

CODES = (
    NvmlError.IN_USE,
    NvmlError.INSUFFICIENT_RESOURCES,
    NvmlError.NOT_SUPPORTED,
    NvmlError.NO_PERMISSION,
    NvmlError.GPU_IS_LOST,
)
_THERE = re.compile(r": there is (.*?)(?: \(pending: \w+\))?; before, it was ")


def cases(change: Change, calls: tuple[Call, ...]) -> Iterator[tuple[Call, NvmlError]]:
    """Every call with every code where it writes, or stands between writes; those that read before and after, with one each.

    Where a pod must not be overlooked, those that read before are what counts, also with the code that may be taken for the answer
    that nothing is there.
    """
    writes = [number for number, call in enumerate(calls) if call.writes]
    for number, call in enumerate(calls):
        between = change.pod is None and writes[0] <= number <= writes[-1]
        for turn, code in enumerate(CODES):
            if between or number % len(CODES) == turn:
                yield call, code
        if change.pod is not None and number < writes[0]:
            yield call, NvmlError.NOT_FOUND


def judge(stage: Stage, result: dict[str, Any]) -> str:
    """Which of the promised ends it was."""
    stage.check_others()
    node = stage.node
    noted = (node.state_dir / "change.json").exists()
    if not result.get("failed"):
        assert node.places() == stage.change.after
        assert not noted
        return "done"
    if "restored" not in result:
        assert node.places() == stage.places, "something was changed before an error that does not say so"
        assert node.mode() == stage.mode
        return "refused"
    if result["restored"]:
        assert result["msg"].endswith("The layout from before stands again.")
        assert (node.places(), node.mode()) == (stage.places, stage.mode)
        assert not noted
        assert node.ready.exists() == bool(stage.change.before)
        return "restored"
    (told,) = [_THERE.search(text) for text in result["stands"]]
    assert told, result["msg"]
    assert told.group(1) == stage.shown()
    assert noted
    assert not node.ready.exists()
    return "stands"


def run_all(stage: Stage, faults: list[tuple[Call, NvmlError]]) -> dict[str, Any]:
    """What came of each fault, and why it was not one of the promised ends."""
    ends: dict[str, int] = {}
    wrong = []
    # Whether it is written for good is another test's.
    os.fsync = lambda _file: None  # type: ignore[assignment]  # in a process of its own
    for call, code in faults:
        stage.break_call(call, code)
        result = stage.run_here()
        try:
            end = judge(stage, result)
        except AssertionError as error:
            wrong.append(f"{call.fault} {code.name}: {error}\n{result.get('msg')}\n{stage.shown()}")
            continue
        ends[end] = ends.get(end, 0) + 1
    return {"ends": ends, "wrong": wrong}


@pytest.fixture(params=(*CHANGES, BESIDE_POD), ids=lambda change: change.name)
def change(request: pytest.FixtureRequest) -> Change:
    return request.param


def test_every_call_that_fails_once_leaves_the_old_layout_the_new_one_or_a_true_message(
    tmp_path: Path, change: Change
) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "beside").mkdir()
    calls = record_calls(change.stage(tmp_path / "alone", "H20"))
    stage = change.stage(tmp_path / "beside", "H20", "H20")
    faults = list(cases(change, calls))
    found = stage.node.apart(lambda: run_all(stage, faults))
    assert not found["wrong"], f"{len(found['wrong'])} of {len(faults)}:\n" + "\n\n".join(found["wrong"][:5])
    assert sum(found["ends"].values()) == len(faults)
    # that some come to each of these ends shows that the faults struck
    assert {"done", "refused", "restored"} <= set(found["ends"])


WRITING = (
    "nvmlDeviceSetMigMode",
    "nvmlDeviceCreateGpuInstanceWithPlacement",
    "nvmlGpuInstanceCreateComputeInstance",
    "nvmlGpuInstanceDestroy",
    "nvmlComputeInstanceDestroy",
)


def test_call_that_fails_for_good_leaves_the_old_layout_or_says_what_stands(tmp_path: Path, change: Change) -> None:
    stage = change.stage(tmp_path, "H20", "H20")

    def run_every() -> dict[str, Any]:
        found: dict[str, Any] = {"ends": {}, "wrong": []}
        for function in WRITING:
            # also the one with a place
            names = (function, f"{function}WithPlacement") if function.endswith("ComputeInstance") else (function,)
            for code in CODES:
                stage.reset(dict.fromkeys(names, code))
                result = stage.run_here()
                try:
                    found["ends"].setdefault(judge(stage, result), []).append(f"{function} {code.name}")
                except AssertionError as error:
                    found["wrong"].append(f"{function} {code.name}: {error}\n{result.get('msg')}\n{stage.shown()}")
        return found

    found = stage.node.apart(run_every)
    assert not found["wrong"], "\n\n".join(found["wrong"])
    # what was destroyed cannot come back where nothing can be created
    creates = {f"nvmlDeviceCreateGpuInstanceWithPlacement {code.name}" for code in CODES}
    assert creates <= set(found["ends"].get("stands", ())) or change.name != "repartition"
    assert set(found["ends"]) >= {"done", "restored"}


def test_gpu_that_is_lost_halfway_is_said_to_be_so(tmp_path: Path) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "beside").mkdir()
    calls = record_calls(REPARTITION.stage(tmp_path / "alone", "H20"))
    first = next(number for number, call in enumerate(calls) if call.writes)
    named = sum(call.function == "nvmlDeviceGetUUID" for call in calls[:first])
    stage = REPARTITION.stage(tmp_path / "beside", "H20", "H20")
    lost = {f"nvmlDeviceGetUUID@{named + number}": NvmlError.GPU_IS_LOST for number in range(3, 10)}
    stage.reset({"nvmlGpuInstanceDestroy": NvmlError.GPU_IS_LOST, **lost})
    result = stage.run()
    assert result["failed"]
    assert not result["restored"]
    assert (
        "destroy 1g.12gb at 4 failed: GPU is lost (NVML error 15). It has fallen off the bus (Xid 79)" in result["msg"]
    )
    assert "GPU 0 (NVIDIA H20): what stands now is not known: Reading GPU 0 failed" in result["stands"][0]
    assert "Before, it was MIG enabled with 1g.12gb at 0, 1g.12gb at 1" in result["stands"][0]
    stage.check_others()
