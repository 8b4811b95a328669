"""get and list, in all forms: the object, a table, metadata only."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from simulator.apiserver import errors, lists, tables
from simulator.apiserver.conversion import from_stored, is_modern_event
from simulator.apiserver.negotiation import YAML
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.server import Call, answer, answer_bytes
from simulator.store import Entry, encode

Object = dict[str, Any]

META = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}


async def get(call: Call, kind: ResourceType) -> web.StreamResponse:
    namespace = call.info.namespace if kind.namespaced else None
    wanted = call.query.get("resourceVersion", "")
    if wanted not in ("", "0") and lists.parse_revision(wanted) > call.registry.store.revision:
        await asyncio.sleep(call.server.list_wait_seconds)
        raise lists.TooLargeRevision(int(wanted), call.registry.store.revision).error()
    entry = call.registry.store.entry(kind.key, namespace, call.info.name)
    if entry is None:
        raise errors.not_found(kind.subject, call.info.name)
    if call.form.transform or call.form.media_type == YAML or is_modern_event(kind) or "pretty" in call.query:
        return answer_object(call, kind, from_stored(kind, entry.obj))
    return answer_bytes(call, _typed(kind, entry))


async def list_objects(call: Call, kind: ResourceType) -> web.StreamResponse:
    query = lists.parse_list_query(call.query, kind)
    if call.info.name:
        query.fields = lambda obj: bool(obj["metadata"]["name"] == call.info.name)
    try:
        page = lists.read_page(call.registry.store, kind.key, call.info.namespace, query)
    except lists.TooLargeRevision as problem:
        await asyncio.sleep(call.server.list_wait_seconds)
        raise problem.error() from None
    if call.form.transform == "Table":
        objects = [entry.obj for entry in page.entries]
        table = tables.render(kind, objects, call.registry.clock.now(), call.query.get("includeObject", "Metadata"))
        return answer(call, {**table, "metadata": page.metadata})
    if call.form.transform:
        items = [{**META, "metadata": entry.obj["metadata"]} for entry in page.entries]
        document = {**META, "kind": "PartialObjectMetadataList", "metadata": page.metadata, "items": items}
        return answer(call, document)
    return _plain_list(call, kind, page)


def _plain_list(call: Call, kind: ResourceType, page: lists.Page) -> web.StreamResponse:
    metadata = {"continue": "", **page.metadata} if kind.custom else page.metadata
    head = {"kind": kind.list_kind, "apiVersion": kind.api_version, "metadata": metadata}
    if call.form.media_type == YAML or is_modern_event(kind) or "pretty" in call.query:
        return answer(call, {**head, "items": [_item(kind, entry) for entry in page.entries]})
    texts = [_typed(kind, entry) if kind.custom else entry.json for entry in page.entries]
    return answer_bytes(call, encode(head)[:-1] + b',"items":[' + b",".join(texts) + b"]}")


def _item(kind: ResourceType, entry: Entry) -> Object:
    """Items of built-in kinds do not repeat kind and apiVersion."""
    obj = from_stored(kind, entry.obj)
    return obj if kind.custom else {key: value for key, value in obj.items() if key not in ("kind", "apiVersion")}


def _typed(kind: ResourceType, entry: Entry) -> bytes:
    return encode({"kind": kind.kind, "apiVersion": kind.api_version})[:-1] + b"," + entry.json[1:]


def answer_object(call: Call, kind: ResourceType, obj: Object, *, status: int = 200) -> web.Response:
    """One object in the form that the client asked for."""
    return answer(call, rendered(call, kind, obj), status=status)


def rendered(call: Call, kind: ResourceType, obj: Object) -> Object:
    if call.form.transform == "Table":
        table = tables.render(kind, [obj], call.registry.clock.now(), call.query.get("includeObject", "Metadata"))
        return {**table, "metadata": {"resourceVersion": obj["metadata"].get("resourceVersion", "")}}
    if call.form.transform:
        return {**META, "metadata": obj["metadata"]}
    return {"kind": obj["kind"], "apiVersion": obj["apiVersion"], **obj}
