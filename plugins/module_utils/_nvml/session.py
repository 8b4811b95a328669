# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the reader needs of NVML, and pynvml behind it. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import ctypes
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Optional, Protocol, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    FUNCTION_NOT_FOUND,
    UNANSWERED,
    NvmlError,
)

MIB = 1024 * 1024
# NVML_VALUE_NOT_AVAILABLE, for 64 and for 32 bits
_NO_BYTES = 0xFFFFFFFFFFFFFFFF
_NO_ID = 0xFFFFFFFF


@dataclass(frozen=True)
class Memory:
    """Bytes. ``reserved`` is what the driver keeps for itself, None where the library cannot tell; ``used`` leaves it out then."""

    total: int
    used: int
    free: int
    reserved: Optional[int] = None


@dataclass(frozen=True)
class Process:
    """:param used: bytes, None if NVML does not know (a MIG device's process without the right to see it, WDDM)."""

    pid: int
    used: Optional[int] = None
    gpu_instance: Optional[int] = None
    compute_instance: Optional[int] = None


@dataclass(frozen=True)
class Profile:
    """A GPU instance profile of a card.

    :param placements: (start, size) in memory slices, None if the driver does not tell.
    """

    id: int
    name: Optional[str]
    memory_mib: int
    max_instances: int
    slices: int
    placements: Optional[Sequence[tuple[int, int]]] = None


@dataclass(frozen=True)
class MigDevice:
    """A MIG device that exists. Sizes in bytes."""

    uuid: str
    name: str
    memory_total: int
    gpu_instance: int
    compute_instance: int


class Gpu(Protocol):
    """One physical GPU. Every method may raise NvmlError."""

    def uuid(self) -> str: ...
    def pci_bus_id(self) -> str: ...
    def product(self) -> str: ...
    def architecture(self) -> int: ...
    def compute_capability(self) -> tuple[int, int]: ...
    def memory(self) -> Memory: ...
    def compute_mode(self) -> int: ...
    def processes(self, kind: str) -> list[Process]: ...
    def mig_mode(self) -> tuple[int, int]: ...
    def max_mig_devices(self) -> int: ...
    def profile_count(self) -> int: ...
    def mig_profile(self, number: int) -> Profile: ...
    def mig_device(self, number: int) -> MigDevice: ...


class Nvml(Protocol):
    """An initialised NVML. Every method may raise NvmlError."""

    def driver_version(self) -> str: ...
    def cuda_version(self) -> int: ...
    def nvml_version(self) -> str: ...
    def gpu_count(self) -> int: ...
    def gpu(self, index: int) -> Gpu: ...


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
        return PynvmlGpu(self, self._pynvml, self.call("nvmlDeviceGetHandleByIndex", index))


class PynvmlGpu:
    """One GPU by pynvml."""

    def __init__(self, session: PynvmlSession, pynvml: ModuleType, handle: Any) -> None:
        self._call = session.call
        self._pynvml = pynvml
        self._handle = handle

    def uuid(self) -> str:
        return str(self._call("nvmlDeviceGetUUID", self._handle))

    def pci_bus_id(self) -> str:
        return str(self._call("nvmlDeviceGetPciInfo", self._handle).busId)

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

    def mig_mode(self) -> tuple[int, int]:
        current, pending = self._call("nvmlDeviceGetMigMode", self._handle)
        return int(current), int(pending)

    def max_mig_devices(self) -> int:
        return int(self._call("nvmlDeviceGetMaxMigDeviceCount", self._handle))

    def profile_count(self) -> int:
        """How many NVML_GPU_INSTANCE_PROFILE_* pynvml knows; an older library may know fewer."""
        return int(self._pynvml.NVML_GPU_INSTANCE_PROFILE_COUNT)

    def mig_profile(self, number: int) -> Profile:
        """:param number: one of NVML_GPU_INSTANCE_PROFILE_*; most cards support a part of them (NOT_SUPPORTED)."""
        name: Optional[str] = None
        try:
            info = self._call("nvmlDeviceGetGpuInstanceProfileInfo", self._handle, number, 2)
            name = str(info.name)
        except NvmlError as error:
            # version 2 brought the name
            if error.code != FUNCTION_NOT_FOUND:
                raise
            info = self._call("nvmlDeviceGetGpuInstanceProfileInfo", self._handle, number, 1)
        return Profile(
            id=int(info.id),
            name=name[4:] if name and name.startswith("MIG ") else name,
            memory_mib=int(info.memorySizeMB),
            max_instances=int(info.instanceCount),
            slices=int(info.sliceCount),
            placements=self._placements(int(info.id)),
        )

    def _placements(self, profile_id: int) -> Optional[tuple[tuple[int, int], ...]]:
        count = ctypes.c_uint()
        ask = ("nvmlDeviceGetGpuInstancePossiblePlacements", self._handle, profile_id)
        try:
            self._call(*ask, None, ctypes.byref(count))
            room = (self._pynvml.c_nvmlGpuInstancePlacement_t * count.value)()
            if count.value:
                self._call(*ask, room, ctypes.byref(count))
        except NvmlError as error:
            if error.code not in UNANSWERED:
                raise
            return None
        return tuple((int(room[place].start), int(room[place].size)) for place in range(min(count.value, len(room))))

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
