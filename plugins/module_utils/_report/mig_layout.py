# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs that are cut into MIG devices, each of which is cut into slots: what the figure of memory draws. PRIVATE to the collection."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import compute_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import find_model
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE, MIG_PREFIX
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count

# Memory units of a card that the table does not know: most have eight.
_UNITS = 8


@dataclass(frozen=True)
class MigDevice:
    """A device on its card. Sizes in MiB, ``start`` and ``size`` in memory units; ``process`` is None if it was not measured."""

    name: str
    start: float
    size: float
    total: int
    slot: int
    process: Optional[int]

    @property
    def replicas(self) -> int:
        """Slots of the device."""
        return max(1, self.total // self.slot)


@dataclass(frozen=True)
class MigLayout:
    """GPUs that are cut alike.

    :param units: memory units of the card.
    """

    product: str
    key: str
    units: int
    devices: tuple[MigDevice, ...]

    @property
    def total(self) -> int:
        """Memory of the card, as far as its devices tell: MiB."""
        largest = max(self.devices, key=lambda device: device.size)
        return round(self.units * largest.total / largest.size)

    def describe(self) -> list[str]:
        """A line for each kind of device."""
        kinds = Counter((one.name, one.replicas, one.slot, one.process, one.total) for one in self.devices)
        return [
            f"{count} × {name}, {_describe_slots(replicas, slot, process, total)}"
            for (name, replicas, slot, process, total), count in sorted(kinds.items(), key=lambda kind: kind[0][0])
        ]


def _describe_slots(replicas: int, slot: int, process: Optional[int], total: int) -> str:
    if replicas == 1:
        told = f"each {total} MiB"
    else:
        told = f"each {describe_count(replicas, 'slot')} × {slot} MiB"
    return told if process is None else f"{told}: {process} process + {slot - process} headroom"


def layouts_of(planned: Mapping[str, Any]) -> list[dict[str, Any]]:
    """How the GPUs of a node are cut once a plan is carried out, as it stands in report.json: alike ones once.

    :param planned: the node in the plan.
    :returns: mappings with ``gpus`` (indices) and ``instances`` (profile, start, size, compute).
    """
    found: list[dict[str, Any]] = []
    for gpu in (planned.get("mig") or {}).get("gpus") or ():
        after = gpu.get("after") or {}
        if after.get("mode") != "enabled":
            continue
        instances = list(after.get("instances") or ())
        known = next((one for one in found if one["instances"] == instances), None)
        if known:
            known["gpus"].append(gpu.get("index"))
        else:
            found.append({"gpus": [gpu.get("index")], "instances": instances})
    return found


def mig_layouts(node: Mapping[str, Any]) -> Iterator[MigLayout]:
    """The layouts of a node of report.json as far as the memory of their devices is known."""
    product = str(node.get("product"))
    for layout in node.get("mig_layouts") or ():
        devices = tuple(
            device for instance in layout["instances"] for device in _devices(instance, node.get("by_resource") or {})
        )
        if devices:
            yield MigLayout(product, str(node.get("key")), _units(product, devices), devices)


def _devices(instance: Mapping[str, Any], parts: Mapping[str, Mapping[str, Any]]) -> Iterator[MigDevice]:
    """The compute instances of a GPU instance, side by side."""
    sizes = [one["slices"] if isinstance(one, Mapping) else one for one in instance.get("compute") or ()]
    for number, size in enumerate(sizes):
        name = compute_name(str(instance["profile"]), size)
        part = parts.get(MIG_PREFIX + name.replace("+", ".")) or parts.get(GPU_RESOURCE) or {}
        total, slot = part.get("memory_total_mib"), part.get("slot_mib")
        if total and slot:
            width = instance["size"] / len(sizes)
            start = instance["start"] + number * width
            yield MigDevice(name, start, width, int(total), int(slot), part.get("process_memory_mib"))


def _units(product: str, devices: tuple[MigDevice, ...]) -> int:
    model = find_model(product.partition(",")[0])
    ends = [place.start + place.size for profile in (model.profiles if model else ()) for place in profile.places]
    return max([*(ends or [_UNITS]), *(int(device.start + device.size) for device in devices)])
