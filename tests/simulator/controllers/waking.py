"""What wakes a controller that is keyed by namespace/name of its objects."""

from __future__ import annotations

from typing import Any

from simulator.controllers.context import Context
from simulator.controllers.engine import Worker
from simulator.controllers.meta import key_of
from simulator.store import Change

Object = dict[str, Any]


def wake_on_objects(context: Context, worker: Worker, resource: str) -> None:
    """Wake it for each of its objects that is made or changed."""

    def changed(change: Change) -> None:
        if change.resource == resource and change.type != "DELETED":
            context.engine.enqueue(worker, key_of(change.obj))

    context.store.subscribe(changed)


def wake_on_their_pods(context: Context, worker: Worker, kind: str) -> None:
    """Wake it for the objects whose pods come, change or go."""

    def changed(old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        for reference in pod["metadata"].get("ownerReferences") or ():
            if reference["kind"] == kind and reference.get("controller"):
                context.engine.enqueue(worker, f"{pod['metadata']['namespace']}/{reference['name']}")

    context.pods.listen(changed)
