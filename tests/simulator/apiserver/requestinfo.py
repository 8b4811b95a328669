"""What a request asks for, read off its method and path, before anything is looked up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

NAMESPACE_SUBRESOURCES = ("status", "finalize")
VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "GET": "get", "HEAD": "get", "DELETE": "delete"}


@dataclass(frozen=True)
class RequestInfo:
    """``resource`` is empty for paths that are no resource (discovery, probes, unknown ones)."""

    method: str
    path: str
    verb: str
    group: str = ""
    version: str = ""
    namespace: str = ""
    resource: str = ""
    name: str = ""
    subresource: str = ""
    is_watch: bool = False

    @property
    def is_resource(self) -> bool:
        return bool(self.resource)


def parse_request(method: str, path: str, query: Mapping[str, str]) -> RequestInfo:
    parts = [part for part in path.split("/") if part]
    group, version, rest = _group_version(parts)
    if not version or not rest:
        return RequestInfo(method, path, method.lower())
    watch = query.get("watch", "false").lower() in ("1", "true", "")
    if rest[0] == "watch":
        watch, rest = True, rest[1:]
    namespace, resource, name, subresource = _resource_parts(rest)
    verb = _verb(method, name, watch)
    return RequestInfo(
        method, path, verb, group, version, namespace, resource, name, subresource, watch and method == "GET"
    )


def _group_version(parts: list[str]) -> tuple[str, str, list[str]]:
    if len(parts) >= 2 and parts[0] == "api":
        return "", parts[1], parts[2:]
    if len(parts) >= 3 and parts[0] == "apis":
        return parts[1], parts[2], parts[3:]
    return "", "", []


def _resource_parts(rest: list[str]) -> tuple[str, str, str, str]:
    """namespace, resource, name, subresource. A namespace itself is addressed as /namespaces/NAME[/status]."""
    namespace = ""
    if rest and rest[0] == "namespaces" and len(rest) > 1:
        namespace = rest[1]
        if len(rest) > 2 and rest[2] not in NAMESPACE_SUBRESOURCES:
            rest = rest[2:]
    padded = [*rest, "", "", ""]
    return namespace, padded[0], padded[1], "/".join(rest[2:])


def _verb(method: str, name: str, watch: bool) -> str:
    if method == "GET" and watch:
        return "watch"
    if method == "GET" and not name:
        return "list"
    if method == "DELETE" and not name:
        return "deletecollection"
    return VERBS.get(method, method.lower())
