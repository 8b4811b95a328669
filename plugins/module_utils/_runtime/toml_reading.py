# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read TOML as data. Pure. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
from typing import Any, Dict, Mapping, Sequence, Tuple

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
    try:
        return tomlkit.parse(text[1:] if text.startswith(BOM) else text).unwrap()
    except ParseError as error:
        what = str(error).split(" at line ")[0]
        raise TomlError(
            f"Reading {name}:{error.line}:{error.col + 1}: {what}. The file is as it was; correct that place."
        ) from error
    except (TOMLKitError, ValueError) as error:
        # A key that stands twice, for example, of which no position is told.
        raise TomlError(f"Reading {name}: {error}. The file is as it was; correct it.") from error


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
