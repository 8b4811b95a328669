"""Small operations on JSON objects."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def copy_json(value: Any) -> Any:
    """A deep copy of JSON data; several times faster than copy.deepcopy, which matters for large clusters."""
    if isinstance(value, dict):
        return {key: copy_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [copy_json(item) for item in value]
    return value


def without_nulls(value: Any) -> Any:
    """The value without keys that are null: typed objects cannot hold them."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


def ensure_dict(obj: Object, key: str) -> Object:
    """obj[key] as a dictionary, made if it is missing."""
    value = obj.get(key)
    if not isinstance(value, dict):
        value = obj[key] = {}
    return value


def owner_of(obj: Object) -> Object | None:
    """The controlling owner reference."""
    return next((ref for ref in obj["metadata"].get("ownerReferences", []) if ref.get("controller")), None)
