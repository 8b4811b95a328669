# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put values into a containerd config file of other people, and take them out again. Pure. PRIVATE to the collection."""

from __future__ import annotations

import copy
import posixpath
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_config import of_version, reads
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.containerd_runtimes import is_said
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_arrays import add_element, drop_element
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_edits import (
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
        # What others put into the runtime's table makes no runtime without ours.
        partial = bool(values) and _is_partial(data, self.runtime)
        if values and not _names(data, self.runtime) - ({self.runtime[-1]} if partial else set()):
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
        made = _made(data, values, self.runtime if partial else None)
        ours: Dict[str, Any] = {"values": entries, "tables": made, "made": base is None}
        if partial:
            ours["partial"] = True
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
        ours = of_version(ours, data)
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
        """Entries that still hold our values. A runtime that somebody made his own stays whole: half a one is a dead one.

        Of one that is put in anew, all of ours go, also those that were edited: no edit becomes what was there before us.
        """
        runtime = tuple(ours.get("runtime") or self.runtime)
        entries = list(ours.get("values") or ())
        held = [entry for entry in entries if lookup(data, entry["path"]) == entry["value"]]
        made = [tuple(one) for one in ours.get("tables") or () if tuple(one[:-1]) == runtime[:-1]]
        anew = runtime if self.values and runtime == self.runtime and runtime in made else None
        edited = [entry for entry in entries if entry not in held]
        told += [text for text in (self._edit_of(entry, data, anew) for entry in edited) if text]
        if anew is not None:
            held += [entry for entry in edited if tuple(entry["path"][: len(anew)]) == anew]
            held = [entry for entry in held if lookup(data, entry["path"]) is not None]
        kept = [one for one in made if one != anew and _foreign(data, one, held)]
        if runtime in kept:
            told.append(
                f"The runtime {show(runtime[-1:])} in {self.path} stays as a whole, since it has values that were not put there by "
                f"this collection: {', '.join(show(path) for path in _foreign(data, runtime, held))}. Take it out by hand if nobody "
                "needs it."
            )
        if kept or _names(data, runtime) - {one[-1] for one in made}:
            # A file that names any runtime has to name the others too.
            kept += [one for one in made if one != runtime]
        gone = [one for one in made if one not in kept]
        # A tool that wrote the file anew wrote all defaults out too.
        known = {tuple(entry["path"]) for entry in held}
        theirs = {(*one, *path) for one in gone for path in _foreign(data, one, held)}
        implied = [path for one in gone for path in _inside(data, one) if path not in known and path not in theirs]
        return [
            *(entry for entry in held if not any(tuple(entry["path"])[: len(one)] == one for one in kept)),
            *({"path": list(path), "value": lookup(data, path), "before": None} for path in implied),
        ]

    def _edit_of(self, entry: Mapping[str, Any], data: Mapping[str, Any], anew: Optional[Path]) -> Optional[str]:
        """What somebody made of a value of ours, and what becomes of that; None if there is nothing to tell.

        :param anew: the runtime's table, if all of ours in it is put in anew.
        """
        path, found = tuple(entry["path"]), lookup(data, entry["path"])
        wanted = dict(self.values)
        said = f"{show(path)} in {self.path} was changed since from {literal(entry['value'])} to"
        if found is None:
            partly = anew is not None and lookup(data, anew) is not None
            return f"{said} nothing; that is undone." if partly and path in wanted else None
        if path in wanted and wanted[path] == found:
            return None
        undone = path in wanted or (anew is not None and path[: len(anew)] == anew)
        return f"{said} {literal(found)}; {'that is undone' if undone else 'it stays as it is'}."

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


def _names(data: Mapping[str, Any], runtime: Path) -> Set[str]:
    """The runtimes that there are tables of."""
    tables = lookup(data, runtime[:-1])
    return set(tables) if isinstance(tables, Mapping) else set()


def _is_partial(data: Mapping[str, Any], runtime: Path) -> bool:
    """Whether there is a runtime's table without what makes it one."""
    return lookup(data, runtime) is not None and lookup(data, (*runtime, "runtime_type")) is None


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


def _before(text: str, data: Mapping[str, Any], path: Path) -> Optional[str]:
    """The value's own text, to be put back to the byte; None without one."""
    found = lookup(data, path)
    if found is None:
        return None
    return raw_value(text, path) or literal(found)


def _made(data: Mapping[str, Any], values: Sequence[Tuple[Path, Any]], partial: Optional[Path]) -> List[List[str]]:
    """Tables that are not there yet.

    :param partial: a runtime's that counts as such with those below it.
    """
    made: List[List[str]] = []
    for path, _value in values:
        for table in [path[:length] for length in range(1, len(path))]:
            missing = lookup(data, table) is None or (partial is not None and table[: len(partial)] == partial)
            if missing and list(table) not in made:
                made.append(list(table))
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
