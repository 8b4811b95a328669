# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read TOML as data. Pure. PRIVATE to the collection."""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Callable, Dict, Mapping, Optional, Sequence, Tuple

# Used on the control node only, where it is required.
with suppress(ImportError):
    import tomlkit
    from tomlkit.exceptions import ParseError, TOMLKitError

Path = Tuple[str, ...]

_BARE = re.compile(r"[A-Za-z0-9_-]+")
BOM = "\ufeff"


class TomlError(Exception):
    """A text is no TOML: which file, where in it, and what is wrong there."""


def parse(text: str, name: str) -> Dict[str, Any]:
    """The text as plain Python data.

    :param name: of the file, for the message.
    :raises TomlError: "Reading <name>:<line>:<column>: ...".
    """
    data, error = _read(text[1:] if text.startswith(BOM) else text)
    if error is not None:
        raise TomlError(f"Reading {name}{error} The file is as it was; correct it there.")
    return copy.deepcopy(data)


def _standard() -> Optional[Callable[[str], Dict[str, Any]]]:
    """Python's own reader, from 3.11 on: ten times as fast as the one that keeps the style."""
    if find_spec("tomllib") is None:
        return None
    loads: Callable[[str], Dict[str, Any]] = import_module("tomllib").loads
    return loads


_LOADS = _standard()


@lru_cache(maxsize=16)
def _read(text: str) -> Tuple[Dict[str, Any], Optional[str]]:
    """The data, or where and why it is none: one plan looks at the same few texts several times."""
    reason = ""
    if _LOADS is not None:
        try:
            return _LOADS(text), None
        except ValueError as error:
            reason = str(error)
    try:
        data: Dict[str, Any] = tomlkit.parse(text).unwrap()
    except ParseError as error:
        what = str(error).partition(" at line ")[0].rstrip(".")
        return {}, f":{error.line}:{error.col + 1}: {what}."
    except (TOMLKitError, ValueError) as error:
        # A key that stands twice, for example, of whose position only Python's own reader tells.
        reason = reason or str(error)
    return (data, None) if not reason else ({}, _placed(reason))


def _placed(reason: str) -> str:
    """The reason of Python's own reader with its position in front."""
    found = re.fullmatch(r"(.*) \(at line ([0-9]+), column ([0-9]+)\)", reason)
    return f":{found.group(2)}:{found.group(3)}: {found.group(1)}." if found else f": {reason}."


def flatten(data: Mapping[str, Any], above: Path = ()) -> Dict[Path, Any]:
    """Every value by the path of its keys. A table without anything in it is a value {}; an array is one value."""
    found: Dict[Path, Any] = {}
    for key, value in data.items():
        path = (*above, key)
        if isinstance(value, Mapping) and value:
            found.update(flatten(value, path))
        else:
            found[path] = value
    return found


def lookup(data: Mapping[str, Any], path: Sequence[str]) -> Any:
    """The value at a path of keys; None if there is none."""
    found: Any = data
    for key in path:
        if not isinstance(found, Mapping) or key not in found:
            return None
        found = found[key]
    return found


def show_key(key: str) -> str:
    """A key as TOML writes it."""
    return key if _BARE.fullmatch(key) else json.dumps(key, ensure_ascii=False)


def show(path: Sequence[str]) -> str:
    """A path of keys as TOML writes it."""
    return ".".join(show_key(key) for key in path)
