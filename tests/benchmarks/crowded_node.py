# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One simulated node with GPU pods beside others, to be emptied again and again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.cluster import SimulatedCluster
from simulator.scenario import plugin_daemon_set

GPU_PODS, OTHER_PODS = 100, 400
LATENCY_MS = 5
NODE, NAMESPACE = "gpu-1", "crowd"
#: What the GPU pods, and no others, bear: the only way to tell them to tools that know labels alone.
LABEL, VALUE = "crowd/uses", "gpu"
USER_AGENT = "benchmark"
SETTLE_SECONDS = 240
# Simulated seconds pass tenfold: of what follows a tenth is waited.
SPEED = 10
STOP_SECONDS = SPEED * 1.0


def _deployment(name: str, replicas: int, labels: dict[str, str], requests: dict[str, int]) -> dict[str, Any]:
    annotations = {"simulator.kubegpu/stop-seconds": str(STOP_SECONDS), "simulator.kubegpu/start-seconds": "0.5"}
    container = {"name": "main", "image": "registry.example.com/app:1", "resources": {"limits": requests}}
    labels = {"app": name, **labels}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": labels, "annotations": annotations},
                "spec": {"terminationGracePeriodSeconds": 30 * SPEED, "containers": [container]},
            },
        },
    }


def _scenario() -> dict[str, Any]:
    node = {
        "name": NODE,
        "labels": {"nvidia-device-enable": "enable"},
        "cpu": "128",
        "memory": "1024Gi",
        "pods": GPU_PODS + OTHER_PODS + 50,
        "gpus": [{"card": "T4", "count": GPU_PODS}],
    }
    apply = [
        plugin_daemon_set("v0.17.1"),
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}},
        _deployment("train", GPU_PODS, {LABEL: VALUE}, {"nvidia.com/gpu": 1}),
        _deployment("web", OTHER_PODS, {}, {}),
    ]
    history = [{"age": "1h", "apply": apply}]
    # No files of the node: nobody reads its GPUs, and the simulated library would not hold so many.
    return {"name": "crowded-node", "speed": SPEED, "files": False, "nodes": [node], "history": history}


@dataclass(frozen=True)
class Pods:
    """UIDs of the pods on the node, those that ask for a GPU apart."""

    gpu: frozenset[str]
    other: frozenset[str]


@dataclass(frozen=True)
class CrowdedNode:
    """The cluster. Its only node is the one to be emptied, so what replaces the pods waits until it is back."""

    cluster: SimulatedCluster

    @classmethod
    @contextmanager
    def start(cls, directory: Path) -> Iterator[CrowdedNode]:
        """With all pods running."""
        with SimulatedCluster.start(_scenario(), directory) as cluster:
            yield cls(cluster)

    def pods(self) -> Pods:
        """The node's pods that are there now, terminating ones among them; the device plugin's left out."""
        query = {"fieldSelector": f"spec.nodeName={NODE}"}
        found = self._client().items(f"/api/v1/namespaces/{NAMESPACE}/pods", **query)
        gpu = {pod["metadata"]["uid"] for pod in found if pod["metadata"]["labels"].get(LABEL) == VALUE}
        return Pods(frozenset(gpu), frozenset(pod["metadata"]["uid"] for pod in found) - gpu)

    def refill(self) -> Pods:
        """Put the node back into service and wait until every pod runs on it. No latency for that."""
        self.cluster.fault("latency", latency_ms=0)
        nothing = {"metadata": {"annotations": None}, "spec": {"unschedulable": None}}
        self._client().patch(f"/api/v1/nodes/{NODE}", nothing)
        self.cluster.wait_until(self._is_full, SETTLE_SECONDS, f"{GPU_PODS + OTHER_PODS} running pods on {NODE}")
        self.cluster.settle(SETTLE_SECONDS)
        self.cluster.fault("latency", latency_ms=LATENCY_MS)
        return self.pods()

    def _is_full(self) -> bool:
        items = self._client().items(f"/api/v1/namespaces/{NAMESPACE}/pods")
        ready = [pod for pod in items if pod["status"].get("phase") == "Running" and not _terminating(pod)]
        return len(ready) == len(items) == GPU_PODS + OTHER_PODS

    def _client(self) -> Any:
        return self.cluster.client(user_agent=USER_AGENT)


def _terminating(pod: dict[str, Any]) -> bool:
    return "deletionTimestamp" in pod["metadata"]
