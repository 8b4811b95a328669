# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What NVML tells of a GPU's MIG, as plain types. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Callable, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    INVALID_ARGUMENT,
    NO_PERMISSION,
    NOT_FOUND,
    UNANSWERED,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import (
    MIB,
    Gpu,
    Instances,
    MigDevice,
    PlacedInstance,
    Profile,
)

_NONE = Instances((), {})
_WITHOUT_MIG = {"capable": False, "mode": None, "pending": None, "max_devices": 0, "instances_reason": None}


def ask(question: Callable[[], Any]) -> Any:
    """The answer, or None where library or card does not know the question."""
    try:
        return question()
    except NvmlError as error:
        if error.code in UNANSWERED:
            return None
        raise


def read_mig(gpu: Gpu) -> dict[str, Any]:
    """``mig`` of a GPU's facts."""
    mode = ask(gpu.mig_mode)
    if mode is None:
        return {**_WITHOUT_MIG, "profiles": [], "instances": [], "devices": []}
    profiles = _read_profiles(gpu)
    found, reason = _read_instances(gpu, profiles) if mode[0] else (_NONE, None)
    max_devices = ask(gpu.max_mig_devices) or 0
    return {
        "capable": True,
        "mode": _mig_mode(mode[0]),
        "pending": _mig_mode(mode[1]),
        "max_devices": max_devices,
        "profiles": [_profile_facts(profile, found) for profile in profiles],
        "instances": None if found is None else [_instance_facts(one, profiles) for one in found.placed],
        "instances_reason": reason,
        "devices": _read_devices(gpu, max_devices) if mode[0] else [],
    }


def read_mig_devices(gpu: Gpu) -> list[dict[str, Any]]:
    """``devices`` of a GPU's ``mig``: none without MIG.

    :raises NvmlError: as of the GPU.
    """
    mode = ask(gpu.mig_mode)
    return _read_devices(gpu, ask(gpu.max_mig_devices) or 0) if mode and mode[0] else []


def _mig_mode(value: int) -> str:
    return "enabled" if value else "disabled"


def _read_profiles(gpu: Gpu) -> list[Profile]:
    profiles = []
    for number in range(gpu.profile_count()):
        try:
            profiles.append(gpu.mig_profile(number))
        except NvmlError as error:
            # INVALID_ARGUMENT: a number that this library is too old to know
            if error.code not in UNANSWERED | {INVALID_ARGUMENT}:
                raise
    return profiles


def _read_instances(gpu: Gpu, profiles: Sequence[Profile]) -> tuple[Optional[Instances], Optional[str]]:
    """The instances, or None and the reason."""
    try:
        return gpu.mig_instances(profiles), None
    except NvmlError as error:
        if error.code not in UNANSWERED | {NO_PERMISSION}:
            raise
        return None, f"NVML does not tell the GPU instances: {error}. It tells them to root only: run with become."


def _instance_facts(instance: PlacedInstance, profiles: Sequence[Profile]) -> dict[str, Any]:
    compute = sorted(instance.compute, key=lambda one: (one.start is None, one.start, one.id))
    return {
        "id": instance.id,
        "profile": next((profile.name for profile in profiles if profile.id == instance.profile_id), None),
        "profile_id": instance.profile_id,
        "start": instance.start,
        "size": instance.size,
        "compute": [{"id": one.id, "slices": one.slices, "start": one.start} for one in compute],
    }


def _compute_facts(profile: Profile, found: Optional[Instances]) -> list[dict[str, Any]]:
    """Compute profiles with their places: one for each size, for two of one size cannot be told apart by name."""
    told: dict[int, list[int]] = {}
    for one in found.compute_profiles.get(profile.id, ()) if found else ():
        if one.starts is not None:
            told.setdefault(one.slices, list(one.starts))
    return [{"slices": slices, "starts": told[slices]} for slices in sorted(told)]


def _profile_facts(profile: Profile, found: Optional[Instances]) -> dict[str, Any]:
    placements = None
    if profile.placements is not None:
        placements = [{"start": start, "size": size} for start, size in profile.placements]
    return {
        "name": profile.name,
        "id": profile.id,
        "memory_mib": profile.memory_mib,
        "max_instances": profile.max_instances,
        "compute_slices": profile.slices,
        "placements": placements,
        "compute_profiles": _compute_facts(profile, found),
    }


def _read_devices(gpu: Gpu, max_devices: int) -> list[dict[str, Any]]:
    devices = []
    for number in range(max_devices):
        try:
            devices.append(_device_facts(gpu.mig_device(number)))
        except NvmlError as error:
            if error.code != NOT_FOUND:
                raise
    return devices


def _device_facts(device: MigDevice) -> dict[str, Any]:
    return {
        "uuid": device.uuid,
        # "NVIDIA H20 MIG 1g.12gb"
        "profile": device.name.rpartition(" MIG ")[2] or None,
        "memory_total_mib": device.memory_total // MIB,
        "gpu_instance_id": device.gpu_instance,
        "compute_instance_id": device.compute_instance,
    }
