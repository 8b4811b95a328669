"""Namespace controller: what every namespace holds from the start, and its end."""

from __future__ import annotations

from collections import Counter
from typing import Any

from simulator.controllers.context import Context
from simulator.controllers.meta import is_terminating
from simulator.store import Change

Object = dict[str, Any]
ROOT_CA = "kube-root-ca.crt"
ROOT_CA_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal"
    " service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


class NamespaceController:
    """Keyed by namespace."""

    name = "namespaces"

    def __init__(self, context: Context, ca_certificate: str = "") -> None:
        self._context = context
        self._ca = ca_certificate
        context.store.subscribe(self._changed)
        for namespace in context.store.list("namespaces"):
            context.engine.enqueue(self, namespace["metadata"]["name"])

    def reconcile(self, key: str) -> None:
        namespace = self._context.store.get("namespaces", None, key)
        if namespace is None:
            return
        if is_terminating(namespace):
            self._empty(namespace)
            return
        if self._context.store.get("configmaps", key, ROOT_CA) is None:
            metadata = {"name": ROOT_CA, "annotations": {"kubernetes.io/description": ROOT_CA_DESCRIPTION}}
            self._context.registry.create("configmaps", {"metadata": metadata, "data": {"ca.crt": self._ca}}, key)
        if self._context.store.get("serviceaccounts", key, "default") is None:
            self._context.registry.create("serviceaccounts", {"metadata": {"name": "default"}}, key)

    def _changed(self, change: Change) -> None:
        if change.resource == "namespaces":
            if change.type != "DELETED":
                self._context.engine.enqueue(self, change.obj["metadata"]["name"])
            return
        namespace = change.obj["metadata"].get("namespace")
        if not namespace:
            return
        protected = change.resource in ("configmaps", "serviceaccounts") and change.type == "DELETED"
        if protected or self._is_ending(namespace):
            self._context.engine.enqueue(self, namespace)

    def _is_ending(self, name: str) -> bool:
        namespace = self._context.store.get("namespaces", None, name)
        return namespace is not None and is_terminating(namespace)

    def _empty(self, namespace: Object) -> None:
        name = namespace["metadata"]["name"]
        for resource, obj in self._contents(name):
            if not is_terminating(obj):
                self._context.registry.delete(resource, name, obj["metadata"]["name"])
        remaining = self._contents(name)
        if not remaining:
            self._context.store.remove("namespaces", None, name)
            return
        self._describe(namespace, remaining)

    def _contents(self, name: str) -> list[tuple[str, Object]]:
        found = []
        for resource in self._context.store.resources():
            if resource not in ("nodes", "namespaces"):
                found += [
                    (resource, obj)
                    for obj in self._context.store.list(resource, name)
                    if obj["metadata"].get("namespace") == name
                ]
        return found

    def _describe(self, namespace: Object, remaining: list[tuple[str, Object]]) -> None:
        plurals = Counter(resource.rpartition("/")[2] for resource, _unused in remaining)
        finalizers = Counter(item for _unused, obj in remaining for item in obj["metadata"].get("finalizers") or ())
        content = ", ".join(f"{plural}. has {count} resource instances" for plural, count in sorted(plurals.items()))
        held = ", ".join(f"{item} in {count} resource instances" for item, count in sorted(finalizers.items()))
        now = self._context.now()
        texts = [
            (
                "NamespaceDeletionDiscoveryFailure",
                "False",
                "ResourcesDiscovered",
                "All resources successfully discovered",
            ),
            (
                "NamespaceDeletionGroupVersionParsingFailure",
                "False",
                "ParsedGroupVersions",
                "All legacy kube types successfully parsed",
            ),
            (
                "NamespaceDeletionContentFailure",
                "False",
                "ContentDeleted",
                "All content successfully deleted, may be waiting on finalization",
            ),
            ("NamespaceContentRemaining", "True", "SomeResourcesRemain", f"Some resources are remaining: {content}"),
        ]
        if held:
            text = f"Some content in the namespace has finalizers remaining: {held}"
            texts.append(("NamespaceFinalizersRemaining", "True", "SomeFinalizersRemain", text))
        else:
            texts.append(
                (
                    "NamespaceFinalizersRemaining",
                    "False",
                    "ContentHasNoFinalizers",
                    "All content-preserving finalizers finished",
                )
            )
        old = {item["type"]: item for item in (namespace.get("status") or {}).get("conditions") or []}
        conditions = []
        for kind, status, reason, message in texts:
            moment = old[kind]["lastTransitionTime"] if kind in old and old[kind]["status"] == status else now
            conditions.append(
                {"type": kind, "status": status, "lastTransitionTime": moment, "reason": reason, "message": message}
            )
        self._context.put_status("namespaces", namespace, {"phase": "Terminating", "conditions": conditions})
