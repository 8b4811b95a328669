# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mig.state: what two processes at once and a killed one leave, and what stands when it cannot be read."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from unit.simulator.nvml.migs import Migs

from simulator.nvml.mig_state import MIG_FILE, MigState, changing
from simulator.nvml.state import NodeGpus, NvmlError, gpu_uuid, install

# Creates and destroys at one place for as long as it is left to, or for so many rounds.
CHURN = """
import ctypes, sys, pynvml
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
pynvml.nvmlInit()
gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
place = pynvml.c_nvmlGpuInstancePlacement_t(int(sys.argv[2]), 1)
print("ready", flush=True)
for _unused in range(int(sys.argv[3])):
    instance = pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, 19, ctypes.byref(place))
    compute = pynvml.nvmlGpuInstanceCreateComputeInstance(instance, 0)
    pynvml.nvmlComputeInstanceDestroy(compute)
    pynvml.nvmlGpuInstanceDestroy(instance)
pynvml.nvmlGpuInstanceCreateComputeInstance(
    pynvml.nvmlDeviceCreateGpuInstanceWithPlacement(gpu, 19, ctypes.byref(place)), 0)
"""
UUID = gpu_uuid("node", 0)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    install(tmp_path)
    NodeGpus.of("node", ["H20"]).write(tmp_path)
    with changing(tmp_path) as mig:
        mig.switch(UUID, True)
    return tmp_path


def churn(directory: Path, start: int, rounds: int) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", CHURN, str(directory / "libnvidia-ml.so.1"), str(start), str(rounds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def test_processes_at_once_lose_nothing_of_each_other(directory: Path) -> None:
    rounds = 60
    processes = [churn(directory, start, rounds) for start in range(3)]
    for number in range(20):
        with changing(directory) as mig:
            mig.gpus[UUID].pending = bool(number % 2)
    assert [process.wait(timeout=60) for process in processes] == [0, 0, 0]
    mig = MigState.read(directory)
    assert [(one.start, len(one.compute)) for one in mig.gpus[UUID].instances] == [(0, 1), (1, 1), (2, 1)]
    assert mig.serial == 3 * (rounds + 1)
    assert mig.gpus[UUID].pending


def test_killed_writer_leaves_a_file_that_can_be_read(directory: Path) -> None:
    for turn in range(4):
        process = churn(directory, 0, 1_000_000)
        time.sleep(0.01 + turn * 0.007)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        before = MigState.read(directory)
        assert before.gpus[UUID].mode
        with changing(directory) as mig:
            mig.gpus[UUID].instances.clear()
        assert MigState.read(directory).gpus[UUID].instances == []


def test_client_sees_what_another_process_changed(make_node: Any) -> None:
    migs = Migs(make_node(["H20"]))
    uuid = gpu_uuid("node-0", 0)
    with changing(migs.node.directory) as mig:
        mig.lay_out(uuid, {"3g.48gb": 1, "1g.12gb": 4})
        mig.gpus[uuid].instances[0].compute.clear()
    assert migs.layout() == {("3g.48gb", 4), *(("1g.12gb", start) for start in range(4))}
    assert len(migs.devices()) == 4
    again = MigState.read(migs.node.directory)
    seen = [migs.nvml.nvmlDeviceGetUUID(device) for device in migs.devices()]
    assert seen == [device.uuid for device in again.devices(uuid)]
    migs.compute(migs.instances("3g.48gb")[0], 1)
    assert MigState.read(migs.node.directory).devices(uuid)[0].name == "2c.3g.48gb"


def test_layout_in_python_gives_the_ids_that_the_library_gives(make_node: Any) -> None:
    node = make_node(["H20", "H20"])
    one, two = gpu_uuid("node-0", 0), gpu_uuid("node-0", 1)
    migs = Migs(node, 0)
    for name, start in (("4g.48gb", 0), ("2g.24gb", 4), ("1g.12gb", 6)):
        migs.create(name, start)
    with changing(node.directory) as mig:
        mig.switch(two, True)
        for name, start in (("4g.48gb", 0), ("2g.24gb", 4), ("1g.12gb", 6)):
            mig.create(two, name, start, slices=0)
        assert mig.gpus[one].instances == mig.gpus[two].instances
        assert mig.devices(two) == []
        with pytest.raises(ValueError, match=r"no room for 1g\.24gb at 6"):
            mig.create(two, "1g.24gb", 6)


def test_state_without_the_file_is_that_of_the_gpus(tmp_path: Path) -> None:
    node = NodeGpus.of("node", ["A30", "T4", "H20"])
    node.gpus[0].mig_enabled = True
    node.gpus[2].mig_pending = True
    node.write(tmp_path)
    found = MigState.read(tmp_path).gpus
    assert [(gpu.mode, gpu.pending, gpu.persistent) for gpu in found.values()] == [
        (True, True, True),
        (False, True, False),
    ]
    assert list(found) == [gpu_uuid("node", 0), gpu_uuid("node", 2)]


@pytest.mark.parametrize(
    "broken",
    [
        "serial=x",
        "mode=1",
        "[gpu]\nuuid={uuid}\nmode=on",
        "[gpu]\nuuid={uuid}\ncolour=green",
        "[gpu]\nuuid={uuid}\ninstance=1 9g.1gb 0",
        "[gpu]\nuuid={uuid}\ninstance=16 3g.48gb 0",
        "[gpu]\nuuid={uuid}\ncompute=1 0 3 0 1",
        "[gpu]\nuuid={uuid}\ninstance=1 3g.48gb 0\ncompute=1 8 3 0 1",
        "nonsense",
    ],
)
def test_file_that_cannot_be_understood_is_an_unknown_error(broken: str, make_node: Any) -> None:
    node = make_node(["H20"], initialize=False)
    (node.directory / MIG_FILE).write_text(broken.format(uuid=gpu_uuid("node-0", 0)) + "\n")
    assert node.raw.nvmlInit_v2() == NvmlError.UNKNOWN


def test_gpu_that_the_node_lost_is_passed_over(make_node: Any) -> None:
    node = make_node(["H20"], initialize=False)
    (node.directory / MIG_FILE).write_text("serial=1\n[gpu]\nuuid=GPU-gone\nmode=1\npending=1\ninstance=0 7g.80gb 0\n")
    node.nvml.nvmlInit()
    assert node.nvml.nvmlDeviceGetMigMode(node.handle()) == [0, 0]


def test_change_that_cannot_be_written_has_not_happened(make_node: Any) -> None:
    migs = Migs(make_node(["H20"]))
    obstacle = migs.node.directory / f"{MIG_FILE}.{os.getpid()}"
    obstacle.mkdir()
    for attempt in (lambda: migs.create("3g.48gb"), lambda: migs.nvml.nvmlDeviceSetMigMode(migs.gpu, 0)):
        with pytest.raises(migs.nvml.NVMLError_Unknown):
            attempt()
    assert migs.layout() == set()
    assert migs.nvml.nvmlDeviceGetMigMode(migs.gpu) == [1, 1]
    obstacle.rmdir()
    migs.create("3g.48gb")
    assert migs.layout() == {("3g.48gb", 4)}
