# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's simulated NVML shows: GPUs, the processes on them, and faults. Written to the file that the library reads.

    gpus = NodeGpus.of("gpu-l20", ["L20"], driver_version="570.158.01")
    gpus.gpus[0].processes.append(Process(pid=4242, used_mib=4621))
    install(node_dir)
    gpus.write(node_dir)          # and again after every change: a running client sees it at its next call

The file is line-based, key=value, a `[gpu]` line before each GPU; the library refuses keys it does not know.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import uuid
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Iterable, Iterator, Sequence, Union

from simulator.nvml import build
from simulator.nvml.cards import CARDS, Card

STATE_FILE = "nvml.state"
DEFAULT_DRIVER = "570.158.01"

# The newest CUDA that a driver branch supports, as nvmlSystemGetCudaDriverVersion counts: major * 1000 + minor * 10.
_CUDA_BY_BRANCH = (
    (590, 13010),
    (580, 13000),
    (575, 12090),
    (570, 12080),
    (565, 12070),
    (560, 12060),
    (555, 12050),
    (550, 12040),
    (545, 12030),
    (535, 12020),
    (530, 12010),
    (525, 12000),
    (520, 11080),
    (515, 11070),
    (510, 11060),
    (495, 11050),
    (470, 11040),
    (465, 11030),
    (460, 11020),
    (450, 11000),
)

# Driver 535 cannot list a card's MIG profiles while MIG is off; that 550 is the first branch that can is assumed.
_LISTS_PROFILES_WITHOUT_MIG = 550

# MAX_GPUS and MAX_PROCESSES of state.h.
_MAX_GPUS = 32
_MAX_PROCESSES = 256

# In the order in which the library reads them.
_PROFILE_NUMBERS = [
    "enum",
    "id",
    "compute_slices",
    "sm",
    "memory_mib",
    "max_instances",
    "copy_engines",
    "decoders",
    "jpeg",
    "ofa",
    "size",
]


class NvmlError(IntEnum):
    """The nvmlReturn_t values that faults are made of."""

    UNINITIALIZED = 1
    INVALID_ARGUMENT = 2
    NOT_SUPPORTED = 3
    NO_PERMISSION = 4
    NOT_FOUND = 6
    INSUFFICIENT_SIZE = 7
    DRIVER_NOT_LOADED = 9
    TIMEOUT = 10
    FUNCTION_NOT_FOUND = 13
    GPU_IS_LOST = 15
    RESET_REQUIRED = 16
    LIB_RM_VERSION_MISMATCH = 18
    IN_USE = 19
    MEMORY = 20
    INSUFFICIENT_RESOURCES = 23
    GPU_NOT_FOUND = 28
    UNKNOWN = 999


@dataclass(frozen=True)
class Process:
    """A process that holds a GPU. `pid` is the host's; `used_mib` None: the driver does not know. `type`: compute, graphics or mps."""

    pid: int
    used_mib: int | None
    type: str = "compute"


@dataclass
class Gpu:
    """A GPU of a node. Units: MiB, percent, degrees Celsius.

    `other_used_mib` is memory in use by nobody that NVML lists (a process outside the container's view, for one).
    `lost` makes every call on it fail with GPU_IS_LOST. `faults` maps a function's name, without _v2 or _v3, to the error it gives.
    `xid` raises that critical Xid to clients that wait for events; each change of `xid_count` is one more.
    """

    card: Card
    uuid: str
    index: int
    pci_bus_id: str
    processes: list[Process] = field(default_factory=list)
    lost: bool = False
    faults: dict[str, int] = field(default_factory=dict)
    other_used_mib: int = 0
    utilization_percent: int = 0
    temperature_c: int = 34
    persistence_mode: bool = True
    compute_mode: int = 0
    mig_enabled: bool = False
    mig_pending: bool | None = None
    xid: int = 0
    xid_count: int = 0


@dataclass
class NodeGpus:
    """All GPUs of a node and its driver.

    `fault` is what nvmlInit gives: DRIVER_NOT_LOADED, LIB_RM_VERSION_MISMATCH, NO_PERMISSION ... Without any GPU and fault it
    gives GPU_NOT_FOUND, unless told not to mind. `faults`: as for a GPU, for the functions that take no GPU. `privileged`:
    whether the clients count as root, whom alone NVML tells MIG placements.
    """

    gpus: list[Gpu] = field(default_factory=list)
    driver_version: str = DEFAULT_DRIVER
    fault: NvmlError | None = None
    faults: dict[str, int] = field(default_factory=dict)
    privileged: bool = True

    @classmethod
    def of(cls, node: str, cards: Iterable[Union[str, Card]], driver_version: str = DEFAULT_DRIVER) -> NodeGpus:
        """A node with those cards (keys of CARDS), UUIDs and bus ids following from its name and the index alone."""
        gpus = []
        for index, card in enumerate(cards):
            known = CARDS[card] if isinstance(card, str) else card
            gpus.append(Gpu(card=known, uuid=gpu_uuid(node, index), index=index, pci_bus_id=pci_bus_id(index)))
        return cls(gpus=gpus, driver_version=driver_version)

    def write(self, node_dir: Path) -> Path:
        """Write the state beside the library, in one piece: a client reads the old one or the new one."""
        target = Path(node_dir) / STATE_FILE
        temporary = target.with_name(f".{STATE_FILE}.{os.getpid()}")
        temporary.write_text(self.text(), encoding="utf-8")
        os.replace(temporary, target)
        return target

    def text(self) -> str:
        """The state as the library reads it."""
        return "".join(f"{line}\n" for line in self._lines())

    def _lines(self) -> Iterator[str]:
        yield f"driver_version={self.driver_version}"
        cuda = cuda_driver_version(self.driver_version)
        yield f"cuda_driver_version={cuda}"
        yield f"nvml_version={cuda // 1000}.{self.driver_version}"
        yield f"privileged={int(self.privileged)}"
        yield f"mig_independent={int(_branch(self.driver_version) >= _LISTS_PROFILES_WITHOUT_MIG)}"
        if self.fault is not None:
            yield f"init_error={int(self.fault)}"
        yield from _fault_lines(self.faults)
        if [gpu.index for gpu in self.gpus] != list(range(len(self.gpus))):
            raise ValueError(
                f"the GPUs are out of order: {[gpu.index for gpu in self.gpus]}; NVML numbers them 0, 1, ..."
            )
        if len(self.gpus) > _MAX_GPUS or any(len(gpu.processes) > _MAX_PROCESSES for gpu in self.gpus):
            raise ValueError(f"the library holds {_MAX_GPUS} GPUs with {_MAX_PROCESSES} processes each, not more")
        for gpu in self.gpus:
            yield "[gpu]"
            yield from _gpu_lines(gpu)


def _gpu_lines(gpu: Gpu) -> Iterator[str]:
    yield from _identity_lines(gpu)
    yield from _reading_lines(gpu)
    if gpu.card.mig:
        yield from _mig_lines(gpu)
    for process in gpu.processes:
        if process.type not in ("compute", "graphics", "mps"):
            raise ValueError(
                f"process {process.pid} on GPU {gpu.index}: type {process.type!r} is none of compute, graphics, mps"
            )
        used = "-" if process.used_mib is None else process.used_mib
        yield f"process={process.type} {process.pid} {used}"
    if gpu.lost:
        yield "lost=1"
    yield from _fault_lines(gpu.faults)


def _identity_lines(gpu: Gpu) -> Iterator[str]:
    card = gpu.card
    major, minor = card.compute_capability.split(".")
    yield f"name={card.product}"
    yield f"uuid={gpu.uuid}"
    yield f"serial={serial(gpu.uuid)}"
    yield f"bus_id={gpu.pci_bus_id}"
    yield f"minor_number={gpu.index}"
    yield f"brand={card.brand}"
    yield f"architecture={card.architecture_number}"
    yield f"compute_major={major}"
    yield f"compute_minor={minor}"
    yield f"pci_device_id={card.pci_device_id}"
    yield f"pci_subsystem_id={card.pci_subsystem_id}"
    yield f"cores={card.cores}"
    yield f"multiprocessors={card.sm}"
    yield f"bus_width={card.bus_width_bits}"
    yield f"pcie_generation={card.pcie_generation}"
    yield f"memory_total_mib={card.memory_total_mib}"
    yield f"memory_reserved_mib={card.memory_reserved_mib}"
    yield f"bar1_total_mib={card.bar1_total_mib}"
    for name in ("default", "min", "max"):
        yield f"power_{name}_mw={card.power_limit_w[name] * 1000}"
    for name, clock in card.clocks_max_mhz.items():
        yield f"clock_{name}_max={clock}"


def _reading_lines(gpu: Gpu) -> Iterator[str]:
    card = gpu.card
    busy = bool(gpu.processes)
    # A card with a process on it sits at its top clocks and somewhat above its idle power; an idle one does not.
    idle, most = card.power_limit_w["idle"], card.power_limit_w["default"]
    draw = idle + (most - idle) * gpu.utilization_percent // 100
    yield f"memory_other_mib={gpu.other_used_mib}"
    yield f"utilization_gpu={gpu.utilization_percent}"
    yield f"utilization_memory={gpu.utilization_percent // 2}"
    yield f"temperature={gpu.temperature_c}"
    yield f"power_draw_mw={min(draw * 1000 + (7500 if busy else 0), most * 1000)}"
    yield f"clock_graphics={card.clocks_max_mhz['graphics'] if busy else 210}"
    yield f"clock_memory={card.clocks_max_mhz['memory'] if busy else 405}"
    yield f"performance_state={0 if busy else 8}"
    yield f"persistence_mode={int(gpu.persistence_mode)}"
    yield f"compute_mode={gpu.compute_mode}"
    if gpu.xid:
        yield f"xid={gpu.xid}"
        yield f"xid_count={gpu.xid_count}"


def _mig_lines(gpu: Gpu) -> Iterator[str]:
    mig = gpu.card.mig
    assert mig is not None
    pending = gpu.mig_enabled if gpu.mig_pending is None else gpu.mig_pending
    yield "mig_capable=1"
    yield f"mig_mode={int(gpu.mig_enabled)}"
    yield f"mig_pending={int(pending)}"
    yield f"mig_max_devices={mig.compute_slices}"
    for p in mig.profiles:
        numbers = " ".join(str(getattr(p, name)) for name in _PROFILE_NUMBERS)
        yield f"profile={p.name} {numbers} {','.join(map(str, p.starts))}"


def _fault_lines(faults: dict[str, int]) -> Iterator[str]:
    for function, error in faults.items():
        yield f"fault={function} {int(error)}"


def install(node_dir: Path) -> Path:
    """Put the library into the node's directory and return its path.

    A copy, not a link: the loader tells libraries apart by inode, and two nodes' libraries may be loaded in one process.
    """
    node_dir = Path(node_dir)
    node_dir.mkdir(parents=True, exist_ok=True)
    target = node_dir / build.SONAME
    temporary = target.with_name(f".{build.SONAME}.{os.getpid()}")
    shutil.copyfile(build.library(), temporary)
    os.chmod(temporary, 0o644)
    os.replace(temporary, target)
    return target


def gpu_uuid(node: str, index: int) -> str:
    """The UUID of a node's GPU, the same at every start."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{node}.gpu.simulator.kubegpu')}"


def pci_bus_id(index: int) -> str:
    """The bus id of the GPU with that index, as nvmlDeviceGetPciInfo prints it."""
    return f"00000000:{0x10 + index * 8:02X}:00.0"


def serial(gpu: str) -> str:
    """Thirteen digits, as on a data-centre card, that follow from the GPU's UUID."""
    return f"1{int(hashlib.sha256(gpu.encode()).hexdigest(), 16) % 10**12:012d}"


def _branch(driver_version: str) -> int:
    return int(driver_version.split(".", 1)[0])


def cuda_driver_version(driver_version: str) -> int:
    """The CUDA version of a driver, as major * 1000 + minor * 10."""
    branch = _branch(driver_version)
    for least, cuda in _CUDA_BY_BRANCH:
        if branch >= least:
            return cuda
    raise ValueError(f"driver {driver_version} is older than the library knows (450)")


__all__: Sequence[str] = (
    "DEFAULT_DRIVER",
    "STATE_FILE",
    "Gpu",
    "NodeGpus",
    "NvmlError",
    "Process",
    "cuda_driver_version",
    "gpu_uuid",
    "install",
    "pci_bus_id",
)
