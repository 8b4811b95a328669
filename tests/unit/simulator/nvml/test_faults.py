# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults at a certain call, and the trace that tells which calls there are."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from unit.simulator.nvml.migs import Migs
from unit.simulator.nvml.test_every_function import ASKED, base

from simulator.nvml.mig_state import MigState
from simulator.nvml.state import KILL, NodeGpus, NvmlError, gpu_uuid, install

# Seven instances, each with its compute instance, by an nvidia-ml-py of its own process.
CARVE = """
import ctypes, sys, pynvml
ctypes.CDLL(sys.argv[1], mode=ctypes.RTLD_GLOBAL)
pynvml.nvmlInit()
gpu = pynvml.nvmlDeviceGetHandleByIndex(0)
pynvml.nvmlDeviceSetMigMode(gpu, 1)
for start in range(7):
    try:
        instance = pynvml.nvmlDeviceCreateGpuInstance(gpu, 19)
        pynvml.nvmlGpuInstanceCreateComputeInstance(instance, 0)
    except pynvml.NVMLError as error:
        print(start, error.value)
"""


@pytest.fixture
def node(tmp_path: Path) -> NodeGpus:
    install(tmp_path)
    node = NodeGpus.of("node", ["H20"])
    node.write(tmp_path)
    return node


def carve(directory: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CARVE, str(directory / "libnvidia-ml.so.1")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize("where", ["node", "gpu"])
def test_fault_strikes_at_its_call_only(where: str, node: NodeGpus, tmp_path: Path) -> None:
    (node if where == "node" else node.gpus[0]).faults = {
        "nvmlDeviceCreateGpuInstance@3": NvmlError.INSUFFICIENT_RESOURCES,
        "nvmlGpuInstanceCreateComputeInstance@1": NvmlError.NO_PERMISSION,
        "nvmlDeviceCreateGpuInstanceWithPlacement@1": NvmlError.UNKNOWN,
    }
    node.write(tmp_path)
    done = carve(tmp_path)
    assert (done.stdout, done.returncode) == ("0 4\n2 23\n", 0), done.stderr
    assert len(MigState.read(tmp_path).gpus[gpu_uuid("node", 0)].instances) == 6


def test_each_process_counts_for_itself(node: NodeGpus, tmp_path: Path) -> None:
    node.faults = {"nvmlDeviceSetMigMode@1": NvmlError.IN_USE}
    node.write(tmp_path)
    for _unused in range(2):
        assert "NVMLError_InUse" in carve(tmp_path).stderr


def test_calls_count_from_the_state_that_has_the_fault(make_node: Any) -> None:
    node = make_node(["T4"])
    handle = node.handle()
    for _unused in range(5):
        node.nvml.nvmlDeviceGetName(handle)
    node.gpus.gpus[0].faults = {"nvmlDeviceGetName@2": NvmlError.UNKNOWN}
    node.write()
    assert node.nvml.nvmlDeviceGetName(handle) == "Tesla T4"
    node.gpus.gpus[0].temperature_c = 50
    node.write()
    with pytest.raises(node.nvml.NVMLError_Unknown):
        node.nvml.nvmlDeviceGetName(handle)
    assert node.nvml.nvmlDeviceGetName(handle) == "Tesla T4"
    for faults in ({}, {"nvmlDeviceGetName@2": NvmlError.UNKNOWN}):
        node.gpus.gpus[0].faults = faults
        node.write()
        assert node.nvml.nvmlDeviceGetName(handle) == "Tesla T4", "a fault that went counts anew when it comes back"
    with pytest.raises(node.nvml.NVMLError_Unknown):
        node.nvml.nvmlDeviceGetName(handle)


@pytest.mark.parametrize("call", [1, 4, 7])
def test_caller_is_killed_in_place_of_the_call(call: int, node: NodeGpus, tmp_path: Path) -> None:
    node.faults = {f"nvmlGpuInstanceCreateComputeInstance@{call}": KILL}
    node.write(tmp_path)
    assert carve(tmp_path).returncode == -signal.SIGKILL
    instances = MigState.read(tmp_path).gpus[gpu_uuid("node", 0)].instances
    assert len(instances) == call
    assert sum(len(one.compute) for one in instances) == call - 1
    node.faults = {}
    node.write(tmp_path)
    assert carve(tmp_path).returncode == 0, "the lock went with the process"
    assert len(MigState.read(tmp_path).gpus[gpu_uuid("node", 0)].instances) == 7


@pytest.mark.parametrize("broken", ["f@0 1", "f@x 1", "f@ 1", "f KILLED", "f"])
def test_fault_that_cannot_be_understood_is_an_unknown_error(broken: str, node: NodeGpus, tmp_path: Path) -> None:
    text = node.text()
    (tmp_path / "nvml.state").write_text(f"fault={broken}\n{text}")
    assert "NVMLError_Unknown" in carve(tmp_path).stderr


def test_trace_has_every_call_with_its_result(make_node: Any) -> None:
    migs = Migs(make_node(["H20"]))
    trace = migs.node.directory / "nvml.trace"
    assert not trace.exists(), "nobody asked for one"
    trace.touch()
    nvml = migs.nvml
    migs.create("3g.48gb", 4)
    with pytest.raises(nvml.NVMLError_InsufficientResources):
        migs.create("3g.48gb", 4)
    with pytest.raises(nvml.NVMLError_NotFound):
        nvml.nvmlDeviceGetMigDeviceHandleByIndex(migs.gpu, 0)
    with pytest.raises(nvml.NVMLError_InvalidArgument):
        nvml.nvmlDeviceGetHandleByIndex(3)
    migs.node.gpus.faults = {"nvmlSystemGetDriverVersion": NvmlError.UNKNOWN}
    migs.node.write()
    with pytest.raises(nvml.NVMLError_Unknown):
        nvml.nvmlSystemGetDriverVersion()
    nvml.nvmlDeviceGetName(migs.gpu)
    nvml.nvmlShutdown()
    with pytest.raises(nvml.NVMLError_Uninitialized):
        nvml.nvmlDeviceGetName(migs.gpu)
    assert trace.read_text().splitlines() == [
        "nvmlDeviceCreateGpuInstanceWithPlacement 0",
        "nvmlDeviceCreateGpuInstanceWithPlacement 23",
        "nvmlDeviceGetMigDeviceHandleByIndex 6",
        "nvmlDeviceGetHandleByIndex_v2 2",
        "nvmlSystemGetDriverVersion 999",
        "nvmlDeviceGetName 0",
        "nvmlShutdown 0",
        "nvmlDeviceGetName 1",
    ]
    trace.unlink()
    nvml.nvmlInit()
    assert not trace.exists()


def test_trace_tells_of_an_init_that_failed(make_node: Any) -> None:
    node = make_node(["T4"], initialize=False)
    trace = node.directory / "nvml.trace"
    trace.touch()
    node.gpus.fault = NvmlError.DRIVER_NOT_LOADED
    node.write()
    with pytest.raises(node.nvml.NVMLError_DriverNotLoaded):
        node.nvml.nvmlInit()
    assert trace.read_text() == "nvmlInitWithFlags 9\n"


def test_every_refusal_is_traced_as_what_it_was(make_node: Any) -> None:
    node = make_node(["T4"])
    trace = node.directory / "nvml.trace"
    for name in ASKED:
        for first in (None, node.handle()):
            trace.write_text("")
            given = getattr(node.raw, name)(first, None, None, None, None, None)
            *_forwarded, (function, told) = [line.split() for line in trace.read_text().splitlines()]
            assert (base(function), int(told)) == (base(name), given)
