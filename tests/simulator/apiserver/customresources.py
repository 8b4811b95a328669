"""Custom resources: what a CustomResourceDefinition adds, and pruning and checking by its schema."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.apiserver.codec import json_kind
from simulator.apiserver.errors import Cause, invalid_value, required, unsupported
from simulator.apiserver.kinds.base import quoted
from simulator.apiserver.resources import ResourceType, Subresource
from simulator.clock import rfc3339

if TYPE_CHECKING:
    from simulator.registry import Registry
    from simulator.store import Change

Object = dict[str, Any]

DEFINITIONS = "apiextensions.k8s.io/customresourcedefinitions"
VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
STATUS = Subresource("status", "", ("get", "patch", "update"))
TYPES = {"object": "object", "array": "array", "string": "string", "boolean": "bool"}
PRESERVE = "x-kubernetes-preserve-unknown-fields"


class Definitions:
    """Serves the resources of stored definitions and sets the definitions' status, as the API server itself does."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        registry.store.subscribe(self._on_change)

    def _on_change(self, change: Change) -> None:
        if change.resource != DEFINITIONS:
            return
        spec = change.obj["spec"]
        if change.type == "DELETED":
            self._registry.resources.remove_custom(spec["group"], spec["names"]["plural"])
        elif change.obj["metadata"].get("deletionTimestamp"):
            self._clean_up(change.obj)
        elif not (change.obj.get("status") or {}).get("conditions"):
            self._serve(spec)
            self._establish(change.obj)
        elif change.old is not None and change.old["spec"] != spec:
            self._registry.resources.remove_custom(spec["group"], spec["names"]["plural"])
            self._serve(spec)

    def _serve(self, spec: Object) -> None:
        for version in spec["versions"]:
            if version.get("served"):
                self._registry.resources.add_custom(_resource_type(spec, version))

    def _establish(self, definition: Object) -> None:
        now = rfc3339(self._registry.clock.now())
        accepted = {"type": "NamesAccepted", "status": "True", "lastTransitionTime": now}
        accepted |= {"reason": "NoConflicts", "message": "no conflicts found"}
        established = {"type": "Established", "status": "True", "lastTransitionTime": now}
        established |= {"reason": "InitialNamesAccepted", "message": "the initial names have been accepted"}
        status = {
            **definition["status"],
            "conditions": [accepted, established],
            "acceptedNames": definition["spec"]["names"],
        }
        self._registry.store.put(DEFINITIONS, {**definition, "status": status})

    def _clean_up(self, definition: Object) -> None:
        """Delete all objects of the resource, then let the definition go."""
        spec, metadata = definition["spec"], definition["metadata"]
        key = f"{spec['group']}/{spec['names']['plural']}"
        for obj in self._registry.store.list(key):
            self._registry.store.remove(key, obj["metadata"].get("namespace"), obj["metadata"]["name"])
        self._registry.store.remove(DEFINITIONS, None, metadata["name"])


def _resource_type(spec: Object, version: Object) -> ResourceType:
    names = spec["names"]
    return ResourceType(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        singular=names.get("singular", names["kind"].lower()),
        kind=names["kind"],
        namespaced=spec["scope"] == "Namespaced",
        verbs=VERBS,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=(STATUS,) if "status" in (version.get("subresources") or {}) else (),
        custom=True,
        list_kind=names.get("listKind", f"{names['kind']}List"),
        schema=(version.get("schema") or {}).get("openAPIV3Schema"),
        columns=tuple(version.get("additionalPrinterColumns") or ()),
    )


def prune(schema: Object, value: Any, path: str, unknown: list[str]) -> Any:
    """The value without fields that the schema does not know; their paths go to ``unknown``."""
    if isinstance(value, list):
        items = schema.get("items") or {PRESERVE: True}
        return [prune(items, item, f"{path}[{number}]", unknown) for number, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    properties, extra = schema.get("properties") or {}, schema.get("additionalProperties")
    preserve = schema.get(PRESERVE) or schema.get("x-kubernetes-embedded-resource")
    result = {}
    for key, item in value.items():
        where = f"{path}.{key}" if path else key
        if not path and key in ("apiVersion", "kind", "metadata"):
            result[key] = item
        elif key in properties:
            result[key] = prune(properties[key], item, where, unknown)
        elif isinstance(extra, dict):
            result[key] = prune(extra, item, where, unknown)
        elif preserve or extra:
            result[key] = item
        else:
            unknown.append(where)
    return result


def schema_causes(schema: Object, value: Any, path: str) -> list[Cause]:
    """Violations of type, enum and required; the keywords that the tests' definitions use."""
    wanted = schema.get("type")
    if wanted and not _has_type(wanted, value):
        kind = json_kind(value).replace("bool", "boolean").replace("number", "integer")
        why = f'{path} in body must be of type {wanted}: "{kind}"'
        return [Cause("FieldValueTypeInvalid", invalid_value(path, quoted(kind), why).message, path)]
    if "enum" in schema and value not in schema["enum"]:
        return [unsupported(path, quoted(value), schema["enum"])]
    causes = []
    if isinstance(value, dict):
        where = f"{path}." if path else ""
        causes += [required(where + key) for key in schema.get("required") or [] if key not in value]
        for key, inner in (schema.get("properties") or {}).items():
            if key in value and key not in ("metadata", "apiVersion", "kind"):
                causes += schema_causes(inner, value[key], where + key)
    elif isinstance(value, list) and schema.get("items"):
        for number, item in enumerate(value):
            causes += schema_causes(schema["items"], item, f"{path}[{number}]")
    return causes


def _has_type(wanted: str, value: Any) -> bool:
    if wanted in ("integer", "number"):
        return isinstance(value, (int, float)) and not isinstance(value, bool)
    return json_kind(value) == TYPES.get(wanted, wanted)
