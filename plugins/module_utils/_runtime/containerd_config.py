# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What stands in containerd's config files, and which of them it reads. Pure. PRIVATE to the collection."""

from __future__ import annotations

import fnmatch
import posixpath
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.dumps import CRI_IMAGES, CRI_PLUGINS
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation, SeenFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.toml_reading import TomlError, lookup, parse

DEFAULT_PATH = "/etc/containerd/config.toml"
#: Name of our own file in the directory conf.d beside the main config. Those that sort behind it override it.
DROP_IN = "80-kubegpu-sharing.toml"
_VERSION = re.compile(r"v?([0-9]+)\.([0-9]+)(?:\.([0-9]+))?")
# 1.6 looks for a relative pattern in the directory that it runs in, and not beside the file that has it.
_GLOBS_BESIDE = (1, 7, 0)
_GLOB = re.compile(r"[*?\[]")

Version = Tuple[int, int, int]


def parse_version(text: Optional[str]) -> Optional[Version]:
    """(1, 6, 20) from "1.6.20~ds1"; None if it is no version."""
    found = _VERSION.match((text or "").strip())
    if not found:
        return None
    return (int(found.group(1)), int(found.group(2)), int(found.group(3) or 0))


def plugin_name(config_version: int) -> str:
    """What a config file of that version calls the part of containerd that serves the kubelet."""
    return CRI_PLUGINS[1] if config_version == 2 else CRI_PLUGINS[2]


def of_version(ours: Mapping[str, Any], data: Mapping[str, Any]) -> Mapping[str, Any]:
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


@dataclass(frozen=True)
class ConfigFile:
    """A config file that containerd reads.

    :param data: {} if it is missing or cannot be read, which ``error`` tells.
    """

    seen: SeenFile
    data: Mapping[str, Any] = field(default_factory=dict)
    error: Optional[str] = None

    @property
    def text(self) -> str:
        """Its text; "" if it is missing."""
        return self.seen.content or ""

    @property
    def empty(self) -> bool:
        """Whether nothing is set in it."""
        return not self.data and self.error is None

    @property
    def version(self) -> Optional[int]:
        """Version that it declares; None if none."""
        found = self.data.get("version")
        return found if isinstance(found, int) and not isinstance(found, bool) else None

    @property
    def cri(self) -> Mapping[str, Any]:
        """Its table of the CRI plugin, by whatever name; {} without one."""
        # A dump of 2.x has the older name beside the newer one, for what is left of it.
        for name in reversed(CRI_PLUGINS):
            found = lookup(self.data, ("plugins", name))
            if isinstance(found, Mapping):
                return found
        return {}

    @property
    def runtimes(self) -> Mapping[str, Any]:
        """Its tables of runtimes by name."""
        found = lookup(self.cri, ("containerd", "runtimes"))
        return found if isinstance(found, Mapping) else {}

    def strings(self, key: str) -> List[str]:
        """A list of strings in the file's root."""
        found = self.data.get(key)
        return [one for one in found if isinstance(one, str)] if isinstance(found, list) else []


def read_config(seen: SeenFile) -> ConfigFile:
    """The file as data; one that cannot be read has an ``error`` that names the place."""
    if seen.content is None:
        problem = f"Reading {seen.path}: {seen.reason}." if seen.problem else None
        return ConfigFile(seen, error=problem)
    try:
        return ConfigFile(seen, parse(seen.content, seen.path))
    except TomlError as error:
        return ConfigFile(seen, error=str(error))


def absolute(entry: str, directory: str) -> str:
    """An entry of ``imports`` as containerd understands it: beside the file that has it."""
    return posixpath.normpath(posixpath.join(directory, entry))


def reads(imports: Sequence[str], directory: str, path: str) -> bool:
    """Whether these imports of a file in ``directory`` name a path."""
    return any(_matches(absolute(entry, directory), path) for entry in imports)


def _matches(pattern: str, path: str) -> bool:
    if not _GLOB.search(pattern):
        return pattern == path
    own, theirs = posixpath.split(pattern), posixpath.split(path)
    return fnmatch.fnmatchcase(theirs[0], own[0]) and fnmatch.fnmatchcase(theirs[1], own[1])


def expand(imports: Sequence[str], directory: str, observation: Observation, new: Sequence[str] = ()) -> List[str]:
    """The paths that imports name, in the order in which containerd reads them. What cannot be told stays as it is written.

    :param new: paths that are not there yet and will be.
    """
    found: List[str] = []
    beside = (parse_version(observation.version) or _GLOBS_BESIDE) >= _GLOBS_BESIDE
    for entry in imports:
        if _GLOB.search(entry) and not entry.startswith("/") and not beside:
            found.append(entry)
            continue
        pattern = absolute(entry, directory)
        above, name = posixpath.split(pattern)
        if not _GLOB.search(name) or _GLOB.search(above):
            found.append(pattern)
            continue
        names = {
            *observation.names(above),
            *(posixpath.basename(path) for path in new if posixpath.dirname(path) == above),
        }
        found.extend(posixpath.join(above, one) for one in sorted(fnmatch.filter(names, name)))
    return found


@dataclass(frozen=True)
class Configs:
    """All config files of a containerd.

    :param main: the one that its unit names.
    :param imported: those that it imports, directly or by another one, in the order of reading; never our own drop-in.
    """

    main: ConfigFile
    imported: Tuple[ConfigFile, ...] = ()

    @property
    def directory(self) -> str:
        """Where the main file is, as containerd is told, whatever a symbolic link leads to."""
        return posixpath.dirname(self.main.seen.path)

    @property
    def drop_in(self) -> str:
        """Path of our own file."""
        return posixpath.join(self.directory, "conf.d", DROP_IN)

    def naming(self, path: str) -> List[str]:
        """Files that import that one by its name, and not by a pattern: containerd does not start without it."""
        return [
            one.seen.path
            for one in (self.main, *self.imported)
            if path in [absolute(entry, posixpath.dirname(one.seen.path)) for entry in one.strings("imports")]
        ]

    @property
    def disabled(self) -> List[str]:
        """Entries of ``disabled_plugins`` that take the CRI plugin away, with the file that has them."""
        return [
            f"{name!r} in {one.seen.path}"
            for one in (self.main, *self.imported)
            for name in one.strings("disabled_plugins")
            if name in (*CRI_PLUGINS, CRI_IMAGES)
        ]


def read_configs(observation: Observation) -> Configs:
    """All files that the observed containerd reads."""
    main = read_config(observation.file(observation.config_path or DEFAULT_PATH))
    configs = Configs(main)
    seen = {main.seen.path}
    waiting = [(main, configs.directory)]
    imported: List[ConfigFile] = []
    while waiting:
        one, directory = waiting.pop(0)
        for path in expand(one.strings("imports"), directory, observation):
            if path in seen or path == configs.drop_in or path not in observation.files:
                continue
            seen.add(path)
            imported.append(read_config(observation.file(path)))
            waiting.append((imported[-1], posixpath.dirname(path)))
    return Configs(main, tuple(imported))


def effective_cri(observation: Observation, configs: Configs) -> Dict[str, Any]:
    """The CRI plugin's table as containerd merges it: of its dump, else of the main file."""
    dump = observation.dump or {}
    if dump.get("rc") == 0:
        try:
            return dict(
                ConfigFile(configs.main.seen, parse(str(dump.get("stdout") or ""), "containerd config dump")).cri
            )
        except TomlError:
            # Told where dumps are compared.
            pass
    return dict(configs.main.cri)
