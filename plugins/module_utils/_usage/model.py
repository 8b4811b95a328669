# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is seen of GPUs at one moment. Pure. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional, Tuple

SCHEMA_VERSION = 1
KIND = "measurement"
#: Name of a process that samples. It holds GPUs for long, and lets go of them as soon as they are to be changed. At most 15 characters.
PROGRAM = "kubegpu-usage"


@dataclass(frozen=True)
class ProcessUse:
    """What one process has on one device at one moment.

    A process that has two kinds of context on a device (compute and graphics) is told twice, each time with all its memory.

    :param start: when the process started, in ticks since boot (/proc/PID/stat); with the pid it tells two processes apart
        that had the same pid one after the other. None if the process was gone before that could be read.
    :param gpu: UUID of the card.
    :param mig_device: UUID of the MIG device of that card that the process is on; None without MIG.
    :param kind: "compute", "graphics" or "mps".
    :param used_mib: memory in MiB; None if NVML does not tell it, which is not 0.
    :param pod_uid: as the kubelet knows it; None outside of pods.
    :param container_id: 64 hex digits; None outside of containers.
    :param command: name of the program.
    :param runtime_unknown: it is in a container, of which it cannot be told which one: nobody of the host.
    """

    pid: int
    start: Optional[int]
    gpu: str
    mig_device: Optional[str] = None
    kind: str = "compute"
    used_mib: Optional[int] = None
    pod_uid: Optional[str] = None
    container_id: Optional[str] = None
    command: Optional[str] = None
    runtime_unknown: bool = False


@dataclass(frozen=True)
class GpuUse:
    """What is in use of one card at one moment. What NVML does not tell is None.

    :param used_mib: memory in MiB that is in use, without what the driver keeps for itself.
    :param free_mib: memory in MiB that is free.
    :param utilization_percent: how much of the last sample period a kernel ran.
    :param state: "ok", or why the card does not answer.
    :param reason: what was seen and what to do, unless the state is "ok".
    """

    uuid: str
    used_mib: Optional[int] = None
    free_mib: Optional[int] = None
    utilization_percent: Optional[int] = None
    state: str = "ok"
    reason: Optional[str] = None


@dataclass(frozen=True)
class Sample:
    """:param at: seconds on a monotonic clock."""

    at: float
    gpus: Tuple[GpuUse, ...] = ()
    processes: Tuple[ProcessUse, ...] = ()
