# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MIG side of a node: modes and instances, in the file that the library keeps them in.

    gpus.write(node_dir)
    with changing(node_dir) as mig:                        # MigState.read(node_dir) to look only
        mig.switch(uuid, True)
        mig.lay_out(uuid, {"3g.48gb": 1, "1g.12gb": 4})

Clients of the library change the same file, hence the lock that `changing` takes.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator, Mapping

from simulator.nvml.cards import Mig, MigProfile, by_product
from simulator.nvml.drivers import branch
from simulator.nvml.mig_layouts import fits, place
from simulator.nvml.state import STATE_FILE

MIG_FILE = "mig.state"
LOCK_FILE = "mig.lock"
_FIRST_DRIVER_WITH_UUIDS = 470


@dataclass
class ComputeInstance:
    """A MIG device. `start` counts compute slices; `serial` tells it from one that was at its place before."""

    id: int
    slices: int
    start: int
    serial: int


@dataclass
class GpuInstance:
    """`start` counts memory units."""

    id: int
    profile: str
    start: int
    compute: list[ComputeInstance] = field(default_factory=list)


@dataclass(frozen=True)
class MigDevice:
    """A MIG device as clients see it."""

    uuid: str
    profile: MigProfile
    slices: int
    gpu_instance: int
    compute_instance: int

    @property
    def name(self) -> str:
        """1g.12gb, or 1c.3g.48gb for less than all of a GPU instance."""
        return (
            self.profile.name if self.slices == self.profile.compute_slices else f"{self.slices}c.{self.profile.name}"
        )


@dataclass
class MigGpu:
    """The MIG side of a GPU. `persistent`: the mode outlives a reboot, as before Hopper."""

    uuid: str
    mig: Mig
    mode: bool = False
    pending: bool = False
    persistent: bool = False
    instances: list[GpuInstance] = field(default_factory=list)

    def instance_id(self, profile: MigProfile, start: int) -> int:
        """The id that the library gives: 0 is the whole card, 1 and 2 its halves, and so on."""
        return self.mig.memory_slices // profile.size - 1 + start // profile.size

    def reset(self) -> None:
        """The GPU comes back without instances and in the pending mode."""
        self.instances.clear()
        self.mode = self.pending


@dataclass
class MigState:
    """All GPUs of a node that have MIG, by UUID. `serial`: of the compute instance created last."""

    gpus: dict[str, MigGpu] = field(default_factory=dict)
    serial: int = 0
    driver_version: str = ""

    @classmethod
    def read(cls, node_dir: Path) -> MigState:
        """The node's GPUs as they stand; those of which the file says nothing as nvml.state has them."""
        state = cls._without_file(Path(node_dir))
        try:
            text = (Path(node_dir) / MIG_FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return state
        gpu: MigGpu | None = None
        for key, value in _entries(text):
            if key == "serial":
                state.serial = int(value)
            elif key == "uuid":
                gpu = state.gpus.get(value)
            elif gpu is not None:
                _read_line(gpu, key, value.split())
        return state

    @classmethod
    def _without_file(cls, node_dir: Path) -> MigState:
        state = cls()
        product = uuid = ""
        for key, value in _entries((node_dir / STATE_FILE).read_text(encoding="utf-8")):
            if key == "driver_version":
                state.driver_version = value
            elif key == "name":
                product = value
            elif key == "uuid":
                uuid = value
            elif key == "mig_mode":
                card = by_product(product)
                assert card.mig is not None
                state.gpus[uuid] = MigGpu(uuid, card.mig, persistent=not card.mig_mode_is_volatile)
            if key in ("mig_mode", "mig_pending"):
                _read_line(state.gpus[uuid], key.removeprefix("mig_"), [value])
        return state

    def write(self, node_dir: Path) -> None:
        """Put it in place of what is there, in one piece."""
        target = Path(node_dir) / MIG_FILE
        temporary = target.with_name(f"{MIG_FILE}.{os.getpid()}")
        temporary.write_text("".join(f"{line}\n" for line in self._lines()), encoding="utf-8")
        os.replace(temporary, target)

    def _lines(self) -> Iterator[str]:
        yield f"serial={self.serial}"
        for gpu in self.gpus.values():
            yield from ("[gpu]", f"uuid={gpu.uuid}", f"mode={int(gpu.mode)}", f"pending={int(gpu.pending)}")
            for instance in gpu.instances:
                yield f"instance={instance.id} {instance.profile} {instance.start}"
                for one in instance.compute:
                    yield f"compute={instance.id} {one.id} {one.slices} {one.start} {one.serial}"

    def switch(self, uuid: str, mode: bool) -> None:
        """Set the mode, at once."""
        gpu = self.gpus[uuid]
        gpu.mode = gpu.pending = mode

    def lay_out(self, uuid: str, devices: Mapping[str, int]) -> None:
        """Give a GPU those instances instead of its own, each with one compute instance of all its slices."""
        gpu = self.gpus[uuid]
        layout = place(gpu.mig, devices)
        gpu.instances.clear()
        for profile, start in layout:
            self.create(uuid, profile.name, start)

    def create(self, uuid: str, profile_name: str, start: int, slices: int | None = None) -> GpuInstance:
        """Add a GPU instance with one compute instance; with `slices` 0, without any."""
        gpu = self.gpus[uuid]
        profile = gpu.mig.profile(profile_name)
        present = [(gpu.mig.profile(one.profile), one.start) for one in gpu.instances]
        if start not in profile.starts or not fits(present, profile, start):
            raise ValueError(f"no room for {profile_name} at {start}")
        instance = GpuInstance(gpu.instance_id(profile, start), profile_name, start)
        slices = profile.compute_slices if slices is None else slices
        if slices:
            self.serial += 1
            instance.compute.append(ComputeInstance(0, slices, 0, self.serial))
        gpu.instances.append(instance)
        gpu.instances.sort(key=lambda one: one.id)
        return instance

    def devices(self, uuid: str) -> list[MigDevice]:
        """The GPU's MIG devices in the order in which the library numbers them; none while MIG is off."""
        gpu = self.gpus.get(uuid)
        if gpu is None or not gpu.mode:
            return []
        return [
            MigDevice(
                uuid=self._uuid_of(uuid, instance.id, one),
                profile=gpu.mig.profile(instance.profile),
                slices=one.slices,
                gpu_instance=instance.id,
                compute_instance=one.id,
            )
            for instance in gpu.instances
            for one in instance.compute
        ]

    def _uuid_of(self, gpu: str, instance: int, compute: ComputeInstance) -> str:
        """As mig_name.c makes it."""
        if self.driver_version and branch(self.driver_version) < _FIRST_DRIVER_WITH_UUIDS:
            return f"MIG-{gpu}/{instance}/{compute.id}"
        seed = f"{gpu}/{instance}/{compute.id}/{compute.serial}".encode()
        high, low = _fnv1a(seed, 0), _fnv1a(seed, 1)
        return (
            f"MIG-{high >> 32:08x}-{high >> 16 & 0xFFFF:04x}-5{high & 0xFFF:03x}"
            f"-a{low >> 48 & 0xFFF:03x}-{low & 0xFFFFFFFFFFFF:012x}"
        )

    def reset(self, uuid: str) -> None:
        """Reset a GPU."""
        self.gpus[uuid].reset()

    def reboot(self) -> None:
        """The machine boots: instances vanish everywhere, and MIG itself where the mode does not outlive it."""
        for gpu in self.gpus.values():
            gpu.pending = gpu.pending and gpu.persistent
            gpu.reset()


def _entries(text: str) -> Iterator[tuple[str, str]]:
    for line in text.splitlines():
        key, _equals, value = line.partition("=")
        yield key, value


def _read_line(gpu: MigGpu, key: str, words: list[str]) -> None:
    if key in ("mode", "pending"):
        setattr(gpu, key, words == ["1"])
    elif key == "instance":
        gpu.instances.append(GpuInstance(int(words[0]), words[1], int(words[2])))
    elif key == "compute":
        instance, *numbers = map(int, words)
        next(one for one in gpu.instances if one.id == instance).compute.append(ComputeInstance(*numbers))


def _fnv1a(data: bytes, seed: int) -> int:
    value = 0xCBF29CE484222325 ^ seed
    for byte in data:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return value


@contextmanager
def changing(node_dir: Path) -> Iterator[MigState]:
    """The state as it stands, written when the block ends; no client changes it meanwhile."""
    with open(Path(node_dir) / LOCK_FILE, "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        state = MigState.read(node_dir)
        yield state
        state.write(node_dir)
