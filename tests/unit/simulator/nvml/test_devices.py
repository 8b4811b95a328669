# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Handles and what identifies a GPU."""

from __future__ import annotations

import ctypes
import struct
from typing import Any

import pytest

from simulator.nvml.state import NvmlError, gpu_uuid, pci_bus_id


@pytest.fixture
def three(make_node: Any) -> Any:
    return make_node(["L20", "L20", "T4"])


def test_versions_follow_from_the_driver(make_node: Any) -> None:
    nvml = make_node(driver_version="535.161.08").nvml
    assert nvml.nvmlSystemGetDriverVersion() == "535.161.08"
    assert nvml.nvmlSystemGetNVMLVersion() == "12.535.161.08"
    assert nvml.nvmlSystemGetCudaDriverVersion() == nvml.nvmlSystemGetCudaDriverVersion_v2() == 12020


def test_gpu_is_found_by_index_uuid_serial_and_bus(three: Any) -> None:
    nvml = three.nvml
    assert nvml.nvmlDeviceGetCount() == 3
    for index in range(3):
        handle = three.handle(index)
        uuid, bus = gpu_uuid("node-0", index), pci_bus_id(index)
        assert nvml.nvmlDeviceGetUUID(handle) == uuid
        assert nvml.nvmlDeviceGetIndex(handle) == nvml.nvmlDeviceGetMinorNumber(handle) == index
        serial = nvml.nvmlDeviceGetSerial(handle)
        assert len(serial) == 13
        for found in (
            nvml.nvmlDeviceGetHandleByUUID(uuid),
            nvml.nvmlDeviceGetHandleBySerial(serial),
            nvml.nvmlDeviceGetHandleByPciBusId(bus),
            nvml.nvmlDeviceGetHandleByPciBusId(bus[4:]),
            nvml.nvmlDeviceGetHandleByPciBusId(bus[9:].lower()),
        ):
            assert nvml.nvmlDeviceGetIndex(found) == index
        assert three.raw.nvmlDeviceGetHandleByPciBusId(bus.encode(), ctypes.byref(ctypes.c_void_p())) == 0


def test_gpu_that_is_not_there_is_not_found(three: Any) -> None:
    nvml = three.nvml
    for index in (3, 2**32 - 1):
        with pytest.raises(nvml.NVMLError_InvalidArgument):
            nvml.nvmlDeviceGetHandleByIndex(index)
    for find, value in (
        (nvml.nvmlDeviceGetHandleByUUID, "GPU-0"),
        (nvml.nvmlDeviceGetHandleBySerial, "1"),
        (nvml.nvmlDeviceGetHandleByPciBusId, "0000:ff:00.0"),
    ):
        with pytest.raises(nvml.NVMLError_NotFound):
            find(value)
    with pytest.raises(nvml.NVMLError_InvalidArgument):
        nvml.nvmlDeviceGetHandleByPciBusId("slot 3")


def test_pci_info_is_written_in_all_its_versions(three: Any) -> None:
    handle = three.handle(1)
    pci = three.nvml.nvmlDeviceGetPciInfo_v3(handle)
    assert (pci.busId, pci.busIdLegacy) == ("00000000:18:00.0", "0000:18:00.0")
    assert (pci.domain, pci.bus, pci.device, pci.pciSubSystemId) == (0, 0x18, 0, 0x195710DE)
    for symbol, size in (("nvmlDeviceGetPciInfo", 32), ("nvmlDeviceGetPciInfo_v2", 52)):
        buffer = ctypes.create_string_buffer(b"\xff" * 64, 64)
        assert getattr(three.raw, symbol)(handle, ctypes.byref(buffer)) == 0
        assert buffer.raw[:16] == b"0000:18:00.0\0\0\0\0"
        numbers = struct.unpack_from("<4I", buffer.raw, 16)
        assert numbers == (0, 0x18, 0, 0x26BA10DE)
        assert buffer.raw[size:] == b"\xff" * (64 - size), "wrote past the older structure"


@pytest.mark.parametrize("symbol", ["nvmlDeviceGetName", "nvmlDeviceGetUUID", "nvmlDeviceGetSerial"])
def test_string_that_does_not_fit_is_refused_whole(symbol: str, node: Any) -> None:
    handle = node.handle()
    whole = getattr(node.nvml, symbol)(handle)
    buffer = ctypes.create_string_buffer(b"x" * 80, 80)
    function = getattr(node.raw, symbol)
    assert function(handle, buffer, len(whole)) == NvmlError.INSUFFICIENT_SIZE
    assert buffer.raw == b"x" * 80
    assert function(handle, buffer, len(whole) + 1) == 0
    assert buffer.value.decode() == whole


def test_lost_gpu_is_counted_and_gives_no_handle(three: Any) -> None:
    nvml = three.nvml
    held = three.handle(1)
    three.gpus.gpus[1].lost = True
    three.write()
    assert nvml.nvmlDeviceGetCount() == 3
    for look_up in (
        lambda: nvml.nvmlDeviceGetHandleByIndex(1),
        lambda: nvml.nvmlDeviceGetHandleByPciBusId(pci_bus_id(1)),
        lambda: nvml.nvmlDeviceGetHandleByUUID(gpu_uuid("node-0", 1)),
        lambda: nvml.nvmlDeviceGetName(held),
    ):
        with pytest.raises(nvml.NVMLError_GpuIsLost):
            look_up()
    assert nvml.nvmlDeviceGetName(three.handle(0)) == "NVIDIA L20"
    assert nvml.nvmlDeviceGetName(three.handle(2)) == "Tesla T4"


def test_search_by_uuid_ends_at_a_lost_gpu_on_the_way(three: Any) -> None:
    three.gpus.gpus[1].lost = True
    three.write()
    find = three.nvml.nvmlDeviceGetHandleByUUID
    assert three.nvml.nvmlDeviceGetIndex(find(gpu_uuid("node-0", 0))) == 0
    with pytest.raises(three.nvml.NVMLError_GpuIsLost):
        find(gpu_uuid("node-0", 2))


def test_gpu_that_vanishes_from_the_state_is_lost_to_its_holder(three: Any) -> None:
    handle = three.handle(2)
    three.gpus.gpus.pop()
    three.write()
    assert three.nvml.nvmlDeviceGetCount() == 2
    with pytest.raises(three.nvml.NVMLError_GpuIsLost):
        three.nvml.nvmlDeviceGetName(handle)


def test_fault_at_the_look_up_of_one_gpu_leaves_the_others(three: Any) -> None:
    three.gpus.gpus[1].faults = {"nvmlDeviceGetHandleByIndex": NvmlError.NO_PERMISSION}
    three.write()
    with pytest.raises(three.nvml.NVMLError_NoPermission):
        three.handle(1)
    assert three.nvml.nvmlDeviceGetName(three.handle(2)) == "Tesla T4"


def test_facts_that_all_cards_share(node: Any) -> None:
    nvml, handle = node.nvml, node.handle()
    assert nvml.nvmlDeviceGetBrand(handle) == nvml.NVML_BRAND_TESLA
    assert nvml.nvmlDeviceGetMemoryBusWidth(handle) == 256
    assert nvml.nvmlDeviceGetBusType(handle) == nvml.NVML_BUS_TYPE_PCIE
    assert nvml.nvmlDeviceGetBoardId(handle) == 0x1000
    assert nvml.nvmlDeviceGetMultiGpuBoard(handle) == 0
    assert nvml.nvmlDeviceGetDisplayMode(handle) == nvml.nvmlDeviceGetDisplayActive(handle) == 0
    assert nvml.nvmlDeviceGetAccountingMode(handle) == 0
    assert nvml.nvmlDeviceGetVirtualizationMode(handle) == 0
    assert nvml.nvmlUnitGetCount() == 0
    assert nvml.nvmlGetExcludedDeviceCount() == 0


def test_modes_are_those_of_the_state(node: Any) -> None:
    nvml, handle = node.nvml, node.handle()
    assert (nvml.nvmlDeviceGetPersistenceMode(handle), nvml.nvmlDeviceGetComputeMode(handle)) == (1, 0)
    node.gpus.gpus[0].persistence_mode = False
    node.gpus.gpus[0].compute_mode = nvml.NVML_COMPUTEMODE_EXCLUSIVE_PROCESS
    node.write()
    assert (nvml.nvmlDeviceGetPersistenceMode(handle), nvml.nvmlDeviceGetComputeMode(handle)) == (0, 3)


def test_topology_is_one_node_without_peers(three: Any) -> None:
    nvml = three.nvml
    one, two = three.handle(0), three.handle(1)
    assert nvml.nvmlDeviceGetTopologyCommonAncestor(one, one) == nvml.NVML_TOPOLOGY_INTERNAL
    assert nvml.nvmlDeviceGetTopologyCommonAncestor(one, two) == nvml.NVML_TOPOLOGY_NODE
    assert nvml.nvmlDeviceOnSameBoard(one, two) == 0
    assert nvml.nvmlDeviceOnSameBoard(one, one) == 1
    assert nvml.nvmlDeviceGetP2PStatus(one, two, 0) == (nvml.NVML_P2P_STATUS_CHIPSET_NOT_SUPPORTED)
    near = nvml.nvmlDeviceGetTopologyNearestGpus(one, nvml.NVML_TOPOLOGY_NODE)
    assert [nvml.nvmlDeviceGetIndex(handle) for handle in near] == [1, 2]
    assert nvml.nvmlDeviceGetTopologyNearestGpus(one, nvml.NVML_TOPOLOGY_SINGLE) == []
    everyone = nvml.nvmlSystemGetTopologyGpuSet(0)
    assert [nvml.nvmlDeviceGetIndex(handle) for handle in everyone] == [0, 1, 2]
    assert list(nvml.nvmlDeviceGetCpuAffinity(one, 2)) == [0xFF, 0]
    assert list(nvml.nvmlDeviceGetMemoryAffinity(one, 1, nvml.NVML_AFFINITY_SCOPE_NODE)) == [1]
