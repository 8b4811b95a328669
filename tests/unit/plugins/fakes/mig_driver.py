# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver in memory, whose cards have MIG, and can be told to misbehave as no simulated library does."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any, Callable, List, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.profiles import MODELS
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    INSUFFICIENT_RESOURCES,
    NOT_FOUND,
    NOT_SUPPORTED,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import (
    MIB,
    Instances,
    Memory,
    MigDevice,
    PlacedCompute,
    PlacedInstance,
    Process,
    Profile,
)


@dataclass
class MigCard:
    """One GPU.

    :param activation: what a change of mode answers; the mode comes only if that is 0.
    :param on_create: may change a GPU instance before it stands, or raise.
    """

    key: str = "H20-96GB"
    name: str = "NVIDIA H20"
    number: int = 0
    mode: Tuple[int, int] = (0, 0)
    placed: List[PlacedInstance] = field(default_factory=list)
    activation: int = 0
    passed_through: bool = False
    on_create: Callable[[PlacedInstance], PlacedInstance] = lambda instance: instance
    on_mode: Callable[[MigCard], None] = lambda card: None
    ids: int = 0

    @property
    def profiles(self) -> List[Profile]:
        model = next(one for one in MODELS if one.key == self.key)
        return [
            Profile(
                one.id or 0,
                one.name,
                one.memory_mib or 0,
                one.max_instances,
                one.slices,
                [(place.start, place.size) for place in one.places],
            )
            for one in model.profiles
        ]

    def uuid(self) -> str:
        return f"GPU-{self.number}"

    def pci_bus_id(self) -> str:
        return f"00000000:{self.number + 16:02X}:00.0"

    def pci_ids(self) -> Tuple[int, Optional[int]]:
        return 0x232910DE, None

    def product(self) -> str:
        return self.name

    def architecture(self) -> int:
        return 9

    def compute_capability(self) -> Tuple[int, int]:
        return 9, 0

    def memory(self) -> Memory:
        return Memory(97871 * MIB, 0, 97871 * MIB, 0)

    def compute_mode(self) -> int:
        return 0

    def processes(self, kind: str) -> List[Process]:
        return []

    def mig_mode(self) -> Tuple[int, int]:
        return self.mode

    def max_mig_devices(self) -> int:
        return 7

    def profile_count(self) -> int:
        return len(self.profiles)

    def mig_profile(self, number: int) -> Profile:
        return self.profiles[number]

    def mig_device(self, number: int) -> MigDevice:
        found = [(one, part) for one in self.placed for part in one.compute]
        if number >= len(found):
            raise NvmlError(NOT_FOUND, "Not Found")
        instance, part = found[number]
        return MigDevice(f"MIG-{instance.id}-{part.id}", f"{self.name} MIG 1g.12gb", MIB, instance.id, part.id)

    def mig_instances(self, profiles: Sequence[Profile]) -> Instances:
        return Instances(tuple(sorted(self.placed, key=lambda one: one.start)), {})

    def is_passed_through(self) -> bool:
        return self.passed_through

    def set_mig_mode(self, enabled: bool) -> int:
        self.mode = (int(enabled) if not self.activation else self.mode[0], int(enabled))
        self.on_mode(self)
        return self.activation

    def create_gpu_instance(self, profile_id: int, start: int, size: int) -> int:
        units = {unit for one in self.placed for unit in range(one.start, one.start + one.size)}
        if not self.mode[0] or units & set(range(start, start + size)):
            raise NvmlError(INSUFFICIENT_RESOURCES if self.mode[0] else NOT_SUPPORTED, "no")
        self.ids += 1
        self.placed.append(self.on_create(PlacedInstance(self.ids, profile_id, start, size)))
        return self.ids

    def create_compute_instance(self, gpu_instance: int, slices: int, start: Optional[int]) -> int:
        one = self._find(gpu_instance)
        taken = sum(part.slices for part in one.compute)
        part = PlacedCompute(len(one.compute), slices, taken if start is None else start)
        self._put(one, replace(one, compute=(*one.compute, part)))
        return part.id

    def destroy_gpu_instance(self, gpu_instance: int) -> None:
        self.placed.remove(self._find(gpu_instance))

    def destroy_compute_instance(self, gpu_instance: int, compute_instance: int) -> None:
        one = self._find(gpu_instance)
        self._put(one, replace(one, compute=tuple(part for part in one.compute if part.id != compute_instance)))

    def _find(self, gpu_instance: int) -> PlacedInstance:
        for one in self.placed:
            if one.id == gpu_instance:
                return one
        raise NvmlError(NOT_FOUND, "Not Found")

    def _put(self, old: PlacedInstance, new: PlacedInstance) -> None:
        self.placed[self.placed.index(old)] = new


@dataclass
class MigDriver:
    """A driver with such cards."""

    cards: List[Any] = field(default_factory=list)

    def driver_version(self) -> str:
        return "570.158.01"

    def cuda_version(self) -> int:
        return 12080

    def nvml_version(self) -> str:
        return "12.570.158.01"

    def gpu_count(self) -> int:
        return len(self.cards)

    def gpu(self, index: int) -> Any:
        return self.cards[index]
