# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG by pynvml: what a GPU could be, what it is, and the calls that change it. PRIVATE to the collection."""

from __future__ import annotations

import ctypes
from types import ModuleType
from typing import Any, Callable, Iterator, List, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    FUNCTION_NOT_FOUND,
    INVALID_ARGUMENT,
    NO_PERMISSION,
    NOT_SUPPORTED,
    UNANSWERED,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import (
    ComputeProfile,
    Instances,
    PlacedCompute,
    PlacedInstance,
    Profile,
)

# NVML_GPU_VIRTUALIZATION_MODE_PASSTHROUGH
_PASSED_THROUGH = 1
# NVML_COMPUTE_INSTANCE_PROFILE_* by compute slices, the plain one first.
_COMPUTE_NUMBERS = {1: (0, 7), 2: (1,), 3: (2,), 4: (3,), 6: (6,), 7: (4, 8), 8: (5,)}
# Of a compute instance's engines, NVML knows no other kind.
_SHARED_ENGINES = 0
# A number that the library is too old to know, or that the GPU instance has no such profile for.
_NO_PROFILE = UNANSWERED | {INVALID_ARGUMENT}


class PynvmlMig:
    """MIG of one GPU. Instances are named by their ids: handles do not outlive a change of mode."""

    def __init__(self, call: Callable[..., Any], pynvml: ModuleType, handle: Any) -> None:
        self._call = call
        self._pynvml = pynvml
        self._handle = handle

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
            # only root is told
            if error.code not in UNANSWERED | {NO_PERMISSION}:
                raise
            return None
        return tuple((int(room[place].start), int(room[place].size)) for place in range(min(count.value, len(room))))

    def mig_instances(self, profiles: Sequence[Profile]) -> Instances:
        """GPU instances of these profiles, with their compute instances.

        :raises NvmlError: NO_PERMISSION without root.
        """
        placed: List[PlacedInstance] = []
        known: dict[int, Tuple[ComputeProfile, ...]] = {}
        for profile in profiles:
            room = self._pynvml.c_nvmlGpuInstance_t
            for handle in self._listed("nvmlDeviceGetGpuInstances", self._handle, profile, room):
                if profile.id not in known:
                    known[profile.id] = tuple(self._compute_profiles(handle))
                info = self._call("nvmlGpuInstanceGetInfo", handle)
                compute = tuple(self._compute_instances(handle, known[profile.id]))
                place = info.placement
                placed.append(
                    PlacedInstance(int(info.id), int(info.profileId), int(place.start), int(place.size), compute)
                )
        return Instances(tuple(sorted(placed, key=lambda one: one.start)), known)

    def _listed(self, function: str, parent: Any, profile: Any, kind: Any) -> List[Any]:
        """Handles of the instances of one profile. The room is for as many as the profile allows."""
        count = ctypes.c_uint(profile.max_instances)
        room = (kind * profile.max_instances)()
        self._call(function, parent, profile.id, room, ctypes.byref(count))
        return [room[number] for number in range(min(count.value, profile.max_instances))]

    def _compute_profiles(self, instance: Any) -> Iterator[ComputeProfile]:
        for number in sorted(number for numbers in _COMPUTE_NUMBERS.values() for number in numbers):
            info = self._compute_profile(instance, number)
            if info is not None:
                yield ComputeProfile(
                    int(info.id), int(info.sliceCount), int(info.instanceCount), self._compute_starts(instance, info.id)
                )

    def _compute_profile(self, instance: Any, number: int) -> Any:
        """What NVML tells of a profile, by version 1 where a driver is too old for 2; None if the GPU instance has none of it."""
        for version in (2, 1):
            try:
                return self._call(
                    "nvmlGpuInstanceGetComputeInstanceProfileInfo", instance, number, _SHARED_ENGINES, version
                )
            except NvmlError as error:
                if error.code not in _NO_PROFILE:
                    raise
                if error.code != FUNCTION_NOT_FOUND:
                    return None
        return None

    def _compute_starts(self, instance: Any, profile_id: int) -> Optional[Tuple[int, ...]]:
        """Places of a compute instance profile; None where the driver does not tell, as before 535."""
        count = ctypes.c_uint()
        ask = ("nvmlGpuInstanceGetComputeInstancePossiblePlacements", instance, profile_id)
        try:
            self._call(*ask, None, ctypes.byref(count))
            room = (self._pynvml.c_nvmlComputeInstancePlacement_t * count.value)()
            if count.value:
                self._call(*ask, room, ctypes.byref(count))
        except (NvmlError, AttributeError) as error:
            # AttributeError: a pynvml from before it
            if isinstance(error, NvmlError) and error.code not in UNANSWERED:
                raise
            return None
        return tuple(sorted({int(room[place].start) for place in range(min(count.value, len(room)))}))

    def _compute_instances(self, instance: Any, profiles: Sequence[ComputeProfile]) -> Iterator[PlacedCompute]:
        for profile in profiles:
            room = self._pynvml.c_nvmlComputeInstance_t
            for handle in self._listed("nvmlGpuInstanceGetComputeInstances", instance, profile, room):
                info = self._call("nvmlComputeInstanceGetInfo_v2", handle)
                yield PlacedCompute(int(info.id), profile.slices, int(info.placement.start))

    def is_passed_through(self) -> bool:
        """Whether this host is a virtual machine that was given the GPU: it cannot reset it then."""
        try:
            return int(self._call("nvmlDeviceGetVirtualizationMode", self._handle)) == _PASSED_THROUGH
        except NvmlError as error:
            if error.code not in UNANSWERED:
                raise
            return False

    def set_mig_mode(self, enabled: bool) -> int:
        """Set the mode that is to come, and have it come now if it can.

        :returns: 0 if it has, else the NVML error code that says why it waits: IN_USE, RESET_REQUIRED.
        """
        return int(self._call("nvmlDeviceSetMigMode", self._handle, int(enabled)))

    def create_gpu_instance(self, profile_id: int, start: int, size: int) -> int:
        """Make a GPU instance at this very place, and return its id."""
        place = self._pynvml.c_nvmlGpuInstancePlacement_t(start, size)
        handle = self._call("nvmlDeviceCreateGpuInstanceWithPlacement", self._handle, profile_id, ctypes.byref(place))
        return int(self._call("nvmlGpuInstanceGetInfo", handle).id)

    def create_compute_instance(self, gpu_instance: int, slices: int, start: Optional[int]) -> int:
        """Make a compute instance, where the driver likes if no place is given, and return its id."""
        instance = self._call("nvmlDeviceGetGpuInstanceById", self._handle, gpu_instance)
        profile_id = self._find_compute_profile(instance, slices)
        if start is None:
            handle = self._call("nvmlGpuInstanceCreateComputeInstance", instance, profile_id)
        else:
            place = self._pynvml.c_nvmlComputeInstancePlacement_t(start, slices)
            handle = self._call(
                "nvmlGpuInstanceCreateComputeInstanceWithPlacement", instance, profile_id, ctypes.byref(place)
            )
        return int(self._call("nvmlComputeInstanceGetInfo_v2", handle).id)

    def _find_compute_profile(self, instance: Any, slices: int) -> int:
        for number in _COMPUTE_NUMBERS.get(slices, ()):
            info = self._compute_profile(instance, number)
            if info is not None:
                return int(info.id)
        raise NvmlError(NOT_SUPPORTED, f"the GPU instance has no compute instances of {slices} slices")

    def destroy_gpu_instance(self, gpu_instance: int) -> None:
        """Take a GPU instance away. Its compute instances have to be gone."""
        self._call("nvmlGpuInstanceDestroy", self._call("nvmlDeviceGetGpuInstanceById", self._handle, gpu_instance))

    def destroy_compute_instance(self, gpu_instance: int, compute_instance: int) -> None:
        """Take a compute instance away."""
        instance = self._call("nvmlDeviceGetGpuInstanceById", self._handle, gpu_instance)
        handle = self._call("nvmlGpuInstanceGetComputeInstanceById", instance, compute_instance)
        self._call("nvmlComputeInstanceDestroy", handle)
