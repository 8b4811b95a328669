# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put single strings into an array of a TOML text and take them out, and change nothing else of it. Pure. PRIVATE to the collection."""

from __future__ import annotations

from contextlib import suppress
from typing import Optional

# Used on the control node only, where it is required.
with suppress(ImportError):
    import tomlkit

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import literal, newline, put
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_places import (
    elements,
    line_end,
    scan,
    value_at,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import Path


def add_element(text: str, path: Path, element: str) -> str:
    """The text with one more string at the end of an array."""
    found = value_at(scan(text), path)
    if found is None:
        return put(text, path, [element])
    start, end = found.value
    inside = elements(text, start, end)
    quoted = literal(element)
    if not inside:
        return (
            text[:start] + f"[{quoted}]" + text[end:]
            if not text[start + 1 : end - 1].strip()
            else (text[: start + 1] + quoted + text[start + 1 :])
        )
    last = inside[-1][1]
    return text[:last] + "," + _between(text, start, inside[-1][0]) + quoted + text[last:]


def put_first(text: str, path: Path, element: str) -> str:
    """The text with one more string at the beginning of an array that has some already."""
    found = value_at(scan(text), path)
    inside = elements(text, *found.value) if found else []
    if found is None or not inside:
        return put(text, path, [element])
    first = inside[0][0]
    return text[:first] + literal(element) + "," + _between(text, found.value[0], first) + text[first:]


def drop_element(text: str, path: Path, element: str, remark_stays: bool = False) -> str:
    """The text without that string in an array, which stays: an empty one, if it was the only one in it. Comments stay too.

    :param remark_stays: a comment behind it keeps the line to itself, instead of coming behind the element before. So it is for
        what somebody else has put there, while the way back of ``add_element`` needs the other.
    """
    found = value_at(scan(text), path)
    if found is None:
        return text
    inside = elements(text, *found.value)
    ours = [index for index, span in enumerate(inside) if _string(text[slice(*span)]) == element]
    if not ours:
        return text
    index = ours[-1]
    start, end = inside[index]
    own_line = not text[text.rfind("\n", 0, start) + 1 : start].strip()
    remarked = remark_stays and own_line and text[end:].lstrip(", \t").startswith("#")
    if index and text[inside[index - 1][1] : start].strip() == "," and not remarked:
        return text[: inside[index - 1][1]] + text[end:]
    if not index and len(inside) > 1 and text[end : inside[1][0]].strip() == ",":
        return text[:start] + text[inside[1][0] :]
    # A comment stands beside it. A comma may end an array, but not begin one.
    comma = _comma(text, end)
    behind = text[end:] if comma is None else text[end:comma].rstrip(" \t") + text[comma + 1 :]
    line = text.rfind("\n", 0, start) + 1
    if not text[line:start].strip() and behind.lstrip(" \t").startswith(("\n", "\r\n")):
        return text[:line] + behind[behind.index("\n") + 1 :]
    return text[:start] + behind


def _comma(text: str, at: int) -> Optional[int]:
    """Where the comma behind an element stands; None without one."""
    while at < len(text) and text[at] in "# \t\r\n":
        at = line_end(text, at) if text[at] == "#" else at + 1
    return at if text[at : at + 1] == "," else None


def _between(text: str, start: int, at: int) -> str:
    """What separates an element from the one at an offset: a line break, where that one begins its line.

    :param start: offset of the array's bracket.
    """
    line = text.rfind("\n", start, at)
    return newline(text) + text[line + 1 : at] if line >= 0 and not text[line + 1 : at].strip() else " "


def _string(raw: str) -> Optional[str]:
    if raw[:1] not in ("'", '"'):
        return None
    return str(tomlkit.parse(f"x = {raw}")["x"])
