# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""API paths and what they mean in words. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, unquote

_METHOD_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True)
class Target:
    """What a request is about.

    :param group: "" for the core group.
    :param resource: plural, such as "nodes"; "" for a path that names no resource.
    """

    group: str = ""
    resource: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    @property
    def qualified(self) -> str:
        """The resource as a role names it: "daemonsets.apps", "pods/eviction"."""
        qualified = f"{self.resource}.{self.group}" if self.group else self.resource
        return f"{qualified}/{self.subresource}" if self.subresource else qualified

    def __str__(self) -> str:
        """The object in words: "nodes gpu-1", "pods in all namespaces", "leases.coordination.k8s.io kubegpu-system/x"."""
        if not self.resource:
            return "the API"
        if self.name:
            return (
                f"{self.qualified} {self.namespace}/{self.name}" if self.namespace else f"{self.qualified} {self.name}"
            )
        if self.namespace:
            return f"{self.qualified} in namespace {self.namespace}"
        return self.qualified


def parse_path(path: str) -> Target:
    """The target of an API path. A path outside /api and /apis has no resource."""
    parts = [unquote(part) for part in path.split("?", 1)[0].strip("/").split("/")]
    if parts[0] == "api" and len(parts) > 2:
        group, rest = "", parts[2:]
    elif parts[0] == "apis" and len(parts) > 3:
        group, rest = parts[1], parts[3:]
    else:
        return Target()
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    rest = [*rest, "", ""]
    return Target(group=group, resource=rest[0], namespace=namespace, name=rest[1], subresource=rest[2])


def request_verb(method: str, path: str, watching: bool = False) -> str:
    """The verb that a role has to allow for a request: get, list, watch, create, update, patch or delete."""
    if method == "GET":
        if watching:
            return "watch"
        return "get" if parse_path(path).name else "list"
    return _METHOD_VERBS.get(method, method.lower())


def api_path(resource: str, namespace: str = "", name: str = "", subresource: str = "", api: str = "api/v1") -> str:
    """An API path with every part quoted, so that a name can never reach beyond its place.

    :param api: "api/v1" or, for example, "apis/apps/v1".
    """
    parts = [api]
    if namespace:
        parts += ["namespaces", quote(namespace, safe="")]
    parts += [quote(part, safe="") for part in (resource, name, subresource) if part]
    return "/" + "/".join(parts)
