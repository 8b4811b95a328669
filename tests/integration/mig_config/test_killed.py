# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""kill -9 between any two calls, and between any two writes of files: the next run finishes what was begun."""

from __future__ import annotations

import json
import os
import signal
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from integration.mig_config.sequences import CHANGES, REPARTITION, Change, Stage, record_calls

from simulator.nvml.state import KILL, NvmlError

pytestmark = pytest.mark.integration

FILE_CALLS = ("replace", "unlink", "fsync")


@pytest.fixture(params=CHANGES, ids=lambda change: change.name)
def change(request: pytest.FixtureRequest) -> Change:
    return request.param


def finish(stage: Stage, where: str) -> dict[str, Any]:
    """The next run, which ends where the killed one wanted to."""
    stage.node.gpus.gpus[0].faults, stage.node.gpus.faults = {}, {}
    stage.node.write()
    noted = (stage.node.state_dir / "change.json").exists()
    result = stage.run()
    assert not result.get("failed"), f"{where}: {result.get('msg')}"
    assert stage.node.places() == stage.change.after, where
    assert bool(result["interrupted"]) == noted, where
    assert not (stage.node.state_dir / "change.json").exists(), where
    assert stage.node.ready.exists() == (stage.node.state_dir / "layout.json").exists() == bool(stage.change.after), (
        where
    )
    stage.check_others()
    return result


def test_run_that_is_killed_at_any_call_is_finished_by_the_next(tmp_path: Path, change: Change) -> None:
    (tmp_path / "alone").mkdir()
    (tmp_path / "beside").mkdir()
    calls = record_calls(change.stage(tmp_path / "alone", "H20"))
    stage = change.stage(tmp_path / "beside", "H20", "H20")
    writes = [number for number, call in enumerate(calls) if call.writes]
    noted = 0
    # Reading before and after changes nothing: of those calls the first and the last stand for all. Faults do not strike where
    # NVML is initialised and shut down.
    for number in (1, *range(writes[0], writes[-1] + 2), len(calls) - 2):
        call = calls[number]
        stage.break_call(call, KILL)
        assert stage.run() == {}, f"{call.fault} was not reached"
        # as long as the layout is neither the one nor the other, no plugin may start on it
        assert not (writes[0] <= number <= writes[-1] and stage.node.ready.exists()), call.fault
        result = finish(stage, f"killed at {call.fault}")
        noted += bool(result["interrupted"])
    assert noted >= len(writes)


def test_run_that_is_killed_at_any_write_of_a_file_is_finished_by_the_next(tmp_path: Path, change: Change) -> None:
    stage = change.stage(tmp_path, "H20", "H20")

    def run_until(limit: int) -> dict[str, Any]:
        """The change in a process that is killed in place of its nth call that changes a file."""
        count = 0

        def instead(genuine: Any) -> Any:
            def call(*args: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == limit:
                    os.kill(os.getpid(), signal.SIGKILL)
                return genuine(*args, **options)

            return call

        for name in FILE_CALLS:
            setattr(os, name, instead(getattr(os, name)))
        return stage.run_here()

    killed = 0
    while True:
        stage.reset()
        if stage.node.apart(partial(run_until, killed + 1)):
            break
        killed += 1
        finish(stage, f"killed at file call {killed}")
    # change.json, layout.json and the marker: each written, or removed, and their directories with them
    assert killed >= 6


def test_change_is_noted_for_good_before_the_first_call_that_writes(tmp_path: Path) -> None:
    stage = REPARTITION.stage(tmp_path, "H20")
    events: list[str] = []

    def watch() -> dict[str, Any]:
        synced, replaced = os.fsync, os.replace

        def fsync(file: int) -> None:
            path = os.readlink(f"/proc/self/fd/{file}")
            events.append(f"fsync {Path(path).name}")
            synced(file)

        def replace(source: str, target: str) -> None:
            events.append(f"replace {Path(target).name} {stage.node.places() == stage.places}")
            replaced(source, target)

        os.fsync, os.replace = fsync, replace  # type: ignore[assignment]  # in a process of its own
        stage.run_here()
        return {"events": events}

    found = stage.node.apart(watch)["events"]
    assert found[:3] == ["fsync change.json.new", "replace change.json True", "fsync state"]


def test_run_that_fails_after_a_killed_one_goes_back_to_what_stood_before_both(tmp_path: Path) -> None:
    stage = REPARTITION.stage(tmp_path, "H20", "H20")
    stage.reset({"nvmlDeviceCreateGpuInstanceWithPlacement": KILL})
    assert stage.run() == {}
    assert stage.node.places() == stage.places[:4]
    stage.node.gpus.gpus[0].faults = {"nvmlDeviceCreateGpuInstanceWithPlacement@1": NvmlError.INSUFFICIENT_RESOURCES}
    stage.node.write()
    result = stage.run()
    assert result["restored"], result["msg"]
    assert stage.node.places() == stage.places
    assert stage.node.ready.exists()
    assert not stage.node.configure(mig_devices={"1g.12gb": 7}, gpus=0)["changed"]


def test_run_that_fails_after_somebody_changed_the_gpu_goes_back_to_what_stood_then(tmp_path: Path) -> None:
    stage = REPARTITION.stage(tmp_path, "H20", "H20")
    stage.reset({"nvmlDeviceCreateGpuInstanceWithPlacement": KILL})
    assert stage.run() == {}
    stage.node.lay_out((("2g.24gb", 4),))
    there = stage.node.places()
    stage.node.gpus.gpus[0].faults = {"nvmlDeviceCreateGpuInstanceWithPlacement@1": NvmlError.INSUFFICIENT_RESOURCES}
    stage.node.write()
    result = stage.run()
    assert result["restored"], result["msg"]
    assert stage.node.places() == there


def test_run_that_fails_after_a_reboot_goes_back_to_what_stood_then(tmp_path: Path) -> None:
    stage = REPARTITION.stage(tmp_path, "H20", "H20")
    stage.reset({"nvmlDeviceCreateGpuInstanceWithPlacement": KILL})
    assert stage.run() == {}
    note = stage.node.state_dir / "change.json"
    note.write_text(json.dumps({**json.loads(note.read_text(encoding="utf-8")), "boot_id": "the one before"}))
    there = stage.node.places()
    stage.node.gpus.gpus[0].faults = {"nvmlDeviceCreateGpuInstanceWithPlacement@1": NvmlError.INSUFFICIENT_RESOURCES}
    stage.node.write()
    result = stage.run()
    assert result["restored"], result["msg"]
    assert stage.node.places() == there != stage.places
    assert not stage.node.ready.exists()
