# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods hold, or use, which devices of a node. PRIVATE to the collection.

A GPU is the device ``GPU-<uuid>`` when whole and ``GPU-<uuid>::0``, ``::1``, ... when shared, and so is a MIG device.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Collection, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import is_plugin_resource

_SLOT_MARK, _MIG = "::", "MIG-"


@dataclass(frozen=True)
class NodeUse:
    """What gpu_info found on a node, when it looked. Pods that came later are not in it.

    :param held: (resource, device id) pairs by pod UID, as the kubelet allocated them.
    :param used: UUIDs of GPUs, and of MIG devices where the driver tells, by UID of the pods with a process on them, however
        they came to it.
    :param gpus: how many GPUs the node has; 0 if that is not known.
    """

    held: Mapping[str, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    used: Mapping[str, frozenset[str]] = field(default_factory=dict)
    gpus: int = 0

    def holds(self, uid: str, devices: Collection[str]) -> bool | None:
        """The pod was given one of the devices, or a slot of one. None if it is not known what it was given."""
        if uid not in self.held:
            return None
        return any(device in devices or card_of(device) in devices for _resource, device in self.held[uid])

    def uses(self, uid: str, devices: Collection[str] | None = None) -> bool:
        """The pod has a process on a GPU, or on one of these."""
        used = self.used.get(uid, frozenset())
        return bool(used) if devices is None else any(card in devices for card in used)

    def loses(self, uid: str, expected: Mapping[str, int]) -> bool | None:
        """A device of the pod will be there no more once the node advertises ``expected``. None if that cannot be told.

        Slots are numbered from 0 on each GPU, and all GPUs of a node have as many; a GPU of one slot is whole. Of MIG devices,
        and where a GPU is left out, the number of slots tells nothing.
        """
        if uid not in self.held or not self.gpus:
            return None
        if any(device.startswith(_MIG) or expected.get(resource, 0) % self.gpus for resource, device in self.held[uid]):
            return None
        return any(self._vanishes(resource, device, expected) for resource, device in self.held[uid])

    def _vanishes(self, resource: str, device: str, expected: Mapping[str, int]) -> bool:
        slots = expected.get(resource, 0) // self.gpus
        if slots <= 1:
            return slots < 1 or _SLOT_MARK in device
        number = device.partition(_SLOT_MARK)[2]
        return not number.isdigit() or int(number) >= slots


def card_of(device: str) -> str:
    """The device that a slot belongs to."""
    return device.partition(_SLOT_MARK)[0]


def read_use(facts: Mapping[str, Any]) -> NodeUse:
    """From gpu_info's result."""
    held: dict[str, list[tuple[str, str]]] = {}
    for entry in facts.get("allocations") or []:
        if is_plugin_resource(entry["resource"]):
            held.setdefault(entry["pod_uid"], []).extend((entry["resource"], device) for device in entry["device_ids"])
    used: dict[str, set[str]] = {}
    for gpu in facts.get("gpus") or []:
        devices = _mig_devices(gpu)
        for process in gpu.get("processes") or []:
            if process.get("pod_uid"):
                place = (process.get("gpu_instance_id"), process.get("compute_instance_id"))
                used.setdefault(process["pod_uid"], set()).update({str(gpu.get("uuid")), *devices.get(place, ())})
    return NodeUse(
        held={uid: tuple(pairs) for uid, pairs in held.items()},
        used={uid: frozenset(cards) for uid, cards in used.items()},
        gpus=len(facts.get("gpus") or []),
    )


def _mig_devices(gpu: Mapping[str, Any]) -> dict[tuple[Any, Any], list[str]]:
    """UUIDs by GPU and compute instance, as processes name these; a process that names no compute instance may be on any."""
    found: dict[tuple[Any, Any], list[str]] = {}
    for device in (gpu.get("mig") or {}).get("devices") or []:
        instance = device.get("gpu_instance_id")
        for place in ((instance, device.get("compute_instance_id")), (instance, None)):
            found.setdefault(place, []).append(str(device.get("uuid")))
    return found
