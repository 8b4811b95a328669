# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated cluster with a plan for it, a rollout to drive by its modules, and somebody who watches the law."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from integration.node_watch import NodeWatch
from unit.plugins.fakes.driver import Driver

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.modules import gpu_resources_info
from simulator.cluster import SimulatedCluster
from simulator.manifests import daemonset
from simulator.nvml.cards import CARDS

GPU = "nvidia.com/gpu"
SPEED = 100.0
REVISION = "kubegpu.sharing/revision"
MAINTENANCE = "kubegpu.sharing/maintenance"
WITHDRAWN = "withdrawn"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
OPTIONS = {"timeout_seconds": 30.0, "soak_seconds": 0.3, "settle_seconds": 0.05}

CONFIGS: dict[str, Any] = {
    "reference": {
        "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "process_memory_mib": 4621},
        "t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "process_memory_mib": 4401},
    },
    "addon-owned": {"l40s": {"match": {"product": "NVIDIA L40S"}, "sharing": "time_slicing", "replicas": 4}},
}
GPUS: dict[str, dict[str, list[str]]] = {
    "reference": {"gpu-l20": ["L20"], "gpu-t4": ["T4"]},
    "addon-owned": {f"gpu-{number}": ["L40S", "L40S"] for number in (1, 2, 3)},
}
FLEET_SIZE = 40


def fleet() -> dict[str, Any]:
    """A scenario with more nodes than are read one by one, all served by a plugin that is left by label."""
    containers = [{"name": "plugin", "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1"}]
    pod = {"nodeSelector": {"gpu-plugin": "on"}, "containers": containers}
    plugin = daemonset("plugin", "kube-system", pod, {"name": "plugin"})
    node = {
        "name": "t4-{n}",
        "count": FLEET_SIZE,
        "labels": {"gpu-plugin": "on"},
        "gpus": [{"card": "T4", "count": 2}],
    }
    return {"name": "fleet", "speed": 10, "nodes": [node], "history": [{"age": "9d", "apply": [plugin]}]}


CONFIGS["fleet"] = {"t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "replicas": 3}}
GPUS["fleet"] = {f"t4-{number}": ["T4", "T4"] for number in range(1, FLEET_SIZE + 1)}

#: The foreign DaemonSet of each scenario.
FOREIGN = {
    "reference": "kube-system/nvidia-device-plugin-daemonset",
    "addon-owned": "kube-system/nvidia-gpu-device-plugin",
}


@dataclass
class Stage:
    """One test's cluster. ``scenario`` is one that comes along with the simulator."""

    cluster: SimulatedCluster
    scenario: str
    directory: Path
    law: NodeWatch | None = None

    def __post_init__(self) -> None:
        self.client = self.cluster.client()
        self.plan: dict[str, Any] = self.make_plan()

    def api(self) -> KubeClient:
        return KubeClient.from_params({"kubeconfig": str(self.cluster.kubeconfig)})

    def make_plan(self) -> dict[str, Any]:
        """A plan by the modules that read and by the planner, from facts as NVML gives them."""
        path = self.directory / "cluster.json"
        options = {"dest": str(path), "namespace": "kubegpu-system", "resource_prefix": "nvidia.com/", "nodes": []}
        gpu_resources_info.run(options, self.api())
        gpus = GPUS[self.scenario]
        plan = build_plan(
            PlanRequest(
                configs=CONFIGS[self.scenario],
                cluster=json.loads(path.read_text()),
                host_facts={name: host_facts(name, cards) for name, cards in gpus.items()},
                hosts={name: name for name in gpus},
            )
        )
        (self.directory / "plan.json").write_text(json.dumps(plan))
        return plan

    def driver(self, run: str = "run-1", **options: Any) -> Driver:
        return Driver(
            api=self.api(),
            clock=SystemClock(),
            plan_path=str(self.directory / "plan.json"),
            nodes=tuple(GPUS[self.scenario]),
            run=run,
            journal=self.directory / "journal.jsonl",
            options={**OPTIONS, **options},
        )

    def watch_the_law(self) -> NodeWatch:
        """From now on. To be asked once the cluster is as the plan found it."""
        self.law = NodeWatch(self.cluster)
        self.law.begin()
        self.law.learn_before(self.plan)
        self.law.learn(self.plan)
        # Between two plugins, and what somebody may put back into service who advertises nothing: no pod with a GPU goes there.
        self.law.stands_for |= {(name, WITHDRAWN): {} for name in self.plan["nodes"]}
        return self.law

    def may_go(self, name: str) -> None:
        """A node that the test takes out of the cluster."""
        assert self.law is not None
        self.law.may_go.add(name)

    def node(self, name: str) -> dict[str, Any]:
        return self.client.get(f"/api/v1/nodes/{name}")

    def patch_node(self, name: str, body: dict[str, Any]) -> None:
        self.client.patch(f"/api/v1/nodes/{name}", body)

    def schedulable(self, name: str) -> bool:
        return not self.node(name)["spec"].get("unschedulable")

    def allocatable(self, name: str) -> int:
        return int(self.node(name)["status"]["allocatable"].get(GPU, 0))

    def revision(self, name: str) -> str | None:
        found: str | None = self.node(name)["metadata"]["labels"].get(REVISION)
        return found

    def uids(self, namespace: str) -> dict[str, str]:
        return {
            pod["metadata"]["name"]: pod["metadata"]["uid"]
            for pod in self.client.items(f"/api/v1/namespaces/{namespace}/pods")
        }

    def let_lease_run_out(self) -> None:
        """Of a run that has written its last word. What asks the fence ahead of a write may still be about to renew it."""
        for thread in threading.enumerate():
            if thread.name == "ask the fence":
                thread.join(60)
        self.client.patch(LEASE, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z", "leaseDurationSeconds": 1}})

    def unfinished(self) -> dict[str, str]:
        """Nodes that are not as the plan wants them, in service, without a note; and what is wrong."""
        wrong = {}
        for name, planned in self.plan["nodes"].items():
            node = self.node(name)
            labels, annotations = node["metadata"]["labels"], node["metadata"].get("annotations") or {}
            state = (
                labels.get(REVISION),
                int(node["status"]["allocatable"].get(GPU, 0)),
                bool(node["spec"].get("unschedulable")),
                MAINTENANCE in annotations,
            )
            if state != (planned["to"]["revision"], planned["slots_after"], False, False):
                wrong[name] = f"revision, allocatable, unschedulable, note: {state}"
        return wrong


Kind = TypeVar("Kind", bound=Stage)


def opening(kind: type[Kind], tmp_path: Path) -> Iterator[Callable[..., Kind]]:
    """For a fixture: to start clusters of scenarios, the law watched from the start. It must not be broken, whatever the test does."""
    with ExitStack() as stack:
        opened: list[Kind] = []

        def start(scenario: str = "reference", speed: float = SPEED) -> Kind:
            directory = tmp_path / f"stage-{len(opened)}"
            directory.mkdir()
            source = fleet() if scenario == "fleet" else scenario
            cluster = stack.enter_context(SimulatedCluster.start(source, directory / "cluster", speed=speed))
            stage = kind(cluster, scenario, directory)
            opened.append(stage)
            stage.watch_the_law()
            return stage

        yield start
        for stage in opened:
            assert stage.law is not None
            assert stage.law.broken() == []


def failures(results: dict[str, Any]) -> dict[str, str]:
    """Reason by node of the first step that failed for it."""
    found: dict[str, str] = {}
    for result in results.values():
        for name in result.get("failed_nodes", []):
            found.setdefault(name, result["nodes"][name]["reason"])
    return found


def host_facts(name: str, cards: list[str]) -> dict[str, Any]:
    gpus = []
    for index, key in enumerate(cards):
        card = CARDS[key]
        gpus.append(
            {
                "index": index,
                "uuid": f"GPU-{name}-{index}",
                "product": card.product,
                "architecture": card.architecture,
                "compute_capability": card.compute_capability,
                "memory_total_mib": card.memory_total_mib,
                "memory_reserved_mib": card.memory_reserved_mib,
                "memory_used_mib": 0,
                "memory_free_mib": card.memory_total_mib,
                "compute_mode": "default",
                "state": "ok",
                "processes": [],
                "mig": {"capable": False, "mode": None},
            }
        )
    return {"nvml_available": True, "gpus": gpus}
