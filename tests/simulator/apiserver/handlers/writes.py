"""create, update, patch, delete and deletecollection."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from simulator.apiserver import body, lists
from simulator.apiserver.conversion import from_stored, to_stored
from simulator.apiserver.errors import bad_request
from simulator.apiserver.handlers.reads import answer_object
from simulator.apiserver.kinds.table import rules_for
from simulator.apiserver.options import WriteOptions, delete_options, write_options
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.server import Call, answer

Object = dict[str, Any]


async def create(call: Call, kind: ResourceType) -> web.StreamResponse:
    options = write_options(call.query, "CreateOptions", call.user_agent)
    read = read_body(call, kind)
    metadata = read.obj.setdefault("metadata", {})
    namespace = call.info.namespace if kind.namespaced else ""
    if kind.namespaced and metadata.get("namespace", namespace) != namespace:
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    obj = to_stored(kind, read.obj)
    created = call.registry.create(kind.key, obj, namespace, options=options, duplicates=read.duplicates)
    return _written(call, kind, created, options, status=201)


async def update(call: Call, kind: ResourceType, subresource: str | None) -> web.StreamResponse:
    options = write_options(call.query, "UpdateOptions", call.user_agent)
    read = read_body(call, kind)
    metadata = read.obj.setdefault("metadata", {})
    sent = metadata.get("name", "")
    if sent and sent != call.info.name:
        raise bad_request(f"the name of the object ({sent}) does not match the name on the URL ({call.info.name})")
    metadata["name"] = call.info.name
    if kind.namespaced:
        if metadata.get("namespace", call.info.namespace) != call.info.namespace:
            raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
        metadata["namespace"] = call.info.namespace
    obj = to_stored(kind, read.obj)
    updated = call.registry.update(kind.key, obj, subresource=subresource, options=options, duplicates=read.duplicates)
    return _written(call, kind, updated, options)


async def patch(call: Call, kind: ResourceType, subresource: str | None) -> web.StreamResponse:
    content_type = call.request.headers.get("Content-Type", "")
    is_apply = body.media_type(content_type) == "application/apply-patch+yaml"
    options = write_options(call.query, "PatchOptions", call.user_agent, apply=is_apply)
    patch_type, document = body.read_patch(call.raw, content_type, custom=kind.custom)
    namespace = call.info.namespace if kind.namespaced else None
    existed = call.registry.store.get(kind.key, namespace, call.info.name) is not None
    patched = call.registry.patch(
        kind.key, namespace, call.info.name, document, patch_type, subresource=subresource, options=options
    )
    return _written(call, kind, patched, options, status=200 if existed else 201)


async def delete(call: Call, kind: ResourceType) -> web.StreamResponse:
    options = delete_options(call.query, call.raw)
    namespace = call.info.namespace if kind.namespaced else None
    deleted = call.registry.delete(
        kind.key,
        namespace,
        call.info.name,
        grace_period_seconds=options.grace_period_seconds,
        propagation=options.propagation,
        preconditions=options.preconditions,
        dry_run=options.dry_run,
    )
    if rules_for(kind).delete_answers_object or deleted["metadata"].get("deletionTimestamp"):
        return answer_object(call, kind, deleted)
    details: Object = {"name": call.info.name}
    if kind.group:
        details["group"] = kind.group
    details |= {"kind": kind.plural, "uid": deleted["metadata"]["uid"]}
    return answer(call, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details})


async def delete_collection(call: Call, kind: ResourceType) -> web.StreamResponse:
    """The answer lists the objects as they were before."""
    options = delete_options(call.query, call.raw)
    query = lists.parse_list_query(call.query, kind)
    page = lists.read_page(call.registry.store, kind.key, call.info.namespace, query)
    for entry in page.entries:
        metadata = entry.obj["metadata"]
        call.registry.delete(
            kind.key,
            metadata.get("namespace"),
            metadata["name"],
            grace_period_seconds=options.grace_period_seconds,
            propagation=options.propagation,
            dry_run=options.dry_run,
        )
    items = [
        {key: value for key, value in entry.obj.items() if key not in ("kind", "apiVersion")} for entry in page.entries
    ]
    document = {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": page.metadata, "items": items}
    return answer(call, document)


def read_body(call: Call, kind: ResourceType) -> body.Body:
    expected = body.Expected(kind.group, kind.version, kind.kind)
    known = {(item.api_version, item.kind) for item in call.registry.resources.all()}
    return body.read_object(call.raw, call.request.headers.get("Content-Type", ""), expected, known)


def _written(
    call: Call, kind: ResourceType, obj: Object, options: WriteOptions, *, status: int = 200
) -> web.StreamResponse:
    call.warnings.extend(options.warnings)
    return answer_object(call, kind, from_stored(kind, obj), status=status)
