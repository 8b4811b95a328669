"""Making an object ready to be stored: identity, defaults, admission, validation, managedFields."""

from __future__ import annotations

import secrets
import uuid
from dataclasses import dataclass
from typing import Any

from simulator.apiserver import customresources, errors, managed
from simulator.apiserver.kinds.base import Rules, metadata_causes, name_problem, quoted
from simulator.apiserver.kinds.identity import identity_causes
from simulator.apiserver.kinds.table import rules_for
from simulator.apiserver.objects import copy_json
from simulator.apiserver.options import WriteOptions
from simulator.apiserver.resources import ResourceType
from simulator.apiserver.schema import SCHEMA
from simulator.clock import Clock, rfc3339
from simulator.store import Store

Object = dict[str, Any]

NAME_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
KEPT_METADATA = (
    "uid",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "generation",
    "managedFields",
)


@dataclass(frozen=True)
class Update:
    """``sent`` is a fresh, decoded object; ``managed_fields`` are given by server-side apply alone."""

    kind: ResourceType
    sent: Object
    old: Object
    options: WriteOptions
    subresource: str | None = None
    managed_fields: list[Object] | None = None


class Preparation:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def for_create(self, kind: ResourceType, new: Object, options: WriteOptions) -> Object:
        """``new`` is a fresh, decoded object and is completed in place."""
        rules = rules_for(kind)
        metadata = new["metadata"]
        if metadata.get("resourceVersion"):
            raise errors.internal_error("resourceVersion should not be set on objects to be created")
        self._name(kind, metadata)
        if kind.namespaced:
            self.check_namespace(kind, metadata["namespace"], metadata.get("name", ""))
        self.stamp(kind, rules, new)
        rules.default(new)
        rules.prepare_create(new)
        rules.admit(new, self._store.get)
        self._validate(kind, rules, new, None)
        if self._store.get(kind.key, metadata.get("namespace"), metadata["name"]) is not None:
            raise errors.already_exists(kind.subject, metadata["name"])
        if options.manager is not None and not metadata.get("managedFields"):
            entries = managed.track_update(None, new, SCHEMA.of_resource(kind), self.author(kind, options, None))
            if entries:
                metadata["managedFields"] = entries
        return new

    def for_update(self, update: Update) -> Object:
        """The object to store."""
        kind, old = update.kind, update.old
        rules = rules_for(kind)
        causes = identity_causes(update.sent, old) * 2
        new = merge_parts(update.sent, old, update.subresource, keep_status=kind.subresource("status") is not None)
        rules.default(new)
        rules.prepare_update(new, old)
        if rules.has_generation and _without(new) != _without(old):
            new["metadata"]["generation"] = old["metadata"].get("generation", 0) + 1
        self._validate(kind, rules, new, old, causes)
        self._set_managers(update, new)
        return new

    def _set_managers(self, update: Update, new: Object) -> None:
        entries = update.managed_fields
        if entries is None and update.options.manager is not None:
            author = self.author(update.kind, update.options, update.subresource)
            entries = managed.track_update(update.old, new, SCHEMA.of_resource(update.kind), author)
        if entries:
            new["metadata"]["managedFields"] = entries

    def author(
        self, kind: ResourceType, options: WriteOptions, subresource: str | None, operation: str = "Update"
    ) -> managed.Manager:
        now = rfc3339(self._clock.now())
        return managed.Manager(options.manager or "", operation, kind.api_version, now, subresource or "", frozenset())

    def stamp(self, kind: ResourceType, rules: Rules, obj: Object) -> None:
        """Identity and birth of a new object."""
        obj["apiVersion"], obj["kind"] = kind.api_version, kind.kind
        metadata = obj["metadata"]
        metadata["uid"] = str(uuid.uuid4())
        metadata["creationTimestamp"] = rfc3339(self._clock.now())
        for field in ("deletionTimestamp", "deletionGracePeriodSeconds", "resourceVersion", "generation"):
            metadata.pop(field, None)
        if rules.has_generation:
            metadata["generation"] = 1
        if not rules.status_on_create and kind.subresource("status"):
            obj.pop("status", None)

    def _name(self, kind: ResourceType, metadata: Object) -> None:
        if not metadata.get("name") and metadata.get("generateName"):
            suffix = "".join(secrets.choice(NAME_ALPHABET) for _unused in range(5))
            metadata["name"] = metadata["generateName"] + suffix
        if not metadata.get("name"):
            cause = errors.required("metadata.name", "name or generateName is required")
            raise errors.invalid(kind.subject, "", [cause])

    def check_namespace(self, kind: ResourceType, name: str, object_name: str) -> None:
        """Nothing is created in a namespace that is missing (ApiError 404) or going away (403)."""
        namespace = self._store.get("namespaces", None, name)
        if namespace is None:
            raise errors.not_found(errors.Subject("", "namespaces", "Namespace"), name)
        if namespace["metadata"].get("deletionTimestamp"):
            why = f"unable to create new content in namespace {name} because it is being terminated"
            cause = errors.Cause("NamespaceTerminating", f"namespace {name} is being terminated", "metadata.namespace")
            raise errors.forbidden(kind.subject, object_name, why, [cause])

    def _validate(
        self,
        kind: ResourceType,
        rules: Rules,
        obj: Object,
        old: Object | None,
        causes: list[errors.Cause] | None = None,
    ) -> None:
        causes = list(causes or [])
        name = obj["metadata"]["name"]
        if old is None and not rules.name_is_free and (problem := name_problem(name, as_label=rules.name_is_label)):
            causes.append(errors.invalid_value("metadata.name", quoted(name), problem))
        causes += metadata_causes(obj["metadata"]) * (1 if old is None else rules.metadata_repeats)
        if kind.schema is not None:
            causes += customresources.schema_causes(kind.schema, obj, "")
        causes += rules.validate(obj, old)
        if causes:
            raise errors.invalid(kind.subject, name, causes)


def check_version(kind: ResourceType, sent: Object, old: Object, *, is_put: bool) -> None:
    """Optimistic concurrency. ApiError 409; 422 where an update must name the version that it changes."""
    name = old["metadata"]["name"]
    version = sent["metadata"].get("resourceVersion")
    if not version and is_put and rules_for(kind).update_needs_version:
        cause = errors.invalid_value("metadata.resourceVersion", "0", "must be specified for an update")
        raise errors.invalid(kind.subject, name, [cause], by_resource=True)
    if version and version != old["metadata"]["resourceVersion"]:
        raise errors.conflict(kind.subject, name)
    uid = sent["metadata"].get("uid")
    if is_put and uid and uid != old["metadata"]["uid"]:
        why = f"Precondition failed: UID in precondition: {uid}, UID in object meta: {old['metadata']['uid']}"
        raise errors.conflict(kind.subject, name, why)


def merge_parts(new: Object, old: Object, subresource: str | None, *, keep_status: bool) -> Object:
    """The new object with the parts that this kind of update may not touch taken from the old one."""
    metadata = new["metadata"]
    for field in KEPT_METADATA:
        if field in old["metadata"]:
            metadata[field] = old["metadata"][field]
        else:
            metadata.pop(field, None)
    new["apiVersion"], new["kind"] = old["apiVersion"], old["kind"]
    if subresource == "status":
        kept = {key: value for key, value in old.items() if key not in ("status", "metadata")}
        return {**copy_json(kept), "metadata": metadata, "status": new.get("status", {})}
    if keep_status:
        if "status" in old:
            new["status"] = old["status"]
        else:
            new.pop("status", None)
    return new


def _without(obj: Object) -> Object:
    """What counts for the generation: everything but metadata and status."""
    return {key: value for key, value in obj.items() if key not in ("metadata", "status")}
