"""Which lists merge by key, for strategic merge patches and server-side apply."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import yaml

from simulator.apiserver.resources import DATA


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, dict[str, Any]]]:
    table: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load((DATA / "merge_keys.yml").read_text())
    return table


def patch_key(struct: str, field: str) -> str:
    """The merge key of a list in a strategic merge patch: a field's name, ``set`` for scalars, empty for replacement."""
    return str(_table().get(struct, {}).get(field, {}).get("patch", ""))


def apply_keys(struct: str, field: str) -> tuple[str, ...]:
    """The keys of an associative list in server-side apply; ``("set",)`` for sets, ``("atomic",)`` for atomic maps."""
    keys = _table().get(struct, {}).get(field, {}).get("apply", ())
    return (keys,) if isinstance(keys, str) else tuple(keys)
