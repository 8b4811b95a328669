# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory in both versions, and the lists of processes in all of theirs."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from simulator.nvml.state import NvmlError, Process

MIB = 1024**2


def infos(node: Any) -> tuple[Any, Any]:
    handle = node.handle()
    return node.nvml.nvmlDeviceGetMemoryInfo(handle), node.nvml.nvmlDeviceGetMemoryInfo(handle, node.nvml.nvmlMemory_v2)


def test_idle_card_has_used_nothing_but_its_reserve(node: Any) -> None:
    v1, v2 = infos(node)
    assert (v2.total, v2.reserved, v2.used, v2.free) == (15360 * MIB, 393 * MIB, 0, 14967 * MIB)
    assert (v1.total, v1.used, v1.free) == (15360 * MIB, 393 * MIB, 14967 * MIB)


def test_processes_and_what_nobody_owns_are_used(node: Any) -> None:
    gpu = node.gpus.gpus[0]
    gpu.processes += [Process(1, 4401), Process(2, 100, "graphics"), Process(3, 50, "mps"), Process(4, None)]
    gpu.other_used_mib = 9
    node.write()
    v1, v2 = infos(node)
    assert v2.used == 4560 * MIB
    assert v1.used == v2.used + v2.reserved
    assert v1.used + v1.free == v2.used + v2.free + v2.reserved == 15360 * MIB


def test_card_never_uses_more_than_it_has(node: Any) -> None:
    node.gpus.gpus[0].processes += [Process(1, 10000), Process(2, 10000)]
    node.write()
    _unused, v2 = infos(node)
    assert (v2.free, v2.used + v2.reserved) == (0, v2.total)


@pytest.mark.parametrize("version", [1, 2, (1 << 24) | 40, (2 << 24) | 32, (3 << 24) | 40])
def test_memory_of_another_version_is_a_mismatch(version: int, node: Any) -> None:
    with pytest.raises(node.nvml.NVMLError) as error:
        node.nvml.nvmlDeviceGetMemoryInfo(node.handle(), version)
    assert error.value.value == node.nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH


def test_bar1_is_told(node: Any) -> None:
    bar1 = node.nvml.nvmlDeviceGetBAR1MemoryInfo(node.handle())
    assert (bar1.bar1Total, bar1.bar1Used + bar1.bar1Free) == (256 * MIB, 256 * MIB)


@pytest.fixture
def busy(node: Any) -> Any:
    node.gpus.gpus[0].processes += [
        Process(11, 1000),
        Process(12, None),
        Process(21, 10, "graphics"),
        Process(31, 300, "mps"),
        Process(13, 2000),
    ]
    node.write()
    return node


KINDS: dict[str, list[tuple[int, int | None]]] = {
    "nvmlDeviceGetComputeRunningProcesses": [(11, 1000), (12, None), (13, 2000)],
    "nvmlDeviceGetGraphicsRunningProcesses": [(21, 10)],
    "nvmlDeviceGetMPSComputeRunningProcesses": [(31, 300)],
}


@pytest.mark.parametrize("version", ["", "_v2", "_v3"])
@pytest.mark.parametrize("kind", KINDS)
def test_processes_through_nvidia_ml_py(kind: str, version: str, busy: Any) -> None:
    if version == "":
        found = getattr(busy.nvml, kind)(busy.handle())
    else:
        found = getattr(busy.nvml, kind + version)(busy.handle())
    assert [(p.pid, p.usedGpuMemory and p.usedGpuMemory // MIB) for p in found] == KINDS[kind]
    assert all(p.gpuInstanceId == p.computeInstanceId == 0xFFFFFFFF for p in found)


@pytest.mark.parametrize(("version", "size"), [("", 16), ("_v2", 24), ("_v3", 24)])
@pytest.mark.parametrize("kind", KINDS)
def test_process_list_keeps_to_the_room_it_is_given(kind: str, version: str, size: int, busy: Any) -> None:
    function, handle, expected = getattr(busy.raw, kind + version), busy.handle(), KINDS[kind]
    count = ctypes.c_uint(0)
    assert function(handle, ctypes.byref(count), None) == NvmlError.INSUFFICIENT_SIZE
    assert count.value == len(expected)

    room = len(expected) * size
    buffer = ctypes.create_string_buffer(b"\xee" * (room + 32), room + 32)
    count.value = len(expected) - 1
    assert function(handle, ctypes.byref(count), buffer) == NvmlError.INSUFFICIENT_SIZE
    assert (count.value, buffer.raw) == (len(expected), b"\xee" * (room + 32))

    count.value = len(expected) + 4
    assert function(handle, ctypes.byref(count), buffer) == 0
    assert count.value == len(expected)
    assert buffer.raw[room:] == b"\xee" * 32
    pids = [int.from_bytes(buffer.raw[i : i + 4], "little") for i in range(0, room, size)]
    used = [int.from_bytes(buffer.raw[i + 8 : i + 16], "little") for i in range(0, room, size)]
    assert pids == [pid for pid, _unused in expected]
    assert used == [2**64 - 1 if mib is None else mib * MIB for _unused, mib in expected]

    assert function(handle, None, buffer) == NvmlError.INVALID_ARGUMENT
    assert function(handle, ctypes.byref(count), None) == NvmlError.INVALID_ARGUMENT


def test_empty_process_list_succeeds_without_a_buffer(node: Any) -> None:
    count = ctypes.c_uint(0)
    assert node.raw.nvmlDeviceGetComputeRunningProcesses_v3(node.handle(), ctypes.byref(count), None) == 0
    assert count.value == 0


@pytest.mark.parametrize(("mode", "pids"), [(0, [11, 12, 13]), (1, [21]), (2, [31])])
def test_process_details_by_mode(mode: int, pids: list[int], busy: Any) -> None:
    nvml = busy.nvml
    # nvidia-ml-py stumbles here over memory that the driver does not know.
    busy.gpus.gpus[0].processes[1] = Process(12, 1)
    busy.write()
    found = nvml.nvmlDeviceGetRunningProcessDetailList(busy.handle(), nvml.nvmlProcessDetailList_v1, mode)
    assert [p.pid for p in found] == pids
    assert all(p.usedGpuCcProtectedMemory == 0 for p in found)


def test_process_details_of_another_version_are_a_mismatch(busy: Any) -> None:
    with pytest.raises(busy.nvml.NVMLError) as error:
        busy.nvml.nvmlDeviceGetRunningProcessDetailList(busy.handle(), 1, 0)
    assert error.value.value == busy.nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH


def test_utilization_is_dealt_out_to_the_processes(busy: Any) -> None:
    busy.gpus.gpus[0].utilization_percent = 50
    busy.write()
    samples = busy.nvml.nvmlDeviceGetProcessUtilization(busy.handle(), 0)
    assert [(s.pid, s.smUtil) for s in samples] == [(11, 10), (12, 10), (21, 10), (31, 10), (13, 10)]
    with pytest.raises(busy.nvml.NVMLError_NotFound):
        busy.nvml.nvmlDeviceGetProcessUtilization(busy.handle(), 2**63)


def test_process_name_is_that_of_the_node(node: Any) -> None:
    proc = node.directory / "proc" / "4242"
    proc.mkdir(parents=True)
    (proc / "cmdline").write_bytes(b"/usr/bin/python3\0-m\0serve\0")
    assert node.nvml.nvmlSystemGetProcessName(4242) == "/usr/bin/python3"
    short = ctypes.create_string_buffer(5)
    assert node.raw.nvmlSystemGetProcessName(4242, short, 5) == 0
    assert short.value == b"/usr"
    with pytest.raises(node.nvml.NVMLError_NotFound):
        node.nvml.nvmlSystemGetProcessName(1)
