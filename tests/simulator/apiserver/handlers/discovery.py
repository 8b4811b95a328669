"""What the server has: versions, groups, resources, probes and a minimal OpenAPI document."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

from aiohttp import web

from simulator.apiserver import errors
from simulator.apiserver.negotiation import DISCOVERY_FORM, JSON, negotiate, wants_aggregated_discovery
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.server import Call, answer, answer_bytes
from simulator.store import encode

Object = dict[str, Any]

PROBES = ("/healthz", "/livez", "/readyz")
CHECKS = ("ping", "log", "etcd")
AGGREGATED_TYPE = f"{JSON};g=apidiscovery.k8s.io;v=v2;as={DISCOVERY_FORM}"


async def serve(call: Call) -> web.StreamResponse:
    """Everything that is not a resource. Unknown paths are plain text, not a Status."""
    path = call.info.path.rstrip("/") or "/"
    if any(path == probe or path.startswith(f"{probe}/") for probe in PROBES):
        return _probe(call, path)
    if path == "/version":
        return answer(call, _version(call.server.version))
    if path in ("/api", "/apis"):
        return _root(call, path)
    parts = path.strip("/").split("/")
    if path == "/api/v1":
        return answer(call, resource_list(call, "", "v1"))
    if parts[0] == "apis" and parts[1] in call.registry.resources.groups:
        return _group(call, parts)
    if parts[0] == "openapi":
        return _openapi(call, path)
    if path == "/":
        return answer(
            call, {"paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v2", "/readyz", "/version"]}
        )
    return not_found_page()


def not_found_page() -> web.Response:
    return web.Response(text="404 page not found\n", status=404, content_type="text/plain", charset="utf-8")


def _probe(call: Call, path: str) -> web.Response:
    text = "ok"
    if "verbose" in call.request.query:
        text = "".join(f"[+]{check} ok\n" for check in CHECKS) + f"{path.strip('/')} check passed\n"
    return web.Response(text=text, content_type="text/plain", charset="utf-8")


def _version(version: str) -> Object:
    major, minor, *_unused = version.removeprefix("v").split(".")
    return {
        "major": major,
        "minor": minor,
        "emulationMajor": major,
        "emulationMinor": minor,
        "minCompatibilityMajor": major,
        "minCompatibilityMinor": str(int(minor) - 1),
        "gitVersion": version,
        "gitCommit": "$Format:%H$",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.27.3",
        "compiler": "gc",
        "platform": "linux/amd64",
    }


def _root(call: Call, path: str) -> web.StreamResponse:
    accept = call.request.headers.get("Accept", "")
    if wants_aggregated_discovery(accept):
        return _aggregated(call, path)
    call.form = negotiate(accept, allow_transforms=False)
    if path == "/api":
        address = [{"clientCIDR": "0.0.0.0/0", "serverAddress": call.server.address}]
        return answer(call, {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": address})
    groups = [_group_entry(name, versions) for name, versions in call.registry.resources.groups.items() if name]
    return answer(call, {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups})


def _group_entry(name: str, versions: list[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def _group(call: Call, parts: list[str]) -> web.StreamResponse:
    name, versions = parts[1], call.registry.resources.groups[parts[1]]
    if len(parts) == 2:
        return answer(call, {"kind": "APIGroup", "apiVersion": "v1", **_group_entry(name, versions)})
    if len(parts) == 3 and parts[2] in versions:
        return answer(call, resource_list(call, name, parts[2]))
    raise errors.unknown_resource()


def resource_list(call: Call, group: str, version: str) -> Object:
    resources: list[Object] = []
    for kind in call.registry.resources.of_version(group, version):
        resources.append(_resource_entry(kind))
        resources += _subresource_entries(kind)
    resources.sort(key=lambda entry: entry["name"])
    head: Object = {"kind": "APIResourceList"}
    if group:
        head["apiVersion"] = "v1"
    return {**head, "groupVersion": f"{group}/{version}" if group else version, "resources": resources}


def _resource_entry(kind: ResourceType) -> Object:
    entry: Object = {"name": kind.plural, "singularName": kind.singular, "namespaced": kind.namespaced}
    entry |= {"kind": kind.kind, "verbs": list(kind.verbs)}
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.storage_version_hash or kind.custom:
        entry["storageVersionHash"] = kind.storage_version_hash or _storage_hash(kind)
    return entry


def _storage_hash(kind: ResourceType) -> str:
    digest = hashlib.sha256(f"{kind.group}/{kind.version}/{kind.kind}".encode()).digest()
    return base64.b64encode(digest[:8]).decode()


def _subresource_entries(kind: ResourceType) -> list[Object]:
    entries = []
    for sub in kind.subresources:
        entry: Object = {"name": f"{kind.plural}/{sub.name}", "singularName": "", "namespaced": kind.namespaced}
        if sub.group:
            entry |= {"group": sub.group, "version": sub.version}
        entries.append({**entry, "kind": sub.kind or kind.kind, "verbs": list(sub.verbs)})
    return entries


def _aggregated(call: Call, path: str) -> web.StreamResponse:
    table = call.registry.resources
    names = [""] if path == "/api" else [name for name in table.groups if name]
    items = []
    for name in names:
        versions = [
            {
                "version": version,
                "resources": [_aggregated_resource(kind) for kind in table.of_version(name, version)],
                "freshness": "Current",
            }
            for version in table.groups[name]
        ]
        items.append({"metadata": {"name": name} if name else {}, "versions": versions})
    document = {"kind": DISCOVERY_FORM, "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}
    text = encode(document)
    etag = f'"{hashlib.sha256(text).hexdigest().upper()}"'
    headers = {"Etag": etag, "Vary": "Accept"}
    if call.request.headers.get("If-None-Match") == etag:
        return web.Response(status=304, headers=headers)
    response = answer_bytes(call, text, headers=headers)
    response.headers["Content-Type"] = AGGREGATED_TYPE
    return response


def _aggregated_resource(kind: ResourceType) -> Object:
    entry: Object = {"resource": kind.plural, "responseKind": _response_kind(kind.kind)}
    entry |= {
        "scope": "Namespaced" if kind.namespaced else "Cluster",
        "singularResource": kind.singular,
        "verbs": list(kind.verbs),
    }
    if kind.custom:
        entry["responseKind"] = {"group": kind.group, "version": kind.version, "kind": kind.kind}
    if kind.short_names:
        entry["shortNames"] = list(kind.short_names)
    if kind.categories:
        entry["categories"] = list(kind.categories)
    if kind.subresources:
        entry["subresources"] = [
            {
                "subresource": sub.name,
                "responseKind": _response_kind(sub.kind or kind.kind, sub.group, sub.version),
                "verbs": list(sub.verbs),
            }
            for sub in kind.subresources
        ]
    return entry


def _response_kind(kind: str, group: str = "", version: str = "") -> Object:
    return {"group": group, "version": version, "kind": kind}


def _openapi(call: Call, path: str) -> web.StreamResponse:
    """Only the index: clients that validate by schema must be told not to (kubectl apply --validate=false)."""
    info = {"title": "Kubernetes", "version": call.server.version}
    if path == "/openapi/v3":
        return answer(call, {"paths": {}})
    if path == "/openapi/v2":
        return answer(call, {"swagger": "2.0", "info": info, "paths": {}, "definitions": {}})
    return not_found_page()
