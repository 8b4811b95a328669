# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is asked of NVML, and what it answers, as types. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Mapping, Optional, Protocol, Sequence

MIB = 1024 * 1024


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


@dataclass(frozen=True)
class ComputeProfile:
    """A compute instance profile of a GPU instance.

    :param starts: where it can begin, in compute slices; None if the driver does not tell.
    """

    id: int
    slices: int
    max_instances: int
    starts: Optional[tuple[int, ...]] = None


@dataclass(frozen=True)
class PlacedCompute:
    """A compute instance that exists. ``start`` counts compute slices."""

    id: int
    slices: int
    start: Optional[int]


@dataclass(frozen=True)
class PlacedInstance:
    """A GPU instance that exists, with or without compute instances. ``start`` and ``size`` count memory slices."""

    id: int
    profile_id: int
    start: int
    size: int
    compute: tuple[PlacedCompute, ...] = ()


@dataclass(frozen=True)
class Instances:
    """All GPU instances of a GPU, and the compute profiles by GPU instance profile: of those that exist, for only they can be asked."""

    placed: tuple[PlacedInstance, ...]
    compute_profiles: Mapping[int, tuple[ComputeProfile, ...]]


class Gpu(Protocol):
    """One physical GPU. Every method may raise NvmlError."""

    def uuid(self) -> str: ...
    def pci_bus_id(self) -> str: ...
    def pci_ids(self) -> tuple[int, Optional[int]]: ...
    def product(self) -> str: ...
    def architecture(self) -> int: ...
    def compute_capability(self) -> tuple[int, int]: ...
    def memory(self) -> Memory: ...
    def utilization(self) -> int: ...
    def compute_mode(self) -> int: ...
    def processes(self, kind: str) -> list[Process]: ...
    def mig_mode(self) -> tuple[int, int]: ...
    def max_mig_devices(self) -> int: ...
    def profile_count(self) -> int: ...
    def mig_profile(self, number: int) -> Profile: ...
    def mig_device(self, number: int) -> MigDevice: ...
    def mig_instances(self, profiles: Sequence[Profile]) -> Instances: ...
    def is_passed_through(self) -> bool: ...
    def set_mig_mode(self, enabled: bool) -> int: ...
    def create_gpu_instance(self, profile_id: int, start: int, size: int) -> int: ...
    def create_compute_instance(self, gpu_instance: int, slices: int, start: Optional[int]) -> int: ...
    def destroy_gpu_instance(self, gpu_instance: int) -> None: ...
    def destroy_compute_instance(self, gpu_instance: int, compute_instance: int) -> None: ...


class Nvml(Protocol):
    """An initialised NVML. Every method may raise NvmlError."""

    def driver_version(self) -> str: ...
    def cuda_version(self) -> int: ...
    def nvml_version(self) -> str: ...
    def gpu_count(self) -> int: ...
    def gpu(self, index: int) -> Gpu: ...
