# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node's simulated NVML shows: GPUs, the processes on them, and faults. Written to the file that the library reads.

    gpus = NodeGpus.of("gpu-l20", ["L20"], driver_version="570.158.01")
    gpus.gpus[0].processes.append(Process(pid=4242, used_mib=4621))
    install(node_dir)
    gpus.write(node_dir)          # and again after every change: a running client sees it at its next call

MIG instances come and go through the library itself; they lie in a file of their own: see mig_state.
"""

from __future__ import annotations

import os
import shutil
import uuid
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import Iterable, Sequence, Union

from simulator.nvml import build, state_text
from simulator.nvml.cards import CARDS, Card
from simulator.nvml.drivers import DEFAULT_DRIVER, cuda_driver_version
from simulator.nvml.state_text import KILL

STATE_FILE = "nvml.state"
#: Errors of programs, after which the device plugin takes a GPU for as well as before.
APPLICATION_XIDS = (13, 31, 43, 45, 68, 109)


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
    """A process that holds a GPU. `pid` is the host's; `used_mib` None: the driver does not know. `type`: compute, graphics or mps.

    `gpu_instance` and `compute_instance` are the ids of the MIG device that it runs on; None: the whole GPU.
    """

    pid: int
    used_mib: int | None
    type: str = "compute"
    gpu_instance: int | None = None
    compute_instance: int | None = None


@dataclass
class Gpu:
    """A GPU of a node. Units: MiB, percent, degrees Celsius.

    `other_used_mib` is memory in use by nobody that NVML lists (a process outside the container's view, for one).
    `lost` makes every call on it fail with GPU_IS_LOST. `faults` maps a function's name, without _v2 or _v3, to the error it gives:
    at every call, or with "name@3" at the third that a process makes from then on; KILL kills the caller in place of the call.
    `nvlink`: it is coupled with the node's others that are, and can only be reset together with them; None: as boards named SXM are.
    `mig_enabled` and `mig_pending` hold until the mode is first set through the library or MigState.
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
    nvlink: bool | None = None
    xid: int = 0
    xid_count: int = 0

    @property
    def sick(self) -> bool:
        """As the device plugin sees it, which takes errors of programs for none of the GPU."""
        return self.lost or self.xid not in (0, *APPLICATION_XIDS)

    @property
    def kernel_address(self) -> str:
        """PCI address as the driver prints it: domain:bus:device, with four digits of the domain."""
        return self.pci_bus_id.lower().rpartition(".")[0][-10:]


@dataclass
class NodeGpus:
    """All GPUs of a node and its driver.

    `fault` is what nvmlInit gives: DRIVER_NOT_LOADED, LIB_RM_VERSION_MISMATCH, NO_PERMISSION ... Without any GPU and fault it
    gives GPU_NOT_FOUND, unless told not to mind. `faults`: as for a GPU, for all calls, also those that take no GPU. `privileged`:
    whether the clients count as root, whom alone NVML tells MIG placements and lets change something.

    `holders`: processes that have NVML open without using a GPU, such as exporters; they keep MIG modes from changing.
    `reset`: who can reset a GPU whose MIG mode needs that: "nvml" itself, as on bare metal, the "command" nvidia-smi --gpu-reset,
    or nobody, only a "reboot". `passthrough`: the machine is a virtual one that was given its GPUs, and says so.
    """

    gpus: list[Gpu] = field(default_factory=list)
    driver_version: str = DEFAULT_DRIVER
    fault: NvmlError | None = None
    faults: dict[str, int] = field(default_factory=dict)
    privileged: bool = True
    holders: list[int] = field(default_factory=list)
    reset: str = "command"
    passthrough: bool = False

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
        return "".join(f"{line}\n" for line in state_text.lines(self))


def install(node_dir: Path) -> Path:
    """Put the library, and nvidia-smi beside it, into the node's directory and return the library's path.

    Copies, not links: the loader tells libraries apart by inode, and two nodes' libraries may be loaded in one process.
    """
    node_dir = Path(node_dir)
    node_dir.mkdir(parents=True, exist_ok=True)
    _copy(build.command(), node_dir, 0o755)
    return _copy(build.library(), node_dir, 0o644)


def _copy(source: Path, node_dir: Path, mode: int) -> Path:
    target = node_dir / source.name
    temporary = target.with_name(f".{target.name}.{os.getpid()}")
    shutil.copyfile(source, temporary)
    os.chmod(temporary, mode)
    os.replace(temporary, target)
    return target


def gpu_uuid(node: str, index: int) -> str:
    """The UUID of a node's GPU, the same at every start."""
    return f"GPU-{uuid.uuid5(uuid.NAMESPACE_DNS, f'{index}.{node}.gpu.simulator.kubegpu')}"


def pci_bus_id(index: int) -> str:
    """The bus id of the GPU with that index, as nvmlDeviceGetPciInfo prints it."""
    return f"00000000:{0x10 + index * 8:02X}:00.0"


__all__: Sequence[str] = (
    "DEFAULT_DRIVER",
    "KILL",
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
