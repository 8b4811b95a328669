# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters and facts in the form in which the planner gets them, and what a rollout makes of a cluster."""

from __future__ import annotations

import copy
from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

CARDS = {"NVIDIA L20": 46068, "Tesla T4": 15360, "NVIDIA A30": 24576, "NVIDIA H20": 97871}
FOREIGN = "nvidia-device-plugin-daemonset"
REFERENCE_CONFIGS = {
    "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "process_memory_mib": 4621},
    "t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "process_memory_mib": 4401},
}


def gpu(product: str = "Tesla T4", index: int = 0, node: str = "n", **fields: Any) -> dict[str, Any]:
    """One GPU as gpu_info tells of it."""
    total = CARDS.get(product, 15360)
    return {
        "index": index,
        "uuid": f"GPU-{node}-{index}",
        "pci_bus_id": f"00000000:{index:02x}:00.0",
        "product": product,
        "architecture": "Turing",
        "compute_capability": "7.5",
        "memory_total_mib": total,
        "memory_reserved_mib": 400,
        "memory_used_mib": 0,
        "memory_free_mib": total,
        "compute_mode": "default",
        "state": "ok",
        "reason": None,
        "processes": [],
        "mig": {"capable": False, "mode": None, "pending": None, "max_devices": 0, "profiles": [], "devices": []},
        **fields,
    }


def host_facts(gpus: Iterable[Mapping[str, Any]], allocations: Any = None) -> dict[str, Any]:
    """gpu_info's result on a healthy node."""
    return {
        "nvml_available": True,
        "reason": None,
        "reason_code": None,
        "driver_version": "570.158.01",
        "gpus": list(gpus),
        "allocations": allocations,
    }


def process(pid: int, mib: int | None, pod_uid: str | None = None) -> dict[str, Any]:
    """A process on a GPU."""
    return {
        "pid": pid,
        "type": "compute",
        "used_memory_mib": mib,
        "pod_uid": pod_uid,
        "container_id": None,
        "command": "python",
    }


def pod(name: str, requests: Any = 1, **fields: Any) -> dict[str, Any]:
    """A running pod with a GPU."""
    return {
        "namespace": "ml",
        "name": name,
        "uid": f"uid-{name}",
        "phase": "Running",
        "reason": "",
        "requests": {"nvidia.com/gpu": requests} if isinstance(requests, int) else requests,
        "node_selector": {},
        "owner": None,
        "controller_hash": None,
        "priority_class": "",
        "created": "2026-01-01T00:00:00Z",
        "restarts": 0,
        "terminating": False,
        "mirror": False,
        **fields,
    }


def node(slots: int = 1, pods: Iterable[Mapping[str, Any]] = (), **fields: Any) -> dict[str, Any]:
    """A node of the cluster file; slots 0 is one without a GPU."""
    pods = list(pods)
    requested = sum((one["requests"] or {}).get("nvidia.com/gpu", 0) for one in pods)
    entry = {"capacity": slots, "allocatable": slots, "requested": requested, "free": slots - requested}
    return {
        "labels": {"nvidia-device-enable": "enable"},
        "taints": [],
        "annotations": {},
        "unschedulable": False,
        "ready": True,
        "instance_type": None,
        "resources": {"nvidia.com/gpu": entry} if slots else {},
        "maintenance": None,
        "hold": None,
        "key": None,
        "revision": None,
        "resource_version": "1",
        "pods": pods,
        **fields,
    }


def labelled(product: str, memory: int, count: int = 1) -> dict[str, str]:
    """Labels of GPU Feature Discovery."""
    return {
        "nvidia.com/gpu.present": "true",
        "nvidia.com/gpu.product": product,
        "nvidia.com/gpu.memory": str(memory),
        "nvidia.com/gpu.count": str(count),
        "nvidia.com/gpu.family": "turing",
        "nvidia.com/gpu.compute.major": "7",
        "nvidia.com/gpu.compute.minor": "5",
        "nvidia.com/mig.capable": "false",
    }


def foreign_plugin(nodes: Iterable[str], **fields: Any) -> dict[str, Any]:
    """A device plugin that somebody else installed."""
    return {
        "namespace": "kube-system",
        "name": FOREIGN,
        "uid": "foreign-uid",
        "generation": 3,
        "owner": {"kind": "helm", "name": "nvidia-gpu"},
        "node_selector": {"nvidia-device-enable": "enable"},
        "node_affinity": None,
        "update_strategy": "RollingUpdate",
        "nodes": sorted(nodes),
        "pods": [],
        **fields,
    }


def cluster(nodes: Mapping[str, Mapping[str, Any]], **fields: Any) -> dict[str, Any]:
    """A cluster file."""
    return {
        "schema_version": 1,
        "nodes": dict(nodes),
        "pending": [],
        "failed": [],
        "plugins": [],
        "label_users": {},
        "quotas": [],
        "config_maps": [],
        "daemon_sets": [],
        "dra_nodes": [],
        "snapshots": [],
        "totals": {},
        "requests": {},
        **fields,
    }


def reference() -> PlanRequest:
    """Eight nodes, an L20 and a T4, each with a pod that runs, and a plugin that Helm installed."""
    nodes = {f"cpu-{number}": node(0, labels={}) for number in range(6)}
    facts = {}
    for name, product, used in (("gpu-l20", "NVIDIA L20", 4621), ("gpu-t4", "Tesla T4", 4401)):
        running = pod(f"nlp-{name}")
        nodes[name] = node(1, [running])
        card = gpu(product, node=name, memory_used_mib=used, processes=[process(7, used, running["uid"])])
        allocation = {
            "pod_uid": running["uid"],
            "container": "nlp",
            "resource": "nvidia.com/gpu",
            "device_ids": [card["uuid"]],
        }
        facts[name] = host_facts([card], [allocation])
    return PlanRequest(
        configs=copy.deepcopy(REFERENCE_CONFIGS),
        cluster=cluster(
            nodes,
            plugins=[foreign_plugin(["gpu-l20", "gpu-t4"])],
            label_users={"nvidia-device-enable": [f"DaemonSet kube-system/{FOREIGN}"]},
        ),
        host_facts=facts,
        hosts={"gpu-l20": "", "gpu-t4": ""},
    )


def roll_out(before: Mapping[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    """The cluster file as it is when a plan was carried out; pods that it evicts wait elsewhere, stale ones are made anew."""
    after = copy.deepcopy(dict(before))
    after["plugins"] = [_without(plugin, plan) for plugin in after["plugins"]]
    for config in plan["configs"].values():
        for manifest in config["objects"] if config["nodes"] else ():
            _create(after, manifest, config["nodes"])
    for name, planned in plan["nodes"].items():
        if planned["changed"]:
            _move_pods(after["nodes"][name], planned)
            _switch(after["nodes"][name], planned)
    return after


def _move_pods(entry: dict[str, Any], planned: Mapping[str, Any]) -> None:
    gone = {pod["uid"] for pod in planned["evict"]["pods"]}
    for pod in [pod for pod in entry["pods"] if pod["uid"] in gone]:
        entry["pods"].remove(pod)
        for resource, count in pod["requests"].items():
            entry["resources"][resource]["requested"] -= count
    stale = {pod["uid"] for pod in planned["stale_pods"]} if planned["recreate"] else set()
    for pod in entry["pods"]:
        if pod["uid"] in stale and pod["owner"]:
            pod.update(uid=f"{pod['uid']}-anew", bound="2026-03-01T00:00:00Z")


def _create(after: dict[str, Any], manifest: Mapping[str, Any], nodes: Iterable[str]) -> None:
    metadata = manifest["metadata"]
    beside = {"ConfigMap": "config_maps", "DaemonSet": "daemon_sets"}[manifest["kind"]]
    if metadata["name"] in {one["name"] for one in after[beside]}:
        return
    after[beside].append({"name": metadata["name"], "managed": True})
    if manifest["kind"] == "DaemonSet":
        ours = {"kind": "kubegpu", "name": "kubegpu.sharing"}
        after["plugins"].append(
            foreign_plugin(nodes, namespace=metadata["namespace"], name=metadata["name"], owner=ours)
        )


def _without(plugin: dict[str, Any], plan: Mapping[str, Any]) -> dict[str, Any]:
    gone = {name for name, planned in plan["nodes"].items() if planned["changed"]}
    left = {**plugin, "nodes": [name for name in plugin["nodes"] if name not in gone]}
    for release in plan["releases"]:
        if release["daemonset"] == f"{plugin['namespace']}/{plugin['name']}" and release["patch"]:
            spec = release["patch"]["spec"]
            left["node_affinity"] = spec["template"]["spec"]["affinity"]["nodeAffinity"]
            left["update_strategy"] = spec["updateStrategy"]["type"]
    return left


def _switch(entry: dict[str, Any], planned: Mapping[str, Any]) -> None:
    release = planned["release"]
    if release and release["method"] == "label":
        for label in release["label"]:
            entry["labels"].pop(label, None)
    to = planned["to"]
    entry["labels"].update({"nvidia.com/device-plugin.config": to["key"], "kubegpu.sharing/revision": to["revision"]})
    if planned["ids_change"]:
        entry["annotations"]["kubegpu.sharing/devices-since"] = "2026-02-01T00:00:00.500Z"
    entry.update(key=to["key"], revision=to["revision"], maintenance=None, unschedulable=planned["was_unschedulable"])
    for resource in {*entry["resources"], *planned["expected_resources"]}:
        slots = planned["expected_resources"].get(resource, 0)
        old = entry["resources"].get(resource, {"requested": 0})
        entry["resources"][resource] = {
            "capacity": slots,
            "allocatable": slots,
            "requested": old["requested"],
            "free": max(0, slots - old["requested"]),
        }
