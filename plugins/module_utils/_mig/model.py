# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is: GPUs, their profiles, their instances, and who holds them. PRIVATE to the collection.

Places are counted in memory units, of which a card has 8 (seven compute slices), 4 (A30) or 12 (RTX PRO 6000).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, NamedTuple, Optional, Tuple


class Place(NamedTuple):
    """Where a GPU instance stands."""

    start: int
    size: int


@dataclass(frozen=True)
class ComputeProfile:
    """A compute instance that a GPU instance can hold. ``starts`` are counted in compute slices."""

    slices: int
    starts: Tuple[int, ...]


@dataclass(frozen=True)
class Profile:
    """A GPU instance profile of a card.

    :param name: without a compute instance's part.
    :param places: where it can stand; empty if that is not known.
    :param id: what NVML creates it by; differs between models.
    :param memory_mib: as the card reports it, which is less than the name says.
    :param compute: its compute instances with their places, if the card was asked; else what slices allow is assumed.
    """

    name: str
    slices: int
    places: Tuple[Place, ...]
    max_instances: int
    id: Optional[int] = None
    memory_mib: Optional[int] = None
    compute: Tuple[ComputeProfile, ...] = ()


@dataclass(frozen=True)
class ComputeInstance:
    """A compute instance that exists: a MIG device.

    :param start: in compute slices; None if not known.
    """

    id: int
    slices: int
    start: Optional[int] = None


@dataclass(frozen=True)
class Instance:
    """A GPU instance that exists, with its compute instances: none of them is a state that tools easily overlook."""

    id: int
    profile: str
    place: Place
    compute: Tuple[ComputeInstance, ...] = ()


@dataclass(frozen=True)
class Holder:
    """Who uses a device: a process, or a pod that the kubelet gave it to, though it may be idle.

    :param pod: namespace/name, or the UID if no more is known.
    """

    pid: Optional[int] = None
    pod: Optional[str] = None
    command: Optional[str] = None

    def __str__(self) -> str:
        process = "" if self.pid is None else f"process {self.pid}{f' ({self.command})' if self.command else ''}"
        pod = "" if self.pod is None else f"pod {self.pod}"
        return f"{process} of {pod}" if process and pod else process or pod or "an unknown holder"

    def to_dict(self) -> dict[str, Any]:
        """As it stands in results."""
        return {"pid": self.pid, "pod": self.pod, "command": self.command}


# Who holds what: by ids of GPU and compute instance. (3, 0) is a compute instance, (3, None) all of GPU instance 3, and
# (None, None) the GPU itself.
InUse = Mapping[Tuple[Optional[int], Optional[int]], Tuple[Holder, ...]]


@dataclass(frozen=True)
class Gpu:
    """One GPU of a host, as it was found.

    :param pci_device_id: device and vendor as NVML has them, 0x20B010DE for an A100.
    :param capable: it has MIG.
    :param mode: enabled or disabled, now; ``pending`` after the next reset.
    :param profiles: as the card reports them; empty where the driver does not, such as with the mode off before 550.
    """

    index: int
    uuid: str
    product: str
    pci_bus_id: str = ""
    pci_device_id: Optional[int] = None
    pci_subsystem_id: Optional[int] = None
    compute_capability: Optional[str] = None
    memory_total_mib: Optional[int] = None
    capable: bool = True
    mode: str = "enabled"
    pending: str = "enabled"
    profiles: Tuple[Profile, ...] = ()
    instances: Tuple[Instance, ...] = ()
    in_use: InUse = field(default_factory=dict)

    def __str__(self) -> str:
        return f"GPU {self.index} ({self.product})"
