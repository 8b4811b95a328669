"""Strategic merge patches of the built-in types, with the directives $patch, $deleteFromPrimitiveList and $retainKeys."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import bad_request
from simulator.apiserver.mergekeys import patch_key
from simulator.apiserver.objects import copy_json
from simulator.apiserver.schema import SCHEMA, FieldType, Struct

Object = dict[str, Any]

DELETE_ITEMS = "$deleteFromPrimitiveList/"
ORDER = "$setElementOrder/"


def strategic_merge(target: Object, patch: Object, struct: Struct) -> Object:
    """A new object. ApiError 400 for a list item without its merge key."""
    if patch.get("$patch") == "replace":
        return {key: copy_json(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target)
    retained = patch.get("$retainKeys")
    if retained is not None:
        result = {key: value for key, value in result.items() if key in retained}
    for key, value in patch.items():
        if key.startswith(DELETE_ITEMS):
            name = key[len(DELETE_ITEMS) :]
            result[name] = [item for item in result.get(name) or [] if item not in value]
        elif not key.startswith("$"):
            _merge_key(result, key, value, struct)
    return result


def _merge_key(result: Object, key: str, value: Any, struct: Struct) -> None:
    field = struct.fields.get(key)
    if value is None or (isinstance(value, dict) and value.get("$patch") == "delete"):
        result.pop(key, None)
    elif isinstance(value, dict) and field is not None and field.shape == "struct":
        result[key] = strategic_merge(result.get(key) or {}, value, SCHEMA.structs[field.name])
    elif isinstance(value, dict):
        result[key] = _merge_map(result.get(key) or {}, value)
    elif isinstance(value, list) and field is not None:
        result[key] = _merge_list(result.get(key) or [], value, field, patch_key(struct.name, key))
    else:
        result[key] = copy_json(value)


def _merge_map(target: Object, patch: Object) -> Object:
    if patch.get("$patch") == "replace":
        return {key: copy_json(value) for key, value in patch.items() if key != "$patch"}
    result = dict(target)
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict) and isinstance(result.get(key), dict):
            result[key] = _merge_map(result[key], value)
        else:
            result[key] = copy_json(value)
    return result


def _merge_list(target: list[Any], patch: list[Any], field: FieldType, key: str) -> list[Any]:
    if key == "set":
        return [*target, *(item for item in patch if item not in target)]
    if not key or field.inner is None or field.inner.shape != "struct":
        return [copy_json(item) for item in patch]
    struct = SCHEMA.structs[field.inner.name]
    if any(isinstance(item, dict) and item.get("$patch") == "replace" for item in patch):
        return [copy_json(item) for item in patch if item.get("$patch") != "replace"]
    result = list(target)
    for item in patch:
        _merge_item(result, item, key, struct)
    return _ordered(result, [item[key] for item in patch], [item.get(key) for item in target], key)


def _ordered(items: list[Object], patched: list[Any], before: list[Any], key: str) -> list[Object]:
    """Items of the patch in its order, the others woven in where they stood; new items come before what follows them."""
    left = [item for name in dict.fromkeys(patched) for item in items if item.get(key) == name]
    right = [item for item in items if item.get(key) not in patched]
    result = []
    while left and right:
        first, other = left[0].get(key), right[0].get(key)
        goes_first = first not in before or before.index(first) < before.index(other)
        result.append(left.pop(0) if goes_first else right.pop(0))
    return [*result, *left, *right]


def _merge_item(result: list[Any], item: Object, key: str, struct: Struct) -> None:
    if key not in item:
        raise bad_request(f"map: {item} does not contain declared merge key: {key}")
    index = next((number for number, known in enumerate(result) if known.get(key) == item[key]), None)
    if item.get("$patch") == "delete":
        if index is not None:
            del result[index]
    elif index is None:
        result.append(strategic_merge({}, item, struct))
    else:
        result[index] = strategic_merge(result[index], item, struct)
