"""status, scale, eviction, binding, log, token, finalize."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from simulator.apiserver import body, errors
from simulator.apiserver.errors import bad_request
from simulator.apiserver.handlers import writes
from simulator.apiserver.handlers.reads import answer_object
from simulator.apiserver.options import write_options
from simulator.apiserver.patching import json_patch, merge_patch
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.selectors import selector_string
from simulator.apiserver.server import Call, answer
from simulator.clock import rfc3339

Object = dict[str, Any]

SCALE = body.Expected("autoscaling", "v1", "Scale")
EVICTION = body.Expected("policy", "v1", "Eviction")
BINDING = body.Expected("", "v1", "Binding")
TOKEN_REQUEST = body.Expected("authentication.k8s.io", "v1", "TokenRequest")
AUDIENCE = "https://kubernetes.default.svc"
SHORTEST_TOKEN = 600
NO_KUBELET = "no preferred addresses found; known addresses: []"


async def serve(call: Call, kind: ResourceType) -> web.StreamResponse:
    """ApiError 404 for a subresource that the resource does not have, 405 for a verb that it does not allow."""
    name = call.info.subresource
    known = kind.subresource(name)
    if known is None:
        raise errors.unknown_resource()
    if call.info.verb not in known.verbs:
        raise errors.method_not_allowed()
    if name == "status":
        return await _status(call, kind)
    if name == "scale":
        return await _scale(call, kind)
    if name in ("eviction", "binding", "token", "finalize"):
        handlers = {"eviction": evict, "binding": bind, "token": issue_token, "finalize": finalize}
        return await handlers[name](call, kind)
    if name == "log":
        return await log(call, kind)
    call.registry.get(kind.key, call.info.namespace if kind.namespaced else None, call.info.name)
    raise errors.internal_error(NO_KUBELET)


async def _status(call: Call, kind: ResourceType) -> web.StreamResponse:
    namespace = call.info.namespace if kind.namespaced else None
    if call.info.verb == "get":
        return answer_object(call, kind, call.registry.get(kind.key, namespace, call.info.name))
    if call.info.verb == "update":
        return await writes.update(call, kind, "status")
    return await writes.patch(call, kind, "status")


def _read(call: Call, expected: body.Expected) -> Object:
    known = {(item.api_version, item.kind) for item in call.registry.resources.all()}
    known.add((expected.api_version, expected.kind))
    return body.read_object(call.raw, call.request.headers.get("Content-Type", ""), expected, known).obj


def _success(call: Call) -> web.StreamResponse:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201}
    return answer(call, status, status=201)


async def _scale(call: Call, kind: ResourceType) -> web.StreamResponse:
    registry, info = call.registry, call.info
    obj = registry.get(kind.key, info.namespace, info.name)
    if info.verb == "get":
        return answer(call, _scale_of(obj))
    options = write_options(call.query, "UpdateOptions" if info.verb == "update" else "CreateOptions", call.user_agent)
    if info.verb == "update":
        scale = _read(call, SCALE)
    else:
        patch_type, patch = body.read_patch(call.raw, call.request.headers.get("Content-Type", ""), custom=False)
        current = _scale_of(obj)
        scale = json_patch(current, patch) if patch_type == "json" else merge_patch(current, patch)
    version = (scale.get("metadata") or {}).get("resourceVersion")
    if version and version != obj["metadata"]["resourceVersion"]:
        raise errors.conflict(kind.subject, info.name)
    replicas = int((scale.get("spec") or {}).get("replicas", 0))
    changed = registry.update(kind.key, {**obj, "spec": {**obj["spec"], "replicas": replicas}}, options=options)
    return answer(call, _scale_of(changed))


def _scale_of(obj: Object) -> Object:
    metadata = {
        key: obj["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
    }
    replicas = obj["spec"].get("replicas", 0)
    status = {
        "replicas": (obj.get("status") or {}).get("replicas", 0),
        "selector": selector_string(obj["spec"]["selector"]),
    }
    spec = {"replicas": replicas} if replicas else {}
    return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": metadata, "spec": spec, "status": status}


async def evict(call: Call, kind: ResourceType) -> web.StreamResponse:
    options = write_options(call.query, "CreateOptions", call.user_agent)
    eviction = _read_eviction(call)
    if (eviction.get("metadata") or {}).get("name", call.info.name) != call.info.name:
        raise bad_request("name in URL does not match name in Eviction object")
    call.registry.evict(call.info.namespace, call.info.name, eviction, dry_run=options.dry_run)
    return _success(call)


def _read_eviction(call: Call) -> Object:
    """policy/v1beta1 is accepted as well, as older clients send it."""
    try:
        return _read(call, EVICTION)
    except errors.ApiError:
        older = body.Expected("policy", "v1beta1", "Eviction")
        content_type = call.request.headers.get("Content-Type", "")
        if b"policy/v1beta1" not in call.raw:
            raise
        return body.read_object(call.raw, content_type, older, set()).obj


async def bind(call: Call, kind: ResourceType) -> web.StreamResponse:
    options = write_options(call.query, "CreateOptions", call.user_agent)
    binding = _read(call, BINDING)
    if not options.dry_run:
        call.registry.bind(call.info.namespace, call.info.name, binding["target"]["name"])
    return _success(call)


async def finalize(call: Call, kind: ResourceType) -> web.StreamResponse:
    """Namespaces: the only way to change spec.finalizers."""
    sent = writes.read_body(call, kind).obj
    namespace = call.registry.get(kind.key, None, call.info.name)
    finalizers = (sent.get("spec") or {}).get("finalizers") or []
    changed = {**namespace, "spec": {"finalizers": finalizers} if finalizers else {}}
    if "deletionTimestamp" in namespace["metadata"] and not finalizers:
        call.registry.store.remove(kind.key, None, call.info.name)
        return answer_object(call, kind, changed)
    return answer_object(call, kind, call.registry.store.put(kind.key, changed))


async def issue_token(call: Call, kind: ResourceType) -> web.StreamResponse:
    account = call.registry.get(kind.key, call.info.namespace, call.info.name)
    request = _read(call, TOKEN_REQUEST)
    spec = request.get("spec") or {}
    seconds = int(spec.get("expirationSeconds") or 3600)
    if seconds < SHORTEST_TOKEN:
        cause = errors.invalid_value(
            "spec.expirationSeconds", str(seconds), "may not specify a duration less than 10 minutes"
        )
        subject = errors.Subject(TOKEN_REQUEST.group, "tokenrequests", TOKEN_REQUEST.kind)
        raise errors.invalid(subject, "", [cause])
    metadata = account["metadata"]
    token, expires = call.server.authenticator.issue(metadata["namespace"], metadata["name"], metadata["uid"], seconds)
    shown = {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}
    shown["creationTimestamp"] = rfc3339(call.registry.clock.now())
    answered = {
        "kind": TOKEN_REQUEST.kind,
        "apiVersion": TOKEN_REQUEST.api_version,
        "metadata": shown,
        "spec": {
            "audiences": spec.get("audiences") or [AUDIENCE],
            "expirationSeconds": seconds,
            "boundObjectRef": None,
        },
        "status": {"token": token, "expirationTimestamp": rfc3339(expires)},
    }
    return answer(call, answered, status=201)


async def log(call: Call, kind: ResourceType) -> web.StreamResponse:
    """The text that the simulated kubelet keeps; without one the answer is that of a node without an address."""
    pod = call.registry.get(kind.key, call.info.namespace, call.info.name)
    names = [item["name"] for item in [*(pod["spec"].get("initContainers") or []), *pod["spec"]["containers"]]]
    container = call.query.get("container", "")
    if container and container not in names:
        raise bad_request(f"container {container} is not valid for pod {call.info.name}")
    if not container and len(pod["spec"]["containers"]) > 1:
        listed = " ".join(item["name"] for item in pod["spec"]["containers"])
        raise bad_request(f"a container name must be specified for pod {call.info.name}, choose one of: [{listed}]")
    chosen = container or pod["spec"]["containers"][0]["name"]
    text = call.server.log_source(pod, chosen, call.query) if call.server.log_source else None
    if text is None:
        raise errors.internal_error(NO_KUBELET)
    return web.Response(text=_cut(text, call.query), content_type="text/plain")


def _cut(text: str, query: dict[str, str]) -> str:
    lines = text.splitlines(keepends=True)
    if "tailLines" in query:
        count = int(query["tailLines"])
        lines = lines[-count:] if count else []
    cut = "".join(lines)
    return cut[: int(query["limitBytes"])] if "limitBytes" in query else cut
