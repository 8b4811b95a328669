# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The files that CRI-O reads, and what comes out of them. Pure. PRIVATE to the collection.

CRI-O reads its main file, then every file of the drop-in directory in lexical order, whatever its suffix. A later value
replaces an earlier one; the table of a runtime replaces the former table of that name as a whole.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.draft import Draft, owner_of, version_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import TomlError, lookup, parse

PATH = "/etc/crio/crio.conf"
DIRECTORY = "/etc/crio/crio.conf.d"
DROP_IN = "80-kubegpu-sharing.conf"
RUNTIME = ("crio", "runtime")
# From this version on, CRI-O's own default is crun.
CRUN_SINCE = (1, 31)


@dataclass(frozen=True)
class CrioFile:
    """One of CRI-O's files.

    :param data: all that it says.
    """

    seen: SeenFile
    data: Mapping[str, Any]

    @property
    def runtimes(self) -> Mapping[str, Any]:
        """The runtimes that it has tables of."""
        found = lookup(self.data, (*RUNTIME, "runtimes"))
        return found if isinstance(found, Mapping) else {}

    @property
    def default(self) -> Optional[str]:
        """The default runtime that it names."""
        found = lookup(self.data, (*RUNTIME, "default_runtime"))
        return str(found) if found else None

    @property
    def owner(self) -> str:
        """Who wrote it, as far as it can be told."""
        return owner_of(self.seen)

    @property
    def beside(self) -> List[str]:
        """Dotted keys that have nothing to do with NVIDIA's runtimes: what would be lost with the file."""
        found = []
        for top, table in self.data.items():
            for section, values in table.items() if isinstance(table, Mapping) else [("", table)]:
                if (top, section) != RUNTIME or not isinstance(values, Mapping):
                    found.append(f"{top}.{section}".rstrip("."))
                    continue
                found.extend(".".join((*RUNTIME, key)) for key in values if key not in ("runtimes", "default_runtime"))
        found.extend(
            ".".join((*RUNTIME, "runtimes", name)) for name, table in self.runtimes.items() if not of_nvidia(table)
        )
        return found


@dataclass(frozen=True)
class Configs:
    """All files but our own, in the order of reading.

    :param directory: of drop-ins.
    :param flag: the default runtime that the unit gives on the command line, which beats all files; None if it gives none.
    """

    directory: str
    files: Tuple[CrioFile, ...] = ()
    version: Tuple[int, ...] = ()
    runtimes: Mapping[str, Tuple[CrioFile, Mapping[str, Any]]] = field(default_factory=dict)
    flag: Optional[str] = None

    @property
    def drop_in(self) -> str:
        """Path of our own file."""
        return posixpath.join(self.directory, DROP_IN)

    @property
    def _named(self) -> List[Tuple[str, str]]:
        """The default runtimes that are named, each with who names it; the first one counts."""
        by_files = [(one.default, one.seen.path) for one in reversed(self.files) if one.default]
        return [(self.flag, "a flag of the unit (--default-runtime)"), *by_files] if self.flag else by_files

    @property
    def default(self) -> str:
        """The default runtime without our file."""
        return self._named[0][0] if self._named else self.built_in

    @property
    def default_by(self) -> str:
        """What names it: a path, or words for the flag."""
        return self._named[0][1] if self._named else "CRI-O itself"

    @property
    def built_in(self) -> str:
        """The runtime that CRI-O has without any file."""
        return "crun" if self.version >= CRUN_SINCE else "runc"

    @property
    def after_ours(self) -> List[CrioFile]:
        """Files that are read later than our own, and so may overrule it."""
        return [
            one
            for one in self.files
            if posixpath.dirname(one.seen.path) == self.directory and posixpath.basename(one.seen.path) > DROP_IN
        ]

    def without(self, files: Sequence[CrioFile]) -> Configs:
        """The same once these files are gone."""
        left = tuple(one for one in self.files if one not in files)
        return replace(self, files=left, runtimes=_runtimes(left))

    def base(self, name: str) -> Tuple[str, Dict[str, Any]]:
        """The runtime that a new one is made like, and its table: the default one, unless that is NVIDIA's itself.

        :param name: of the new runtime.
        """
        named = [one for one, _by in self._named]
        for candidate in (*named, self.built_in, "crun", "runc"):
            table = self.runtimes[candidate][1] if candidate in self.runtimes else None
            if candidate != name and not of_nvidia(table or {}) and (table is not None or candidate == self.built_in):
                return candidate, dict(table or {})
        return self.built_in, {}


def of_nvidia(table: Any) -> bool:
    """Whether a runtime's table starts NVIDIA's executable."""
    path = str(table.get("runtime_path") or "") if isinstance(table, Mapping) else ""
    return posixpath.basename(path).startswith("nvidia-container-runtime")


def read_configs(draft: Draft) -> Configs:
    """All files that the observed CRI-O reads. One that is no TOML is a problem of the draft."""
    observation = draft.observation
    directory = draft.flag("config-dir") or draft.flag("d", short=True) or DIRECTORY
    paths = [observation.config_path or PATH]
    paths += [posixpath.join(directory, name) for name in observation.names(directory) if name != DROP_IN]
    files = []
    for path in paths:
        seen = observation.file(path)
        if seen.problem:
            draft.problems.append(
                f"Reading {path}: {seen.reason}. CRI-O reads it too; move it away or make it readable."
            )
        if seen.content is None:
            continue
        try:
            files.append(CrioFile(seen, parse(seen.content, path)))
        except TomlError as error:
            draft.problems.append(str(error))
    flag = draft.flag("default-runtime") or None
    return Configs(directory, tuple(files), version_of(observation.version), _runtimes(files), flag)


def _runtimes(files: Sequence[CrioFile]) -> Dict[str, Tuple[CrioFile, Mapping[str, Any]]]:
    return {name: (one, table) for one in files for name, table in one.runtimes.items()}
