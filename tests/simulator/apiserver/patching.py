"""Merge patches (RFC 7386)."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.objects import copy_json, without_nulls


def merge_patch(target: Any, patch: Any) -> Any:
    """A new value; null removes a key, lists are replaced."""
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
