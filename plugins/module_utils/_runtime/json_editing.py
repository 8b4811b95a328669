# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put members into a JSON file and take them out again by the law of editing. Pure. PRIVATE to the collection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.json_text import (
    BOM,
    JsonTextError,
    Node,
    lookup,
    parse,
    remove_member,
    set_member,
)

Path = Tuple[str, ...]


@dataclass(frozen=True)
class JsonEditor:
    """Sets members of a JSON file.

    :param name: of the file, for messages.
    :param members: path of keys and value, in the order of setting.
    :param runtimes: path of the object whose members are whole or not there at all.
    """

    name: str
    members: Tuple[Tuple[Path, Any], ...]
    runtimes: Path = ()

    def with_ours(self, base: Optional[str]) -> Tuple[Optional[str], Dict[str, Any]]:
        """See ``laws.Editor``."""
        text = base if base and base.strip(BOM + " \t\r\n") else "{}\n"
        done: List[Dict[str, Any]] = []
        partial = False
        for path, value in self.members:
            root = parse(text)
            found = lookup(root, path)
            if found is not None and equal(found.value, value):
                continue
            held = next(depth for depth in range(len(path), -1, -1) if lookup(root, path[:depth]) is not None)
            if self._is_of_runtime(path) and held == len(path) - 1:
                # What others put into it makes no runtime without ours.
                held, partial = held - 1, True
            done.append(
                {
                    "path": list(path),
                    "value": value,
                    "had": found is not None,
                    "before": found.value if found is not None else None,
                    # Objects on the way that were not there go with their last member.
                    "held": held,
                }
            )
            text = set_member(text, path, value)
        return (text, {"members": done, **({"partial": True} if partial else {})}) if done else (base, {})

    def _is_of_runtime(self, path: Path) -> bool:
        return bool(self.runtimes) and path[:-2] == self.runtimes

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """See ``laws.Editor``."""
        told = []
        try:
            for one in reversed(ours.get("members") or []):
                path = tuple(one["path"])
                found = lookup(parse(text), path)
                made = self._is_of_runtime(path) and not one["had"] and int(one["held"]) < len(path) - 1
                anew = made and path in dict(self.members)
                beside = _beside(parse(text), path) if made and not anew else []
                if found is None or not equal(found.value, one["value"]):
                    told += self._edit_of(path, one["value"], found)
                    if not anew:
                        continue
                if beside:
                    told.append(
                        f"{'.'.join(path[:-1])} in {self.name} stays as a whole, since it has values that were not put there by this collection: "
                        f"{', '.join(beside)}. Take it out by hand if nobody needs it."
                    )
                elif one["had"]:
                    text = set_member(text, path, one["before"])
                else:
                    text = _without(text, path, int(one["held"]))
        except JsonTextError as error:
            told.append(f"{self.name} is no JSON any more ({error}); what was put in is still in it.")
        return text, told

    def _edit_of(self, path: Path, value: Any, found: Optional[Node]) -> List[str]:
        """What somebody made of a member of ours, and what becomes of that."""
        wanted = dict(self.members)
        if path in wanted and found is not None and equal(wanted[path], found.value):
            return []
        now = "was taken out" if found is None else f"is {json.dumps(found.value)} now"
        becomes = "that is undone" if path in wanted else "it stays so"
        return [f"{'.'.join(path)} in {self.name} was set to {json.dumps(value)} here and {now}; {becomes}."]

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """Equal values are equal to who reads the file."""
        try:
            return one is not None and other is not None and equal(parse(one).value, parse(other).value)
        except JsonTextError:
            return False


def equal(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: true is not 1, and the order of keys says nothing."""
    return json.dumps(one, sort_keys=True) == json.dumps(other, sort_keys=True)


def doubled(text: str, paths: Sequence[Path]) -> List[str]:
    """Dotted paths of keys that are given twice on the way to one of the members: readers disagree about such."""
    found = []
    for path in paths:
        node = parse(text)
        for depth, key in enumerate(path):
            if sum(member.key == key for member in node.members) > 1:
                found.append(".".join(path[: depth + 1]))
            member = node.member(key)
            if member is None:
                break
            node = member.node
    return sorted(set(found))


def _beside(root: Node, path: Path) -> List[str]:
    """Keys of others beside a member."""
    above = lookup(root, path[:-1])
    return [member.key for member in above.members if member.key != path[-1]] if above is not None else []


def _without(text: str, path: Path, held: int) -> str:
    """Without a member, and without the objects that were made for it, where nothing else is in them."""
    text = remove_member(text, path)
    for depth in range(len(path) - 1, held, -1):
        found = lookup(parse(text), path[:depth])
        if found is not None and found.value == {}:
            text = remove_member(text, path[:depth])
    return text
