# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Edit the templates that k3s, RKE2 and MicroK8s make containerd's config of, as text. Pure. PRIVATE to the collection.

A template is no TOML (``{{ ... }}``, ``${...}``), so that nothing is parsed here: lines are found by their shape, ours stand
between two marks, and every other byte stays.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.record import FileRecord
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_places import value_end

BEGIN = "# BEGIN kubegpu.sharing"
END = "# END kubegpu.sharing"
BASE = '{{ template "base" . }}\n'

_OURS = re.compile(f"{BEGIN}\r?\n.*?{END}(?:\r?\n|$)", re.DOTALL)
_BASE_CALL = re.compile(r'\{\{-?\s*template\s+"base"\s+\.\s*-?\}\}')
_GO_COMMENT = re.compile(r"\{\{-?\s*/\*.*?\*/\s*-?\}\}", re.DOTALL)
_HEADER = re.compile(r"^[ \t]*\[(?!\[)\s*(?P<path>[^#\n]*?)\s*\][ \t]*(?:#.*)?\r?$", re.MULTILINE)
_PART = re.compile(r"""\s*(?:"(?P<double>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^."'\s]+))\s*(?:\.|$)""")
_KEY = re.compile(r"""^[ \t]*(?P<quote>["']?)(?P<key>[A-Za-z0-9_-]+)(?P=quote)[ \t]*=[ \t]*""", re.MULTILINE)
# A number, a word, or a variable of a template that stands without quotes.
_BARE = re.compile(r"[^\"'\[{#\r\n][^#\r\n]*")

Path = Tuple[str, ...]


def uses_base(text: str) -> bool:
    """Whether a template of k3s or RKE2 begins with what the distribution itself would write."""
    live = "\n".join(line for line in _GO_COMMENT.sub("", text).splitlines() if not line.lstrip().startswith("#"))
    return bool(_BASE_CALL.search(live))


def tables(text: str) -> List[Tuple[Path, int]]:
    """Every table that a template declares in so many words: its path of keys, and the line (from 1)."""
    return [(_split(found["path"]), text.count("\n", 0, found.start()) + 1) for found in _HEADER.finditer(text)]


def find_table(text: str, path: Path) -> Optional[int]:
    """The line (from 1) on which a table, or one below it, is declared; None if none is."""
    lines = [line for found, line in tables(text) if found[: len(path)] == path]
    return lines[0] if lines else None


def section(text: str, path: Path) -> Optional[Tuple[int, int]]:
    """Where the body of a table begins and ends in the text: up to the next table. None without the table."""
    headers = list(_HEADER.finditer(text))
    for at, found in enumerate(headers):
        if _split(found["path"]) == path:
            end = headers[at + 1].start() if at + 1 < len(headers) else len(text)
            return min(found.end() + 1, end), end
    return None


def values(text: str, path: Path) -> Dict[str, str]:
    """The keys of a table with their values as they are written, an array over all of its lines. {} without the table."""
    found = section(text, path)
    return dict(_values(text[slice(*found)])) if found else {}


def replaced_runc(text: str, plugin: str) -> str:
    """NVIDIA's executable, where the runtime runc starts that in the place of its own; "" where it does not.

    :param plugin: name of the CRI plugin's table.
    """
    table = ("plugins", plugin, "containerd", "runtimes", "runc", "options")
    binary = values(text, table).get("BinaryName", "").strip("\"'")
    return binary if "nvidia-container-runtime" in binary else ""


def _values(body: str) -> Iterator[Tuple[str, str]]:
    key = _KEY.search(body)
    while key:
        try:
            bare = _BARE.match(body, key.end())
            end = bare.end() if bare else value_end(body, key.end())
        except ValueError:
            # A bracket or string that is never closed: what follows it cannot be told apart.
            return
        yield key["key"], body[key.end() : end].strip()
        key = _KEY.search(body, end)


@dataclass(frozen=True)
class Setting:
    """A key of a table that stands in the template already.

    :param value: as TOML writes it, such as ``"nvidia"`` with its quotes.
    """

    table: Path
    key: str
    value: str


@dataclass(frozen=True)
class TemplateEditor:
    """Sets keys of tables that are there, and adds a block of tables at the end.

    :param name: of the file, for messages.
    :param block: whole lines between the marks, "" for none.
    :param start: what a template that is made begins with.
    """

    name: str
    block: str = ""
    settings: Tuple[Setting, ...] = ()
    start: str = ""

    def with_ours(self, base: Optional[str]) -> Tuple[Optional[str], Dict[str, Any]]:
        """See ``laws.Editor``."""
        text = base if base is not None else self.start
        ours: Dict[str, Any] = {}
        for setting in self.settings:
            text, done = _set(text, setting)
            if done:
                ours.setdefault("lines", []).append(done)
        newline = "\r\n" if "\r\n" in text else "\n"
        block = f"{BEGIN}\n{self.block}{END}\n".replace("\n", newline) if self.block else ""
        if block and block not in text:
            put = (newline if text and not text.endswith("\n") else "") + block
            text += put
            ours["block"] = put
        return (text, ours) if ours else (base, {})

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """See ``laws.Editor``."""
        told = []
        block = ours.get("block") or ""
        if block and text.count(block.lstrip("\r\n")) != 1:
            text, now = self._without_edited(text)
            told.append(
                f"What stands between '{BEGIN}' and '{END}' in {self.name} was changed since it was put in here; {now}."
            )
        elif block:
            # The line end that was put before it belongs to a file that may have grown since.
            for put in (block, block.lstrip("\r\n")):
                if text.count(put) == 1:
                    text = text.replace(put, "")
                    break
        for line in reversed(ours.get("lines") or []):
            if text.count(line["after"]) == 1:
                text = text.replace(line["after"], line["before"])
            else:
                again = any(line["after"].split("=")[0].strip(" \t\r\n\"'") == one.key for one in self.settings)
                told.append(
                    f"The line {line['after'].strip()} in {self.name} was changed since it was set here; {'that is undone' if again else 'it stays as it is'}."
                )
        return text, told

    def _without_edited(self, text: str) -> Tuple[str, str]:
        """The text without our block, whatever somebody made of what is ours in it, and what becomes of that."""
        blocks = own_blocks(text)
        if len(blocks) != 1:
            return text, "it stays as it is"
        return text.replace(blocks[0], ""), "that is undone" if self.block else "it goes"

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """Where our block stands between other tables says nothing, and neither do blank lines around it."""
        return one is not None and other is not None and _apart(one) == _apart(other)


def recorded_or_marked(draft: Draft, seen: SeenFile) -> Optional[FileRecord]:
    """What a former run noted of a template; if that was lost, what stands between our marks."""
    blocks = own_blocks(seen.content or "")
    return draft.recorded_of(seen) or (FileRecord(None, "", "", {"block": blocks[0]}) if blocks else None)


def own_blocks(text: str) -> List[str]:
    """What stands between our marks, where nobody put a table of his own there: no other runtime, and none but the CRI plugin's."""

    def is_own(block: str) -> bool:
        paths = [path for path, _line in tables(block)]
        names = {path[4] for path in paths if path[2:4] == ("containerd", "runtimes")}
        known = ((), ("containerd",))
        others = [path for path in paths if path[2:4] != ("containerd", "runtimes") and path[2:] not in known]
        return len(names) <= 1 and not others and all(path[:1] == ("plugins",) for path in paths)

    return [block for block in _OURS.findall(text) if is_own(block)]


def _apart(text: str) -> Tuple[List[str], str]:
    """Our blocks, and the rest."""
    return [block.strip() for block in _OURS.findall(text)], _OURS.sub("", text).rstrip()


def _set(text: str, setting: Setting) -> Tuple[str, Optional[Dict[str, str]]]:
    """The text with a key's value, and how to undo it; the text itself if it is so already or the table is missing."""
    found = section(text, setting.table)
    if found is None:
        return text, None
    begin, end = found
    line = re.compile(
        rf"^(?P<head>[ \t]*(?P<quote>[\"']?){re.escape(setting.key)}(?P=quote)[ \t]*=[ \t]*)"
        rf"(?P<value>\"[^\"\n]*\"|'[^'\n]*'|[^#\r\n]*?)(?P<tail>[ \t]*(?:#.*)?)\r?$",
        re.MULTILINE,
    ).search(text, begin, end)
    if line is None:
        newline = "\r\n" if "\r\n" in text else "\n"
        indent = re.compile(r"[ \t]*").match(text, begin)
        put = f"{indent.group() if indent else ''}{setting.key} = {setting.value}"
        # A header may be the last thing of a text that ends without a line end.
        put = put + newline if text[:begin].endswith("\n") else newline + put
        return text[:begin] + put + text[begin:], {"before": "", "after": put}
    if line["value"] == setting.value:
        return text, None
    after = line["head"] + setting.value + line["tail"]
    return (
        text[: line.start()] + after + text[line.start() + len(line["head"] + line["value"] + line["tail"]) :],
        {"before": line["head"] + line["value"] + line["tail"], "after": after},
    )


def _split(path: str) -> Path:
    """The keys of a table's header."""
    found: List[str] = []
    at = 0
    while at < len(path):
        part = _PART.match(path, at)
        if part is None or part.end() == at:
            return (path,)
        found.append(next(one for one in (part["double"], part["single"], part["bare"]) if one is not None))
        at = part.end()
    return tuple(found)
