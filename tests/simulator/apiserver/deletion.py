"""Deleting objects: grace periods, finalizers, propagation and preconditions."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from simulator.apiserver import errors
from simulator.apiserver.resources import ResourceType
from simulator.clock import Clock, rfc3339
from simulator.store import Store

Object = dict[str, Any]

PROPAGATION_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class DeleteRequest:
    grace_period_seconds: int | None = None
    propagation: str | None = None
    preconditions: dict[str, str] = field(default_factory=dict)
    dry_run: bool = False


class Deletion:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def delete(self, kind: ResourceType, obj: Object, request: DeleteRequest) -> Object:
        check_preconditions(kind, obj, request.preconditions)
        grace = _grace_seconds(kind, obj, request.grace_period_seconds)
        finalizers = _finalizers(obj, request.propagation)
        if kind.key == "namespaces":
            return self._terminate_namespace(obj, request.dry_run)
        if grace == 0 and not finalizers:
            return self._remove(kind, obj, request.dry_run)
        marked = self._mark(obj, grace, finalizers)
        return marked if request.dry_run else self._store.put(kind.key, marked)

    def is_finished(self, obj: Object) -> bool:
        """An object under deletion goes as soon as no finalizer and no grace period holds it."""
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return False
        return not metadata.get("deletionGracePeriodSeconds") and not obj.get("spec", {}).get("finalizers")

    def _remove(self, kind: ResourceType, obj: Object, dry_run: bool) -> Object:
        metadata = obj["metadata"]
        if kind.key == "pods":
            obj = self._mark(obj, 0, [])
            if not dry_run:
                obj = self._store.put(kind.key, obj)
        if dry_run:
            return obj
        self._store.remove(kind.key, metadata.get("namespace"), metadata["name"])
        return obj

    def _mark(self, obj: Object, grace: int, finalizers: list[str]) -> Object:
        metadata = dict(obj["metadata"])
        if "deletionTimestamp" not in metadata or grace < metadata.get("deletionGracePeriodSeconds", 0):
            metadata["deletionTimestamp"] = rfc3339(self._clock.now() + timedelta(seconds=grace))
            if "deletionTimestamp" not in obj["metadata"] and "generation" in metadata:
                metadata["generation"] += 1
            metadata["deletionGracePeriodSeconds"] = grace
        if finalizers:
            metadata["finalizers"] = finalizers
        return {**obj, "metadata": metadata}

    def _terminate_namespace(self, obj: Object, dry_run: bool) -> Object:
        if "deletionTimestamp" in obj["metadata"]:
            return obj
        metadata = {**obj["metadata"], "deletionTimestamp": rfc3339(self._clock.now())}
        marked = {**obj, "metadata": metadata, "status": {**obj.get("status", {}), "phase": "Terminating"}}
        return marked if dry_run else self._store.put("namespaces", marked)


def check_preconditions(kind: ResourceType, obj: Object, preconditions: dict[str, str]) -> None:
    for field_name, label in (("uid", "UID"), ("resourceVersion", "ResourceVersion")):
        wanted = preconditions.get(field_name)
        actual = obj["metadata"].get(field_name, "")
        if wanted and wanted != actual:
            why = f"the {label} in the precondition ({wanted}) does not match the {label} in record ({actual}). The object might have been deleted and then recreated"
            raise errors.precondition_failed(kind.subject, obj["metadata"]["name"], why)


def _grace_seconds(kind: ResourceType, obj: Object, requested: int | None) -> int:
    """Only pods have a grace period: none if unbound or finished, else as asked for or as in their specification."""
    if kind.key != "pods":
        return 0
    if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in FINISHED:
        return 0
    if requested is not None:
        return max(0, requested)
    return int(obj["spec"].get("terminationGracePeriodSeconds", 30))


def _finalizers(obj: Object, propagation: str | None) -> list[str]:
    present = [item for item in obj["metadata"].get("finalizers", []) if item not in PROPAGATION_FINALIZERS.values()]
    wanted = PROPAGATION_FINALIZERS.get(propagation or "")
    return [*present, wanted] if wanted else list(obj["metadata"].get("finalizers", []))
