"""The rules of the API in front of the store: what the HTTP layer and the simulated controllers call.

Objects given to the registry are copied; objects it returns are stored ones and must not be changed.
"""

from __future__ import annotations

import secrets
import uuid
from typing import Any

from simulator.apiserver import errors
from simulator.apiserver.bootstrap import populate
from simulator.apiserver.deletion import DeleteRequest, Deletion
from simulator.apiserver.errors import ApiError
from simulator.apiserver.events import EventRecorder
from simulator.apiserver.kinds.base import Rules, metadata_causes, name_problem, quoted
from simulator.apiserver.kinds.table import rules_for
from simulator.apiserver.objects import copy_json
from simulator.apiserver.patching import merge_patch
from simulator.apiserver.resources import ResourceTable, ResourceType
from simulator.clock import Clock, rfc3339
from simulator.store import Object, Store

__all__ = ["ApiError", "Registry"]

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
KEPT_METADATA = ("uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation")


class Registry:
    """Create, read, change and delete objects as a real API server would."""

    def __init__(self, store: Store | None = None, clock: Clock | None = None) -> None:
        self.store = store or Store()
        self.clock = clock or Clock()
        self.resources = ResourceTable()
        self._deletion = Deletion(self.store, self.clock)
        self._events = EventRecorder(self)
        populate(self)

    def get(self, resource: str, namespace: str | None, name: str) -> Object:
        obj = self.store.get(resource, namespace, name)
        if obj is None:
            raise errors.not_found(self.resources.by_key(resource).subject, name)
        return obj

    def create(self, resource: str, obj: Object, namespace: str | None = None, *, dry_run: bool = False) -> Object:
        kind = self.resources.by_key(resource)
        rules = rules_for(resource)
        new = copy_json(obj)
        metadata = new.setdefault("metadata", {})
        if kind.namespaced:
            metadata["namespace"] = namespace or metadata.get("namespace") or "default"
            self._check_namespace(kind, metadata)
        self._name(kind, metadata)
        self._stamp(kind, rules, new)
        rules.default(new)
        rules.prepare_create(new)
        self._validate(kind, rules, new, None)
        if self.store.get(resource, metadata.get("namespace"), metadata["name"]) is not None:
            raise errors.already_exists(kind.subject, metadata["name"])
        return new if dry_run else self.store.put(resource, new)

    def load(self, resource: str, objects: list[Object]) -> None:
        """Fill in and store many new objects without validation or announcement, before anybody watches."""
        kind = self.resources.by_key(resource)
        rules = rules_for(resource)
        for obj in objects:
            status = obj.get("status")
            self._stamp(kind, rules, obj)
            rules.default(obj)
            rules.prepare_create(obj)
            if status:
                obj["status"] = {**obj.get("status", {}), **status}
        self.store.load(resource, objects)

    def update(self, resource: str, obj: Object, *, subresource: str | None = None, dry_run: bool = False) -> Object:
        kind = self.resources.by_key(resource)
        rules = rules_for(resource)
        old = self.get(resource, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        sent = obj["metadata"].get("resourceVersion")
        if sent and sent != old["metadata"]["resourceVersion"]:
            raise errors.conflict(kind.subject, old["metadata"]["name"])
        new = _merge_parts(copy_json(obj), old, subresource)
        rules.default(new)
        rules.prepare_update(new, old)
        if rules.has_generation and new.get("spec") != old.get("spec"):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        self._validate(kind, rules, new, old)
        if dry_run:
            return new
        if self._deletion.is_finished(new):
            self.store.put(resource, new)
            self.store.remove(resource, new["metadata"].get("namespace"), new["metadata"]["name"])
            return new
        return self.store.put(resource, new)

    def patch(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        patch: Any,
        patch_type: str = "merge",
        *,
        subresource: str | None = None,
        dry_run: bool = False,
    ) -> Object:
        old = self.get(resource, namespace, name)
        if patch_type != "merge":
            raise errors.ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})
        return self.update(resource, merge_patch(old, patch), subresource=subresource, dry_run=dry_run)

    def delete(
        self,
        resource: str,
        namespace: str | None,
        name: str,
        *,
        grace_period_seconds: int | None = None,
        propagation: str | None = None,
        preconditions: dict[str, str] | None = None,
        dry_run: bool = False,
    ) -> Object:
        """Returns the last state: with deletionTimestamp if the object stays for now, without if it is gone."""
        kind = self.resources.by_key(resource)
        obj = self.get(resource, namespace, name)
        request = DeleteRequest(grace_period_seconds, propagation, preconditions or {}, dry_run)
        return self._deletion.delete(kind, obj, request)

    def evict(self, namespace: str, name: str, eviction: Object | None = None, *, dry_run: bool = False) -> Object:
        return self.delete("pods", namespace, name, dry_run=dry_run)

    def bind(self, namespace: str, name: str, node: str) -> Object:
        """Assign a pod to a node, as the scheduler does."""
        pod = self.get("pods", namespace, name)
        if pod["spec"].get("nodeName"):
            text = f"pod {name} is already assigned to node {quoted(pod['spec']['nodeName'])}"
            raise errors.conflict(errors.Subject("", "pods/binding", "Binding"), name, text)
        now = rfc3339(self.clock.now())
        scheduled = {"type": "PodScheduled", "status": "True", "lastProbeTime": None, "lastTransitionTime": now}
        status = dict(pod.get("status", {}))
        conditions = [item for item in status.get("conditions", []) if item["type"] != "PodScheduled"]
        status["conditions"] = [*conditions, scheduled]
        return self.store.put("pods", {**pod, "spec": {**pod["spec"], "nodeName": node}, "status": status})

    def record_event(self, involved: Object, *, reason: str, message: str, type: str, component: str) -> None:
        self._events.record(involved, reason=reason, message=message, type=type, component=component)

    def _check_namespace(self, kind: ResourceType, metadata: Object) -> None:
        namespace = self.store.get("namespaces", None, metadata["namespace"])
        if namespace is None:
            raise errors.not_found(self.resources.by_key("namespaces").subject, metadata["namespace"])
        if namespace["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {metadata['namespace']} because it is being terminated"
            raise errors.forbidden(kind.subject, metadata.get("name", ""), why)

    def _name(self, kind: ResourceType, metadata: Object) -> None:
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(secrets.choice(NAME_ALPHABET) for _ in range(5))
            metadata["name"] = metadata["generateName"] + suffix
        if not metadata.get("name"):
            cause = errors.required("metadata.name", "name or generateName is required")
            raise errors.invalid(kind.subject, "", [cause])

    def _stamp(self, kind: ResourceType, rules: Rules, obj: Object) -> None:
        """Identity and birth of a new object."""
        obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
        metadata = obj["metadata"]
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = rfc3339(self.clock.now())
        metadata.pop("deletionTimestamp", None)
        metadata.pop("deletionGracePeriodSeconds", None)
        metadata.pop("resourceVersion", None)
        metadata.pop("generation", None)
        if rules.has_generation or kind.custom:
            metadata["generation"] = 1
        if not rules.status_on_create and kind.subresource("status"):
            obj.pop("status", None)

    def _validate(self, kind: ResourceType, rules: Rules, obj: Object, old: Object | None) -> None:
        causes = []
        name = obj["metadata"]["name"]
        if old is None and (problem := name_problem(name, as_label=rules.name_is_label)):
            causes.append(errors.invalid_value("metadata.name", quoted(name), problem))
        causes += metadata_causes(obj["metadata"])
        causes += rules.validate(obj, old)
        if causes:
            raise errors.invalid(kind.subject, name, causes)


def _merge_parts(new: Object, old: Object, subresource: str | None) -> Object:
    """The new object with the parts that this kind of update may not touch taken from the old one."""
    metadata = new["metadata"]
    for field in KEPT_METADATA:
        if field in old["metadata"]:
            metadata[field] = old["metadata"][field]
        else:
            metadata.pop(field, None)
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]
    if subresource == "status":
        return {**copy_json({key: value for key, value in old.items() if key != "status"}), "metadata": metadata, "status": new.get("status", {})}
    if "status" in old:
        new["status"] = old["status"]
    else:
        new.pop("status", None)
    return new
