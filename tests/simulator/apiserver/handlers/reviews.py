"""Access reviews and the question who one is: nothing of these is stored."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from simulator.apiserver.authn import User
from simulator.apiserver.handlers.writes import read_body
from simulator.apiserver.rbac import Access
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.server import Call, answer
from simulator.clock import rfc3339

Object = dict[str, Any]

REVIEWS = (
    "selfsubjectaccessreviews",
    "selfsubjectrulesreviews",
    "subjectaccessreviews",
    "localsubjectaccessreviews",
    "selfsubjectreviews",
)


async def review(call: Call, kind: ResourceType) -> web.StreamResponse:
    obj = read_body(call, kind).obj
    head = {"kind": kind.kind, "apiVersion": kind.api_version, "metadata": {}}
    if kind.plural == "selfsubjectreviews":
        metadata = {"creationTimestamp": rfc3339(call.registry.clock.now())}
        info = {"username": call.user.name, "groups": list(call.user.groups)}
        return answer(call, {**head, "metadata": metadata, "status": {"userInfo": info}}, status=201)
    spec = obj.get("spec") or {}
    if kind.plural == "selfsubjectrulesreviews":
        return answer(call, {**head, "spec": {}, "status": _rules(call, spec.get("namespace", ""))}, status=201)
    user = call.user
    if not kind.plural.startswith("self"):
        user = User(spec.get("user", ""), tuple(spec.get("groups") or ()))
    decision = call.server.authorizer.decide(user, _access(spec))
    status: Object = {"allowed": decision.allowed}
    if decision.reason:
        status["reason"] = decision.reason
    return answer(call, {**head, "spec": spec, "status": status}, status=201)


def _access(spec: Object) -> Access:
    path = spec.get("nonResourceAttributes")
    if path:
        return Access(path.get("verb", ""), path=path.get("path", ""))
    asked = spec.get("resourceAttributes") or {}
    return Access(
        verb=asked.get("verb", ""),
        group=asked.get("group", ""),
        resource=asked.get("resource", ""),
        subresource=asked.get("subresource", ""),
        namespace=asked.get("namespace", ""),
        name=asked.get("name", ""),
    )


def _rules(call: Call, namespace: str) -> Object:
    if "system:masters" in call.user.groups:
        resource_rules = [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}]
        return {
            "resourceRules": resource_rules,
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": False,
        }
    rules = [rule for rule, _unused in call.server.authorizer.rules_of(call.user, namespace)]
    return {
        "resourceRules": [rule for rule in rules if rule.get("resources")],
        "nonResourceRules": [rule for rule in rules if rule.get("nonResourceURLs")],
        "incomplete": False,
    }
