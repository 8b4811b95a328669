# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes with MIG-capable GPUs, and what such a node tells once a plan was carried out."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Iterable, Mapping, Sequence

from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

# (name, NVML's id, MiB, compute slices, starts, memory units, at most)
H20 = (
    ("1g.12gb", 19, 11008, 1, range(7), 1, 7),
    ("1g.12gb+me", 20, 11008, 1, range(7), 1, 1),
    ("1g.24gb", 15, 22272, 1, (0, 2, 4, 6), 2, 4),
    ("2g.24gb", 14, 22272, 2, (0, 2, 4), 2, 3),
    ("3g.48gb", 9, 44800, 3, (0, 4), 4, 2),
    ("4g.48gb", 5, 44800, 4, (0,), 4, 1),
    ("7g.96gb", 0, 90880, 7, (0,), 8, 1),
)
SLICES = {row[0]: (row[3], row[5]) for row in H20}
OWNED = {"kind": "ReplicaSet", "name": "jobs"}
# Known by its image, and to be paused by a taint.
EXPORTER: dict[str, Any] = {
    "namespace": "monitoring",
    "name": "dcgm-exporter",
    "uid": "uid-dcgm",
    "labels": {},
    "images": ["k8s/dcgm-exporter"],
    "runs": [],
    "plugin": False,
    "node_selector": {},
    "node_affinity": None,
    "tolerations": [],
    "nodes": ["h20"],
}


def h20(*instances: tuple[str, int], index: int = 0, mode: str | None = None, **fields: Any) -> dict[str, Any]:
    """An H20 with these GPU instances (profile, start), each with one compute instance; MIG is on if it has any."""
    mode = mode or ("enabled" if instances else "disabled")
    listed, devices = [], []
    for number, (profile, start) in enumerate(instances, start=1):
        slices, size = SLICES[profile]
        compute = [{"id": 0, "slices": slices, "start": 0}]
        listed.append({"id": number, "profile": profile, "start": start, "size": size, "compute": compute})
        devices.append(device(index, number, profile))
    mig = {"capable": True, "mode": mode, "pending": mode, "max_devices": 7, "profiles": profiles()}
    return fleet.gpu(
        "NVIDIA H20",
        index,
        "h20",
        architecture="Hopper",
        compute_capability="9.0",
        mig={**mig, "instances": listed, "devices": devices},
        **fields,
    )


def device(index: int, number: int, profile: str) -> dict[str, Any]:
    memory = next(row[2] for row in H20 if row[0] == profile)
    return {
        "uuid": f"MIG-h20-{index}-{number}",
        "profile": profile,
        "memory_total_mib": memory,
        "gpu_instance_id": number,
        "compute_instance_id": 0,
    }


def profiles() -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "id": number,
            "memory_mib": mib,
            "compute_slices": slices,
            "max_instances": most,
            "placements": [{"start": start, "size": size} for start in starts],
        }
        for name, number, mib, slices, starts, size, most in H20
    ]


def allocation(pod: Mapping[str, Any], *devices: str, resource: str = "nvidia.com/mig-1g.12gb") -> dict[str, Any]:
    return {"pod_uid": pod["uid"], "container": "main", "resource": resource, "device_ids": list(devices)}


def node(resources: Mapping[str, int], pods: Sequence[Mapping[str, Any]] = (), **fields: Any) -> dict[str, Any]:
    """A node that advertises this."""
    entries = {}
    for name, slots in resources.items():
        requested = sum((pod["requests"] or {}).get(name, 0) for pod in pods)
        entries[name] = {"capacity": slots, "allocatable": slots, "requested": requested, "free": slots - requested}
    return {**fleet.node(0, pods, **fields), "resources": entries}


def request(
    gpus: Iterable[Mapping[str, Any]],
    mig: Any,
    entry: Mapping[str, Any] | None = None,
    allocations: Any = None,
    **config: Any,
) -> PlanRequest:
    """A cluster of one node with H20s. ``config``: other words of their config."""
    gpus = list(gpus)
    return PlanRequest(
        configs={"h20": {"match": {"product": "NVIDIA H20"}, **({"mig": mig} if mig else {}), **config}},
        cluster=fleet.cluster({"h20": dict(entry or fleet.node(len(gpus)))}, daemonsets=[]),
        host_facts={"h20": fleet.host_facts(gpus, [] if allocations is None else allocations)},
        hosts={"h20": ""},
    )


def carry_out(before: PlanRequest, plan: Mapping[str, Any]) -> PlanRequest:
    """The cluster and the facts of its host once the plan was carried out: what stayed keeps its ids, what is new has others."""
    facts = copy.deepcopy(dict(before.host_facts["h20"]))
    for gpu, after in zip(facts["gpus"], plan["nodes"]["h20"]["mig"]["after"]["gpus"]):
        standing = {(one["profile"], one["start"]): one for one in gpu["mig"]["instances"]}
        devices = {one["gpu_instance_id"]: one for one in gpu["mig"]["devices"]}
        instances: list[dict[str, Any]] = []
        # No id comes twice, so that what is new cannot be taken for what was there.
        number = 20 + max((one["id"] for one in gpu["mig"]["instances"]), default=0)
        for one in after["instances"]:
            found = standing.get((one["profile"], one["start"]))
            number += 1
            compute = [{"id": place, **part} for place, part in enumerate(one["compute"])]
            instances.append({**one, "id": found["id"] if found else number, "compute": compute})
        gpu["mig"].update(
            mode=after["mode"],
            pending=after["mode"],
            instances=instances,
            devices=[devices.get(one["id"]) or device(gpu["index"], one["id"], one["profile"]) for one in instances],
        )
    gone = {pod["uid"] for node in plan["nodes"].values() for pod in node["evict"]["pods"]}
    facts["allocations"] = [one for one in facts["allocations"] if one["pod_uid"] not in gone]
    return replace(before, cluster=fleet.roll_out(before.cluster, plan), host_facts={"h20": facts})
