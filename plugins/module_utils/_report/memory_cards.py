# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who holds the memory of each card, before and after, as it stands in report.json. PRIVATE to the collection.

A card is ``{node, gpu, uuid, product, memory_total_mib, before, after}``; ``before`` and ``after`` are None where they are not known, else
``{used_mib, reserved_mib, devices}``. A device is the card as a whole, or one of its MIG devices: ``{uuid, profile, start_mib (where it
begins on the card), memory_total_mib, slots, slot_mib, ceiling_mib, users}``. A user is ``{kind: pod | outside | unknown, namespace, name, workload,
mib}``, where ``mib`` is None if NVML did not tell it.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Iterable, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    GPU_RESOURCE,
    MIG_PREFIX,
    SHARED_SUFFIX,
)

POD, OUTSIDE, UNKNOWN = "pod", "outside", "unknown"
# Of such a process it is not known whose it is: it may be a pod's.
_UNATTRIBUTED = ("runtime_unknown", "ended")
# Memory units of a card with MIG, unless its profiles tell: most have seven compute slices and eight units.
_UNITS = 8


@dataclass(frozen=True)
class PodName:
    """A pod, and what it belongs to."""

    namespace: str
    name: str
    workload: str

    @classmethod
    def of(cls, pod: Mapping[str, Any]) -> PodName:
        """:param pod: as in the cluster file."""
        namespace, name = str(pod.get("namespace")), str(pod.get("name"))
        owner = str((pod.get("workload") or pod.get("owner") or {}).get("name") or name)
        # a Deployment's ReplicaSets are one workload
        template = f"-{pod.get('controller_hash')}"
        return cls(namespace, name, owner[: -len(template)] if owner.endswith(template) else owner)


def name_pods(*clusters: Mapping[str, Any]) -> dict[str, PodName]:
    """All pods on nodes, by UID. :param clusters: cluster files, the latest last."""
    return {
        str(pod.get("uid")): PodName.of(pod)
        for cluster in clusters
        for node in (cluster.get("nodes") or {}).values()
        for pod in node.get("pods") or ()
    }


@dataclass(frozen=True)
class Shares:
    """How a node's devices are divided.

    :param resources: what it advertises, by resource.
    :param ceiling: part of a device's memory that is planned for at most; None if it is not known.
    """

    resources: Mapping[str, int] = field(default_factory=dict)
    ceiling: Optional[Decimal] = None

    @classmethod
    def of(cls, node: Mapping[str, Any], resources: Mapping[str, int]) -> Shares:
        """:param node: of a plan."""
        ceiling = (node.get("sizing") or {}).get("max_memory_utilization")
        return cls(resources, None if ceiling is None else Decimal(str(ceiling)))


def cards_of_facts(facts: Mapping[str, Any], shares: Shares, pods: Mapping[str, PodName]) -> dict[str, dict[str, Any]]:
    """The cards of a node by UUID, each with the state that was found as ``state``.

    :param facts: what gpu_info told.
    """
    gpus = [gpu for gpu in facts.get("gpus") or () if gpu.get("memory_total_mib")]
    counts = Counter(resource_of(device.get("profile"), shares.resources) for gpu in gpus for device in devices_of(gpu))
    return {str(gpu.get("uuid")): {**_head(gpu), "state": _state(gpu, counts, shares, pods)} for gpu in gpus}


def _head(gpu: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "gpu": gpu.get("index"),
        "uuid": gpu.get("uuid"),
        "product": gpu.get("product"),
        "memory_total_mib": gpu["memory_total_mib"],
    }


def devices_of(gpu: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Its MIG devices with the GPU instance's place, or the GPU itself; nothing for one with MIG and without devices."""
    mig = gpu.get("mig") or {}
    places = {one.get("id"): one for one in mig.get("instances") or ()}
    if mig.get("mode") != "enabled":
        return [{"uuid": gpu.get("uuid"), "profile": None, "memory_total_mib": gpu.get("memory_total_mib")}]
    found = [{**device, "place": places.get(device.get("gpu_instance_id"))} for device in mig.get("devices") or ()]
    return sorted(found, key=lambda one: (one["place"] or {}).get("start") or 0)


def resource_of(profile: Optional[str], resources: Mapping[str, int]) -> str:
    """The resource that a device is advertised as, without its ``.shared``."""
    if profile is None:
        return GPU_RESOURCE
    own = MIG_PREFIX + profile.replace("+", ".")
    return own if own in resources or own + SHARED_SUFFIX in resources else GPU_RESOURCE


def divide_device(device: Mapping[str, Any], counts: Mapping[str, int], shares: Shares) -> dict[str, Any]:
    """Slots of a device, from what its node advertises of all that are called as it is.

    :param counts: devices of the node by resource.
    """
    resource, total = resource_of(device.get("profile"), shares.resources), int(device["memory_total_mib"])
    advertised = sum(shares.resources.get(resource + suffix, 0) for suffix in ("", SHARED_SUFFIX))
    slots = advertised // counts[resource] if counts.get(resource) else 0
    return {
        "uuid": device.get("uuid"),
        "profile": device.get("profile"),
        "memory_total_mib": total,
        "slots": slots,
        "slot_mib": total // slots if slots else None,
        "ceiling_mib": None if shares.ceiling is None else int(shares.ceiling * total),
    }


def place_devices(gpu: Mapping[str, Any], devices: Sequence[Mapping[str, Any]]) -> list[int]:
    """Where each device begins on its card, in MiB. Compute instances of one GPU instance share its place, and stand side by side."""
    units = max(
        [
            place["start"] + place["size"]
            for profile in (gpu.get("mig") or {}).get("profiles") or ()
            for place in profile.get("placements") or ()
        ],
        default=_UNITS,
    )
    starts, end = [], 0
    for device in devices:
        start = (device.get("place") or {}).get("start") or 0
        starts.append(max(end, int(gpu["memory_total_mib"]) * start // units))
        end = starts[-1] + int(device.get("memory_total_mib") or 0)
    return starts


def _state(
    gpu: Mapping[str, Any], counts: Mapping[str, int], shares: Shares, pods: Mapping[str, PodName]
) -> dict[str, Any]:
    devices = [device for device in devices_of(gpu) if device.get("memory_total_mib")]
    return {
        "used_mib": gpu.get("memory_used_mib"),
        "reserved_mib": gpu.get("memory_reserved_mib"),
        "devices": [
            {
                **divide_device(device, counts, shares),
                "start_mib": start,
                "users": add_up(_users(gpu, device, pods)),
            }
            for device, start in zip(devices, place_devices(gpu, devices))
        ],
    }


def _users(gpu: Mapping[str, Any], device: Mapping[str, Any], pods: Mapping[str, PodName]) -> Iterable[dict[str, Any]]:
    for process in gpu.get("processes") or ():
        if device.get("profile") is not None and (
            process.get("gpu_instance_id") != device.get("gpu_instance_id")
            or process.get("compute_instance_id") not in (None, device.get("compute_instance_id"))
        ):
            continue
        yield describe_user(process, pods, process.get("used_memory_mib"))


def describe_user(process: Mapping[str, Any], pods: Mapping[str, PodName], mib: Optional[int]) -> dict[str, Any]:
    """A process, or all of a container, as a user. :param process: with pod_uid, namespace, pod and command, as far as they are known."""
    uid = process.get("pod_uid")
    if not uid:
        command = str(process.get("command") or f"process {process.get('pid')}")
        kind = UNKNOWN if process.get("attribution") in _UNATTRIBUTED else OUTSIDE
        return {"kind": kind, "namespace": None, "name": command, "workload": None, "mib": mib}
    known = pods.get(uid)
    if known is None:
        name = str(process.get("pod") or uid)
        known = PodName(str(process.get("namespace") or ""), name, name)
    return {
        "kind": POD,
        "namespace": known.namespace,
        "name": known.name,
        "workload": known.workload,
        "mib": mib,
    }


def add_up(users: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry for each pod and each program; what is not told of one of its processes is not told of it."""
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for user in users:
        known = found.setdefault((user["kind"], user["namespace"], user["name"]), {**user, "mib": 0})
        known["mib"] = None if user["mib"] is None or known["mib"] is None else known["mib"] + user["mib"]
    return sorted(
        found.values(), key=lambda one: (one["kind"] != POD, one["namespace"] or "", one["workload"] or "", one["name"])
    )


def join_cards(
    before: Mapping[str, Mapping[str, Mapping[str, Any]]], after: Mapping[str, Mapping[str, Mapping[str, Any]]]
) -> list[dict[str, Any]]:
    """Cards with both their states. :param before: cards by UUID, by node."""
    cards = []
    for node in [*before, *(name for name in after if name not in before)]:
        earlier, later = before.get(node) or {}, after.get(node) or {}
        for uuid in [*earlier, *(uuid for uuid in later if uuid not in earlier)]:
            head = {**(earlier.get(uuid) or {}), **(later.get(uuid) or {})}
            head.pop("state", None)
            states = {
                when: (found.get(uuid) or {}).get("state") for when, found in (("before", earlier), ("after", later))
            }
            cards.append({"node": node, **head, **states})
    return cards
