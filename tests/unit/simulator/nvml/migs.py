# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated GPU's MIG side through the genuine nvidia-ml-py, with fewer words."""

from __future__ import annotations

import ctypes
from typing import Any

from simulator.nvml.cards import MigProfile
from simulator.nvml.mig_state import changing


class Migs:
    """One GPU of a node with MIG, which it switches on: on bare metal, so that it comes on at once whatever the card."""

    def __init__(self, node: Any, index: int = 0, *, on: bool = True) -> None:
        self.node = node
        self.nvml = node.nvml
        self.index = index
        self.gpu = node.handle(index)
        self.card = node.gpus.gpus[index].card
        if on:
            node.gpus.reset = "nvml"
            node.write()
            assert self.nvml.nvmlDeviceSetMigMode(self.gpu, 1) == 0

    def profile(self, name: str) -> MigProfile:
        profile: MigProfile = self.card.mig.profile(name)
        return profile

    def create(self, name: str, start: int | None = None) -> Any:
        """A GPU instance, without compute instance."""
        profile = self.profile(name)
        if start is None:
            return self.nvml.nvmlDeviceCreateGpuInstance(self.gpu, profile.id)
        place = self.nvml.c_nvmlGpuInstancePlacement_t(start, profile.size)
        return self.nvml.nvmlDeviceCreateGpuInstanceWithPlacement(self.gpu, profile.id, ctypes.byref(place))

    def compute(self, instance: Any, question: int, start: int | None = None, slices: int = 1) -> Any:
        """A compute instance of the profile asked for by that number."""
        if start is None:
            return self.nvml.nvmlGpuInstanceCreateComputeInstance(instance, question)
        place = self.nvml.c_nvmlComputeInstancePlacement_t(start, slices)
        return self.nvml.nvmlGpuInstanceCreateComputeInstanceWithPlacement(instance, question, ctypes.byref(place))

    def instances(self, name: str) -> list[Any]:
        """The GPU instances of a profile."""
        found = (self.nvml.c_nvmlGpuInstance_t * 16)()
        count = ctypes.c_uint(16)
        self.nvml.nvmlDeviceGetGpuInstances(self.gpu, self.profile(name).id, found, ctypes.byref(count))
        return list(found[: count.value])

    def computes(self, instance: Any, question: int) -> list[Any]:
        """The compute instances of a profile."""
        found = (self.nvml.c_nvmlComputeInstance_t * 8)()
        count = ctypes.c_uint(8)
        self.nvml.nvmlGpuInstanceGetComputeInstances(instance, question, found, ctypes.byref(count))
        return list(found[: count.value])

    def layout(self) -> set[tuple[str, int]]:
        """What stands: profile and start of each GPU instance."""
        infos = [
            (profile, self.nvml.nvmlGpuInstanceGetInfo(instance))
            for profile in self.card.mig.profiles
            for instance in self.instances(profile.name)
        ]
        assert all((info.profileId, info.placement.size) == (profile.id, profile.size) for profile, info in infos)
        return {(profile.name, info.placement.start) for profile, info in infos}

    def devices(self) -> list[Any]:
        """Handles of the MIG devices."""
        handles = []
        for index in range(self.nvml.nvmlDeviceGetMaxMigDeviceCount(self.gpu)):
            try:
                handles.append(self.nvml.nvmlDeviceGetMigDeviceHandleByIndex(self.gpu, index))
            except self.nvml.NVMLError_NotFound:
                break
        return handles

    def clear(self) -> None:
        """Take all instances away, at once and past NVML."""
        with changing(self.node.directory) as mig:
            mig.gpus[self.node.gpus.gpus[self.index].uuid].instances.clear()
