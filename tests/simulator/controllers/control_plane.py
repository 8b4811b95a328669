"""All controllers of the cluster, wired to one registry and one engine."""

from __future__ import annotations

from pathlib import Path

from simulator.controllers.context import Context
from simulator.controllers.daemonset import DaemonSetController
from simulator.controllers.deployment import DeploymentController
from simulator.controllers.disruption import DisruptionController
from simulator.controllers.engine import Engine
from simulator.controllers.facts import ALL, Facts
from simulator.controllers.garbage import GarbageCollector
from simulator.controllers.kubelet.kubelets import Kubelets
from simulator.controllers.namespaces import NamespaceController
from simulator.controllers.node_lifecycle import NodeLifecycleController
from simulator.controllers.pod_garbage import PodGarbageCollector
from simulator.controllers.replicaset import ReplicaSetController
from simulator.controllers.scheduler.scheduler import Scheduler
from simulator.controllers.statefulset import StatefulSetController
from simulator.registry import Registry


class ControlPlane:
    """Everything that reacts to objects. ``directory`` is where nodes keep their files; None: they keep none."""

    def __init__(
        self, registry: Registry, *, directory: Path | None = None, facts: Facts = ALL, ca_certificate: str = ""
    ) -> None:
        context = Context.create(registry, facts)
        self.context = context
        self.engine: Engine = context.engine
        self.namespaces = NamespaceController(context, ca_certificate)
        self.garbage = GarbageCollector(context)
        self.pod_garbage = PodGarbageCollector(context)
        self.node_lifecycle = NodeLifecycleController(context)
        self.scheduler = Scheduler(context)
        self.daemon_sets = DaemonSetController(context)
        self.deployments = DeploymentController(context)
        self.replica_sets = ReplicaSetController(context)
        self.stateful_sets = StatefulSetController(context)
        self.disruption = DisruptionController(context)
        self.kubelets = Kubelets(context, self.node_lifecycle, directory)
