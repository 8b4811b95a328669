# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set and remove members of a JSON text in place: every byte outside the member stays. PRIVATE to the collection.

A file such as Docker's daemon.json is written by people, with their order of keys and their indentation. Loading and
dumping it would give it back in another shape; so the text is scanned for the place of each member, and only the
member itself is put in, replaced or taken out.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from json.decoder import scanstring  # type: ignore[attr-defined]  # not in the type stubs, in the module since 2.7
from typing import Any

WHITESPACE = re.compile(r"[ \t\n\r]*")
SCALAR = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?|true|false|null")
BOM = "\ufeff"


class JsonTextError(ValueError):
    """The text is no JSON, or not of the shape that an edit needs; says line and column (both from 1)."""

    def __init__(self, text: str, position: int, reason: str) -> None:
        self.line = text.count("\n", 0, position) + 1
        self.column = position - (text.rfind("\n", 0, position) + 1) + 1
        self.reason = reason
        super().__init__(f"line {self.line}, column {self.column}: {reason}")


@dataclass(frozen=True)
class Node:
    """A value with its place in the text: `start` its first character, `end` the one behind its last."""

    start: int
    end: int
    value: Any
    members: tuple[Member, ...] = ()
    is_object: bool = False

    def member(self, key: str) -> Member | None:
        """The member that readers see: of a key given twice, the last one counts."""
        found = [member for member in self.members if member.key == key]
        return found[-1] if found else None


@dataclass(frozen=True)
class Member:
    """One `"key": value` of an object; `start` is where its key begins."""

    key: str
    start: int
    node: Node


@dataclass
class _Scanner:
    text: str
    at: int = 0

    def fail(self, reason: str, at: int | None = None) -> JsonTextError:
        return JsonTextError(self.text, self.at if at is None else at, reason)

    def skip(self) -> str:
        """Go behind whitespace; the next character, "" at the end."""
        found = WHITESPACE.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.text[self.at : self.at + 1]

    def string(self) -> str:
        try:
            value, self.at = scanstring(self.text, self.at + 1, True)
        except json.JSONDecodeError as error:
            raise self.fail(error.msg, error.pos) from None
        return str(value)

    def value(self) -> Node:
        head = self.skip()
        start = self.at
        if head == "{":
            return self._object(start)
        if head == "[":
            return self._array(start)
        if head == '"':
            text = self.string()
            return Node(start, self.at, text)
        found = SCALAR.match(self.text, self.at)
        if not found:
            raise self.fail("a value is missing here" if head in ("", ",", "}", "]") else f"{head!r} begins no value")
        self.at = found.end()
        return Node(start, self.at, json.loads(found.group()))

    def _object(self, start: int) -> Node:
        members: list[Member] = []
        self.at += 1
        if self.skip() == "}":
            self.at += 1
            return Node(start, self.at, {}, is_object=True)
        while True:
            if self.skip() != '"':
                raise self.fail("a key in double quotes is missing here (JSON takes no comma behind the last member)")
            key_start = self.at
            key = self.string()
            if self.skip() != ":":
                raise self.fail(f"a colon is missing behind the key {key!r}")
            self.at += 1
            members.append(Member(key, key_start, self.value()))
            if not self._more("}"):
                break
        value = {member.key: member.node.value for member in members}
        return Node(start, self.at, value, tuple(members), is_object=True)

    def _array(self, start: int) -> Node:
        items: list[Any] = []
        self.at += 1
        if self.skip() == "]":
            self.at += 1
            return Node(start, self.at, items)
        while True:
            items.append(self.value().value)
            if not self._more("]"):
                break
        return Node(start, self.at, items)

    def _more(self, closing: str) -> bool:
        """True behind a comma, False behind the closing bracket; anything else is no JSON."""
        head = self.skip()
        if head not in (",", closing):
            raise self.fail(f"a comma or {closing!r} is missing here")
        self.at += 1
        return head == ","


def parse(text: str) -> Node:
    """The root value, with places.

    A mark of byte order at the beginning is passed over, as Docker does.

    :raises JsonTextError: no JSON.
    """
    scanner = _Scanner(text, len(BOM) if text.startswith(BOM) else 0)
    try:
        root = scanner.value()
    except RecursionError:
        raise scanner.fail("this is nested deeper than anybody writes by hand") from None
    if scanner.skip():
        raise scanner.fail("the value ends before this, and JSON has one value only")
    return root


def set_member(text: str, path: tuple[str, ...], value: Any) -> str:
    """The text with `value` at `path`; objects on the way are made where they are missing. An equal value is left as it stands.

    :raises JsonTextError: no JSON, or something on the way (or the root) is no object.
    """
    node = parse(text)
    for depth, key in enumerate(path):
        if not node.is_object:
            raise JsonTextError(
                text, node.start, f"{_dotted(path[:depth])} is no object, so that it cannot hold {key!r}"
            )
        member = node.member(key)
        if member is None:
            for missing in reversed(path[depth + 1 :]):
                value = {missing: value}
            return _insert(text, node, key, value)
        node = member.node
    if json.dumps(node.value, sort_keys=True) == json.dumps(value, sort_keys=True):
        return text
    indent = _indent_of(text, node.start)
    return text[: node.start] + _dump(value, indent, _unit(text), _newline(text), _is_spread(text)) + text[node.end :]


def remove_member(text: str, path: tuple[str, ...]) -> str:
    """The text without the member at `path`; the same text if there is none. What `set_member` put in goes without a trace.

    :raises JsonTextError: no JSON.
    """
    node = parse(text)
    for key in path[:-1]:
        member = node.member(key)
        if member is None:
            return text
        node = member.node
    member = node.member(path[-1])
    if member is None:
        return text
    at = node.members.index(member)
    if at > 0:
        return text[: node.members[at - 1].node.end] + text[member.node.end :]
    if len(node.members) > 1:
        return text[: member.start] + text[node.members[1].start :]
    return text[: node.start] + "{}" + text[node.end :]


def lookup(node: Node, path: tuple[str, ...]) -> Node | None:
    """The value at `path`, None if there is none."""
    for key in path:
        member = node.member(key)
        if member is None:
            return None
        node = member.node
    return node


def _insert(text: str, node: Node, key: str, value: Any) -> str:
    newline, unit = _newline(text), _unit(text)
    outer = _indent_of(text, node.start)
    spread = "\n" in text[node.start : node.end] or (not node.members and (_is_spread(text) or _is_root(text, node)))
    inner = _indent_of(text, node.members[-1].start) if node.members and spread else outer + unit
    item = f"{json.dumps(key, ensure_ascii=False)}: {_dump(value, inner, unit, newline, spread)}"
    if not node.members:
        body = f"{{{newline}{inner}{item}{newline}{outer}}}" if spread else f"{{{item}}}"
        return text[: node.start] + body + text[node.end :]
    last = node.members[-1].node.end
    return text[:last] + (f",{newline}{inner}" if spread else ", ") + item + text[last:]


def _dump(value: Any, indent: str, unit: str, newline: str, spread: bool) -> str:
    if not spread:
        return json.dumps(value, ensure_ascii=False)
    return json.dumps(value, ensure_ascii=False, indent=unit).replace("\n", newline + indent)


def _newline(text: str) -> str:
    return "\r\n" if "\r\n" in text else "\n"


def _is_spread(text: str) -> bool:
    """Whether the value is written over more than one line: what is on one line stays there."""
    return "\n" in text.strip()


def _is_root(text: str, node: Node) -> bool:
    return not text[: node.start].strip(BOM + " \t\r\n")


def _indent_of(text: str, position: int) -> str:
    """The white space that the line of a position begins with."""
    line = text[text.rfind("\n", 0, position) + 1 : position].lstrip(BOM)
    return line[: len(line) - len(line.lstrip(" \t"))]


def _unit(text: str) -> str:
    """One step of indentation: what the first indented line has."""
    found = re.search(r"\n([ \t]+)\S", text)
    return found.group(1) if found else "  "


def _dotted(path: tuple[str, ...]) -> str:
    return ".".join(path) if path else "the file's value"
