"""All kubelets of the scenario: wakes the one that a change concerns, and renews the nodes' leases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from simulator.clock import rfc3339_micro
from simulator.controllers.context import Context
from simulator.controllers.kubelet.containers import LogLine
from simulator.controllers.kubelet.node import NodeAgent
from simulator.controllers.kubelet.spec import NodeSpec
from simulator.controllers.meta import key_of, node_name
from simulator.controllers.node_lifecycle import NodeLifecycleController
from simulator.store import Change

Object = dict[str, Any]
LEASE_NAMESPACE = "kube-node-lease"
LEASE_SECONDS = 40
RENEW_SECONDS = 10.0
#: Conditions are reported at least this often though nothing changed.
REPORT_SECONDS = 300.0


class Kubelets:
    """Keyed by node name and pod, joined by ``|``. Nodes that a client made have no kubelet and are left alone."""

    name = "kubelet"

    def __init__(self, context: Context, lifecycle: NodeLifecycleController, directory: Path | None = None) -> None:
        self.agents: dict[str, NodeAgent] = {}
        self._context = context
        self._lifecycle = lifecycle
        self._directory = directory
        self._config_map_users: dict[str, set[str]] = {}
        context.store.subscribe(self._changed)
        context.pods.listen(self._pod_changed)

    def add(self, spec: NodeSpec) -> NodeAgent:
        """A kubelet for a node whose object is in the store."""
        agent = NodeAgent(self._context, spec, self._directory / spec.name if self._directory else None)
        agent.outage.on_silence = self._lifecycle.kubelet_silent
        self.agents[spec.name] = agent
        agent.start()
        return agent

    def reconcile(self, key: str) -> None:
        node, _unused, pod = key.partition("|")
        if node in self.agents:
            self.agents[node].sync(pod)

    def start_heartbeats(self) -> None:
        """Leases every ten seconds, conditions every five minutes; not for fleets, where it would only cost time."""
        self._renew_leases()
        self._context.engine.later(REPORT_SECONDS, self._report_all, settles=False)

    def log(self, namespace: str, name: str, container: str, *, previous: bool = False) -> list[LogLine]:
        """Log lines of a container with their times, oldest first; empty if it has none."""
        pod = self._context.store.get("pods", namespace, name)
        agent = self.agents.get(node_name(pod)) if pod else None
        runtime = agent.runtimes.get(f"{namespace}/{name}") if agent else None
        return runtime.log(container, previous=previous) if runtime else []

    def _changed(self, change: Change) -> None:
        if change.resource == "configmaps" and change.type != "DELETED":
            metadata = change.obj["metadata"]
            if change.type == "MODIFIED" or change.old is None:
                for agent in self.agents.values():
                    if agent.runtimes:
                        agent.config_map_changed(metadata["namespace"], metadata["name"])
        elif change.resource == "nodes" and change.type == "DELETED":
            if change.obj["metadata"]["name"] in self.agents:
                self.agents[change.obj["metadata"]["name"]].outage.shut_down()
        elif change.resource == "nodes" and change.type == "MODIFIED" and change.old is not None:
            agent_of_node = self.agents.get(change.obj["metadata"]["name"])
            if agent_of_node and change.old["metadata"].get("labels") != change.obj["metadata"].get("labels"):
                self._context.engine.later(0.05, agent_of_node.labels_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        if node_name(pod) in self.agents and (old is None or new is None or _matters(old, new)):
            self._context.engine.enqueue(self, f"{node_name(pod)}|{key_of(pod)}")

    def _renew_leases(self) -> None:
        now = rfc3339_micro(self._context.clock.now())
        for name, agent in self.agents.items():
            if agent.reports:
                self._renew(name, now)
        self._context.engine.later(RENEW_SECONDS, self._renew_leases, settles=False)

    def _renew(self, name: str, now: str) -> None:
        store = self._context.store
        lease = store.get("coordination.k8s.io/leases", LEASE_NAMESPACE, name)
        if lease is not None:
            store.put("coordination.k8s.io/leases", {**lease, "spec": {**lease["spec"], "renewTime": now}})
            return
        node = store.get("nodes", None, name)
        if node is None:
            return
        owner = {"apiVersion": "v1", "kind": "Node", "name": name, "uid": node["metadata"]["uid"]}
        spec = {"holderIdentity": name, "leaseDurationSeconds": LEASE_SECONDS, "renewTime": now}
        body = {"metadata": {"name": name, "ownerReferences": [owner]}, "spec": spec}
        self._context.registry.create("coordination.k8s.io/leases", body, LEASE_NAMESPACE)

    def _report_all(self) -> None:
        for agent in self.agents.values():
            agent.post_status(heartbeat=True)
        self._context.engine.later(REPORT_SECONDS, self._report_all, settles=False)


def _matters(old: Object, new: Object) -> bool:
    """A kubelet need not look at the status that it wrote itself."""
    if old["metadata"].get("deletionTimestamp") != new["metadata"].get("deletionTimestamp"):
        return True
    if old["metadata"].get("deletionGracePeriodSeconds") != new["metadata"].get("deletionGracePeriodSeconds"):
        return True
    return old["spec"] != new["spec"] or old.get("status", {}).get("phase") != new.get("status", {}).get("phase")
