# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU instances and the compute instances in them."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest
from unit.simulator.nvml.migs import Migs

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
