# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put values into a containerd config file of other people, and take them out again. Pure. PRIVATE to the collection."""

from __future__ import annotations

import copy
import posixpath
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import plugin_name, reads
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_runtimes import is_said
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import CRI_PLUGINS
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import (
    add_element,
    drop_element,
    literal,
    put,
    put_raw,
    raw_value,
    take_out,
    take_out_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import (
    Path,
    TomlError,
    flatten,
    lookup,
    parse,
    show,
)

IMPORTS = ("imports",)
# Stands for a file in messages on the result of an edit, which is nowhere yet.
_EDITED = "the edited file"


class EditError(Exception):
    """The file is written in a way in which the edit would not have meant what it should."""


@dataclass(frozen=True)
class ConfigEditor:
    """Sets values in a config file; see ``laws.Editor``.

    :param path: of the file, for messages.
    :param values: by whole paths.
    :param runtime: path of the runtime's table, which is whole or not there at all.
    :param others: values of the other runtimes, for a file that has no table of runtimes: containerd 1.x has its built-in ones
        only as long as no file names any.
    :param imported: path to add to ``imports``, unless they name it; None: none.
    :param version: to declare in a file that declares none, since it has nothing in it.
    :param facts: more for the record.
    """

    path: str
    values: Sequence[Tuple[Path, Any]]
    runtime: Path
    others: Sequence[Tuple[Path, Any]] = ()
    imported: Optional[str] = None
    version: int = 2
    facts: Mapping[str, Any] = field(default_factory=dict)

    def with_ours(self, base: Optional[str]) -> Tuple[Optional[str], Dict[str, Any]]:
        """See ``laws.Editor``.

        :raises EditError: not possible in this file.
        :raises TomlError: no TOML.
        """
        text = base or ""
        data = parse(text, self.path)
        expected = copy.deepcopy(data)
        entries: List[Dict[str, Any]] = []
        values = list(self.values)
        if values and lookup(data, self.runtime[:-1]) is None:
            first = [one for one in values if one[0][: len(self.runtime)] != self.runtime]
            values = [*first, *self.others, *(one for one in values if one not in first)]
        if "version" not in data:
            values.insert(0, (("version",), self.version))
        for path, value in values:
            if lookup(data, path) == value and type(lookup(data, path)) is type(value):
                continue
            entries.append({"path": list(path), "value": value, "before": _before(text, data, path)})
            self._set(expected, path, value)
            text = put(text, path, value)
        ours: Dict[str, Any] = {"values": entries, "tables": _made(data, values), "made": base is None}
        if self.imported is not None and not reads(_imports(data), posixpath.dirname(self.path), self.imported):
            text = add_element(text, IMPORTS, self.imported)
            ours["imported"] = self.imported
            ours["imports_made"] = "imports" not in data
            expected["imports"] = [*_imports(data), self.imported]
        if text == (base or ""):
            return base, {}
        self._check(text, expected)
        return text, {**ours, "runtime": list(self.runtime), **self.facts}

    def without_ours(self, text: str, ours: Mapping[str, Any]) -> Tuple[Optional[str], List[str]]:
        """See ``laws.Editor``.

        :raises EditError: not possible in this file.
        :raises TomlError: no TOML.
        """
        data = parse(text, self.path)
        ours = _of_version(ours, data)
        expected = copy.deepcopy(data)
        told: List[str] = []
        for entry in self._to_take_out(data, ours, told):
            if entry["path"] == ["version"]:
                # What is left in the file was written for this version.
                continue
            path, before = tuple(entry["path"]), entry["before"]
            if before is None:
                text = take_out(text, path)
                _delete(expected, path)
            else:
                text = put_raw(text, path, before)
                self._set(expected, path, parse(f"x = {before}", self.path)["x"])
        for table in sorted((tuple(one) for one in ours.get("tables") or ()), key=len, reverse=True):
            text = take_out_table(text, table)
            _delete_empty(expected, table)
        text = self._without_import(text, expected, ours)
        if set(expected) == {"version"} and any(entry["path"] == ["version"] for entry in ours.get("values") or ()):
            return (None if ours.get("made") else take_out(text, ("version",))), told
        self._check(text, expected)
        return text, told

    def same(self, one: Optional[str], other: Optional[str]) -> bool:
        """Equal values are equal to containerd."""
        try:
            return one is not None and other is not None and parse(one, self.path) == parse(other, self.path)
        except TomlError:
            return False

    def _to_take_out(
        self, data: Mapping[str, Any], ours: Mapping[str, Any], told: List[str]
    ) -> List[Mapping[str, Any]]:
        """Entries that still hold our values. A runtime that somebody made his own stays whole: half a one is a dead one."""
        runtime = tuple(ours.get("runtime") or self.runtime)
        entries = list(ours.get("values") or ())
        held = [entry for entry in entries if lookup(data, entry["path"]) == entry["value"]]
        for entry in entries:
            found = lookup(data, entry["path"])
            if entry not in held and found is not None:
                told.append(
                    f"{show(entry['path'])} in {self.path} was changed since from {literal(entry['value'])} to "
                    f"{literal(found)}; it stays as it is."
                )
        made = [tuple(one) for one in ours.get("tables") or () if tuple(one[:-1]) == runtime[:-1]]
        kept = [one for one in made if _foreign(data, one, held)]
        if runtime in kept:
            told.append(
                f"The runtime {show(runtime[-1:])} in {self.path} stays as a whole, since it has values that were not put there by "
                f"this collection: {', '.join(show(path) for path in _foreign(data, runtime, held))}. Take it out by hand if nobody "
                "needs it."
            )
        if kept or set(lookup(data, runtime[:-1]) or {}) - {one[-1] for one in made}:
            # A file that names any runtime has to name the others too.
            kept += [one for one in made if one != runtime]
        gone = [one for one in made if one not in kept]
        # A tool that wrote the file anew wrote all defaults out too.
        implied = [
            path for one in gone for path in _inside(data, one) if not any(path == tuple(e["path"]) for e in held)
        ]
        return [
            *(entry for entry in held if not any(tuple(entry["path"])[: len(one)] == one for one in kept)),
            *({"path": list(path), "value": lookup(data, path), "before": None} for path in implied),
        ]

    def _without_import(self, text: str, expected: Dict[str, Any], ours: Mapping[str, Any]) -> str:
        imported = ours.get("imported")
        listed = expected.get("imports")
        if not imported or not isinstance(listed, list) or imported not in listed:
            return text
        if len(listed) == 1 and ours.get("imports_made"):
            del expected["imports"]
            return take_out(text, IMPORTS)
        listed.reverse()
        listed.remove(imported)
        listed.reverse()
        return drop_element(text, IMPORTS, imported)

    def _check(self, text: str, expected: Mapping[str, Any]) -> None:
        """Read the result again: an edit that means anything else is not made."""
        try:
            # A table that only those below it made is gone with the last of them.
            if _values(parse(text, _EDITED)) == _values(expected):
                return
            found = "other values than it should have"
        except TomlError as error:
            found = str(error)
        raise EditError(
            f"Editing {self.path}: it is written in a way in which the edit would have had {found}. Nothing was written; write "
            f"{show(self.runtime)} there as a table of its own, then run again."
        )

    def _set(self, data: Dict[str, Any], path: Path, value: Any) -> None:
        for length, key in enumerate(path[:-1], start=1):
            data = data.setdefault(key, {})
            if not isinstance(data, dict):
                raise EditError(
                    f"Editing {self.path}: {show(path)} cannot be set, since {show(path[:length])} is no table there. Correct it there."
                )
        data[path[-1]] = value


def _inside(data: Mapping[str, Any], table: Path) -> List[Path]:
    """Paths of the values in a table."""
    found = lookup(data, table)
    return [path for path, value in flatten(found, table).items() if value != {}] if isinstance(found, Mapping) else []


def _foreign(data: Mapping[str, Any], table: Path, held: Sequence[Mapping[str, Any]]) -> List[Path]:
    """What somebody else put into a runtime's table of ours, by keys below it."""
    known = {tuple(entry["path"]) for entry in held}
    return [
        path[len(table) :]
        for path in _inside(data, table)
        if path not in known and is_said(path[len(table) :], lookup(data, path))
    ]


def _values(data: Mapping[str, Any]) -> Dict[Path, Any]:
    return {path: value for path, value in flatten(data).items() if value != {}}


def _of_version(ours: Mapping[str, Any], data: Mapping[str, Any]) -> Mapping[str, Any]:
    """A record with the names that the file has now: somebody may have migrated it to another version since."""
    version = data.get("version")
    plugin = plugin_name(version) if isinstance(version, int) else None

    def renamed(path: Sequence[str]) -> List[str]:
        is_cri = plugin is not None and len(path) > 1 and path[0] == "plugins" and path[1] in CRI_PLUGINS
        return [path[0], str(plugin), *path[2:]] if is_cri else list(path)

    return {
        **ours,
        "values": [{**entry, "path": renamed(entry["path"])} for entry in ours.get("values") or ()],
        "tables": [renamed(table) for table in ours.get("tables") or ()],
        "runtime": renamed(ours.get("runtime") or ()),
    }


def _before(text: str, data: Mapping[str, Any], path: Path) -> Optional[str]:
    """The value's own text, to be put back to the byte; None without one."""
    found = lookup(data, path)
    if found is None:
        return None
    return raw_value(text, path) or literal(found)


def _made(data: Mapping[str, Any], values: Sequence[Tuple[Path, Any]]) -> List[List[str]]:
    """Tables that are not there yet."""
    made: List[List[str]] = []
    for path, _value in values:
        for length in range(1, len(path)):
            if lookup(data, path[:length]) is None and list(path[:length]) not in made:
                made.append(list(path[:length]))
    return made


def _imports(data: Mapping[str, Any]) -> List[Any]:
    found = data.get("imports")
    return list(found) if isinstance(found, list) else []


def _delete(data: Dict[str, Any], path: Path) -> None:
    above = lookup(data, path[:-1])
    if isinstance(above, dict):
        above.pop(path[-1], None)


def _delete_empty(data: Dict[str, Any], path: Path) -> None:
    if lookup(data, path) == {}:
        _delete(data, path)
