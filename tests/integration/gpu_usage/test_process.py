# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process of a sampling: how it can end, who learns of it, and a disk that is full."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import UsageFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_process import is_sampled

from .node import UsageNode

TESTS = Path(__file__).resolve().parents[2]
MODULE = "ansible_collections.kubegpu.sharing.plugins.modules.gpu_usage"
WAIT_SECONDS = 60


class Sampling:
    """gpu_usage in a process of its own, of a node with one process on its GPU."""

    def __init__(self, directory: Path, *before: str, **options: Any) -> None:
        self.path = directory / "measurements"
        node = UsageNode.make(directory / "node", "L20")
        node.run(4001, {0: 1000}, pod=1)
        given = {
            **node.options(),
            "path": str(self.path),
            "id": "run-1",
            "duration_seconds": 600,
            "interval_seconds": 0.1,
            **options,
        }
        self.command = [*before, sys.executable, "-m", "benchmarks.module_in_process", MODULE, json.dumps(given)]
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        """One more of the same options."""
        paths = [str(TESTS), str(TESTS.parent / ".venv/collections")]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
        return subprocess.Popen(
            self.command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, cwd=TESTS
        )

    def state(self) -> str | None:
        found = UsageFiles(str(self.path)).find("run-1")
        return found.state if found else None

    def samples(self) -> int:
        found = UsageFiles(str(self.path)).find("run-1")
        return found.document["samples"] if found and found.document else 0


def result_of(process: subprocess.Popen[str]) -> dict[str, Any]:
    """What the module returned."""
    printed, errors = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 0, errors
    result: dict[str, Any] = json.loads(printed)["result"]
    return result


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it did not come to that"
        time.sleep(0.05)


@pytest.fixture
def sampling(tmp_path: Path) -> Iterator[Sampling]:
    one = Sampling(tmp_path)
    try:
        wait_for(one.samples)
        yield one
    finally:
        one.process.kill()
        one.process.communicate()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_sampling_that_is_ended_by_a_signal_writes_what_it_has(sampling: Sampling, number: signal.Signals) -> None:
    assert sampling.state() == "running"
    time.sleep(5)  # for many samples more, even if the process stands still for seconds; they are in no file yet
    sampling.process.send_signal(number)
    result = result_of(sampling.process)
    measurement = result["measurement"]
    assert (measurement["complete"], result["changed"]) == (False, False)
    assert measurement["samples"] > 1
    assert (sampling.state(), sampling.samples()) == ("interrupted", measurement["samples"])


def test_sampling_is_known_by_name_among_those_that_hold_gpus(sampling: Sampling) -> None:
    comm = Path("/proc", str(sampling.process.pid), "comm")
    assert is_sampled([{"command": comm.read_text(encoding="utf-8").strip()}])


def test_sampling_that_is_killed_leaves_what_it_wrote(sampling: Sampling) -> None:
    sampling.process.kill()
    sampling.process.wait(WAIT_SECONDS)
    assert (sampling.state(), sampling.samples()) == ("interrupted", 1)


def test_sampling_that_runs_is_neither_begun_again_nor_removed(sampling: Sampling) -> None:
    second = result_of(sampling.start())
    assert second["failed"] is True
    assert "a process on this host samples under that id" in second["msg"]
    assert UsageFiles(str(sampling.path)).remove("run-1", check_mode=False) is None
    assert sampling.state() == "running"


def test_sampling_goes_on_where_another_was_killed(sampling: Sampling) -> None:
    sampling.process.kill()
    sampling.process.wait(WAIT_SECONDS)
    again = sampling.start()
    try:
        wait_for(lambda: sampling.state() == "running")
    finally:
        again.terminate()
    assert result_of(again)["measurement"]["notes"] is not None
    assert not (sampling.path / "run-1.json.new").exists()


def can_mount() -> bool:
    """Whether this user may mount something, in a namespace of its own."""
    tools = shutil.which("unshare") and shutil.which("mount")
    return bool(tools) and subprocess.run(["unshare", "-rm", "true"], check=False, capture_output=True).returncode == 0


@pytest.mark.skipif(not can_mount(), reason="this machine gives users no namespaces to mount a small file system in")
def test_disk_that_is_full_stops_nothing(tmp_path: Path) -> None:
    small = tmp_path / "measurements"
    small.mkdir()
    full = f'mount -t tmpfs -o size=8k none {small} && head -c 8192 /dev/zero > {small}/other; exec "$@"'
    one = Sampling(tmp_path, "unshare", "-rm", "sh", "-c", full, "sh", duration_seconds=0.5)
    result = result_of(one.process)
    assert (result["path"], result["measurement"]["complete"]) == (None, True)
    assert result["measurement"]["samples"] + result["measurement"]["missed"] == 6
    assert "(No space left on device)" in result["measurement"]["notes"][-1]
