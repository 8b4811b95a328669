# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A simulated cluster, the control nodes that work on it one after the other, and what must hold at the end."""

from __future__ import annotations

import itertools
import json
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from types import TracebackType
from typing import Any

from integration.node_law import foreign_cordons
from integration.node_watch import NodeWatch

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import format_micro_time
from simulator.cluster import SimulatedCluster

from .control_node import DONE, NOTHING_TO_DO, Orders, agent_of
from .enumeration import CHANGING, WRITES, Aim, kind_of, requests_at
from .nursery import RUN_SECONDS, Nursery, Process
from .scenarios import GPU, MODELS

Object = dict[str, Any]

SPEED = 100.0
LEASE_SECONDS = 1
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
MAINTENANCE = "kubegpu.sharing/maintenance"
MANAGED = "app.kubernetes.io/managed-by"
REVISION = "kubegpu.sharing/revision"
NAMESPACE = "kubegpu-system"
OPTIONS = {
    "lease_seconds": LEASE_SECONDS,
    "wait_seconds": 20.0,
    "timeout_seconds": 30.0,
    "soak_seconds": 0.2,
    "watch_seconds": 0.2,
    "interval_seconds": 0.1,
    "settle_seconds": 0.05,
}
#: What nobody but its owner deletes. Pods are looked at by themselves.
_KINDS = ("/api/v1/namespaces", "/apis/apps/v1/daemonsets", "/apis/apps/v1/deployments", "/api/v1/configmaps")
#: How long a run may have ended before that is seen.
_LOOK_SECONDS = 0.5


@dataclass
class Ground:
    """One cluster and its control nodes. Use it as a context.

    :param gpu_nodes: nodes that the operator's inventory names.
    :param planning: options of sharing_plan, among them the configs.
    """

    cluster: SimulatedCluster
    nursery: Nursery
    directory: Path
    gpu_nodes: tuple[str, ...]
    planning: Object
    options: Object = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.client = self.cluster.client()
        self.watch = NodeWatch(self.cluster)
        self._open = ExitStack()
        self._numbers = itertools.count(1)

    def __enter__(self) -> Ground:
        self._open.enter_context(self.watch)
        listed = self.watch.seen[:]
        self.cordoned = foreign_cordons(listed)
        for sight in listed:
            self.watch.stands_for[sight.node, sight.revision] = sight.advertised
        self.unmanaged = self.read_unmanaged()
        self.bystanders = self.read_bystanders()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.__exit__(kind, error, trace)

    def orders(self, **more: Any) -> Orders:
        """Of a run of its own name."""
        run = more.pop("run", f"run-{next(self._numbers)}")
        return Orders(
            kubeconfig=str(self.cluster.kubeconfig),
            directory=str(self.directory / run),
            nodes={name: str(self.cluster.node_directory(name)) for name in self.gpu_nodes},
            run=run,
            planning={**self.planning, **more.pop("planning", {})},
            options={**OPTIONS, **self.options, **more.pop("options", {})},
            **more,
        )

    def begin(self, **more: Any) -> tuple[Process, Orders]:
        orders = self.orders(**more)
        return self.nursery.begin(orders), orders

    def run(self, **more: Any) -> Object:
        """One run from its beginning to its end, and its name."""
        process, orders = self.begin(**more)
        ending = process.end()
        assert ending["ended"] != "crashed", ending["message"]
        return {**ending, "run": orders.run}

    def writes_of(self, run: str, since: int = 0) -> list[Object]:
        return [item for item in self.cluster.writes(since) if item["user_agent"] == agent_of(run)]

    def kinds_written_by(self, run: str) -> frozenset[str]:
        """What kinds of writes a run has made."""
        return frozenset(kind_of(f"{item['verb']} {item['path']}") for item in self.writes_of(run))

    def hang_after(self, aim: Aim, run: str, late_by: float = 0.0) -> int:
        """The server carries out this write of a run, answers neither it nor any later one, and carries none of those out.

        :param late_by: seconds for which the write is still on its way, whatever becomes of the run.
        """
        common: Object = {"agent": f"{agent_of(run)}$", "action": "hang"}
        if isinstance(aim, int):
            self.cluster.fault("api", method=WRITES, path=CHANGING, nth=aim + 1, count=0, **common)
        if late_by:
            common |= {"action": "latency", "latency_ms": late_by * 1000, "detached": True}
        else:
            common |= {"late": True}
        return int(self.cluster.fault("api", **requests_at(aim), **common)["id"])

    def taken(self, fault: int, seconds: float = 0.0) -> bool:
        """Whether a fault has begun to act."""
        return bool(self.cluster.api_fault(fault, seconds)["taken"])

    def struck(self, fault: int) -> str:
        """The request on which it acted first: method and path. Requests that are sent side by side come in any order."""
        return str(self.cluster.api_fault(fault)["struck"])

    def until_taken(self, fault: int, process: Process, seconds: float = RUN_SECONDS) -> bool:
        """Wait for that moment; False if the run ended without it."""
        deadline = time.monotonic() + seconds
        while not self.taken(fault, _LOOK_SECONDS):
            if not process.alive:
                return self.taken(fault)
            assert time.monotonic() < deadline, f"the run did neither end nor get to its fault within {seconds} s"
        return True

    def learn(self, orders: Orders) -> Object:
        """The plan of a run. From now on it is known what the nodes advertise under its revisions."""
        plan: Object = json.loads(Path(orders.directory, "plan.json").read_text(encoding="utf-8"))
        self.watch.learn(plan)
        return plan

    def differences(self, targets: Object) -> list[str]:
        """What of the cluster is not as a plan wants it, with its nodes in service and without notes."""
        found = []
        for name, planned in targets.items():
            node = self.client.get(f"/api/v1/nodes/{name}")
            labels, annotations = node["metadata"]["labels"], node["metadata"].get("annotations") or {}
            state = {
                "key": labels.get("nvidia.com/device-plugin.config"),
                "revision": labels.get("kubegpu.sharing/revision"),
                "slots": int(node["status"]["allocatable"].get(GPU, 0)),
                "unschedulable": bool(node["spec"].get("unschedulable")),
                "note": annotations.get(MAINTENANCE),
            }
            wanted = {
                "key": planned["to"]["key"],
                "revision": planned["to"]["revision"],
                "slots": planned["slots_after"],
                "unschedulable": name in self.cordoned,
                "note": None,
            }
            found += [
                f"{name}: {word} is {state[word]}, not {wanted[word]}" for word in wanted if state[word] != wanted[word]
            ]
        return found

    def holder(self) -> str | None:
        """The run that the lock names."""
        leases = self.client.items(LEASE.rpartition("/")[0])
        return leases[0]["spec"].get("holderIdentity") if leases else None

    def leave_lock(self, run: str, seconds: int, ago: float = 0.0) -> None:
        """The lock as a run leaves it that renewed it ``ago`` seconds ago for the last time."""
        renewed = format_micro_time(datetime.now(timezone.utc) - timedelta(seconds=ago))
        spec = {"holderIdentity": run, "leaseDurationSeconds": seconds, "acquireTime": renewed, "renewTime": renewed}
        self.client.patch(LEASE, {"spec": spec})

    def leave_surplus(self) -> str:
        """A config of a revision that no node bears."""
        labels = {MANAGED: "kubegpu.sharing", REVISION: "ffffffffff"}
        metadata = {"name": "kubegpu-device-plugin-l20-ffffffffff", "namespace": NAMESPACE, "labels": labels}
        config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}
        self.client.create(f"/api/v1/namespaces/{NAMESPACE}/configmaps", config)
        return f"ConfigMap {metadata['name']}"

    def read_managed(self) -> dict[str, str]:
        """The collection's own objects that make plugins, and their revisions."""
        return {
            f"{kind} {obj['metadata']['name']}": obj["metadata"]["labels"][REVISION]
            for kind, path in (("ConfigMap", "/api/v1/configmaps"), ("DaemonSet", "/apis/apps/v1/daemonsets"))
            for obj in self.client.items(path)
            if REVISION in (obj["metadata"].get("labels") or {})
        }

    def wrongs(self) -> list[str]:
        """What must never happen, whatever else does. The watch ends here."""
        broken = self.watch.broken()
        gone = sorted(self.unmanaged - self.read_unmanaged())
        disturbed = sorted(self.bystanders - self.read_bystanders())
        return [
            *broken,
            *(f"{name} was deleted, which is somebody else's" for name in gone),
            *(f"pod {name} was disturbed, which uses no GPU" for name in disturbed),
        ]

    def read_unmanaged(self) -> set[str]:
        """Objects that do not bear the collection's mark, by what makes them these very ones."""
        return {
            f"{path} {obj['metadata']['name']} {obj['metadata']['uid']}"
            for path in _KINDS
            for obj in self.client.items(path)
            if MANAGED not in (obj["metadata"].get("labels") or {})
        }

    def read_bystanders(self) -> set[str]:
        """Pods that neither use a GPU nor serve one."""
        pods = self.client.items("/api/v1/namespaces/default/pods")
        return {
            f"{pod['metadata']['name']} {pod['metadata']['uid']}"
            for pod in pods
            if not any(GPU in (item.get("resources", {}).get("limits") or {}) for item in pod["spec"]["containers"])
        }

    def read_models(self) -> set[str]:
        """The pods that use a GPU and run, by what makes them these very ones."""
        return {
            f"{pod['metadata']['name']} {pod['metadata']['uid']}"
            for pod in self.client.items("/api/v1/namespaces/default/pods", labelSelector="app=model")
            if pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]
        }

    def scale_models(self, replicas: int) -> None:
        self.client.patch("/apis/apps/v1/namespaces/default/deployments/model", {"spec": {"replicas": replicas}})
        self.await_models(replicas)

    def read_places(self) -> set[str]:
        """Where DaemonSets that are not the collection's go, as text. (Their strategy stays OnDelete while a rolling update
        would restart plugins that serve.)
        """
        return {
            f"{obj['metadata']['name']} goes to {json.dumps([spec.get('nodeSelector'), spec.get('affinity')])}"
            for obj in self.client.items("/apis/apps/v1/daemonsets")
            if MANAGED not in (obj["metadata"].get("labels") or {})
            for spec in [obj["spec"]["template"]["spec"]]
        }

    def await_models(self, wanted: int = MODELS) -> set[str]:
        """The same, once there are as many as there should be."""

        def complete() -> set[str]:
            models = self.read_models()
            return models if len(models) == wanted else set()

        found: set[str] = self.cluster.wait_until(complete, timeout=60, what="that every pod with a GPU runs")
        return found


def well(ending: Object) -> bool:
    """The run found the cluster as planned, or has made it so."""
    return ending["ended"] in (DONE, NOTHING_TO_DO)
