# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who may do what: tokens, roles, bindings."""

from __future__ import annotations

import pytest

from simulator.apiserver.authn import ADMIN, ANONYMOUS, User
from simulator.apiserver.errors import ApiError
from simulator.apiserver.rbac import Access, Authorizer
from simulator.registry import Registry

RBAC = "rbac.authorization.k8s.io"
ROBOT = User("system:serviceaccount:default:robot", ("system:serviceaccounts", "system:authenticated"))


@pytest.fixture
def registry() -> Registry:
    registry = Registry()
    rules = [
        {"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/eviction"], "verbs": ["create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "verbs": ["*"], "resourceNames": ["mine"]},
        {"nonResourceURLs": ["/metrics*"], "verbs": ["get"]},
    ]
    registry.create(f"{RBAC}/clusterroles", {"metadata": {"name": "reader"}, "rules": rules})
    return registry


def bind(registry: Registry, namespace: str = "") -> None:
    reference = {"apiGroup": RBAC, "kind": "ClusterRole", "name": "reader"}
    subjects = [{"kind": "ServiceAccount", "name": "robot", "namespace": "default"}]
    binding = {"metadata": {"name": "b"}, "roleRef": reference, "subjects": subjects}
    if namespace:
        registry.create(f"{RBAC}/rolebindings", binding, namespace)
    else:
        registry.create(f"{RBAC}/clusterrolebindings", binding)


def allowed(registry: Registry, access: Access, user: User = ROBOT) -> bool:
    return Authorizer(registry.store).decide(user, access).allowed


def test_nothing_is_allowed_without_a_binding(registry: Registry) -> None:
    assert not allowed(registry, Access("list", "", "nodes"))
    assert allowed(registry, Access("list", "", "nodes"), ADMIN)
    assert allowed(registry, Access("get", path="/version"), ANONYMOUS)
    assert not allowed(registry, Access("get", path="/api"), ANONYMOUS)
    assert allowed(registry, Access("get", path="/api"), ROBOT)
    assert allowed(registry, Access("create", "authorization.k8s.io", "selfsubjectaccessreviews"))


def test_cluster_binding_allows_what_its_role_names(registry: Registry) -> None:
    bind(registry)
    assert allowed(registry, Access("list", "", "nodes"))
    assert not allowed(registry, Access("patch", "", "nodes"))
    assert not allowed(registry, Access("get", "", "nodes", subresource="status"))
    assert allowed(registry, Access("create", "", "pods", subresource="eviction", namespace="web"))
    assert allowed(registry, Access("patch", "", "configmaps", namespace="web", name="mine"))
    assert not allowed(registry, Access("patch", "", "configmaps", namespace="web", name="other"))
    assert allowed(registry, Access("get", path="/metrics/cadvisor"))
    decision = Authorizer(registry.store).decide(ROBOT, Access("list", "", "nodes"))
    assert 'ClusterRoleBinding "b" of ClusterRole "reader" to ServiceAccount "robot/default"' in decision.reason


def test_namespaced_binding_reaches_no_further(registry: Registry) -> None:
    bind(registry, "kube-system")
    eviction = Access("create", "", "pods", subresource="eviction", namespace="kube-system")
    assert allowed(registry, eviction)
    assert not allowed(registry, Access("create", "", "pods", subresource="eviction", namespace="default"))
    assert not allowed(registry, Access("list", "", "nodes"))


def test_refusal_names_verb_resource_and_place(registry: Registry) -> None:
    with pytest.raises(ApiError) as refused:
        Authorizer(registry.store).check(ROBOT, Access("patch", "apps", "daemonsets", namespace="web", name="d"))
    expected = 'daemonsets.apps "d" is forbidden: User "system:serviceaccount:default:robot" cannot patch resource "daemonsets"'
    assert refused.value.message == f'{expected} in API group "apps" in the namespace "web"'
