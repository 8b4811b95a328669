"""Garbage collector: dependents follow their owners, in the way that the deletion asked for."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.controllers.context import Context
from simulator.controllers.meta import is_terminating
from simulator.store import Change

Object = dict[str, Any]
Place = tuple[str, str, str]  # resource, namespace, name


class GarbageCollector:
    """Keyed by the uid of an owner whose dependents need a look."""

    name = "garbage"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._places: dict[str, Place] = {}
        self._dependents: dict[str, set[str]] = {}
        for resource in context.store.resources():
            for obj in context.store.list(resource):
                self._add(resource, obj)
        context.store.subscribe(self._changed)

    def reconcile(self, key: str) -> None:
        owner = self._find(key)
        if owner is None:
            for dependent in self._dependents_of(key):
                self._collect(dependent, key)
            return
        finalizers = owner["metadata"].get("finalizers") or []
        if "orphan" in finalizers:
            for dependent in self._dependents_of(key):
                self._drop_reference(dependent, key)
            self._release(owner, "orphan")
        elif "foregroundDeletion" in finalizers:
            self._delete_in_foreground(owner, key)

    def _changed(self, change: Change) -> None:
        uid = change.obj["metadata"].get("uid", "")
        if change.type == "DELETED":
            self._places.pop(uid, None)
            for reference in change.obj["metadata"].get("ownerReferences") or ():
                self._dependents.get(reference["uid"], set()).discard(uid)
                self._context.engine.enqueue(self, reference["uid"])
            if self._dependents.get(uid):
                self._context.engine.enqueue(self, uid)
            return
        self._add(change.resource, change.obj)
        for reference in change.obj["metadata"].get("ownerReferences") or ():
            if reference["uid"] not in self._places:
                self._context.engine.enqueue(self, reference["uid"])
        if is_terminating(change.obj) and change.obj["metadata"].get("finalizers"):
            self._context.engine.enqueue(self, uid)

    def _add(self, resource: str, obj: Object) -> None:
        metadata = obj["metadata"]
        uid = metadata.get("uid", "")
        self._places[uid] = (resource, metadata.get("namespace") or "", metadata["name"])
        for reference in metadata.get("ownerReferences") or ():
            self._dependents.setdefault(reference["uid"], set()).add(uid)

    def _find(self, uid: str) -> Object | None:
        place = self._places.get(uid)
        return self._context.store.get(*place) if place else None

    def _dependents_of(self, uid: str) -> list[Object]:
        found = (self._find(dependent) for dependent in list(self._dependents.get(uid, ())))
        present = [item for item in found if item is not None and _reference(item, uid) is not None]
        return sorted(present, key=lambda item: item["metadata"]["name"])

    def _collect(self, obj: Object, gone: str) -> None:
        """Delete what has no other owner left; else only the reference goes."""
        others = [item for item in obj["metadata"]["ownerReferences"] if item["uid"] != gone]
        if any(item["uid"] in self._places for item in others):
            self._drop_reference(obj, gone)
        elif not is_terminating(obj):
            self._delete(obj)

    def _delete(self, obj: Object, propagation: str | None = None) -> None:
        resource, namespace, name = self._places[obj["metadata"]["uid"]]
        try:
            self._context.registry.delete(resource, namespace, name, propagation=propagation)
        except ApiError as error:
            if error.code != 404:
                raise

    def _drop_reference(self, obj: Object, uid: str) -> None:
        resource, _unused, _unused = self._places[obj["metadata"]["uid"]]
        rest = [item for item in obj["metadata"]["ownerReferences"] if item["uid"] != uid]
        metadata = {**obj["metadata"], "ownerReferences": rest}
        if not rest:
            del metadata["ownerReferences"]
        self._dependents.get(uid, set()).discard(obj["metadata"]["uid"])
        self._context.store.put(resource, {**obj, "metadata": metadata})

    def _delete_in_foreground(self, owner: Object, uid: str) -> None:
        dependents = self._dependents_of(uid)
        for dependent in dependents:
            if not is_terminating(dependent):
                self._delete(dependent, "Foreground" if self._dependents.get(dependent["metadata"]["uid"]) else None)
        blocking = [
            item for item in self._dependents_of(uid) if (_reference(item, uid) or {}).get("blockOwnerDeletion")
        ]
        if not blocking:
            self._release(owner, "foregroundDeletion")

    def _release(self, owner: Object, finalizer: str) -> None:
        """Take the finalizer off; the registry removes an object that nothing holds any more."""
        resource, namespace, name = self._places[owner["metadata"]["uid"]]
        stored = self._context.store.get(resource, namespace, name)
        if stored is None:
            return
        metadata = dict(stored["metadata"])
        metadata["finalizers"] = [item for item in metadata.get("finalizers") or [] if item != finalizer]
        if not metadata["finalizers"]:
            del metadata["finalizers"]
        self._context.registry.update(resource, {**stored, "metadata": metadata})


def _reference(obj: Object, uid: str) -> Object | None:
    return next((item for item in obj["metadata"].get("ownerReferences") or () if item["uid"] == uid), None)
