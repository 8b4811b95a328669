# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs as gpu_info describes them, in the planner's types. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import (
    ComputeInstance,
    ComputeProfile,
    Gpu,
    Holder,
    Instance,
    InUse,
    Place,
    Profile,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name

Key = Tuple[Optional[int], Optional[int]]


def read_gpu(facts: Mapping[str, Any], in_use: Optional[InUse] = None) -> Gpu:
    """A GPU from its facts.

    :param facts: as in gpu_info's ``gpus``; ``mig.instances`` lists GPU instances: id, profile, start, size, and compute, each
        with id, slices and start.
    """
    mig = facts.get("mig") or {}
    return Gpu(
        index=int(facts["index"]),
        uuid=str(facts.get("uuid") or ""),
        product=str(facts.get("product") or "unknown product"),
        pci_bus_id=str(facts.get("pci_bus_id") or ""),
        pci_device_id=_read_id(facts.get("pci_device_id")),
        pci_subsystem_id=_read_id(facts.get("pci_subsystem_id")),
        compute_capability=facts.get("compute_capability"),
        memory_total_mib=facts.get("memory_total_mib"),
        capable=bool(mig.get("capable")),
        mode=str(mig.get("mode") or "disabled"),
        pending=str(mig.get("pending") or mig.get("mode") or "disabled"),
        profiles=read_profiles(mig.get("profiles") or ()),
        instances=tuple(sorted(map(_read_instance, mig.get("instances") or ()), key=lambda one: one.place)),
        in_use=in_use or {},
    )


def _read_id(value: Any) -> Optional[int]:
    """A PCI id, as a number or as hexadecimal text."""
    return int(value, 16) if isinstance(value, str) else value


def _read_instance(entry: Mapping[str, Any]) -> Instance:
    return Instance(
        id=int(entry["id"]),
        profile=_read_name(entry.get("profile")),
        place=Place(int(entry["start"]), int(entry["size"])),
        compute=tuple(
            ComputeInstance(int(one["id"]), int(one["slices"]), one.get("start")) for one in entry.get("compute") or ()
        ),
    )


def _read_name(value: Any) -> str:
    """A GPU instance's profile; what is no name stays as it is, so that the instance is seen all the same."""
    try:
        return parse_name(str(value)).gpu_instance
    except ValueError:
        return str(value)


def read_profiles(facts: Iterable[Mapping[str, Any]]) -> Tuple[Profile, ...]:
    """Profiles from ``mig.profiles``. One without a name that can be read is left out: it cannot be asked for."""
    profiles: Dict[str, Profile] = {}
    for entry in facts:
        try:
            name = parse_name(str(entry.get("name"))).gpu_instance
        except ValueError:
            continue
        places = (Place(int(one["start"]), int(one["size"])) for one in entry.get("placements") or ())
        compute = entry.get("compute_profiles") or ()
        profile = Profile(
            name=name,
            slices=int(entry["compute_slices"]),
            places=tuple(sorted(places)),
            max_instances=int(entry["max_instances"]),
            id=entry.get("id"),
            memory_mib=entry.get("memory_mib"),
            compute=tuple(ComputeProfile(int(one["slices"]), tuple(sorted(one["starts"]))) for one in compute),
        )
        profiles.setdefault(name, profile)
    return tuple(profiles.values())


def read_in_use(
    facts: Mapping[str, Any], allocations: Iterable[Mapping[str, Any]], pods: Optional[Mapping[str, str]] = None
) -> Dict[Key, Tuple[Holder, ...]]:
    """Who holds a GPU or its MIG devices, from its facts and the kubelet's allocations.

    :param allocations: pod_uid and device_ids each: of pods that live; the kubelet also remembers others for a while.
    :param pods: namespace/name by UID, where known.
    """
    pods = pods or {}
    found: Dict[Key, List[Holder]] = {}
    with_process = set()
    for process in facts.get("processes") or ():
        key = (process.get("gpu_instance_id"), process.get("compute_instance_id"))
        uid = process.get("pod_uid")
        with_process.add((key, uid))
        found.setdefault(key, []).append(Holder(process.get("pid"), pods.get(uid, uid), process.get("command")))
    devices = _device_keys(facts)
    for allocation in allocations:
        uid = str(allocation["pod_uid"])
        for key in sorted(
            {devices[one] for one in map(_device_of, allocation["device_ids"]) if one in devices}, key=str
        ):
            # A process of that pod on the same device says more.
            if not {(key, uid), ((key[0], None), uid)} & with_process:
                found.setdefault(key, []).append(Holder(pod=pods.get(uid, uid)))
    return {key: tuple(holders) for key, holders in found.items()}


def _device_of(name: str) -> str:
    """The device that a slot belongs to: MIG-... of MIG-...::0."""
    return name.partition("::")[0]


def _device_keys(facts: Mapping[str, Any]) -> Dict[str, Key]:
    """What the device plugin's names for the GPU and its MIG devices mean, those of drivers before 470 included."""
    uuid = str(facts.get("uuid"))
    keys: Dict[str, Key] = {uuid: (None, None)}
    for device in (facts.get("mig") or {}).get("devices") or ():
        key = (int(device["gpu_instance_id"]), int(device["compute_instance_id"]))
        keys[str(device["uuid"])] = key
        keys[f"MIG-{uuid}/{key[0]}/{key[1]}"] = key
    return keys
