# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Somebody who may do what a rollout needs, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.access import needed_access
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import read_plan
from simulator.client import Client
from simulator.cluster import SimulatedCluster

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"


def operator_of(cluster: SimulatedCluster, plan: dict[str, Any], directory: Path) -> Path:
    """The kubeconfig of such a user in a cluster that knows nobody else of that name yet."""
    client = cluster.client()
    client.create("/api/v1/namespaces", {"metadata": {"name": "kubegpu-system"}})
    _grant(client, plan)
    token = client.create(
        f"{ACCOUNTS}/operator/token", {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}
    )
    config = yaml.safe_load(Path(cluster.kubeconfig).read_text())
    config["users"][0]["user"] = {"token": token["status"]["token"]}
    kubeconfig = directory / "operator.kubeconfig"
    kubeconfig.write_text(yaml.safe_dump(config))
    return kubeconfig


def _grant(client: Client, plan: dict[str, Any]) -> None:
    """A ServiceAccount with a role for each scope of what the plan needs."""
    rules: dict[str, list[dict[str, Any]]] = {}
    for access in needed_access(read_plan(plan, "plan"), "kubegpu-system"):
        rule = {"apiGroups": [access.group], "resources": [access.resource], "verbs": [access.verb]}
        rules.setdefault(access.namespace, []).append(rule)
    client.create(ACCOUNTS, {"metadata": {"name": "operator"}})
    subject = {"kind": "ServiceAccount", "name": "operator", "namespace": "default"}
    for namespace, granted in rules.items():
        kind = "Role" if namespace else "ClusterRole"
        base = f"{RBAC}/namespaces/{namespace}" if namespace else RBAC
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": "operator"}
        role, binding = f"{base}/{kind.lower()}s", f"{base}/{kind.lower()}bindings"
        client.create(role, {"metadata": {"name": "operator"}, "rules": granted})
        client.create(binding, {"metadata": {"name": "operator"}, "roleRef": reference, "subjects": [subject]})
