# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVML by pynvml. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
from types import ModuleType
from typing import Any, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    FUNCTION_NOT_FOUND,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_calls import PynvmlMig
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import (
    Memory,
    MigDevice,
    Process,
)

# NVML_VALUE_NOT_AVAILABLE, for 64 and for 32 bits
_NO_BYTES = 0xFFFFFFFFFFFFFFFF
_NO_ID = 0xFFFFFFFF


class PynvmlSession:
    """NVML by pynvml; a context manager that initialises and shuts down."""

    def __init__(self, pynvml: ModuleType) -> None:
        self._pynvml = pynvml

    def call(self, name: str, *args: Any) -> Any:
        """Call a function of pynvml; its exceptions become NvmlError."""
        try:
            return getattr(self._pynvml, name)(*args)
        except self._pynvml.NVMLError as error:
            raise NvmlError(int(error.value), str(error)) from error

    def __enter__(self) -> PynvmlSession:
        self.call("nvmlInitWithFlags", 0)
        return self

    def __exit__(self, *_exception: Any) -> None:
        # the answers are in; that a lost GPU also spoils the shutdown takes nothing from them
        with contextlib.suppress(NvmlError):
            self.call("nvmlShutdown")

    def driver_version(self) -> str:
        return str(self.call("nvmlSystemGetDriverVersion"))

    def cuda_version(self) -> int:
        return int(self.call("nvmlSystemGetCudaDriverVersion"))

    def nvml_version(self) -> str:
        return str(self.call("nvmlSystemGetNVMLVersion"))

    def gpu_count(self) -> int:
        return int(self.call("nvmlDeviceGetCount"))

    def gpu(self, index: int) -> PynvmlGpu:
        return PynvmlGpu(self.call, self._pynvml, self.call("nvmlDeviceGetHandleByIndex", index))


class PynvmlGpu(PynvmlMig):
    """One GPU by pynvml."""

    def uuid(self) -> str:
        return str(self._call("nvmlDeviceGetUUID", self._handle))

    def pci_bus_id(self) -> str:
        return str(self._call("nvmlDeviceGetPciInfo", self._handle).busId)

    def pci_ids(self) -> tuple[int, Optional[int]]:
        """Of the device, and of its subsystem, None where there is none; each with the vendor in its lower half."""
        info = self._call("nvmlDeviceGetPciInfo", self._handle)
        return int(info.pciDeviceId), int(info.pciSubSystemId) or None

    def product(self) -> str:
        return str(self._call("nvmlDeviceGetName", self._handle))

    def architecture(self) -> int:
        return int(self._call("nvmlDeviceGetArchitecture", self._handle))

    def compute_capability(self) -> tuple[int, int]:
        major, minor = self._call("nvmlDeviceGetCudaComputeCapability", self._handle)
        return int(major), int(minor)

    def memory(self) -> Memory:
        return self._memory(self._handle)

    def _memory(self, handle: Any) -> Memory:
        try:
            info = self._call("nvmlDeviceGetMemoryInfo", handle, self._pynvml.nvmlMemory_v2)
            return Memory(info.total, info.used, info.free, info.reserved)
        except NvmlError as error:
            # drivers before 510 know version 1 only, whose "used" includes what is reserved
            if error.code != FUNCTION_NOT_FOUND:
                raise
        info = self._call("nvmlDeviceGetMemoryInfo", handle)
        return Memory(info.total, info.used, info.free)

    def utilization(self) -> int:
        """Percent of the last sample period (a second or less) in which a kernel ran."""
        return int(self._call("nvmlDeviceGetUtilizationRates", self._handle).gpu)

    def compute_mode(self) -> int:
        return int(self._call("nvmlDeviceGetComputeMode", self._handle))

    def processes(self, kind: str) -> list[Process]:
        """:param kind: Compute, Graphics or MPSCompute."""
        try:
            found = self._call(f"nvmlDeviceGet{kind}RunningProcesses_v3", self._handle)
        except NvmlError as error:
            # drivers before 510; the structure is the same
            if error.code != FUNCTION_NOT_FOUND:
                raise
            found = self._call(f"nvmlDeviceGet{kind}RunningProcesses_v2", self._handle)
        return [
            Process(
                int(process.pid),
                None if process.usedGpuMemory in (None, _NO_BYTES) else int(process.usedGpuMemory),
                _known_id(process.gpuInstanceId),
                _known_id(process.computeInstanceId),
            )
            for process in found
        ]

    def mig_device(self, number: int) -> MigDevice:
        """:raises NvmlError: NOT_FOUND where there is none of that number; the numbers may have gaps."""
        handle = self._call("nvmlDeviceGetMigDeviceHandleByIndex", self._handle, number)
        return MigDevice(
            uuid=str(self._call("nvmlDeviceGetUUID", handle)),
            name=str(self._call("nvmlDeviceGetName", handle)),
            memory_total=self._memory(handle).total,
            gpu_instance=int(self._call("nvmlDeviceGetGpuInstanceId", handle)),
            compute_instance=int(self._call("nvmlDeviceGetComputeInstanceId", handle)),
        )


def _known_id(value: Any) -> Optional[int]:
    return None if value in (None, _NO_ID) else int(value)
