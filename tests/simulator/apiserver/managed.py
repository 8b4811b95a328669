"""managedFields: which manager owns which fields of an object.

A set of fields is a frozenset of paths; a path is a tuple of FieldsV1 elements: ``f:name``, ``k:{"name":"x"}`` for an
item of an associative list, ``v:"x"`` for a member of a set, and a last ``.`` for the container or item itself.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from simulator.apiserver.mergekeys import apply_keys
from simulator.apiserver.schema import SCHEMA, FieldType, Struct

Object = dict[str, Any]
Path = tuple[str, ...]
Fields = frozenset[Path]

UNOWNED_META = {
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "generation",
    "managedFields",
    "name",
    "namespace",
    "selfLink",
}
UNOWNED_META |= {"deletionTimestamp", "deletionGracePeriodSeconds"}
ALWAYS_PRESENT = {"metadata", "spec", "status", "template", "strategy", "updateStrategy", "containers", "selector"}
ANY = FieldType("scalar", "any")


@dataclass(frozen=True)
class Manager:
    """One entry of managedFields."""

    name: str
    operation: str
    api_version: str
    time: str
    subresource: str
    fields: Fields

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.name, self.operation, self.subresource

    @property
    def label(self) -> str:
        """How conflicts name it."""
        using = "" if self.operation == "Apply" else f" using {self.api_version}"
        return f'"{self.name}"' + (f' with subresource "{self.subresource}"' if self.subresource else "") + using


def owned_fields(obj: Object, struct: Struct | None, *, containers: bool) -> dict[Path, Any]:
    """The leaves of an object with their values. ``containers``: also a ``.`` for every map and list."""
    walker = _Walker(containers)
    for key, value in obj.items():
        if key not in ("apiVersion", "kind"):
            walker.field((), key, value, struct)
    return {path: value for path, value in walker.found.items() if not _is_unowned(path)}


def _is_unowned(path: Path) -> bool:
    return path[0] == "f:metadata" and len(path) > 1 and path[1].removeprefix("f:") in UNOWNED_META


class _Walker:
    def __init__(self, containers: bool) -> None:
        self.found: dict[Path, Any] = {}
        self._containers = containers

    def field(self, prefix: Path, key: str, value: Any, struct: Struct | None) -> None:
        """One field of a struct; ``struct`` None: of a value without a schema."""
        field = struct.fields.get(key, ANY) if struct else None
        path = (*prefix, f"f:{key}")
        keys = apply_keys(struct.name, key) if struct else ()
        is_granular = field is None or field.shape in ("struct", "map")
        if isinstance(value, dict) and value and keys != ("atomic",) and is_granular:
            self._own_container(path)
            self._members(path, value, field)
        elif isinstance(value, list) and keys and field is not None and field.inner is not None:
            self._own_container(path)
            self._items(path, value, keys, field.inner)
        else:
            self.found[path] = value

    def _own_container(self, path: Path) -> None:
        if self._containers and path[-1].removeprefix("f:") not in ALWAYS_PRESENT:
            self.found[(*path, ".")] = None

    def _members(self, path: Path, value: Object, field: FieldType | None) -> None:
        inner = SCHEMA.structs[field.name] if field is not None and field.shape == "struct" else None
        for name, item in value.items():
            if field is not None and field.shape == "map":
                self.found[(*path, f"f:{name}")] = item
            else:
                self.field(path, name, item, inner)

    def _items(self, path: Path, value: list[Any], keys: tuple[str, ...], inner: FieldType) -> None:
        if keys == ("set",):
            self.found.update({(*path, f"v:{json.dumps(item)}"): item for item in value})
            return
        for item in value:
            item_path = (*path, item_element(item, keys))
            self.found[(*item_path, ".")] = None
            for name, part in item.items():
                self.field(item_path, name, part, SCHEMA.structs[inner.name])


def item_element(item: Object, keys: tuple[str, ...]) -> str:
    values = {key: item.get(key, "TCP" if key == "protocol" else None) for key in keys}
    present = {key: value for key, value in sorted(values.items()) if value is not None}
    return "k:" + json.dumps(present, separators=(",", ":"))


def read_managers(obj: Object) -> list[Manager]:
    managers = []
    for entry in obj["metadata"].get("managedFields") or []:
        fields = frozenset(_flatten(entry.get("fieldsV1") or {}, ()))
        managers.append(
            Manager(
                entry["manager"],
                entry["operation"],
                entry["apiVersion"],
                entry.get("time", ""),
                entry.get("subresource", ""),
                fields,
            )
        )
    return managers


def _flatten(tree: Object, prefix: Path) -> list[Path]:
    paths: list[Path] = []
    for element, inner in tree.items():
        path = (*prefix, element)
        paths += _flatten(inner, path) if inner else [path]
    return paths


def write_managers(managers: list[Manager]) -> list[Object]:
    """managedFields as stored: Apply before Update, older before newer, then by name."""
    ordered = sorted(managers, key=lambda item: (item.operation != "Apply", item.time, item.name, item.subresource))
    return [_entry(manager) for manager in ordered if manager.fields]


def _entry(manager: Manager) -> Object:
    tree: Object = {}
    for path in sorted(manager.fields):
        node = tree
        for element in path:
            node = node.setdefault(element, {})
    entry: Object = {"manager": manager.name, "operation": manager.operation, "apiVersion": manager.api_version}
    entry |= {"time": manager.time, "fieldsType": "FieldsV1", "fieldsV1": tree}
    if manager.subresource:
        entry["subresource"] = manager.subresource
    return entry


def track_update(old: Object | None, new: Object, struct: Struct | None, author: Manager) -> list[Object]:
    """managedFields after a create, PUT or patch: changed fields go to ``author`` and from everybody else."""
    before = owned_fields(old, struct, containers=True) if old else {}
    after = owned_fields(new, struct, containers=True)
    changed = frozenset(path for path, value in after.items() if path not in before or before[path] != value)
    gone = frozenset(before) - frozenset(after)
    managers = read_managers(old) if old else []
    if not changed and not gone:
        return (old or {}).get("metadata", {}).get("managedFields") or []
    result = []
    mine: Fields = frozenset()
    for manager in managers:
        if manager.identity == author.identity:
            mine = manager.fields - gone
        else:
            result.append(replace(manager, fields=manager.fields - changed - gone))
    result.append(replace(author, fields=mine | changed))
    return write_managers(result)
