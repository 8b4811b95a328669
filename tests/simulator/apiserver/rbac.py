"""Role-based access control over the stored Roles, ClusterRoles and their bindings."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from simulator.apiserver.authn import User
from simulator.apiserver.errors import ApiError, Subject, forbidden
from simulator.store import Store

Object = dict[str, Any]

PUBLIC_PATHS = ("/healthz", "/livez", "/readyz", "/version", "/version/")
DISCOVERY_PATHS = ("/api", "/apis", "/openapi", "/version", "/healthz", "/livez", "/readyz")
RBAC = "rbac.authorization.k8s.io"
SELF_REVIEWS = ("selfsubjectaccessreviews", "selfsubjectrulesreviews", "selfsubjectreviews")


@dataclass(frozen=True)
class Access:
    """What is to be done. ``resource`` is empty for a path that is no resource."""

    verb: str
    group: str = ""
    resource: str = ""
    subresource: str = ""
    namespace: str = ""
    name: str = ""
    path: str = ""

    @property
    def full_resource(self) -> str:
        return f"{self.resource}/{self.subresource}" if self.subresource else self.resource


@dataclass(frozen=True)
class Decision:
    allowed: bool
    reason: str = ""


class Authorizer:
    def __init__(self, store: Store) -> None:
        self._store = store

    def decide(self, user: User, access: Access) -> Decision:
        if "system:masters" in user.groups:
            return Decision(True)
        if not access.resource:
            return Decision(self._path_allowed(user, access))
        if access.resource in SELF_REVIEWS and "system:authenticated" in user.groups:
            return Decision(
                True,
                'RBAC: allowed by ClusterRoleBinding "system:basic-user" of ClusterRole "system:basic-user" to Group "system:authenticated"',
            )
        for rule, reason in self.rules_of(user, access.namespace):
            if _rule_allows(rule, access):
                return Decision(True, reason)
        return Decision(False)

    def check(self, user: User, access: Access) -> None:
        """ApiError 403, worded as the server does."""
        if self.decide(user, access).allowed:
            return
        if not access.resource:
            message = f'forbidden: User "{user.name}" cannot {access.verb} path "{access.path}"'
            raise ApiError(403, "Forbidden", message, {})
        where = f'in the namespace "{access.namespace}"' if access.namespace else "at the cluster scope"
        why = f'User "{user.name}" cannot {access.verb} resource "{access.full_resource}" in API group "{access.group}" {where}'
        raise forbidden(Subject(access.group, access.resource, ""), access.name, why)

    def rules_of(self, user: User, namespace: str) -> Iterator[tuple[Object, str]]:
        """Rules that apply to the user in the namespace (cluster-wide ones alone if it is empty), with why."""
        for binding in self._store.list(f"{RBAC}/clusterrolebindings"):
            yield from self._bound_rules(user, binding, "ClusterRoleBinding", "")
        if namespace:
            for binding in self._store.list(f"{RBAC}/rolebindings", namespace):
                yield from self._bound_rules(user, binding, "RoleBinding", namespace)

    def _bound_rules(self, user: User, binding: Object, kind: str, namespace: str) -> Iterator[tuple[Object, str]]:
        subject = next((item for item in binding.get("subjects") or [] if _is_subject(item, user, namespace)), None)
        if subject is None:
            return
        reference = binding["roleRef"]
        if reference["kind"] == "ClusterRole":
            role = self._store.get(f"{RBAC}/clusterroles", None, reference["name"])
        else:
            role = self._store.get(f"{RBAC}/roles", namespace, reference["name"])
        where = f"{binding['metadata']['name']}/{namespace}" if namespace else binding["metadata"]["name"]
        target = f"{subject['name']}/{subject['namespace']}" if subject.get("namespace") else subject["name"]
        reason = f'RBAC: allowed by {kind} "{where}" of {reference["kind"]} "{reference["name"]}" to {subject["kind"]} "{target}"'
        for rule in (role or {}).get("rules") or []:
            yield rule, reason

    def _path_allowed(self, user: User, access: Access) -> bool:
        if access.verb == "get" and access.path in PUBLIC_PATHS:
            return True
        if "system:authenticated" in user.groups and access.verb == "get":
            if any(access.path == path or access.path.startswith(f"{path}/") for path in DISCOVERY_PATHS):
                return True
        return any(_path_rule_allows(rule, access) for rule, _unused in self.rules_of(user, ""))


def _is_subject(subject: Object, user: User, namespace: str) -> bool:
    if subject["kind"] == "User":
        return bool(subject["name"] == user.name)
    if subject["kind"] == "Group":
        return subject["name"] in user.groups
    account_namespace = subject.get("namespace") or namespace
    return user.name == f"system:serviceaccount:{account_namespace}:{subject['name']}"


def _rule_allows(rule: Object, access: Access) -> bool:
    if not _contains(rule.get("verbs"), access.verb) or not _contains(rule.get("apiGroups"), access.group):
        return False
    names = rule.get("resourceNames")
    if names and access.name not in names:
        return False
    resources = rule.get("resources") or []
    return _contains(resources, access.full_resource) or f"*/{access.subresource}" in resources


def _path_rule_allows(rule: Object, access: Access) -> bool:
    if not _contains(rule.get("verbs"), access.verb):
        return False
    paths = rule.get("nonResourceURLs") or []
    return any(path == access.path or (path.endswith("*") and access.path.startswith(path[:-1])) for path in paths)


def _contains(values: list[str] | None, wanted: str) -> bool:
    return wanted in (values or []) or "*" in (values or [])
