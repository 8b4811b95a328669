"""JSON patches and merge patches."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.errors import rejected_patch
from simulator.apiserver.objects import copy_json, without_nulls


def merge_patch(target: Any, patch: Any) -> Any:
    """RFC 7386: a new value; null removes a key, lists are replaced."""
    if not isinstance(patch, dict):
        return copy_json(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            known = result.get(key)
            result[key] = merge_patch(known, value) if isinstance(known, dict) else without_nulls(value)
        else:
            result[key] = copy_json(value)
    return result


def json_patch(target: Any, operations: list[Any]) -> Any:
    """RFC 6902, except that ``replace`` of a missing key adds it, as the server's library does. ApiError 422."""
    document = copy_json(target)
    try:
        for operation in operations:
            document = _apply(document, operation)
    except (KeyError, IndexError, ValueError, TypeError, AttributeError):
        raise rejected_patch() from None
    return document


def _apply(document: Any, operation: dict[str, Any]) -> Any:
    kind, path = operation["op"], _pointer(operation["path"])
    if kind == "test":
        if _read(document, path) != operation.get("value"):
            raise ValueError("test failed")
    elif kind in ("add", "replace"):
        return _write(document, path, copy_json(operation["value"]), insert=kind == "add")
    elif kind == "remove":
        _remove(document, path)
    elif kind in ("move", "copy"):
        source = _pointer(operation["from"])
        value = copy_json(_read(document, source))
        if kind == "move":
            _remove(document, source)
        return _write(document, path, value, insert=True)
    else:
        raise ValueError(f"unknown operation {kind}")
    return document


def _pointer(text: str) -> list[str]:
    if text and not text.startswith("/"):
        raise ValueError("a pointer starts with a slash")
    return [part.replace("~1", "/").replace("~0", "~") for part in text.split("/")[1:]]


def _read(document: Any, path: list[str]) -> Any:
    for part in path:
        document = document[int(part)] if isinstance(document, list) else document[part]
    return document


def _write(document: Any, path: list[str], value: Any, *, insert: bool) -> Any:
    if not path:
        return value
    parent, last = _read(document, path[:-1]), path[-1]
    if isinstance(parent, list):
        if insert:
            index = len(parent) if last == "-" else int(last)
            if index > len(parent):
                raise IndexError(last)
            parent.insert(index, value)
        else:
            parent[int(last)] = value
    else:
        parent[last] = value
    return document


def _remove(document: Any, path: list[str]) -> None:
    parent = _read(document, path[:-1])
    if isinstance(parent, list):
        del parent[int(path[-1])]
    else:
        del parent[path[-1]]
