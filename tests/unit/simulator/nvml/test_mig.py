# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG as it can be read: mode, profiles and placements of each card."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from simulator.nvml.cards import CARDS
from simulator.nvml.state import NvmlError

CAPABLE = [key for key, card in CARDS.items() if card.mig]


def placements(node: Any, handle: Any, profile_id: int) -> list[tuple[int, int]]:
    count = ctypes.c_uint(0)
    ask = node.nvml.nvmlDeviceGetGpuInstancePossiblePlacements
    ask(handle, profile_id, None, ctypes.byref(count))
    found = (node.nvml.c_nvmlGpuInstancePlacement_t * count.value)()
    ask(handle, profile_id, found, ctypes.byref(count))
    return [(p.start, p.size) for p in found]


@pytest.mark.parametrize("key", CAPABLE)
def test_profiles_and_placements_are_those_of_the_card(key: str, make_node: Any) -> None:
    node, mig = make_node([key]), CARDS[key].mig
    assert mig is not None
    nvml, handle = node.nvml, node.handle()
    known = {p.enum: p for p in mig.profiles}
    for question in range(nvml.NVML_GPU_INSTANCE_PROFILE_COUNT):
        if question not in known:
            with pytest.raises(nvml.NVMLError_NotSupported):
                nvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, question)
            continue
        profile = known[question]
        v1 = nvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, question, version=1)
        v2 = nvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, question, version=2)
        by_id = nvml.nvmlDeviceGetGpuInstanceProfileInfoById(handle, profile.id)
        for info in (v1, v2, by_id):
            assert (info.id, info.sliceCount, info.instanceCount, info.memorySizeMB, info.multiprocessorCount) == (
                profile.id,
                profile.compute_slices,
                profile.max_instances,
                profile.memory_mib,
                profile.sm,
            )
            assert (info.copyEngineCount, info.decoderCount, info.jpegCount, info.ofaCount, info.encoderCount) == (
                profile.copy_engines,
                profile.decoders,
                profile.jpeg,
                profile.ofa,
                0,
            )
        assert v2.name == by_id.name == f"MIG {profile.name}"
        assert placements(node, handle, profile.id) == [(start, profile.size) for start in profile.starts]


def test_third_version_of_a_profile_ends_with_its_capabilities(make_node: Any) -> None:
    node = make_node(["H20"])
    info = ctypes.create_string_buffer(((3 << 24) | 152).to_bytes(4, "little"), 152)
    assert node.raw.nvmlDeviceGetGpuInstanceProfileInfoV(node.handle(), 0, ctypes.byref(info)) == 0
    assert int.from_bytes(info.raw[4:8], "little") == 19
    assert int.from_bytes(info.raw[8:12], "little") == 1
    assert int.from_bytes(info.raw[12:16], "little") == 7
    assert info.raw[48:].split(b"\0")[0] == b"MIG 1g.12gb"


@pytest.mark.parametrize("version", [0, 2, (2 << 24) | 151, (3 << 24) | 148])
def test_profile_of_another_version_is_a_mismatch(version: int, make_node: Any) -> None:
    node = make_node(["H20"])
    info = ctypes.create_string_buffer(version.to_bytes(4, "little"), 152)
    code = node.raw.nvmlDeviceGetGpuInstanceProfileInfoV(node.handle(), 0, ctypes.byref(info))
    assert code == node.nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH


def test_profile_number_out_of_range_is_invalid(make_node: Any) -> None:
    node = make_node(["H20"])
    with pytest.raises(node.nvml.NVMLError_InvalidArgument):
        node.nvml.nvmlDeviceGetGpuInstanceProfileInfo(node.handle(), 0x12)
    with pytest.raises(node.nvml.NVMLError_NotSupported):
        placements(node, node.handle(), 77)


def test_card_without_mig_says_so(node: Any) -> None:
    nvml, handle = node.nvml, node.handle()
    for lacking in (
        lambda: nvml.nvmlDeviceGetMigMode(handle),
        lambda: nvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, 0),
        lambda: nvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, 0, version=1),
        lambda: nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, 0),
        lambda: placements(node, handle, 19),
        lambda: nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(handle, 19),
    ):
        with pytest.raises(nvml.NVMLError_NotSupported):
            lacking()
    assert nvml.nvmlDeviceGetMaxMigDeviceCount(handle) == 0
    assert nvml.nvmlDeviceIsMigDeviceHandle(handle).value == 0


def test_mode_switched_off_has_no_room_for_devices(make_node: Any) -> None:
    node = make_node(["A30"])
    nvml, handle = node.nvml, node.handle()
    assert nvml.nvmlDeviceGetMigMode(handle) == [0, 0]
    assert nvml.nvmlDeviceGetMaxMigDeviceCount(handle) == 0
    with pytest.raises(nvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(handle, 14)


def test_mode_switched_on_has_room_and_no_devices_yet(make_node: Any) -> None:
    node = make_node(["A30"])
    node.gpus.gpus[0].mig_enabled = True
    node.write()
    nvml, handle = node.nvml, node.handle()
    assert nvml.nvmlDeviceGetMigMode(handle) == [1, 1]
    assert nvml.nvmlDeviceGetMaxMigDeviceCount(handle) == 4
    assert nvml.nvmlDeviceGetGpuInstanceRemainingCapacity(handle, 14) == 4
    with pytest.raises(nvml.NVMLError_NotFound):
        nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, 0)
    with pytest.raises(nvml.NVMLError_InvalidArgument):
        nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, 4)
    for of_a_mig_device in (
        nvml.nvmlDeviceGetGpuInstanceId,
        nvml.nvmlDeviceGetComputeInstanceId,
        nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle,
        nvml.nvmlDeviceGetUtilizationRates,
        nvml.nvmlDeviceGetEncoderUtilization,
    ):
        with pytest.raises(nvml.NVMLError_NotSupported):
            of_a_mig_device(handle)


def test_pending_mode_differs_until_the_reset(make_node: Any) -> None:
    node = make_node(["A100-40"])
    node.gpus.gpus[0].mig_pending = True
    node.write()
    assert node.nvml.nvmlDeviceGetMigMode(node.handle()) == [0, 1]


def test_old_driver_lists_profiles_only_with_mig_on(make_node: Any) -> None:
    node = make_node(["A100-40"], driver_version="535.161.08")
    nvml, handle = node.nvml, node.handle()
    with pytest.raises(nvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, 0)
    (field,) = nvml.nvmlDeviceGetFieldValues(handle, [nvml.NVML_FI_DEV_IS_MIG_MODE_INDEPENDENT_MIG_QUERY_CAPABLE])
    assert field.value.uiVal == 0
    node.gpus.gpus[0].mig_enabled = True
    node.write()
    assert nvml.nvmlDeviceGetGpuInstanceProfileInfo(handle, 0).id == 19


def test_placements_are_for_root(make_node: Any) -> None:
    node = make_node(["A100-40"])
    node.gpus.privileged = False
    node.write()
    count = ctypes.c_uint(0)
    code = node.raw.nvmlDeviceGetGpuInstancePossiblePlacements(node.handle(), 19, None, ctypes.byref(count))
    assert code == NvmlError.NO_PERMISSION
    assert node.nvml.nvmlDeviceGetGpuInstanceProfileInfo(node.handle(), 0).id == 19
