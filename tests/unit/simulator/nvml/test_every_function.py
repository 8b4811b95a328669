# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for all exported functions, asked of each that the library exports."""

from __future__ import annotations

import ctypes
import re
import subprocess
from dataclasses import dataclass
from typing import Any

import pytest

from simulator.nvml.build import library
from simulator.nvml.state import NvmlError

WITHOUT_INIT = {
    "nvmlInit",
    "nvmlInit_v2",
    "nvmlInitWithFlags",
    "nvmlShutdown",
    "nvmlErrorString",
    "nvmlGetExcludedDeviceCount",
}
# They answer no GPU at all, or look one up.
WITHOUT_GPU = re.compile(r"nvml(System|Unit|Event|Simulator)|nvmlDeviceGet(Count|HandleBy)")
# They take the handle of a GPU instance or compute instance.
OF_A_GPU_INSTANCE = re.compile(r"nvmlGpuInstance")
OF_A_COMPUTE_INSTANCE = re.compile(r"nvmlComputeInstance")


def exported() -> list[str]:
    done = subprocess.run(
        ["nm", "-D", "--defined-only", str(library())], capture_output=True, text=True, timeout=30, check=True
    )
    return sorted(line.split()[2] for line in done.stdout.splitlines())


EXPORTED = exported()
ASKED = [name for name in EXPORTED if name not in WITHOUT_INIT]
OF_A_GPU = [name for name in ASKED if not WITHOUT_GPU.match(name)]


def call(node: Any, name: str, first: Any = None) -> int:
    """Calls with room for whatever the function writes, or reads as its parameters."""
    room = ctypes.create_string_buffer(4096)
    rest = [ctypes.byref(room) for _unused in range(5)]
    return int(getattr(node.raw, name)(first, *rest))


@dataclass
class Handles:
    """The handle that each function takes: of a GPU with MIG on, its one GPU instance, or the compute instance of that."""

    node: Any
    gpu: Any
    instance: Any
    compute: Any

    def of(self, name: str) -> Any:
        if OF_A_GPU_INSTANCE.match(name):
            return self.instance
        return self.compute if OF_A_COMPUTE_INSTANCE.match(name) else self.gpu


@pytest.fixture
def handles(make_node: Any) -> Handles:
    node = make_node(["H20"])
    gpu = node.handle()
    node.nvml.nvmlDeviceSetMigMode(gpu, 1)
    instance = node.nvml.nvmlDeviceCreateGpuInstance(gpu, 19)
    return Handles(node, gpu, instance, node.nvml.nvmlGpuInstanceCreateComputeInstance(instance, 0))


def base(name: str) -> str:
    return re.sub(r"_v\d$", "", name)


def test_nothing_is_exported_but_nvml() -> None:
    assert len(EXPORTED) > 200
    assert all(name.startswith("nvml") for name in EXPORTED)


def test_functions_before_init_are_uninitialized(make_node: Any) -> None:
    node = make_node(initialize=False)
    assert {name: call(node, name) for name in ASKED} == dict.fromkeys(ASKED, NvmlError.UNINITIALIZED)


def test_functions_after_shutdown_are_uninitialized(node: Any) -> None:
    node.nvml.nvmlShutdown()
    assert {name: call(node, name) for name in ASKED} == dict.fromkeys(ASKED, NvmlError.UNINITIALIZED)


def test_functions_without_arguments_have_invalid_ones(node: Any) -> None:
    def nothing(name: str) -> int:
        return int(getattr(node.raw, name)(None, None, None, None, None, None))

    names = [name for name in ASKED if name != "nvmlSimulatorBoot"]
    assert {name: nothing(name) for name in names} == dict.fromkeys(names, NvmlError.INVALID_ARGUMENT)


def test_functions_of_a_gpu_refuse_a_handle_that_is_none(node: Any) -> None:
    rubbish = ctypes.cast(ctypes.create_string_buffer(64), ctypes.c_void_p)
    found = {name: call(node, name, rubbish) for name in OF_A_GPU}
    assert found == dict.fromkeys(OF_A_GPU, NvmlError.INVALID_ARGUMENT)


def test_functions_of_a_lost_gpu_say_so(handles: Handles) -> None:
    node = handles.node
    node.gpus.gpus[0].lost = True
    node.write()
    found = {name: call(node, name, handles.of(name)) for name in OF_A_GPU}
    assert found == dict.fromkeys(OF_A_GPU, NvmlError.GPU_IS_LOST)


def test_fault_of_a_gpus_function_is_what_it_gives(handles: Handles) -> None:
    node = handles.node

    def inject(name: str) -> int:
        node.gpus.gpus[0].faults = {base(name): NvmlError.IN_USE}
        node.write()
        return call(node, name, handles.of(name))

    assert {name: inject(name) for name in OF_A_GPU} == dict.fromkeys(OF_A_GPU, NvmlError.IN_USE)


def test_fault_of_a_nodes_function_is_what_it_gives(node: Any) -> None:
    def inject(name: str) -> int:
        node.gpus.faults = {base(name): NvmlError.IN_USE}
        node.write()
        return call(node, name)

    names = [name for name in ASKED if WITHOUT_GPU.match(name)]
    assert {name: inject(name) for name in names} == dict.fromkeys(names, NvmlError.IN_USE)


def test_fault_does_not_reach_functions_whose_names_begin_alike(node: Any) -> None:
    handle = node.handle()
    node.gpus.gpus[0].faults = {"nvmlDeviceGetTemperature": NvmlError.UNKNOWN, "nvmlDeviceGetClock": NvmlError.UNKNOWN}
    node.write()
    assert node.nvml.nvmlDeviceGetTemperatureThreshold(handle, 1) == 93
    assert node.nvml.nvmlDeviceGetClockInfo(handle, 0) == 210
    with pytest.raises(node.nvml.NVMLError_Unknown):
        node.nvml.nvmlDeviceGetClock(handle, 0, 0)


def test_what_only_root_may_do_is_not_permitted(node: Any) -> None:
    names = [name for name in EXPORTED if re.match(r"nvmlDevice(Set|Clear|Reset)", name) and "Mig" not in name]
    assert len(names) > 20
    found = {name: call(node, name, node.handle()) for name in names}
    assert found == dict.fromkeys(names, NvmlError.NO_PERMISSION)
