# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A sampling where there is nothing to sample, and the clock that a signal stops."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import UsageFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_run import UsageRequest, UsageRun

pytestmark = pytest.mark.node_side


def run_of(directory: Path, **options: str) -> UsageRun:
    request = UsageRequest("a", 600, 1, **{"nvml_library": str(directory / "none.so"), **options})
    return UsageRun(request, NodeFiles(*(str(directory / name) for name in ("proc", "kubelet", "log"))), SystemClock())


def test_measure_without_a_library_ends_at_once_and_says_why(tmp_path: Path) -> None:
    began = time.monotonic()
    measurement = run_of(tmp_path).measure()
    assert time.monotonic() - began < 5
    told = [measurement[name] for name in ("nvml_available", "reason_code", "complete", "samples", "gpus", "users")]
    assert told == [False, "library_not_found", False, 0, [], []]
    assert measurement["reason"].startswith(f"Loading {tmp_path}/none.so failed")


def test_measure_failure_is_also_told_to_those_who_collect(tmp_path: Path) -> None:
    # a library that loads, and pynvml that is none
    files = UsageFiles(str(tmp_path / "m"))
    with files.open("a") as file:
        request = UsageRequest("a", 600, 1, nvml_library="libc.so.6", pynvml_path=str(tmp_path / "pynvml.py"))
        with SystemClock() as clock, pytest.raises(
            KubeGpuError, match=r"pynvml_path .* is not a Python file"
        ) as failed:
            UsageRun(request, NodeFiles(str(tmp_path)), clock, file).measure()
    found = files.find("a")
    assert found is not None
    assert (found.state, found.document and found.document["reason"]) == ("unavailable", failed.value.msg)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_clock_signal_ends_the_waiting_and_all_that_follows(number: int) -> None:
    before = signal.getsignal(number)
    with SystemClock() as clock:
        assert clock.wait(0) is False
        os.kill(os.getpid(), number)
        began = time.monotonic()
        assert (clock.wait(60), clock.wait(60)) == (True, True)
        assert time.monotonic() - began < 5
    assert signal.getsignal(number) == before


def test_clock_waits_as_long_as_it_was_told() -> None:
    with SystemClock() as clock:
        began = clock.monotonic()
        assert clock.wait(0.05) is False
        assert 0.05 <= clock.monotonic() - began < 5
        assert clock.wait(-3) is False
