# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nvmlInit, nvmlShutdown, and where the state is found."""

from __future__ import annotations

import ctypes
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.nvml.state import STATE_FILE, NodeGpus, NvmlError, Process, install


def test_init_is_counted(make_node: Any) -> None:
    node = make_node(initialize=False)
    raw = node.raw
    assert raw.nvmlShutdown() == NvmlError.UNINITIALIZED
    assert [raw.nvmlInit(), raw.nvmlInit_v2(), raw.nvmlInitWithFlags(0)] == [0, 0, 0]
    assert [raw.nvmlShutdown() for _unused in range(4)] == [0, 0, 0, NvmlError.UNINITIALIZED]


def test_init_with_unknown_flag_is_refused(make_node: Any) -> None:
    raw = make_node(initialize=False).raw
    assert raw.nvmlInitWithFlags(4) == NvmlError.INVALID_ARGUMENT
    assert raw.nvmlInitWithFlags(3) == 0


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NvmlError.DRIVER_NOT_LOADED, "Driver Not Loaded"),
        (NvmlError.LIB_RM_VERSION_MISMATCH, "RM has detected an NVML/RM version mismatch."),
        (NvmlError.NO_PERMISSION, "Insufficient Permissions"),
        (NvmlError.UNKNOWN, "Unknown Error"),
    ],
)
def test_init_fails_with_the_nodes_fault(fault: NvmlError, words: str, make_node: Any) -> None:
    node = make_node(initialize=False)
    node.gpus.fault = fault
    node.write()
    with pytest.raises(node.nvml.NVMLError) as error:
        node.nvml.nvmlInit()
    assert (error.value.value, str(error.value)) == (fault, words)
    node.gpus.fault = None
    node.write()
    node.nvml.nvmlInit()
    assert node.nvml.nvmlDeviceGetCount() == 1


def test_init_without_a_gpu_fails_unless_told_not_to_mind(make_node: Any) -> None:
    raw = make_node([], initialize=False).raw
    assert raw.nvmlInit_v2() == raw.nvmlInitWithFlags(0) == NvmlError.GPU_NOT_FOUND
    assert raw.nvmlInitWithFlags(1) == 0
    count = ctypes.c_uint(7)
    assert raw.nvmlDeviceGetCount_v2(ctypes.byref(count)) == 0
    assert count.value == 0


def test_error_string_needs_no_init_and_knows_all_numbers(make_node: Any) -> None:
    raw = make_node(initialize=False).raw
    raw.nvmlErrorString.restype = ctypes.c_char_p
    texts = [raw.nvmlErrorString(number) for number in range(31)]
    assert None not in texts
    assert len(set(texts)) == 31
    assert texts[18] == b"Driver/library version mismatch"
    assert raw.nvmlErrorString(999) == raw.nvmlErrorString(31) == raw.nvmlErrorString(-1) == b"Unknown Error"


def test_library_without_state_has_no_driver(tmp_path: Path) -> None:
    raw = ctypes.CDLL(str(install(tmp_path)))
    assert raw.nvmlInit_v2() == NvmlError.DRIVER_NOT_LOADED


@pytest.mark.parametrize(
    "broken",
    [
        "driver_version",
        "colour=green",
        "cuda_driver_version=new",
        "driver_version=" + "1" * 80,
        "[gpu]\nprocess=compute 12",
        "[gpu]\nprocess=video 12 3",
        "[gpu]\nprofile=1g 1 2",
        "[gpu]\nbus_id=here",
        "fault=nvmlDeviceGetName",
        "[gpu]\n" * 33,
        "[gpu]\n" + "process=compute 1 1\n" * 257,
        "[gpu]\nprocess=compute 12 many",
        "[gpu]\n" + "profile=1g 0 0 1 1 1 1 1 1 1 1 1 0\n" * 19,
        "[gpu]\nprofile=1g 0 0 1 1 1 1 1 1 1 1 1 0,x",
        "[gpu]\nuuid=" + "1" * 80,
        "fault=nvmlDeviceGetName 1\n" * 17,
    ],
)
def test_state_that_cannot_be_understood_is_an_unknown_error(broken: str, tmp_path: Path) -> None:
    raw = ctypes.CDLL(str(install(tmp_path)))
    (tmp_path / STATE_FILE).write_text(broken + "\n")
    assert raw.nvmlInit_v2() == NvmlError.UNKNOWN


def test_running_client_keeps_what_it_had_when_the_state_breaks_or_goes(node: Any) -> None:
    handle = node.handle()
    state = node.directory / STATE_FILE
    state.write_text("nonsense\n")
    assert node.nvml.nvmlDeviceGetName(handle) == "Tesla T4"
    state.unlink()
    assert node.nvml.nvmlDeviceGetName(handle) == "Tesla T4"


def test_running_client_sees_processes_come_and_go(node: Any) -> None:
    handle = node.handle()
    assert node.nvml.nvmlDeviceGetComputeRunningProcesses(handle) == []
    node.gpus.gpus[0].processes.append(Process(pid=4242, used_mib=4401))
    node.write()
    (process,) = node.nvml.nvmlDeviceGetComputeRunningProcesses(handle)
    assert (process.pid, process.usedGpuMemory) == (4242, 4401 * 1024**2)
    node.gpus.gpus[0].processes.clear()
    node.write()
    assert node.nvml.nvmlDeviceGetComputeRunningProcesses(handle) == []


def test_two_nodes_in_one_process_do_not_mix(make_node: Any) -> None:
    one, other = make_node(["T4"]), make_node(["L20", "L20"])
    assert one.nvml.nvmlDeviceGetCount() == 1
    assert other.nvml.nvmlDeviceGetCount() == 2
    assert other.nvml.nvmlDeviceGetName(other.handle(1)) == "NVIDIA L20"


def test_library_is_found_by_its_soname_once_preloaded(tmp_path: Path) -> None:
    """How a program is given another libnvidia-ml.so.1 without LD_LIBRARY_PATH; from another working directory at that."""
    library = install(tmp_path / "node")
    NodeGpus.of("node", ["L20"]).write(tmp_path / "node")
    program = (
        "import ctypes, os, sys\n"
        "ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)\n"
        "import pynvml\n"
        "os.chdir('/')\n"
        "pynvml.nvmlInit()\n"
        "print(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(0)))\n"
    )
    relative = library.relative_to(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", program, f"./{relative}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.stdout == "NVIDIA L20\n", done.stderr
