"""The Node object that a kubelet registers, and the status that it posts. Pure."""

from __future__ import annotations

import uuid
from typing import Any

from simulator.controllers.kubelet.spec import NodeSpec
from simulator.controllers.node_lifecycle import TTL_ANNOTATION

Object = dict[str, Any]
PRESSURES = (
    ("MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
)
RUNTIMES = {"containerd": "containerd://1.7.27", "cri-o": "cri-o://1.33.1", "docker": "docker://26.1.4"}


def first_boot_id(name: str) -> str:
    """The boot id of a node that has not been rebooted yet."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"boot.{name}"))


def node_object(spec: NodeSpec, now: str, extra_labels: dict[str, str]) -> Object:
    """The complete object of a node that has registered and is ready, as it lies in the store."""
    labels = {
        "beta.kubernetes.io/arch": "amd64",
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
        **extra_labels,
        **spec.labels,
    }
    metadata: Object = {
        "name": spec.name,
        "uid": str(uuid.uuid4()),
        "creationTimestamp": now,
        "labels": labels,
        "annotations": {**spec.annotations, TTL_ANNOTATION: "0"},
    }
    room = {
        "cpu": spec.cpu,
        "memory": spec.memory,
        "pods": str(spec.pods),
        "ephemeral-storage": "200Gi",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
    }
    node_spec: Object = {"podCIDR": f"{spec.pod_network}.0/24", "podCIDRs": [f"{spec.pod_network}.0/24"]}
    if spec.taints:
        node_spec["taints"] = [dict(taint) for taint in spec.taints]
    status = {
        "capacity": dict(room),
        "allocatable": dict(room),
        "conditions": _conditions(now),
        "addresses": [{"type": "InternalIP", "address": spec.address}, {"type": "Hostname", "address": spec.name}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "nodeInfo": _node_info(spec, first_boot_id(spec.name)),
    }
    return {"apiVersion": "v1", "kind": "Node", "metadata": metadata, "spec": node_spec, "status": status}


def node_status(
    node: Object, spec: NodeSpec, devices: dict[str, tuple[int, int]], *, boot_id: str, now: str, refresh: bool
) -> Object:
    """The status as the kubelet sees it now; ``refresh`` renews the heartbeat times even if nothing changed."""
    old = node.get("status") or {}
    capacity, allocatable = dict(old.get("capacity") or {}), dict(old.get("allocatable") or {})
    for resource, (total, usable) in devices.items():
        capacity[resource], allocatable[resource] = str(total), str(usable)
    status = {**old, "capacity": capacity, "allocatable": allocatable, "nodeInfo": _node_info(spec, boot_id)}
    ready = next((item for item in old.get("conditions") or [] if item["type"] == "Ready"), None)
    if refresh or status != old or ready is None or ready["status"] != "True":
        status["conditions"] = _conditions(now, old.get("conditions"))
    return status


def _conditions(now: str, old: list[Object] | None = None) -> list[Object]:
    wanted = [(kind, "False", reason, message) for kind, reason, message in PRESSURES]
    wanted.append(("Ready", "True", "KubeletReady", "kubelet is posting ready status"))
    known = {item["type"]: item for item in old or []}
    result = []
    for kind, status, reason, message in wanted:
        before = known.get(kind)
        since = before["lastTransitionTime"] if before and before["status"] == status else now
        result.append(
            {
                "type": kind,
                "status": status,
                "lastHeartbeatTime": now,
                "lastTransitionTime": since,
                "reason": reason,
                "message": message,
            }
        )
    return result


def _node_info(spec: NodeSpec, boot_id: str) -> Object:
    machine = uuid.uuid5(uuid.NAMESPACE_DNS, spec.name)
    return {
        "machineID": machine.hex,
        "systemUUID": str(machine),
        "bootID": boot_id,
        "kernelVersion": "5.15.0-139-generic",
        "osImage": "Ubuntu 22.04.5 LTS",
        "containerRuntimeVersion": RUNTIMES[spec.container_runtime],
        "kubeletVersion": spec.kubelet_version,
        "kubeProxyVersion": "",
        "operatingSystem": "linux",
        "architecture": "amd64",
    }
