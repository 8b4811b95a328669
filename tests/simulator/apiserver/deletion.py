"""Deleting objects: grace periods, finalizers, propagation and preconditions."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from simulator.apiserver import errors
from simulator.apiserver.options import DeleteOptions
from simulator.apiserver.resources import ResourceType
from simulator.clock import Clock, rfc3339
from simulator.store import Store

Object = dict[str, Any]

PROPAGATION_FINALIZERS = {"Foreground": "foregroundDeletion", "Orphan": "orphan"}
FINISHED = ("Succeeded", "Failed")
PRECONDITIONS = {"uid": ("UID", "deleted and then recreated"), "resourceVersion": ("ResourceVersion", "modified")}
DEFINITION_CLEANUP = "customresourcecleanup.apiextensions.k8s.io"
UNGRACEFUL = ("namespaces", "apiextensions.k8s.io/customresourcedefinitions")


class Deletion:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def delete(self, kind: ResourceType, obj: Object, options: DeleteOptions) -> Object:
        """The last state. What a grace period or a finalizer holds is only marked."""
        check_preconditions(kind, obj, options.preconditions)
        if kind.key in UNGRACEFUL:
            return self._terminate(kind, obj, dry_run=options.dry_run)
        grace = _grace_seconds(kind, obj, options.grace_period_seconds)
        finalizers = _finalizers(obj, options.propagation)
        if grace == 0 and not finalizers:
            return self._remove(kind, obj, dry_run=options.dry_run)
        marked = self._mark(obj, grace, finalizers)
        return marked if options.dry_run else self._store.put(kind.key, marked)

    def is_finished(self, obj: Object) -> bool:
        """An object under deletion goes as soon as no finalizer and no grace period holds it."""
        metadata = obj["metadata"]
        if "deletionTimestamp" not in metadata or metadata.get("finalizers"):
            return False
        held = obj["kind"] == "Namespace" and bool(obj.get("spec", {}).get("finalizers"))
        return not metadata.get("deletionGracePeriodSeconds") and not held

    def _remove(self, kind: ResourceType, obj: Object, *, dry_run: bool) -> Object:
        """Pods are marked first, so that watchers see the deletion, and their answer shows the mark."""
        metadata = obj["metadata"]
        if kind.key == "pods":
            obj = self._mark(obj, 0, [])
            if not dry_run:
                obj = self._store.put(kind.key, obj)
        if not dry_run:
            self._store.remove(kind.key, metadata.get("namespace"), metadata["name"])
        return obj

    def _mark(self, obj: Object, grace: int, finalizers: list[str]) -> Object:
        metadata = dict(obj["metadata"])
        first = "deletionTimestamp" not in metadata
        if first or grace < metadata.get("deletionGracePeriodSeconds", 0):
            metadata["deletionTimestamp"] = rfc3339(self._clock.now() + timedelta(seconds=grace))
            metadata["deletionGracePeriodSeconds"] = grace
            if first and "generation" in metadata:
                metadata["generation"] += 1
        if finalizers:
            metadata["finalizers"] = finalizers
        return {**obj, "metadata": metadata}

    def _terminate(self, kind: ResourceType, obj: Object, *, dry_run: bool) -> Object:
        """Namespaces and definitions stay until their content is gone."""
        if "deletionTimestamp" in obj["metadata"]:
            return obj
        now = rfc3339(self._clock.now())
        marked = {**obj, "metadata": {**obj["metadata"], "deletionTimestamp": now}}
        if kind.key == "namespaces":
            marked["status"] = {**obj.get("status", {}), "phase": "Terminating"}
        else:
            condition = {
                "type": "Terminating",
                "status": "True",
                "lastTransitionTime": now,
                "reason": "InstanceDeletionPending",
            }
            condition["message"] = (
                "CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon"
            )
            marked["metadata"]["finalizers"] = [DEFINITION_CLEANUP]
            marked["status"] = {**obj["status"], "conditions": [*(obj["status"].get("conditions") or []), condition]}
        return marked if dry_run else self._store.put(kind.key, marked)


def check_preconditions(kind: ResourceType, obj: Object, preconditions: dict[str, str]) -> None:
    """ApiError 409 for another uid or resourceVersion than expected."""
    for field, (label, fate) in PRECONDITIONS.items():
        wanted = preconditions.get(field)
        actual = obj["metadata"].get(field, "")
        if wanted and wanted != actual:
            why = f"the {label} in the precondition ({wanted}) does not match the {label} in record ({actual})."
            raise errors.precondition_failed(
                kind.subject, obj["metadata"]["name"], f"{why} The object might have been {fate}"
            )


def _grace_seconds(kind: ResourceType, obj: Object, requested: int | None) -> int:
    """Only pods have a grace period: none if unbound or finished, else as asked for or as in their specification."""
    if kind.key != "pods":
        return 0
    if not obj["spec"].get("nodeName") or obj.get("status", {}).get("phase") in FINISHED:
        return 0
    if requested is None and "deletionTimestamp" in obj["metadata"]:
        return int(obj["metadata"].get("deletionGracePeriodSeconds", 0))
    if requested is not None:
        return max(0, requested)
    return int(obj["spec"].get("terminationGracePeriodSeconds", 30))


def _finalizers(obj: Object, propagation: str | None) -> list[str]:
    present = list(obj["metadata"].get("finalizers", []))
    wanted = PROPAGATION_FINALIZERS.get(propagation or "")
    if wanted is None or wanted in present:
        return present
    return [*(item for item in present if item not in PROPAGATION_FINALIZERS.values()), wanted]
