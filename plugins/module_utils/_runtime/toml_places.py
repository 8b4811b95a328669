# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where in a TOML text which statement stands. Pure. PRIVATE to the collection.

For edits that leave every other byte as it is: a document model that writes all of the text anew could not promise that. The
text has to be TOML already, which ``toml_reading.parse`` tells; here only places are looked for.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from typing import Iterator, List, Optional, Sequence, Tuple

# Used on the control node only, where it is required.
with suppress(ImportError):
    import tomlkit

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import BOM, Path

_BLANK = " \t"
_CLOSING = {"[": "]", "{": "}"}


@dataclass(frozen=True)
class Statement:
    """A table's header or a key with its value.

    :param path: keys from the root on.
    :param table: path of the table under whose header it stands; of a header its own path.
    :param start: offset of the line's first character.
    :param end: offset behind the line break of the last line.
    :param value: offsets of the value's text; of a header those of the keys between the brackets.
    :param indent: blanks before it.
    :param header: it is a header, of a table or of an element in an array of tables.
    """

    path: Path
    table: Path
    start: int
    end: int
    value: Tuple[int, int]
    indent: str
    header: bool


def scan(text: str) -> List[Statement]:
    """All statements in their order.

    :raises ValueError: the text is no TOML.
    """
    return list(_statements(text))


def value_at(statements: Sequence[Statement], path: Path) -> Optional[Statement]:
    """The statement of a value that stands by itself; None if it is missing, or within an inline table."""
    found = [one for one in statements if not one.header and one.path == path]
    return found[0] if found else None


def line_of(text: str, path: Path) -> int:
    """The number of the line in which a value stands; that of what it is a part of, if it stands within another one.

    :raises ValueError: the text is no TOML.
    """
    found = [one for one in scan(text) if not one.header and one.path == path[: len(one.path)]]
    return text.count("\n", 0, found[-1].start) + 1 if found else 1


def _statements(text: str) -> Iterator[Statement]:
    table: Path = ()
    at = len(BOM) if text.startswith(BOM) else 0
    while at < len(text):
        start = at
        at = skip(text, at, _BLANK)
        indent = text[start:at]
        if at >= len(text) or text[at] in "#\r\n":
            at = line_end(text, at)
            continue
        if text[at] == "[":
            opening = at + (2 if text.startswith("[[", at) else 1)
            table, closing = _keys(text, opening, "]")
            at = line_end(text, closing)
            yield Statement(table, table, start, at, (opening, closing), indent, True)
            continue
        keys, equals = _keys(text, at, "=")
        first = skip(text, equals + 1, _BLANK)
        last = value_end(text, first)
        at = line_end(text, last)
        yield Statement((*table, *keys), table, start, at, (first, last), indent, False)


def skip(text: str, at: int, letters: str) -> int:
    """The first offset from ``at`` on with another letter."""
    while at < len(text) and text[at] in letters:
        at += 1
    return at


def line_end(text: str, at: int) -> int:
    """The offset behind the next line break."""
    found = text.find("\n", at)
    return len(text) if found < 0 else found + 1


def _keys(text: str, at: int, until: str) -> Tuple[Path, int]:
    """Keys with dots between them, and the offset of what ends them."""
    keys: List[str] = []
    while True:
        at = skip(text, at, _BLANK)
        if at >= len(text):
            raise ValueError("the text ends within a key")
        if text[at] in "\"'":
            end = value_end(text, at)
            keys.append(_unquoted(text[at:end]))
        else:
            end = at
            while end < len(text) and text[end] not in " \t\r\n.=]":
                end += 1
            keys.append(text[at:end])
        at = skip(text, end, _BLANK)
        if text[at : at + 1] == until:
            return tuple(keys), at
        if text[at : at + 1] != ".":
            raise ValueError(f"a key is followed by {text[at : at + 1]!r}")
        at += 1


def _unquoted(quoted: str) -> str:
    if quoted[0] == "'":
        return quoted[1:-1]
    if "\\" not in quoted:
        return quoted[1:-1]
    try:
        return str(json.loads(quoted))
    except ValueError:
        return next(iter(tomlkit.parse(f"{quoted} = 0")))


def value_end(text: str, at: int) -> int:
    """The offset behind the value that begins at ``at``."""
    first = text[at : at + 1]
    if first in ("'", '"') and first:
        return _string_end(text, at)
    if first in _CLOSING:
        return _closed(text, at)
    end = at
    while end < len(text) and text[end] not in ",]}#\r\n":
        end += 1
    while end > at and text[end - 1] in _BLANK:
        end -= 1
    return end


def _string_end(text: str, at: int) -> int:
    quote = text[at]
    if text.startswith(quote * 3, at):
        end = _unescaped(text, quote * 3, at + 3) + 3
        # Up to two quotes may stand directly before the three that end it.
        while text[end : end + 1] == quote and end < len(text):
            end += 1
        return end
    return _unescaped(text, quote, at + 1) + 1


def _unescaped(text: str, quotes: str, at: int) -> int:
    while True:
        found = text.find(quotes, at)
        if found < 0:
            raise ValueError("a string has no end")
        escape = text.find("\\", at, found) if quotes[0] == '"' else -1
        if escape < 0:
            return found
        at = escape + 2


def _closed(text: str, at: int) -> int:
    """Behind the bracket that closes the one at ``at``."""
    closing = _CLOSING[text[at]]
    at += 1
    while at < len(text):
        letter = text[at]
        if letter == closing:
            return at + 1
        if letter == "#":
            at = line_end(text, at)
        elif letter in "\"'":
            at = _string_end(text, at)
        elif letter in _CLOSING:
            at = _closed(text, at)
        else:
            at += 1
    raise ValueError("a bracket is not closed")


def elements(text: str, start: int, end: int) -> List[Tuple[int, int]]:
    """Offsets of the elements of the array whose text goes from ``start`` (its bracket) to ``end``."""
    found = []
    at = start + 1
    while at < end - 1:
        letter = text[at]
        if letter == "#":
            at = line_end(text, at)
        elif letter in " \t\r\n,":
            at += 1
        else:
            last = value_end(text, at)
            if last == at:
                raise ValueError(f"an array has {letter!r} where an element should be")
            found.append((at, last))
            at = last
    return found
