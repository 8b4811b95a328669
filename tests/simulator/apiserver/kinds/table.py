"""Which rules apply to which resource."""

from __future__ import annotations

from simulator.apiserver.kinds.base import Rules
from simulator.apiserver.kinds.cluster import NamespaceRules, PriorityClassRules
from simulator.apiserver.kinds.nodes import NodeRules
from simulator.apiserver.kinds.pods import PodRules
from simulator.apiserver.kinds.workloads import DaemonSetRules, DeploymentRules, ReplicaSetRules, StatefulSetRules

PLAIN = Rules()
RULES: dict[str, Rules] = {
    "namespaces": NamespaceRules(),
    "pods": PodRules(),
    "nodes": NodeRules(),
    "apps/daemonsets": DaemonSetRules(),
    "apps/deployments": DeploymentRules(),
    "apps/replicasets": ReplicaSetRules(),
    "scheduling.k8s.io/priorityclasses": PriorityClassRules(),
    "apps/statefulsets": StatefulSetRules(),
}


def rules_for(resource: str) -> Rules:
    return RULES.get(resource, PLAIN)
