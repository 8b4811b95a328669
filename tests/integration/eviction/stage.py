# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A GPU node with many slots and a second one, workloads of all kinds, and node_maintenance to empty it."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

from unit.plugins.fakes.driver import Driver

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import SystemClock
from simulator.client import ClientError
from simulator.cluster import SimulatedCluster
from simulator.manifests import daemonset

Object = dict[str, Any]

GPU = "nvidia.com/gpu"
NODE, OTHER = "gpu-1", "gpu-2"
SLOTS = 320
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
OPTIONS = {
    "settle_seconds": 0.05,
    "eviction_timeout_seconds": 20.0,
    "eviction_retry_seconds": 0.2,
    "timeout_seconds": 30.0,
    "soak_seconds": 0.1,
}
CONFIG = f"version: v1\nsharing:\n  timeSlicing:\n    resources: [{{name: {GPU}, replicas: {SLOTS // 8}}}]\n"


def scenario(nodes: int = 2) -> Object:
    """Nodes with 8 GPUs shared 40 ways each."""
    container = {
        "name": "plugin",
        "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1",
        "args": ["--config-file=/config/config.yaml"],
        "volumeMounts": [{"name": "config", "mountPath": "/config"}],
    }
    volumes = [{"name": "config", "configMap": {"name": "plugin"}}]
    metadata = {"name": "plugin", "namespace": "kube-system"}
    plugin = daemonset("plugin", "kube-system", {"containers": [container], "volumes": volumes}, {"name": "plugin"})
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"config.yaml": CONFIG}}
    node = {"name": "gpu-{n}", "count": nodes, "cpu": "512", "memory": "512Gi", "pods": 1000}
    return {
        "name": "eviction",
        "speed": 10,
        "nodes": [{**node, "gpus": [{"card": "L40S", "count": 8}]}],
        "history": [{"age": "9d", "apply": [config, plugin]}],
    }


@dataclass
class Stage:
    """One test's cluster."""

    cluster: SimulatedCluster
    directory: Path

    def __post_init__(self) -> None:
        self.client = self.cluster.client()

    def api(self) -> KubeClient:
        return KubeClient.from_params({"kubeconfig": str(self.cluster.kubeconfig)})

    def driver(self, run: str = "run-1", nodes: tuple[str, ...] = (NODE,), **options: Any) -> Driver:
        """A run that holds the lock, with a plan for the nodes that no node serves yet."""
        plan = self.directory / "plan.json"
        plan.write_text(json.dumps(plan_of(nodes, options.pop("plan", {}))))
        driver = Driver(
            api=self.api(),
            clock=SystemClock(),
            plan_path=str(plan),
            nodes=nodes,
            run=run,
            journal=self.directory / "journal.jsonl",
            options={**OPTIONS, **options},
        )
        driver.lock()
        return driver

    def journal(self, state: str) -> list[Object]:
        lines = (self.directory / "journal.jsonl").read_text().splitlines()
        return [line for line in map(json.loads, lines) if line["state"] == state]

    # Workloads. Where a pod is to be is said by a node selector, so that its successor waits, or goes elsewhere.

    @contextmanager
    def cordoned(self, name: str) -> Iterator[None]:
        """So that what is made meanwhile goes elsewhere, and may come here afterwards."""
        self.client.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": True}})
        yield
        self.client.patch(f"/api/v1/nodes/{name}", {"spec": {"unschedulable": None}})

    def deployment(self, name: str, replicas: int, *, gpus: int = 1, node: str = NODE, **pod: Any) -> None:
        """And wait until its pods are ready, with no node named on the first one."""
        labels = {"app": name}
        template = {"metadata": {"labels": labels}, "spec": pod_spec(gpus, node, **pod)}
        template["metadata"]["annotations"] = pod_annotations(**pod)
        spec = {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template}
        self.client.create("/apis/apps/v1/namespaces/default/deployments", {"metadata": {"name": name}, "spec": spec})
        self.ready(name, replicas, node or NODE)

    def pod(self, name: str, *, gpus: int = 1, node: str = NODE, labels: Object | None = None, **pod: Any) -> None:
        """Without a controller, and wait until it is ready."""
        metadata = {"name": name, "labels": {"app": name, **(labels or {})}, "annotations": pod_annotations(**pod)}
        metadata |= pod.get("metadata", {})
        body = {"metadata": metadata, "spec": pod_spec(gpus, node, **pod)}
        self.client.create("/api/v1/namespaces/default/pods", body)
        self.ready(name, 1, node or NODE)

    def budget(self, name: str, **spec: Any) -> None:
        """And wait until its controller has counted."""
        path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
        selector = spec.pop("selector", {"matchLabels": {"app": name}})
        self.client.create(path, {"metadata": {"name": name}, "spec": {"selector": selector, **spec}})
        self.cluster.wait_until(lambda: self.client.get(f"{path}/{name}").get("status"), what="the budget's numbers")

    def ready(self, app: str, count: int, node: str = NODE) -> None:
        self.cluster.wait_until(
            lambda: sum(map(is_ready, self.pods(app, node))) == count, what=f"{count} pods of {app}"
        )

    def pods(self, app: str = "", node: str = NODE) -> list[Object]:
        """Pods on a node that are not going, of a workload or all of namespace default."""
        found = self.client.items(
            "/api/v1/namespaces/default/pods",
            fieldSelector=f"spec.nodeName={node}",
            labelSelector=f"app={app}" if app else "",
        )
        return [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]

    def uids(self, app: str = "") -> set[str]:
        return {pod["metadata"]["uid"] for pod in self.pods(app)}

    def exists(self, uid: str) -> bool:
        return any(pod["metadata"]["uid"] == uid for pod in self.client.items("/api/v1/pods"))

    def delete_if_there(self, path: str) -> None:
        try:
            self.client.delete(path)
        except ClientError as error:
            if error.status != 404:
                raise

    def unschedulable(self, name: str = NODE) -> bool:
        return bool(self.client.get(f"/api/v1/nodes/{name}")["spec"].get("unschedulable"))

    def boot_id(self, name: str = NODE) -> str:
        return str(self.client.get(f"/api/v1/nodes/{name}")["status"]["nodeInfo"]["bootID"])

    def evictions(self, since: int = 0) -> list[Object]:
        """Requests for evictions, in the order of their answers."""
        return [item for item in self.cluster.audit(since) if item["subresource"] == "eviction"]

    def write_facts(self, node: str, devices: dict[str, list[str]], **more: Any) -> str:
        """What gpu_info would have found: devices by pod UID."""
        directory = self.directory / "facts"
        directory.mkdir(exist_ok=True)
        allocations = [
            {"pod_uid": uid, "container": "app", "resource": GPU, "device_ids": ids} for uid, ids in devices.items()
        ]
        gpus = more.pop("gpus", [{"uuid": f"GPU-{index}", "processes": []} for index in range(8)])
        facts = {"nvml_available": True, "gpus": gpus, "allocations": allocations}
        document = {"schema_version": 1, "host": node, "node": node, "facts": facts}
        (directory / f"{node}.json").write_text(json.dumps(document))
        return str(directory)


def pod_spec(gpus: int, node: str, **pod: Any) -> Object:
    resources = {"limits": {GPU: str(gpus)}} if gpus else {}
    spec: Object = {"containers": [{"name": "app", "image": "app", "resources": resources}]}
    if node:
        spec["nodeSelector"] = {"kubernetes.io/hostname": node}
    if pod.get("emptydir"):
        spec["volumes"] = [{"name": "scratch", "emptyDir": {}}]
    return {**spec, **pod.get("spec", {})}


def pod_annotations(stop: float = 1.0, start: float = 0.2, **_others: Any) -> dict[str, str]:
    return {"simulator.kubegpu/stop-seconds": str(stop), "simulator.kubegpu/start-seconds": str(start)}


def is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or []
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def plan_of(nodes: tuple[str, ...], changes: Object) -> Object:
    """What the module reads of a plan."""
    entry = {
        "from": {"key": None, "revision": None, "resources": {GPU: SLOTS}},
        "to": {"key": "l40s", "revision": "0a1b2c3d4e", "resources": {GPU: 16}},
        "expected_resources": {GPU: 16},
        "release": {"method": "affinity", "daemonset": "kube-system/plugin", "label": None},
        **changes,
    }
    return {
        "schema_version": 1,
        "plan_id": "0123456789abcdef",
        "plugin": {"backend": "daemonset_per_key", "namespace": "kubegpu-system"},
        "configs": {},
        "nodes": dict.fromkeys(nodes, entry),
        "releases": [{"daemonset": "kube-system/plugin", "method": "affinity", "nodes": list(nodes)}],
        "problems": [],
    }
