# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sensors, clocks, errors, and what these cards do not have."""

from __future__ import annotations

import ctypes
from typing import Any

import pytest

from simulator.nvml.state import Process


@pytest.fixture
def idle(node: Any) -> tuple[Any, Any]:
    return node.nvml, node.handle()


def test_sensors_of_an_idle_card(idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    assert (rates.gpu, rates.memory) == (0, 0)
    assert nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU) == 34
    assert nvml.nvmlDeviceGetTemperatureV(handle, nvml.NVML_TEMPERATURE_GPU) == 34
    assert nvml.nvmlDeviceGetPowerUsage(handle) == 9000
    assert nvml.nvmlDeviceGetPerformanceState(handle) == nvml.nvmlDeviceGetPowerState(handle) == 8
    assert nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle) == 1
    idle_reason = nvml.nvmlClocksThrottleReasonGpuIdle
    assert nvml.nvmlDeviceGetCurrentClocksThrottleReasons(handle) == idle_reason
    assert nvml.nvmlDeviceGetCurrentClocksEventReasons(handle) == idle_reason
    assert nvml.nvmlDeviceGetSupportedClocksThrottleReasons(handle) & idle_reason
    assert nvml.nvmlDeviceGetSupportedClocksEventReasons(handle) & idle_reason
    assert nvml.nvmlDeviceGetTotalEnergyConsumption(handle) > 0


def test_sensors_of_a_busy_card(node: Any) -> None:
    gpu = node.gpus.gpus[0]
    gpu.processes.append(Process(1, 100))
    gpu.utilization_percent, gpu.temperature_c = 80, 61
    node.write()
    nvml, handle = node.nvml, node.handle()
    rates = nvml.nvmlDeviceGetUtilizationRates(handle)
    assert (rates.gpu, rates.memory) == (80, 40)
    assert nvml.nvmlDeviceGetTemperature(handle, 0) == 61
    assert 50000 < nvml.nvmlDeviceGetPowerUsage(handle) <= 70000
    assert nvml.nvmlDeviceGetPerformanceState(handle) == 0
    assert nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) == 1590
    assert nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_VIDEO) == 1470
    assert nvml.nvmlDeviceGetCurrPcieLinkGeneration(handle) == 3
    assert nvml.nvmlDeviceGetCurrentClocksEventReasons(handle) == 0


@pytest.mark.parametrize("version", [0, 1, (1 << 24) | 16, (2 << 24) | 12])
def test_temperature_of_another_version_is_a_mismatch(version: int, node: Any) -> None:
    asked = (ctypes.c_uint * 3)(version, 0, 0)
    code = node.raw.nvmlDeviceGetTemperatureV(node.handle(), ctypes.byref(asked))
    assert code == node.nvml.NVML_ERROR_ARGUMENT_VERSION_MISMATCH


def test_temperature_thresholds(idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    assert nvml.nvmlDeviceGetTemperatureThreshold(handle, nvml.NVML_TEMPERATURE_THRESHOLD_SHUTDOWN) == 96
    with pytest.raises(nvml.NVMLError_NotSupported):
        nvml.nvmlDeviceGetTemperatureThreshold(handle, nvml.NVML_TEMPERATURE_THRESHOLD_MEM_MAX)
    with pytest.raises(nvml.NVMLError_InvalidArgument):
        nvml.nvmlDeviceGetTemperatureThreshold(handle, 8)


def test_power_limits(idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    assert nvml.nvmlDeviceGetPowerManagementMode(handle) == 1
    assert nvml.nvmlDeviceGetPowerManagementLimit(handle) == 70000
    assert nvml.nvmlDeviceGetPowerManagementDefaultLimit(handle) == 70000
    assert nvml.nvmlDeviceGetEnforcedPowerLimit(handle) == 70000
    assert nvml.nvmlDeviceGetPowerManagementLimitConstraints(handle) == [60000, 70000]


def test_clocks(idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    graphics, memory = nvml.NVML_CLOCK_GRAPHICS, nvml.NVML_CLOCK_MEM
    assert [nvml.nvmlDeviceGetClockInfo(handle, kind) for kind in range(4)] == [210, 210, 405, 194]
    assert [nvml.nvmlDeviceGetMaxClockInfo(handle, kind) for kind in range(4)] == [1590, 1590, 5001, 1470]
    assert nvml.nvmlDeviceGetApplicationsClock(handle, graphics) == 1590
    assert nvml.nvmlDeviceGetDefaultApplicationsClock(handle, memory) == 5001
    assert nvml.nvmlDeviceGetMaxCustomerBoostClock(handle, graphics) == 1590
    assert nvml.nvmlDeviceGetClock(handle, graphics, nvml.NVML_CLOCK_ID_CURRENT) == 210
    assert nvml.nvmlDeviceGetClock(handle, graphics, nvml.NVML_CLOCK_ID_CUSTOMER_BOOST_MAX) == 1590
    assert nvml.nvmlDeviceGetSupportedMemoryClocks(handle) == [5001, 405]
    assert nvml.nvmlDeviceGetSupportedGraphicsClocks(handle, 5001) == [1590, 210]
    with pytest.raises(nvml.NVMLError_NotFound):
        nvml.nvmlDeviceGetSupportedGraphicsClocks(handle, 4000)
    for bad in (lambda: nvml.nvmlDeviceGetClockInfo(handle, 4), lambda: nvml.nvmlDeviceGetClock(handle, 0, 4)):
        with pytest.raises(nvml.NVMLError_InvalidArgument):
            bad()
    assert nvml.nvmlDeviceGetViolationStatus(handle, nvml.NVML_PERF_POLICY_POWER).violationTime == 0


def test_media_engines_rest(idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    for name in ("Encoder", "Decoder", "Jpg", "Ofa"):
        assert getattr(nvml, f"nvmlDeviceGet{name}Utilization")(handle)[0] == 0


def test_pcie(idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    assert nvml.nvmlDeviceGetMaxPcieLinkGeneration(handle) == nvml.nvmlDeviceGetGpuMaxPcieLinkGeneration(handle) == 3
    assert nvml.nvmlDeviceGetMaxPcieLinkWidth(handle) == nvml.nvmlDeviceGetCurrPcieLinkWidth(handle) == 16
    assert nvml.nvmlDeviceGetPcieReplayCounter(handle) == 0
    assert nvml.nvmlDeviceGetPcieThroughput(handle, nvml.NVML_PCIE_UTIL_TX_BYTES) == 0
    with pytest.raises(nvml.NVMLError_InvalidArgument):
        nvml.nvmlDeviceGetPcieThroughput(handle, 2)


def test_memory_is_without_error(idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    assert nvml.nvmlDeviceGetEccMode(handle) == [1, 1]
    assert nvml.nvmlDeviceGetDefaultEccMode(handle) == [1]
    corrected, volatile = nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, nvml.NVML_VOLATILE_ECC
    assert nvml.nvmlDeviceGetTotalEccErrors(handle, corrected, volatile) == 0
    assert nvml.nvmlDeviceGetMemoryErrorCounter(handle, corrected, volatile, 2) == 0
    assert nvml.nvmlDeviceGetDetailedEccErrors(handle, corrected, volatile).l2Cache == 0
    with pytest.raises(nvml.NVMLError_InvalidArgument):
        nvml.nvmlDeviceGetTotalEccErrors(handle, 2, volatile)


def test_turing_retires_pages_and_ampere_remaps_rows(make_node: Any) -> None:
    node = make_node(["T4", "A30"])
    nvml, t4, a30 = node.nvml, node.handle(0), node.handle(1)
    assert nvml.nvmlDeviceGetRetiredPages(t4, 0) == []
    assert nvml.nvmlDeviceGetRetiredPagesPendingStatus(t4) == 0
    assert nvml.nvmlDeviceGetRemappedRows(a30) == (0, 0, 0, 0)
    for lacking in (
        lambda: nvml.nvmlDeviceGetRemappedRows(t4),
        lambda: nvml.nvmlDeviceGetRetiredPages(a30, 0),
        lambda: nvml.nvmlDeviceGetRetiredPagesPendingStatus(a30),
    ):
        with pytest.raises(nvml.NVMLError_NotSupported):
            lacking()


def test_fields_answer_each_for_itself(make_node: Any) -> None:
    node = make_node(["A30"])
    nvml = node.nvml
    asked = {
        nvml.NVML_FI_DEV_POWER_AVERAGE: 28000,
        nvml.NVML_FI_DEV_POWER_INSTANT: 28000,
        nvml.NVML_FI_DEV_POWER_MIN_LIMIT: 100000,
        nvml.NVML_FI_DEV_POWER_MAX_LIMIT: 165000,
        nvml.NVML_FI_DEV_POWER_DEFAULT_LIMIT: 165000,
        nvml.NVML_FI_DEV_POWER_CURRENT_LIMIT: 165000,
        nvml.NVML_FI_DEV_POWER_REQUESTED_LIMIT: 165000,
        nvml.NVML_FI_DEV_IS_MIG_MODE_INDEPENDENT_MIG_QUERY_CAPABLE: 1,
    }
    fields = nvml.nvmlDeviceGetFieldValues(node.handle(), [*asked, nvml.NVML_FI_DEV_NVLINK_LINK_COUNT])
    assert [(f.fieldId, f.nvmlReturn, f.value.uiVal) for f in fields][:-1] == [
        (number, 0, value) for number, value in asked.items()
    ]
    assert fields[len(asked)].nvmlReturn == nvml.NVML_ERROR_NOT_SUPPORTED
    assert all(f.timestamp > 0 for f in fields)


@pytest.mark.parametrize(
    "lacking",
    [
        "nvmlDeviceGetFanSpeed",
        "nvmlDeviceGetNumFans",
        "nvmlDeviceGetDriverModel",
        "nvmlDeviceGetGpuOperationMode",
        "nvmlDeviceGetNumaNodeId",
        "nvmlDeviceGetConfComputeMemSizeInfo",
        "nvmlDeviceGetVbiosVersion",
        "nvmlDeviceGetBoardPartNumber",
    ],
)
def test_what_the_card_lacks_is_not_supported(lacking: str, idle: tuple[Any, Any]) -> None:
    nvml, handle = idle
    with pytest.raises(nvml.NVMLError_NotSupported):
        getattr(nvml, lacking)(handle)
