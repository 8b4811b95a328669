"""Which rules apply to which resource."""

from __future__ import annotations

from simulator.apiserver.kinds import cluster, config, workloads
from simulator.apiserver.kinds.base import Rules, VersionedRules
from simulator.apiserver.kinds.nodes import NodeRules
from simulator.apiserver.kinds.pods import PodRules
from simulator.apiserver.resources import ResourceType


class CustomRules(VersionedRules):
    update_needs_version = True


PLAIN = Rules()
VERSIONED = VersionedRules()
CUSTOM = CustomRules()
RULES: dict[str, Rules] = {
    "configmaps": config.ConfigMapRules(),
    "events": cluster.EventRules(),
    "namespaces": cluster.NamespaceRules(),
    "nodes": NodeRules(),
    "pods": PodRules(),
    "secrets": config.SecretRules(),
    "serviceaccounts": config.ServiceAccountRules(),
    "services": cluster.ServiceRules(),
    "apiextensions.k8s.io/customresourcedefinitions": cluster.DefinitionRules(),
    "apps/daemonsets": workloads.DaemonSetRules(),
    "apps/deployments": workloads.DeploymentRules(),
    "apps/replicasets": workloads.ReplicaSetRules(),
    "apps/statefulsets": workloads.StatefulSetRules(),
    "autoscaling/horizontalpodautoscalers": PLAIN,
    "batch/cronjobs": VERSIONED,
    "batch/jobs": VERSIONED,
    "coordination.k8s.io/leases": cluster.LeaseRules(),
    "networking.k8s.io/ingresses": VERSIONED,
    "networking.k8s.io/networkpolicies": VERSIONED,
    "node.k8s.io/runtimeclasses": cluster.RuntimeClassRules(),
    "policy/poddisruptionbudgets": cluster.BudgetRules(),
    "rbac.authorization.k8s.io/clusterrolebindings": cluster.BindingRules(),
    "rbac.authorization.k8s.io/clusterroles": cluster.RoleRules(),
    "rbac.authorization.k8s.io/rolebindings": cluster.BindingRules(),
    "rbac.authorization.k8s.io/roles": cluster.RoleRules(),
    "scheduling.k8s.io/priorityclasses": cluster.PriorityClassRules(),
}


def rules_for(kind: ResourceType) -> Rules:
    return CUSTOM if kind.custom else RULES.get(kind.key, PLAIN)
