# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Change single values of a TOML text and nothing else of it. Pure. PRIVATE to the collection.

New lines have the text's own kind of line break, and the indentation of what stands beside them.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any, List, Optional, Sequence, Tuple

# Used on the control node only, where it is required.
with suppress(ImportError):
    import tomlkit

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_places import (
    Statement,
    scan,
    value_at,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import (
    BOM,
    Path,
    lookup,
    parse,
    show,
    show_key,
)

_STEP = "  "


def literal(value: Any) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(literal(one) for one in value) + "]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{show_key(key)} = {literal(one)}" for key, one in value.items()) + "}"
    return str(value)


def raw_value(text: str, path: Path) -> Optional[str]:
    """The value's text as it stands there; None if it does not stand there by itself (missing, or in an inline table)."""
    found = value_at(scan(text), path)
    return text[slice(*found.value)] if found else None


def put(text: str, path: Path, value: Any) -> str:
    """The text with a value at a path of keys: replaced in its place, else in its table, else in a new table."""
    return put_raw(text, path, literal(value))


def put_raw(text: str, path: Path, raw: str) -> str:
    """As ``put``, with the value as it is to stand there."""
    statements = scan(text)
    found = value_at(statements, path)
    if found:
        return text[: found.value[0]] + raw + text[found.value[1] :]
    inline = [one for one in statements if not one.header and one.path == path[: len(one.path)]]
    if inline:
        return _put_inline(text, inline[-1], path, raw)
    header = [one for one in statements if one.header and one.path == path[:-1]]
    dotted = [one for one in statements if _defines(one, path[:-1])]
    if header or len(path) == 1:
        return _put_in_table(text, statements, path, raw)
    if dotted:
        beside = dotted[-1]
        line = f"{beside.indent}{show(path[len(beside.table) :])} = {raw}"
        return _insert(text, beside.end, [line])
    return _put_in_new_table(text, statements, path, raw)


def take_out(text: str, path: Path) -> str:
    """The text without the value at a path of keys, and its line."""
    statements = scan(text)
    found = value_at(statements, path)
    if found:
        return _without_lines(text, found)
    inline = [one for one in statements if not one.header and one.path == path[: len(one.path)]]
    if not inline:
        return text
    return _in_inline(text, inline[-1], path, None)


def take_out_table(text: str, path: Path) -> str:
    """The text without a table that has nothing in it any more: its header with the empty line before it, or its place in an inline one."""
    statements = scan(text)
    inline = [one for one in statements if not one.header and one.path == path[: len(one.path)]]
    if inline:
        return take_out(text, path) if lookup(parse(text, "the text"), path) == {} else text
    headers = [one for one in statements if one.header and one.path == path]
    inside = [one for one in statements if one not in headers and one.path[: len(path)] == path]
    if len(headers) != 1 or inside:
        return text
    return _without_lines(text, headers[0])


def newline(text: str) -> str:
    """The text's kind of line break."""
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def _defines(one: Statement, table: Path) -> bool:
    """Whether a dotted key under some other header makes that table, which then can have no header of its own."""
    return not one.header and len(one.path) > len(table) > len(one.table) and one.path[: len(table)] == table


def _put_in_table(text: str, statements: Sequence[Statement], path: Path, raw: str) -> str:
    table = path[:-1]
    inside = [one for one in statements if one.table == table and not one.header]
    line = f"{show_key(path[-1])} = {raw}"
    if inside:
        return _insert(text, inside[-1].end, [inside[-1].indent + line])
    headers = [one for one in statements if one.header and one.path == table]
    if headers:
        return _insert(text, headers[-1].end, [headers[-1].indent + _STEP + line])
    # In the root, of which there is nothing: before the first table, since behind it every key is that table's.
    first = statements[0].start if statements else len(text)
    return _insert(text, first, [line])


def _put_in_new_table(text: str, statements: Sequence[Statement], path: Path, raw: str) -> str:
    table = path[:-1]
    headers = [one for one in statements if one.header]
    below = [one for one in headers if one.path[: len(table)] == table]
    if below:
        # A table before those within it: some readers take it the other way round for a table that stands twice.
        first = below[0]
        lines = [f"{first.indent}[{show(table)}]", f"{first.indent}{_STEP}{show_key(path[-1])} = {raw}", ""]
        floor = max((one.end for one in statements if one.end <= first.start), default=0)
        return _insert(text, _above_comments(text, first.start, floor), lines)
    near = max((_common(one.path, table) for one in headers), default=0)
    beside = [one for one in headers if near and _common(one.path, table) == near]
    if not beside:
        lines = ["", f"[{show(table)}]", f"{_STEP}{show_key(path[-1])} = {raw}"]
        return _insert(text, len(text), lines if statements else lines[1:])
    last = beside[-1]
    indent = _indent_beside(beside, near)
    end = max([last.end, *(one.end for one in _section(statements, last))])
    return _insert(text, end, ["", f"{indent}[{show(table)}]", f"{indent}{_STEP}{show_key(path[-1])} = {raw}"])


def _indent_beside(beside: Sequence[Statement], near: int) -> str:
    """The indentation of a new table's header: that of the tables beside it. One that is deeper would look as if it were within the last of them.

    :param near: how many keys it has in common with those.
    """
    within = [one for one in beside if len(one.path) > near]
    if not within:
        return beside[-1].indent + (_STEP if beside[-1].indent else "")
    depth = min(len(one.path) for one in within)
    return [one for one in within if len(one.path) == depth][-1].indent


def _above_comments(text: str, at: int, floor: int) -> int:
    """The beginning of the comment lines that stand directly before a line.

    :param floor: where the statement before it ends: a text of several lines may have some that look like comments.
    """
    while at > floor:
        start = text.rfind("\n", 0, at - 1) + 1
        if not text[start:at].lstrip().startswith("#"):
            break
        at = start
    return at


def _section(statements: Sequence[Statement], header: Statement) -> List[Statement]:
    """What stands under a header."""
    found = []
    for one in statements[statements.index(header) + 1 :]:
        if one.header:
            break
        found.append(one)
    return found


def _common(one: Path, other: Path) -> int:
    count = 0
    for left, right in zip(one, other):
        if left != right:
            break
        count += 1
    return count


def _insert(text: str, at: int, lines: Sequence[str]) -> str:
    """Lines before an offset at which a line begins. A text that ends without a line break still does."""
    end = newline(text)
    at = max(at, len(BOM) if text.startswith(BOM) else 0)
    if at and at == len(text) and not text.endswith("\n") and text != BOM:
        return text + end + end.join(lines)
    return text[:at] + "".join(line + end for line in lines) + text[at:]


def _without_lines(text: str, one: Statement) -> str:
    start = one.start
    if one.header:
        # The empty line before it came with it.
        before = text.rfind("\n", 0, max(0, start - 1)) + 1
        if start and not text[before:start].strip() and start > before:
            start = before
    if one.end == len(text) and not text.endswith("\n"):
        # The last line went, so the one before it is the last one, and ends as that did.
        while start and text[start - 1] in "\r\n":
            start -= 1
            if text[start] == "\n" and text[start - 1 : start] != "\r":
                break
    return text[:start] + text[one.end :]


def _put_inline(text: str, one: Statement, path: Path, raw: str) -> str:
    return _in_inline(text, one, path, raw)


def _in_inline(text: str, one: Statement, path: Path, raw: Optional[str]) -> str:
    """A change within an inline table, of which only the table's own text is written anew."""
    start, end = one.value
    document = tomlkit.parse("x = " + text[start:end])
    table: Any = document["x"]
    keys: Tuple[str, ...] = path[len(one.path) :]
    if not isinstance(table, dict):
        raise ValueError(f"{show(one.path)} is no table")
    for key in keys[:-1]:
        if key not in table:
            if raw is None:
                return text
            table[key] = tomlkit.inline_table()
        table = table[key]
    if raw is None:
        table.pop(keys[-1], None)
    else:
        table[keys[-1]] = tomlkit.parse("x = " + raw)["x"]
    return text[:start] + tomlkit.dumps(document)[len("x = ") :].rstrip("\n") + text[end:]
