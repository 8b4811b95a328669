"""MIG devices as a program on the node finds them through NVML. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from simulator.nvml.cards import MigProfile
from simulator.nvml.state import Gpu

MIG_PREFIX = "MIG-"
#: /dev/nvidia-caps/nvidia-cap<minor>: 1 config, 2 monitor, then for every GPU 15 GPU instances of 9 files each.
FIRST_CAP, CAPS_OF_GPU, CAPS_OF_INSTANCE = 3, 135, 9


@dataclass(frozen=True)
class MigDevice:
    """A compute instance with its GPU instance. ``index`` is what NVML counts it by on its GPU."""

    uuid: str
    gpu: Gpu = field(repr=False, compare=False)
    index: int
    gpu_instance: int
    compute_instance: int
    profile: MigProfile
    compute_slices: int

    @property
    def whole(self) -> bool:
        """Whether the compute instance takes all of its GPU instance."""
        return self.compute_slices == self.profile.compute_slices

    @property
    def name(self) -> str:
        """As NVIDIA spells it: 1g.12gb, 1g.12gb+me, 1c.3g.48gb."""
        return self.profile.name if self.whole else f"{self.compute_slices}c.{self.profile.name}"

    @property
    def attributes(self) -> dict[str, int]:
        """What nvmlDeviceGetAttributes tells, by GPU Feature Discovery's words. Memory in MiB."""
        profile = self.profile
        return {
            "memory": profile.memory_mib,
            "multiprocessors": profile.sm * self.compute_slices // profile.compute_slices,
            "slices.gi": profile.compute_slices,
            "slices.ci": self.compute_slices,
            "engines.copy": profile.copy_engines,
            "engines.decoder": profile.decoders,
            "engines.encoder": 0,
            "engines.jpeg": profile.jpeg,
            "engines.ofa": profile.ofa,
        }

    @property
    def cap_paths(self) -> tuple[str, str]:
        """The device files that a process on it has open beside the GPU's: of the GPU instance, of the compute instance."""
        first = FIRST_CAP + self.gpu.index * CAPS_OF_GPU + self.gpu_instance * CAPS_OF_INSTANCE
        return f"/dev/nvidia-caps/nvidia-cap{first}", f"/dev/nvidia-caps/nvidia-cap{first + 1 + self.compute_instance}"


@dataclass(frozen=True)
class MigView:
    """What stands at one moment: the GPUs (by UUID) whose MIG mode is on, and their devices by index."""

    enabled: frozenset[str] = frozenset()
    by_gpu: Mapping[str, Sequence[MigDevice]] = field(default_factory=dict)

    def is_enabled(self, gpu: Gpu) -> bool:
        return gpu.uuid in self.enabled

    def devices(self, gpu: Gpu) -> Sequence[MigDevice]:
        return self.by_gpu.get(gpu.uuid, ())

    def find(self, uuid: str) -> MigDevice | None:
        for devices in self.by_gpu.values():
            for device in devices:
                if device.uuid == uuid:
                    return device
        return None


def resource_suffix(profile: str) -> str:
    """A profile's name as it stands in names of resources and labels: 1g.12gb+me becomes 1g.12gb.me."""
    return profile.replace("+", ".")
