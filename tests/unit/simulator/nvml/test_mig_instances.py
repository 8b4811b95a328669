# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU instances, compute instances and the MIG devices that they are."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from unit.simulator.nvml.migs import Migs

from simulator.nvml.mig_state import MigState
from simulator.nvml.state import Process, gpu_uuid

MIB = 1024**2


@pytest.fixture
def migs(make_node: Any) -> Migs:
    return Migs(make_node(["H20", "T4"]))


def test_instance_is_found_as_it_was_created(migs: Migs) -> None:
    nvml = migs.nvml
    instance = migs.create("3g.48gb", 4)
    info = nvml.nvmlGpuInstanceGetInfo(instance)
    assert (info.id, info.profileId, info.placement.start, info.placement.size) == (2, 9, 4, 4)
    assert nvml.nvmlDeviceGetUUID(info.device) == gpu_uuid("node-0", 0)
    same = nvml.nvmlDeviceGetGpuInstanceById(migs.gpu, 2)
    assert nvml.nvmlGpuInstanceGetInfo(same).placement.start == 4
    for absent in (1, 15, 99):
        with pytest.raises(nvml.NVMLError_NotFound):
            nvml.nvmlDeviceGetGpuInstanceById(migs.gpu, absent)
    assert migs.instances("1g.12gb") == []


@pytest.mark.parametrize(("start", "size"), [(1, 4), (4, 3), (5, 4), (8, 4)])
def test_place_that_is_none_of_the_profiles_is_invalid(start: int, size: int, migs: Migs) -> None:
    place = migs.nvml.c_nvmlGpuInstancePlacement_t(start, size)
    with pytest.raises(migs.nvml.NVMLError_InvalidArgument):
        migs.nvml.nvmlDeviceCreateGpuInstanceWithPlacement(migs.gpu, 9, ctypes.byref(place))


def test_profile_that_the_card_lacks_is_invalid(migs: Migs) -> None:
    with pytest.raises(migs.nvml.NVMLError_InvalidArgument):
        migs.nvml.nvmlDeviceCreateGpuInstance(migs.gpu, 21)


def test_nothing_can_be_created_without_mig(make_node: Any) -> None:
    node = make_node(["H20", "T4"])
    for index in (0, 1):
        migs = Migs(node, index, on=False)
        for attempt in (
            lambda gpu=migs.gpu: node.nvml.nvmlDeviceCreateGpuInstance(gpu, 19),
            lambda gpu=migs.gpu: node.nvml.nvmlDeviceGetGpuInstanceById(gpu, 0),
            lambda gpu=migs.gpu: node.nvml.nvmlDeviceGetGpuInstances(
                gpu, 19, (node.nvml.c_nvmlGpuInstance_t * 8)(), ctypes.byref(ctypes.c_uint())
            ),
        ):
            with pytest.raises(node.nvml.NVMLError_NotSupported):
                attempt()


def test_only_root_changes_anything_and_sees_instances(migs: Migs) -> None:
    nvml = migs.nvml
    instance = migs.create("3g.48gb")
    compute = migs.compute(instance, 0)
    migs.node.gpus.privileged = False
    migs.node.write()
    for attempt in (
        lambda: nvml.nvmlDeviceSetMigMode(migs.gpu, 0),
        lambda: migs.create("1g.12gb"),
        lambda: migs.create("1g.12gb", 0),
        lambda: migs.instances("3g.48gb"),
        lambda: nvml.nvmlDeviceGetGpuInstanceById(migs.gpu, 2),
        lambda: nvml.nvmlGpuInstanceDestroy(instance),
        lambda: migs.compute(instance, 0),
        lambda: migs.computes(instance, 0),
        lambda: nvml.nvmlComputeInstanceDestroy(compute),
        lambda: nvml.nvmlDeviceGetMemoryInfo(migs.gpu),
        lambda: nvml.nvmlDeviceGetComputeRunningProcesses(migs.gpu),
    ):
        with pytest.raises(nvml.NVMLError_NoPermission):
            attempt()
    (device,) = migs.devices()
    assert nvml.nvmlDeviceGetMemoryInfo(device).total == migs.profile("3g.48gb").memory_mib * MIB
    assert nvml.nvmlDeviceGetComputeRunningProcesses(device) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("1g.12gb", {0: (1, [0])}),
        ("2g.24gb", {0: (1, [0, 1]), 1: (2, [0])}),
        ("3g.48gb", {0: (1, [0, 1, 2]), 1: (2, [0]), 2: (3, [0])}),
        ("4g.48gb", {0: (1, [0, 1, 2, 3]), 1: (2, [0, 2]), 3: (4, [0])}),
        (
            "7g.96gb",
            {0: (1, [0, 1, 2, 3, 4, 5, 6]), 1: (2, [0, 2, 4]), 2: (3, [0, 4]), 3: (4, [0]), 4: (7, [0])},
        ),
    ],
)
def test_compute_profiles_are_those_that_the_instance_holds(
    name: str, expected: dict[int, tuple[int, list[int]]], migs: Migs
) -> None:
    nvml, instance, profile = migs.nvml, migs.create(name), migs.profile(name)
    for question in range(nvml.NVML_COMPUTE_INSTANCE_PROFILE_COUNT):
        if question not in expected:
            with pytest.raises(nvml.NVMLError_NotSupported):
                nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, question, 0)
            continue
        slices, starts = expected[question]
        whole = slices == profile.compute_slices
        for version in (1, 2):
            info = nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, question, 0, version=version)
            assert (info.id, info.sliceCount, info.instanceCount) == (question, slices, len(starts))
            assert info.multiprocessorCount == profile.sm * slices // profile.compute_slices
            assert (info.sharedCopyEngineCount, info.sharedOfaCount) == (profile.copy_engines, profile.ofa)
        assert info.name == (f"MIG {name}" if whole else f"MIG {slices}c.{name}")
        count = ctypes.c_uint()
        places = (nvml.c_nvmlComputeInstancePlacement_t * 8)()
        nvml.nvmlGpuInstanceGetComputeInstancePossiblePlacements(instance, question, places, ctypes.byref(count))
        assert [(place.start, place.size) for place in places[: count.value]] == [(start, slices) for start in starts]
    for wrong in ((9, 0), (0, 1)):
        with pytest.raises(nvml.NVMLError_InvalidArgument):
            nvml.nvmlGpuInstanceGetComputeInstanceProfileInfo(instance, *wrong)


def test_compute_instances_share_a_gpu_instance_without_overlap(migs: Migs) -> None:
    nvml, instance = migs.nvml, migs.create("7g.96gb")
    half = migs.compute(instance, 2, start=4, slices=3)
    pair = migs.compute(instance, 1, start=2, slices=2)
    info = nvml.nvmlComputeInstanceGetInfo(half)
    assert (info.id, info.profileId, info.placement.start, info.placement.size) == (0, 2, 4, 3)
    assert nvml.nvmlGpuInstanceGetInfo(info.gpuInstance).profileId == 0
    for question, start, slices in ((1, 4, 2), (3, 0, 4), (0, 5, 1)):
        with pytest.raises(nvml.NVMLError_InsufficientResources):
            migs.compute(instance, question, start=start, slices=slices)
    for start, slices in ((1, 2), (0, 3)):
        with pytest.raises(nvml.NVMLError_InvalidArgument):
            migs.compute(instance, 1, start=start, slices=slices)
    assert nvml.nvmlGpuInstanceGetComputeInstanceRemainingCapacity(instance, 0) == 2
    assert nvml.nvmlGpuInstanceGetComputeInstanceRemainingCapacity(instance, 1) == 1
    assert [nvml.nvmlComputeInstanceGetInfo(migs.compute(instance, 0)).placement.start for _unused in (0, 1)] == [0, 1]
    assert len(migs.computes(instance, 0)) == 2
    nvml.nvmlComputeInstanceDestroy(pair)
    assert nvml.nvmlComputeInstanceGetInfo(migs.compute(instance, 1)).placement.start == 2
    by_id = nvml.nvmlGpuInstanceGetComputeInstanceById(instance, 0)
    assert nvml.nvmlComputeInstanceGetInfo(by_id).placement.start == 4
    with pytest.raises(nvml.NVMLError_NotFound):
        nvml.nvmlGpuInstanceGetComputeInstanceById(instance, 7)


def test_gpu_instance_without_compute_instance_is_no_device(migs: Migs) -> None:
    instance = migs.create("3g.48gb")
    assert migs.devices() == []
    migs.compute(instance, 2)
    (device,) = migs.devices()
    assert migs.nvml.nvmlDeviceGetName(device) == "NVIDIA H20 MIG 3g.48gb"


def test_instance_in_use_is_not_destroyed(migs: Migs) -> None:
    nvml, instance = migs.nvml, migs.create("3g.48gb")
    compute = migs.compute(instance, 2)
    with pytest.raises(nvml.NVMLError_InUse):
        nvml.nvmlGpuInstanceDestroy(instance)
    migs.node.gpus.gpus[0].processes.append(Process(4242, 100, gpu_instance=2, compute_instance=0))
    migs.node.write()
    with pytest.raises(nvml.NVMLError_InUse):
        nvml.nvmlComputeInstanceDestroy(compute)
    assert len(migs.devices()) == 1
    migs.node.gpus.gpus[0].processes.clear()
    migs.node.write()
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)
    assert migs.layout() == set()


def test_handles_of_what_was_destroyed_are_invalid(migs: Migs) -> None:
    nvml, instance = migs.nvml, migs.create("3g.48gb", 4)
    compute = migs.compute(instance, 2)
    (device,) = migs.devices()
    nvml.nvmlComputeInstanceDestroy(compute)
    nvml.nvmlGpuInstanceDestroy(instance)
    for use in (
        lambda: nvml.nvmlGpuInstanceGetInfo(instance),
        lambda: nvml.nvmlGpuInstanceDestroy(instance),
        lambda: nvml.nvmlComputeInstanceGetInfo(compute),
        lambda: nvml.nvmlComputeInstanceDestroy(compute),
        lambda: nvml.nvmlDeviceGetUUID(device),
    ):
        with pytest.raises(nvml.NVMLError_InvalidArgument):
            use()


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
