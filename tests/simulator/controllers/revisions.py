"""ControllerRevisions of DaemonSets and StatefulSets: the history of pod templates, named by content."""

from __future__ import annotations

from typing import Any

from simulator.controllers.context import Context
from simulator.controllers.meta import content_hash, key_of, owned_by, owner_reference

Object = dict[str, Any]
RESOURCE = "apps/controllerrevisions"


class RevisionHistory:
    def __init__(self, context: Context, kind: str = "DaemonSet") -> None:
        self._context = context
        self._kind = kind
        self._known: dict[tuple[str, int], str] = {}

    def current(self, owner: Object) -> str:
        """The hash of the owner's present template; its ControllerRevision exists when this returns."""
        mark = (owner["metadata"]["uid"], owner["metadata"]["generation"])
        if mark in self._known:
            return self._known[mark]
        data = {"spec": {"template": {"$patch": "replace", **owner["spec"]["template"]}}}
        revision = content_hash(key_of(owner), data)
        existing = [
            item for item in self._context.store.list(RESOURCE, owner["metadata"]["namespace"]) if owned_by(item, owner)
        ]
        newest = max((item["revision"] for item in existing), default=0)
        known = next(
            (item for item in existing if item["metadata"]["labels"]["controller-revision-hash"] == revision), None
        )
        if known is None:
            self._create(owner, revision, data, newest + 1)
        elif known["revision"] < newest:
            self._context.store.put(RESOURCE, {**known, "revision": newest + 1})
        self._prune(owner, existing)
        self._known[mark] = revision
        return revision

    def _create(self, owner: Object, revision: str, data: Object, number: int) -> None:
        metadata: Object = {
            "name": f"{owner['metadata']['name']}-{revision}",
            "namespace": owner["metadata"]["namespace"],
            "labels": {
                **(owner["spec"]["template"]["metadata"].get("labels") or {}),
                "controller-revision-hash": revision,
            },
            "ownerReferences": [owner_reference(owner, "apps/v1", self._kind)],
        }
        annotations = owner["metadata"].get("annotations")
        if annotations:
            metadata["annotations"] = {
                name: value
                for name, value in annotations.items()
                if name != "kubectl.kubernetes.io/last-applied-configuration"
            }
        self._context.registry.create(RESOURCE, {"metadata": metadata, "data": data, "revision": number})

    def _prune(self, owner: Object, existing: list[Object]) -> None:
        limit = owner["spec"].get("revisionHistoryLimit", 10)
        surplus = sorted(existing, key=lambda item: item["revision"])[: max(0, len(existing) - limit)]
        for item in surplus:
            used = {
                pod["metadata"]["labels"].get("controller-revision-hash")
                for pod in self._context.pods.of_owner(owner["metadata"]["uid"])
            }
            # DaemonSets label their pods with the hash, StatefulSets with the revision's name.
            in_use = used & {item["metadata"]["labels"]["controller-revision-hash"], item["metadata"]["name"]}
            if not in_use:
                self._context.registry.delete(RESOURCE, item["metadata"]["namespace"], item["metadata"]["name"])
