"""Versioned storage of objects, with a change feed: what etcd and the watch cache are to a real API server.

Single-threaded (asyncio). Stored objects are never changed in place: readers do not mutate, writers pass new ones.
"""

from __future__ import annotations

import bisect
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, List  # List: the method of that name hides the builtin in annotations.

Object = dict[str, Any]
FIRST_REVISION = 100
HISTORY_PER_RESOURCE = 20_000


@dataclass(frozen=True)
class Change:
    """One write. ``obj`` of a DELETED change is the last state, bearing the revision of the deletion."""

    type: str
    resource: str
    obj: Object
    old: Object | None
    revision: int


class Entry:
    """A stored object with its JSON text, encoded once. The text lacks kind and apiVersion, as the items of a list do."""

    __slots__ = ("key", "namespace", "obj", "_json")

    def __init__(self, key: str, namespace: str, obj: Object) -> None:
        self.key = key
        self.namespace = namespace
        self.obj = obj
        self._json: bytes | None = None

    @property
    def json(self) -> bytes:
        if self._json is None:
            self._json = encode({key: value for key, value in self.obj.items() if key not in ("kind", "apiVersion")})
        return self._json


def encode(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def object_key(namespace: str | None, name: str) -> str:
    """etcd's order of a list: by the string namespace/name."""
    return f"{namespace}/{name}" if namespace else name


class _Table:
    """The objects of one resource: by key, their sorted order, and the recent changes."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.history: deque[Change] = deque()
        self.compacted = self.last = FIRST_REVISION
        self._keys: list[str] = []
        self._order: list[Entry] | None = []

    def ordered(self) -> List[Entry]:
        """A sorted list that is replaced, never changed, so that it may be kept as a snapshot."""
        if self._order is None:
            self._order = [self.entries[key] for key in self._keys]
        return self._order

    def set(self, entry: Entry) -> None:
        if entry.key not in self.entries:
            bisect.insort(self._keys, entry.key)
        self.entries[entry.key] = entry
        self._order = None

    def fill(self, entries: list[Entry], revision: int) -> None:
        """Add many at once; their history is not known."""
        self.entries.update((entry.key, entry) for entry in entries)
        self._keys = sorted(self.entries)
        self._order = None
        self.compacted = self.last = revision

    def drop(self, key: str) -> None:
        del self.entries[key]
        del self._keys[bisect.bisect_left(self._keys, key)]
        self._order = None

    def remember(self, change: Change) -> None:
        self.last = change.revision
        self.history.append(change)
        while len(self.history) > HISTORY_PER_RESOURCE:
            self.compacted = self.history.popleft().revision


class Store:
    """All objects of the cluster. Resources are named ``pods``, ``apps/daemonsets``, …"""

    def __init__(self) -> None:
        self.revision = FIRST_REVISION
        self._tables: dict[str, _Table] = {}
        self._callbacks: list[Callable[[Change], None]] = []
        self._unannounced: deque[Change] = deque()
        self._announcing = False

    def get(self, resource: str, namespace: str | None, name: str) -> Object | None:
        entry = self.entry(resource, namespace, name)
        return entry.obj if entry else None

    def entry(self, resource: str, namespace: str | None, name: str) -> Entry | None:
        table = self._tables.get(resource)
        return table.entries.get(object_key(namespace, name)) if table else None

    def list(self, resource: str, namespace: str | None = None) -> List[Object]:
        """Sorted by namespace/name; all namespaces when ``namespace`` is None or empty."""
        return [entry.obj for entry in self.entries(resource, namespace)]

    def entries(self, resource: str, namespace: str | None = None) -> List[Entry]:
        """As :meth:`list`, with cached JSON. The list is a snapshot: later writes do not change it."""
        table = self._tables.get(resource)
        if table is None:
            return []
        ordered = table.ordered()
        if not namespace:
            return ordered
        first = bisect.bisect_left(ordered, f"{namespace}/", key=lambda entry: entry.key)
        last = bisect.bisect_left(ordered, f"{namespace}0", first, key=lambda entry: entry.key)
        return ordered[first:last]

    def entries_at(self, resource: str, namespace: str | None, revision: int) -> List[Entry] | None:
        """As :meth:`entries`, as it was at an earlier revision; None when that is no longer known."""
        changes = self.changes_since(resource, revision)
        if changes is None:
            return None
        if not changes:
            return self.entries(resource, namespace)
        state = {entry.key: entry for entry in self.entries(resource)}
        for change in reversed(changes):
            metadata = change.obj["metadata"]
            key = object_key(metadata.get("namespace"), metadata["name"])
            if change.old is None:
                state.pop(key, None)
            else:
                state[key] = Entry(key, metadata.get("namespace") or "", change.old)
        return [state[key] for key in sorted(state) if not namespace or state[key].namespace == namespace]

    def count(self, resource: str) -> int:
        table = self._tables.get(resource)
        return len(table.entries) if table else 0

    def revision_of(self, resource: str) -> int:
        """The revision of the last change of the resource."""
        table = self._tables.get(resource)
        return table.last if table else FIRST_REVISION

    def resources(self) -> List[str]:
        """The resources of which at least one object is stored."""
        return sorted(name for name, table in self._tables.items() if table.entries)

    def put(self, resource: str, obj: Object) -> Object:
        """Create or replace; sets metadata.resourceVersion. What changes nothing keeps it and is announced to nobody."""
        table = self._tables.setdefault(resource, _Table())
        namespace = obj["metadata"].get("namespace") or ""
        key = object_key(namespace, obj["metadata"]["name"])
        known = table.entries.get(key)
        old = known.obj if known else None
        if old is not None:
            obj = _with_revision(obj, old["metadata"]["resourceVersion"])
            if obj == old:
                return old
        self.revision += 1
        obj = _with_revision(obj, str(self.revision))
        table.set(Entry(key, namespace, obj))
        self._announce(table, Change("MODIFIED" if old else "ADDED", resource, obj, old, self.revision))
        return obj

    def remove(self, resource: str, namespace: str | None, name: str) -> Object:
        """Remove and return the last state, which bears the revision of the removal. KeyError if it is not there."""
        table = self._tables[resource]
        key = object_key(namespace, name)
        old = table.entries[key].obj
        table.drop(key)
        self.revision += 1
        last = _with_revision(old, str(self.revision))
        self._announce(table, Change("DELETED", resource, last, old, self.revision))
        return last

    def load(self, resource: str, objects: Iterable[Object]) -> None:
        """Store many new objects at once without announcing them: for filling a large cluster before it is served."""
        entries = []
        for obj in objects:
            self.revision += 1
            namespace = obj["metadata"].get("namespace") or ""
            obj["metadata"]["resourceVersion"] = str(self.revision)
            entries.append(Entry(object_key(namespace, obj["metadata"]["name"]), namespace, obj))
        self._tables.setdefault(resource, _Table()).fill(entries, self.revision)

    def subscribe(self, callback: Callable[[Change], None]) -> Callable[[], None]:
        """Call ``callback`` synchronously for every change from now on. Returns the function that ends it."""
        self._callbacks.append(callback)

        def unsubscribe() -> None:
            if callback in self._callbacks:
                self._callbacks.remove(callback)

        return unsubscribe

    def changes_since(self, resource: str, revision: int) -> List[Change] | None:
        """Changes after ``revision``, oldest first; None when some of them are no longer known."""
        table = self._tables.get(resource)
        if table is None:
            return None if revision < FIRST_REVISION else []
        if revision < table.compacted:
            return None
        recent: list[Change] = []
        for change in reversed(table.history):
            if change.revision <= revision:
                break
            recent.append(change)
        recent.reverse()
        return recent

    def compact(self, resource: str) -> None:
        """Forget the history of a resource, so that watches from older revisions are refused."""
        table = self._tables.setdefault(resource, _Table())
        table.history.clear()
        table.compacted = self.revision

    def _announce(self, table: _Table, change: Change) -> None:
        """A write made while a change is being announced is announced after it, so that everybody sees one order."""
        table.remember(change)
        self._unannounced.append(change)
        if self._announcing:
            return
        self._announcing = True
        try:
            while self._unannounced:
                current = self._unannounced.popleft()
                for callback in list(self._callbacks):
                    callback(current)
        finally:
            self._announcing = False


def _with_revision(obj: Object, revision: str) -> Object:
    if obj["metadata"].get("resourceVersion") == revision:
        return obj
    return {**obj, "metadata": {**obj["metadata"], "resourceVersion": revision}}
