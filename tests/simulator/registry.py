"""The rules of the API in front of the store: what the HTTP layer and the simulated controllers call.

Objects given to the registry are copied; objects it returns are stored ones and must not be changed.
"""

from __future__ import annotations

from typing import Any

from simulator.apiserver import errors
from simulator.apiserver.apply import Application, apply_config
from simulator.apiserver.bootstrap import populate
from simulator.apiserver.customresources import Definitions
from simulator.apiserver.decoding import decode
from simulator.apiserver.deletion import Deletion
from simulator.apiserver.errors import ApiError
from simulator.apiserver.events import EventRecorder
from simulator.apiserver.eviction import Evictions
from simulator.apiserver.kinds.base import quoted
from simulator.apiserver.kinds.table import rules_for
from simulator.apiserver.objects import copy_json
from simulator.apiserver.options import DeleteOptions, WriteOptions
from simulator.apiserver.patching import json_patch, merge_patch
from simulator.apiserver.preparation import Preparation, Update, check_version
from simulator.apiserver.resources import ResourceTable, ResourceType
from simulator.apiserver.schema import SCHEMA
from simulator.apiserver.strategic import strategic_merge
from simulator.clock import Clock, rfc3339
from simulator.store import Object, Store

__all__ = ["ApiError", "Registry"]


class Registry:
    """Create, read, change and delete objects as a real API server would.

    ``dry_run`` does everything but store. ``options`` are those of an HTTP request; in-process components leave them out.
    """

    def __init__(self, store: Store | None = None, clock: Clock | None = None) -> None:
        self.store = store or Store()
        self.clock = clock or Clock()
        self.resources = ResourceTable()
        self._preparation = Preparation(self.store, self.clock)
        self._deletion = Deletion(self.store, self.clock)
        self._evictions = Evictions(self)
        self._events = EventRecorder(self)
        Definitions(self)
        populate(self)

    def get(self, resource: str, namespace: str | None, name: str) -> Object:
        """ApiError 404."""
        obj = self.store.get(resource, namespace, name)
        if obj is None:
            raise errors.not_found(self.resources.by_key(resource).subject, name)
        return obj

    def create(
        self,
        resource: str,
        obj: Object,
        namespace: str | None = None,
        *,
        dry_run: bool = False,
        options: WriteOptions | None = None,
        duplicates: list[str] | None = None,
    ) -> Object:
        kind = self.resources.by_key(resource)
        options = options or WriteOptions(dry_run)
        new = decode(kind, obj, options, "body", duplicates)
        metadata = new.setdefault("metadata", {})
        if kind.namespaced:
            metadata["namespace"] = namespace or metadata.get("namespace") or "default"
        else:
            metadata.pop("namespace", None)
        new = self._preparation.for_create(kind, new, options)
        return new if options.dry_run else self.store.put(resource, new)

    def load(self, resource: str, objects: list[Object]) -> None:
        """Fill in and store many new objects without validation or announcement, before anybody watches.

        The objects become the store's; a status they bring is kept, quantities must be canonical.
        """
        kind = self.resources.by_key(resource)
        rules = rules_for(kind)
        for obj in objects:
            status = obj.get("status")
            self._preparation.stamp(kind, rules, obj)
            rules.default(obj)
            rules.prepare_create(obj)
            if status:
                obj["status"] = {**obj.get("status", {}), **status}
        self.store.load(resource, objects)

    def update(
        self,
        resource: str,
        obj: Object,
        *,
        subresource: str | None = None,
        dry_run: bool = False,
        options: WriteOptions | None = None,
        duplicates: list[str] | None = None,
    ) -> Object:
        """PUT: replaces all but what ``subresource`` (None or "status") leaves alone. ApiError 404, 409, 422."""
        kind = self.resources.by_key(resource)
        options = options or WriteOptions(dry_run)
        sent = decode(kind, obj, options, "body", duplicates)
        old = self.get(resource, sent["metadata"].get("namespace"), sent["metadata"]["name"])
        check_version(kind, sent, old, is_put=options.manager is not None)
        return self._store_update(Update(kind, sent, old, options, subresource))

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
        options: WriteOptions | None = None,
    ) -> Object:
        """``patch_type``: merge, json, strategic or apply (which creates a missing object)."""
        kind = self.resources.by_key(resource)
        options = options or WriteOptions(dry_run)
        if patch_type == "apply":
            return self._apply(kind, namespace, name, patch, subresource, options)
        old = self.get(resource, namespace, name)
        patched = self._patched(kind, old, patch, patch_type)
        if patched.get("metadata", {}).get("name") != name:
            wrong = patched.get("metadata", {}).get("name", "")
            raise errors.bad_request(f"the name of the object ({wrong}) does not match the name on the URL ({name})")
        sent = decode(kind, patched, options, "patch")
        check_version(kind, sent, old, is_put=False)
        return self._store_update(Update(kind, sent, old, options, subresource))

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
        """Returns the last state: still stored if a grace period or a finalizer holds it."""
        kind = self.resources.by_key(resource)
        obj = self.get(resource, namespace, name)
        return self._deletion.delete(
            kind, obj, DeleteOptions(grace_period_seconds, propagation, preconditions or {}, dry_run)
        )

    def evict(self, namespace: str, name: str, eviction: Object | None = None, *, dry_run: bool = False) -> None:
        """Delete a pod if its disruption budget allows it. ApiError 403, 404, 409, 429, 500."""
        self._evictions.evict(namespace, name, eviction or {}, dry_run=dry_run)

    def check_namespace(self, kind: ResourceType, namespace: str, name: str) -> None:
        """Whether something may be made in the namespace, which an eviction is as well. ApiError 403, 404."""
        self._preparation.check_namespace(kind, namespace, name)

    def bind(self, namespace: str, name: str, node: str) -> Object:
        """Assign a pod to a node, as the scheduler does. ApiError 404, 409."""
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
        """Record an event about an object; repeats of the same are counted."""
        self._events.record(involved, reason=reason, message=message, type=type, component=component)

    def _patched(self, kind: ResourceType, old: Object, patch: Any, patch_type: str) -> Object:
        if patch_type == "json":
            patched: Object = json_patch(old, patch)
            return patched
        struct = SCHEMA.of_resource(kind)
        if patch_type == "strategic" and struct is not None:
            return strategic_merge(old, patch, struct)
        merged: Object = merge_patch(old, patch)
        return merged

    def _apply(
        self,
        kind: ResourceType,
        namespace: str | None,
        name: str,
        patch: Object,
        subresource: str | None,
        options: WriteOptions,
    ) -> Object:
        config = decode(kind, _checked_config(name, patch), options, "apply")
        config = _only_sent(config, patch)
        if kind.namespaced:
            config["metadata"]["namespace"] = namespace
        old = self.store.get(kind.key, namespace, name)
        author = self._preparation.author(kind, options, subresource, "Apply")
        if old is not None:
            check_version(kind, config, old, is_put=False)
        applied = apply_config(old, Application(config, SCHEMA.of_resource(kind), author, options.force))
        if old is None:
            new = self._preparation.for_create(kind, decode(kind, applied, options, "body"), options)
            return new if options.dry_run else self.store.put(kind.key, new)
        sent = decode(kind, applied, options, "body")
        return self._store_update(Update(kind, sent, old, options, subresource, applied["metadata"]["managedFields"]))

    def _store_update(self, update: Update) -> Object:
        new = self._preparation.for_update(update)
        if update.options.dry_run:
            return new
        if self._deletion.is_finished(new):
            self.store.remove(update.kind.key, new["metadata"].get("namespace"), new["metadata"]["name"])
            return new
        return self.store.put(update.kind.key, new)


def _checked_config(name: str, config: Object) -> Object:
    """An applied configuration, named as its path. ApiError 400."""
    if not config.get("kind") or not config.get("apiVersion"):
        group, _unused, version = str(config.get("apiVersion") or "").rpartition("/")
        raise errors.bad_request(f"invalid object type: {group}/{version}, Kind={config.get('kind') or ''}")
    metadata = config.get("metadata") or {}
    if metadata.get("managedFields"):
        raise errors.bad_request("metadata.managedFields must be nil")
    if metadata.get("name", name) != name:
        wrong = metadata["name"]
        raise errors.bad_request(f"the name of the object ({wrong}) does not match the name on the URL ({name})")
    result: Object = copy_json(config)
    result["metadata"] = {**metadata, "name": name}
    return result


def _only_sent(decoded: Any, sent: Any) -> Any:
    """The decoded configuration without what decoding added: only what was sent is owned. Empty maps stay."""
    if isinstance(decoded, dict) and isinstance(sent, dict):
        kept = {
            key: _only_sent(value, sent.get(key))
            for key, value in decoded.items()
            if key in sent or key in ("name", "namespace")
        }
        empty = {key: value for key, value in sent.items() if key not in kept and value in ({}, [])}
        return {**kept, **empty}
    if isinstance(decoded, list) and isinstance(sent, list) and len(decoded) == len(sent):
        return [_only_sent(one, other) for one, other in zip(decoded, sent)]
    return decoded
