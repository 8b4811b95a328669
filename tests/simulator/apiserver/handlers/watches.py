"""Watches: JSON lines of changes, with selectors, bookmarks and initial events."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from aiohttp import web

from simulator.apiserver import errors, lists, tables
from simulator.apiserver.conversion import from_stored
from simulator.apiserver.errors import ApiError, forbidden_field, invalid_options
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.server import Call
from simulator.store import Change, encode

Object = dict[str, Any]

DEFAULT_SECONDS = 1800.0
BOOKMARK_EVERY = 60.0
INITIAL_END = {"k8s.io/initial-events-end": "true"}


class Watch:
    """One client's view of a resource: which changes it sees, and as what."""

    def __init__(self, call: Call, kind: ResourceType) -> None:
        self._call = call
        self._kind = kind
        self._query = lists.parse_list_query(call.query, kind)
        if call.info.name:
            self._query.selective = True
            self._query.fields = lambda obj: bool(obj["metadata"]["name"] == call.info.name)
        self._columns_sent = False
        self.revision = 0
        self._known = 0
        self.queue: asyncio.Queue[Change] = asyncio.Queue()

    def initial(self) -> Iterator[bytes]:
        """The events before live changes come. ApiError: reported as an event of type ERROR."""
        store, text = self._call.registry.store, self._query.revision
        wants_list = self._call.query.get("sendInitialEvents") == "true"
        if text in ("", "0") or wants_list:
            self.revision = self._known = store.revision
            if self._call.query.get("sendInitialEvents") != "false":
                for entry in store.entries(self._kind.key, self._call.info.namespace):
                    if self._query.accepts(entry.obj):
                        yield self._line("ADDED", entry.obj)
            if wants_list and self.wants_bookmarks:
                yield self.bookmark(INITIAL_END)
            return
        self.revision = self._known = lists.parse_revision(text)
        changes = store.changes_since(self._kind.key, self.revision)
        if changes is None:
            raise ApiError(410, "Expired", f"too old resource version: {self.revision} ({store.revision})")
        for change in changes:
            if (line := self.line_for(change)) is not None:
                yield line

    @property
    def moved(self) -> bool:
        """Whether the resource has changed since the last version that the client knows."""
        return self._call.registry.store.revision_of(self._kind.key) > self._known

    @property
    def wants_bookmarks(self) -> bool:
        return self._call.query.get("allowWatchBookmarks", "").lower() in ("true", "1")

    def line_for(self, change: Change) -> bytes | None:
        """What the client sees of a change: an object that leaves its selection is DELETED, one that enters it ADDED."""
        namespace = self._call.info.namespace
        if change.revision <= self.revision or (namespace and change.obj["metadata"].get("namespace") != namespace):
            return None
        self.revision = change.revision
        before = change.old is not None and self._query.accepts(change.old)
        after = change.type != "DELETED" and self._query.accepts(change.obj)
        if after:
            return self._line("MODIFIED" if before else "ADDED", change.obj)
        if not before or change.old is None:
            return None
        old = change.old
        last = {**old, "metadata": {**old["metadata"], "resourceVersion": str(change.revision)}}
        return self._line("DELETED", last)

    def bookmark(self, annotations: dict[str, str] | None = None) -> bytes:
        current = max(self._known, self._call.registry.store.revision_of(self._kind.key))
        metadata: Object = {"resourceVersion": str(current)}
        if annotations:
            metadata["annotations"] = annotations
        obj = {"kind": self._kind.kind, "apiVersion": self._kind.api_version, "metadata": metadata}
        if self._call.form.transform.startswith("Partial"):
            obj |= {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1"}
        return encode({"type": "BOOKMARK", "object": obj}) + b"\n"

    def _line(self, event: str, stored: Object) -> bytes:
        obj = from_stored(self._kind, stored)
        self._known = max(self._known, self.revision)
        transform = self._call.form.transform
        if transform == "Table":
            now = self._call.registry.clock.now()
            include = self._call.query.get("includeObject", "Metadata")
            shown = tables.render(self._kind, [obj], now, include, columns=not self._columns_sent)
            shown["metadata"] = {"resourceVersion": obj["metadata"]["resourceVersion"]}
            self._columns_sent = True
        elif transform:
            shown = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}
        else:
            shown = {"kind": obj["kind"], "apiVersion": obj["apiVersion"], **obj}
        return encode({"type": event, "object": shown}) + b"\n"


async def watch(call: Call, kind: ResourceType) -> web.StreamResponse:
    _check(call)
    seconds = float(call.query.get("timeoutSeconds") or DEFAULT_SECONDS)
    view = Watch(call, kind)
    response = web.StreamResponse(headers={"Content-Type": "application/json"})
    unsubscribe = call.registry.store.subscribe(
        lambda change: view.queue.put_nowait(change) if change.resource == kind.key else None
    )
    try:
        lines, problem = _initial_lines(view)
        await response.prepare(call.request)
        await response.write(b"".join(lines))
        if problem is not None:
            await response.write(encode({"type": "ERROR", "object": problem.status()}) + b"\n")
        else:
            await _stream(response, view, seconds)
        await response.write_eof()
    except (ConnectionResetError, ConnectionError):
        pass
    finally:
        unsubscribe()
    return response


def _check(call: Call) -> None:
    if call.query.get("sendInitialEvents") and call.query.get("resourceVersionMatch") != "NotOlderThan":
        why = "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"
        raise invalid_options("ListOptions", [forbidden_field("resourceVersionMatch", why)])
    lists.parse_revision(call.query.get("resourceVersion") or "0")


def _initial_lines(view: Watch) -> tuple[list[bytes], ApiError | None]:
    lines: list[bytes] = []
    try:
        lines.extend(view.initial())
    except errors.ApiError as problem:
        return [], problem
    return lines, None


async def _stream(response: web.StreamResponse, view: Watch, seconds: float) -> None:
    """Live changes until the time is over; bookmarks every minute and twice before the end, if anything moved."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    bookmarks = _bookmark_times(loop.time(), end) if view.wants_bookmarks else []
    while (now := loop.time()) < end:
        # A bookmark promises that nothing older is still to come. So it waits until everything has been told.
        if bookmarks and now >= bookmarks[0] and view.queue.empty():
            bookmarks.pop(0)
            if view.moved:
                await response.write(view.bookmark())
            continue
        change = await _next_change(view.queue, min([end, *bookmarks[:1]]) - now)
        if change is not None and (line := view.line_for(change)) is not None:
            await response.write(line)
    # A loop that is late still tells what came before the end, and no more: changes may come without end.
    for _unused in range(view.queue.qsize()):
        if (line := view.line_for(view.queue.get_nowait())) is not None:
            await response.write(line)
    if bookmarks and view.moved:
        await response.write(view.bookmark())


async def _next_change(queue: asyncio.Queue[Change], seconds: float) -> Change | None:
    """None: there was none in time. One that is there already is taken in any case, which ``wait_for`` does not promise."""
    try:
        return queue.get_nowait()
    except asyncio.QueueEmpty:
        pass
    try:
        return await asyncio.wait_for(queue.get(), max(0.0, seconds))
    except asyncio.TimeoutError:
        return None


def _bookmark_times(now: float, end: float) -> list[float]:
    count = int((end - now) // BOOKMARK_EVERY)
    regular = [now + BOOKMARK_EVERY * number for number in range(1, count + 1)]
    return sorted(moment for moment in [*regular, end - 2.0, end - 1.0] if moment > now)
