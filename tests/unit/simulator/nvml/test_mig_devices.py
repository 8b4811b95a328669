# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG devices: a compute instance as a device of its own."""

from __future__ import annotations

from typing import Any

import pytest
from unit.simulator.nvml.migs import Migs

from simulator.nvml.mig_state import MigState
from simulator.nvml.state import Process, gpu_uuid

MIB = 1024**2


@pytest.fixture
def migs(make_node: Any) -> Migs:
    return Migs(make_node(["H20", "T4"]))


def test_device_is_named_and_found_by_uuid(migs: Migs) -> None:
    nvml, instance = migs.nvml, migs.create("3g.48gb", 4)
    migs.compute(instance, 1)
    migs.compute(instance, 0)
    migs.compute(migs.create("1g.12gb", 0), 0)
    expected = [("2c.3g.48gb", 2, 0), ("1c.3g.48gb", 2, 1), ("1g.12gb", 7, 0)]
    devices = migs.devices()
    assert [
        (nvml.nvmlDeviceGetName(one), nvml.nvmlDeviceGetGpuInstanceId(one), nvml.nvmlDeviceGetComputeInstanceId(one))
        for one in devices
    ] == [(f"NVIDIA H20 MIG {name}", instance_id, compute_id) for name, instance_id, compute_id in expected]
    for device in devices:
        uuid = nvml.nvmlDeviceGetUUID(device)
        found = nvml.nvmlDeviceGetHandleByUUID(uuid.upper())
        assert nvml.nvmlDeviceGetUUID(found) == uuid
        parent = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(found)
        assert nvml.nvmlDeviceGetUUID(parent) == gpu_uuid("node-0", 0)
        assert nvml.nvmlDeviceIsMigDeviceHandle(found).value == 1
    assert nvml.nvmlDeviceIsMigDeviceHandle(migs.gpu).value == 0
    with pytest.raises(nvml.NVMLError_NotFound):
        nvml.nvmlDeviceGetHandleByUUID("MIG-00000000-0000-0000-0000-000000000000")
    state = MigState.read(migs.node.directory)
    seen = [
        (one.uuid, one.name, one.gpu_instance, one.compute_instance) for one in state.devices(gpu_uuid("node-0", 0))
    ]
    assert seen == [(nvml.nvmlDeviceGetUUID(one), *rest) for one, rest in zip(devices, expected)]


def test_instance_created_anew_has_the_id_and_another_uuid(migs: Migs) -> None:
    uuids = set()
    for _unused in range(3):
        instance = migs.create("1g.12gb", 3)
        compute = migs.compute(instance, 0)
        (device,) = migs.devices()
        assert migs.nvml.nvmlDeviceGetGpuInstanceId(device) == 10
        uuids.add(migs.nvml.nvmlDeviceGetUUID(device))
        migs.nvml.nvmlComputeInstanceDestroy(compute)
        migs.nvml.nvmlGpuInstanceDestroy(instance)
    assert len(uuids) == 3
    assert all(len(uuid) == 40 for uuid in uuids)


def test_old_driver_names_devices_by_gpu_and_ids(make_node: Any) -> None:
    migs = Migs(make_node(["A100-40"], driver_version="460.32.03"))
    migs.compute(migs.create("1g.5gb", 0), 0)
    (device,) = migs.devices()
    uuid = f"MIG-{gpu_uuid('node-0', 0)}/7/0"
    assert migs.nvml.nvmlDeviceGetUUID(device) == uuid
    assert [one.uuid for one in MigState.read(migs.node.directory).devices(gpu_uuid("node-0", 0))] == [uuid]


def test_memory_and_processes_are_those_of_the_instance(migs: Migs) -> None:
    nvml, instance = migs.nvml, migs.create("3g.48gb", 4)
    for _unused in range(2):
        migs.compute(instance, 0)
    migs.compute(migs.create("1g.12gb", 0), 0)
    migs.node.gpus.gpus[0].processes = [
        Process(11, 100, gpu_instance=2, compute_instance=0),
        Process(12, 200, gpu_instance=2, compute_instance=1),
        Process(13, 400, "graphics", gpu_instance=7, compute_instance=0),
    ]
    migs.node.write()
    first, second, third = migs.devices()
    half = migs.profile("3g.48gb").memory_mib
    for device, used, total in (
        (first, 300, half),
        (second, 300, half),
        (third, 400, migs.profile("1g.12gb").memory_mib),
    ):
        memory = nvml.nvmlDeviceGetMemoryInfo(device, nvml.nvmlMemory_v2)
        assert (memory.total, memory.used, memory.reserved) == (total * MIB, used * MIB, 0)
        assert memory.free == (total - used) * MIB
        assert nvml.nvmlDeviceGetMemoryInfo(device).used == used * MIB
    listed = [(p.pid, p.gpuInstanceId, p.computeInstanceId) for p in nvml.nvmlDeviceGetComputeRunningProcesses(second)]
    assert listed == [(12, 2, 1)]
    assert [p.pid for p in nvml.nvmlDeviceGetGraphicsRunningProcesses(third)] == [13]
    together = nvml.nvmlDeviceGetComputeRunningProcesses(migs.gpu)
    assert [(p.pid, p.gpuInstanceId, p.computeInstanceId) for p in together] == [(11, 2, 0), (12, 2, 1)]
    assert nvml.nvmlDeviceGetMemoryInfo(migs.gpu, nvml.nvmlMemory_v2).used == 700 * MIB
    with pytest.raises(nvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetProcessUtilization(migs.gpu, 0)


def test_attributes_are_the_instances_share(migs: Migs) -> None:
    nvml, profile = migs.nvml, migs.profile("3g.48gb")
    migs.compute(migs.create("3g.48gb"), 1)
    (device,) = migs.devices()
    found = nvml.nvmlDeviceGetAttributes(device)
    assert (found.gpuInstanceSliceCount, found.computeInstanceSliceCount) == (3, 2)
    assert (found.memorySizeMB, found.multiprocessorCount) == (profile.memory_mib, profile.sm * 2 // 3)
    assert found.sharedCopyEngineCount == profile.copy_engines
    with pytest.raises(nvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetAttributes(migs.gpu)


def test_what_concerns_the_whole_gpu_is_not_asked_of_a_device(migs: Migs) -> None:
    nvml = migs.nvml
    migs.compute(migs.create("1g.12gb"), 0)
    (device,) = migs.devices()
    for ask in (
        nvml.nvmlDeviceGetUtilizationRates,
        nvml.nvmlDeviceGetTemperatureThreshold,
        nvml.nvmlDeviceGetMigMode,
        nvml.nvmlDeviceGetPciInfo,
    ):
        with pytest.raises(nvml.NVMLError_NotSupported):
            ask(device, 0) if ask is nvml.nvmlDeviceGetTemperatureThreshold else ask(device)
    assert (
        nvml.nvmlDeviceGetBAR1MemoryInfo(device).bar1Total == nvml.nvmlDeviceGetBAR1MemoryInfo(migs.gpu).bar1Total // 8
    )
