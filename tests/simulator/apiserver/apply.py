"""Server-side apply: merging what a manager applies into an object, with conflicts and removal of what it gave up."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.apiserver.managed import (
    Fields,
    Manager,
    Path,
    item_element,
    owned_fields,
    read_managers,
    write_managers,
)
from simulator.apiserver.mergekeys import apply_keys
from simulator.apiserver.objects import copy_json
from simulator.apiserver.schema import SCHEMA, Struct

Object = dict[str, Any]


@dataclass(frozen=True)
class Application:
    """What one manager applies. ``author`` has no fields yet."""

    config: Object
    struct: Struct | None
    author: Manager
    force: bool


def apply_config(live: Object | None, application: Application) -> Object:
    """The new object, managedFields included. ApiError 409 with one cause per field in conflict."""
    config, struct, author = application.config, application.struct, application.author
    wanted = owned_fields(config, struct, containers=False)
    fields = frozenset(wanted)
    if live is None:
        result = copy_json(config)
        result["metadata"]["managedFields"] = write_managers([replace(author, fields=fields)])
        return result
    managers = read_managers(live)
    others = [manager for manager in managers if manager.identity != author.identity]
    mine = next((manager for manager in managers if manager.identity == author.identity), None)
    current = owned_fields(live, struct, containers=True)
    changed = frozenset(path for path, value in wanted.items() if path not in current or current[path] != value)
    conflicts = [(manager, manager.fields & changed) for manager in others if manager.fields & changed]
    if conflicts and not application.force:
        raise _conflict_error(conflicts)
    others = [replace(manager, fields=manager.fields - changed) for manager in others]
    result = _merge(live, config, struct)
    if mine is not None:
        given_up = mine.fields - fields - frozenset().union(*(manager.fields for manager in others))
        for path in sorted(given_up, key=len, reverse=True):
            _remove(result, path, struct)
    author = (
        replace(author, fields=fields, time=mine.time)
        if mine and mine.fields == fields and not changed
        else replace(author, fields=fields)
    )
    result["metadata"] = {**result["metadata"], "managedFields": write_managers([*others, author])}
    return result


def _merge(live: Object, config: Object, struct: Struct | None) -> Object:
    result = dict(live)
    for key, value in config.items():
        result[key] = _merge_value(live.get(key), value, key, struct)
    return result


def _merge_value(live: Any, value: Any, key: str, struct: Struct | None) -> Any:
    keys = apply_keys(struct.name, key) if struct else ()
    field = struct.fields.get(key) if struct else None
    if isinstance(value, dict) and isinstance(live, dict) and keys != ("atomic",):
        inner = SCHEMA.structs[field.name] if field is not None and field.shape == "struct" else None
        return _merge(live, value, inner)
    if isinstance(value, list) and isinstance(live, list) and keys == ("set",):
        return [*live, *(item for item in value if item not in live)]
    if isinstance(value, list) and isinstance(live, list) and keys and field is not None and field.inner is not None:
        return _merge_items(live, value, keys, SCHEMA.structs[field.inner.name])
    return copy_json(value)


def _merge_items(live: list[Object], config: list[Object], keys: tuple[str, ...], struct: Struct) -> list[Object]:
    wanted = {item_element(item, keys): item for item in config}
    result = [_merge(item, wanted.pop(item_element(item, keys), {}), struct) for item in live]
    return [*result, *(copy_json(item) for item in wanted.values())]


def _remove(obj: Object, path: Path, struct: Struct | None) -> None:
    """Take one field or list item out; ``obj`` is a copy made by _merge, but what lies deeper may be shared."""
    head, rest = path[0], path[1:]
    name = head.removeprefix("f:")
    value = obj.get(name)
    field = struct.fields.get(name) if struct else None
    if not rest:
        obj.pop(name, None)
    elif rest[0] == ".":
        return
    elif isinstance(value, dict):
        obj[name] = inner = dict(value)
        _remove(inner, rest, SCHEMA.structs[field.name] if field is not None and field.shape == "struct" else None)
        if not inner and field is not None and field.shape == "map":
            del obj[name]
    elif isinstance(value, list) and field is not None and field.inner is not None and struct is not None:
        obj[name] = _remove_from_list(value, rest, apply_keys(struct.name, name), field.inner.name)


def _remove_from_list(items: list[Any], path: Path, keys: tuple[str, ...], struct_name: str) -> list[Any]:
    element, rest = path[0], path[1:]
    if element.startswith("v:"):
        return [item for item in items if item != json.loads(element[2:])]
    result = []
    for item in items:
        if item_element(item, keys) == element:
            if rest == (".",):
                continue
            item = dict(item)
            if rest[0].removeprefix("f:") not in keys:
                _remove(item, rest, SCHEMA.structs[struct_name])
        result.append(item)
    return result


def _conflict_error(conflicts: list[tuple[Manager, Fields]]) -> ApiError:
    pairs = [(manager, path) for manager, fields in conflicts for path in sorted(map(path_text, fields))]
    causes = [
        {"reason": "FieldManagerConflict", "message": f"conflict with {manager.label}", "field": path}
        for manager, path in pairs
    ]
    if len(pairs) == 1:
        message = f"Apply failed with 1 conflict: conflict with {pairs[0][0].label}: {pairs[0][1]}"
    else:
        parts = []
        for manager, fields in conflicts:
            listed = "".join(f"\n- {path}" for path in sorted(map(path_text, fields)))
            parts.append(f"conflicts with {manager.label}:{listed}")
        message = f"Apply failed with {len(pairs)} conflicts: " + "\n".join(parts)
    return ApiError(409, "Conflict", message, {"causes": causes})


def path_text(path: Path) -> str:
    """A path as messages show it: ``.spec.containers[name="main"].image``."""
    text = ""
    for element in path:
        if element.startswith("f:"):
            text += f".{element[2:]}"
        elif element.startswith("k:"):
            pairs = json.loads(element[2:]).items()
            text += "[" + ",".join(f"{key}={json.dumps(value)}" for key, value in pairs) + "]"
        elif element.startswith("v:"):
            text += f"[={element[2:]}]"
    return text
