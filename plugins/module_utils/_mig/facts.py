# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPUs as gpu_info describes them, in the planner's types. PRIVATE to the collection."""

from __future__ import annotations

from collections import Counter
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
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.profiles import Model
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import find_model

# Cards of whose profiles NVML has been seen to tell names and places wrongly, though not their ids.
_TOLD_WRONGLY = ("A30-24GB",)

Key = Tuple[Optional[int], Optional[int]]


def read_gpu(facts: Mapping[str, Any], in_use: Optional[InUse] = None) -> Gpu:
    """A GPU from its facts.

    :param facts: as in gpu_info's ``gpus``; ``mig.instances`` lists GPU instances: id, profile, start, size, and compute, each
        with id, slices and start.
    """
    mig = facts.get("mig") or {}
    device = _read_id(facts.get("pci_device_id"))
    model = find_model(str(facts.get("product")), facts.get("memory_total_mib"), device)
    profiles = mend_profiles(mig.get("profiles") or (), model)
    names = {one.get("id"): one.get("name") for one in profiles}
    instances = (_read_instance(one, names) for one in mig.get("instances") or ())
    return Gpu(
        index=int(facts["index"]),
        uuid=str(facts.get("uuid") or ""),
        product=str(facts.get("product") or "unknown product"),
        pci_bus_id=str(facts.get("pci_bus_id") or ""),
        pci_device_id=device,
        pci_subsystem_id=_read_id(facts.get("pci_subsystem_id")),
        compute_capability=facts.get("compute_capability"),
        memory_total_mib=facts.get("memory_total_mib"),
        capable=bool(mig.get("capable")),
        mode=str(mig.get("mode") or "disabled"),
        pending=str(mig.get("pending") or mig.get("mode") or "disabled"),
        profiles=read_profiles(profiles),
        instances=tuple(sorted(instances, key=lambda one: one.place)),
        in_use=in_use or {},
    )


def _read_id(value: Any) -> Optional[int]:
    """A PCI id, as a number or as hexadecimal text."""
    return int(value, 16) if isinstance(value, str) else value


def _read_instance(entry: Mapping[str, Any], names: Mapping[Any, Any]) -> Instance:
    """:param names: of profiles by their ids, which tell more reliably what an instance is than its own name."""
    name = names.get(entry["profile_id"]) if entry.get("profile_id") is not None else None
    return Instance(
        id=int(entry["id"]),
        profile=_read_name(name or entry.get("profile")),
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


def mend_profiles(entries: Iterable[Mapping[str, Any]], model: Optional[Model]) -> List[Mapping[str, Any]]:
    """``mig.profiles``, with what a card does not tell, or cannot be relied on to tell, taken from the table by the profiles' ids.

    Old drivers tell no names. And NVML tells wrong profiles of an A30, says mig-parted, which asks it for none there: there, what
    does not fit together is the table's to say. What does is the card's own, also where the table knows nothing of it.
    """
    known = {one.id: one for one in model.profiles if one.id is not None} if model else {}
    listed = list(entries)
    if model is None or model.key not in _TOLD_WRONGLY:
        return [
            {**one, "name": known[one["id"]].name} if not one.get("name") and one.get("id") in known else one
            for one in listed
        ]
    names = Counter(one.get("name") for one in listed)
    # of two with one name the first counts, see read_profiles
    ordered = sorted(listed, key=lambda one: one.get("id") not in known)
    sound = {id(one) for one in ordered if names[one.get("name")] == 1 and _fits_together(one)}
    return [
        one if id(one) in sound else {**one, **_describe(known[one["id"]])}
        for one in ordered
        if id(one) in sound or one.get("id") in known
    ]


def _fits_together(entry: Mapping[str, Any]) -> bool:
    """Whether name, slices, memory, number and places of a profile are told, and do not contradict each other."""
    try:
        name = parse_name(str(entry.get("name")))
    except ValueError:
        return False
    starts = {place["start"] for place in entry.get("placements") or ()}
    memory = entry.get("memory_mib")
    return (
        name.slices == entry.get("compute_slices")
        and 0 < int(entry.get("max_instances") or 0) <= len(starts)
        # names round up: 1g.6gb has 5.81 GiB
        and (not memory or -(-memory // 1024) == name.memory_gb)
    )


def _describe(profile: Profile) -> Mapping[str, Any]:
    return {
        "name": profile.name,
        "compute_slices": profile.slices,
        "max_instances": profile.max_instances,
        "placements": [place._asdict() for place in profile.places],
    }


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
