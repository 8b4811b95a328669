# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What was seen of a node's container runtime. Pure. PRIVATE to the collection.

The shape is what the module container_runtime_info returns as ``runtime``; here it is only read.
"""

from __future__ import annotations

import posixpath
from dataclasses import dataclass, field, fields
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

SCHEMA_VERSION = 1
MISSING = "missing"


def unstopped(problem: Optional[str]) -> str:
    """A problem that was told as a whole sentence, for the end of one that gets a full stop of its own; "" without one."""
    return (problem or "").rstrip(".")


@dataclass(frozen=True)
class SeenFile:
    """A file as it was seen.

    :param path: as it was asked for.
    :param type: "file", "missing", "directory" or "other" (of the target, if it is a link).
    :param link: path that a symbolic link leads to in the end; None if it is no link.
    :param sha256: hex digest of the bytes; None without a file.
    :param content: the text; None without a file, or if it is not UTF-8, too large or unreadable: see ``problem``.
    :param mode: such as "0644".
    :param writable: False if the file (or, where it is missing, its directory) cannot be written: read-only file system
        or immutable attribute. A mode without the bit of writing does not hinder root.
    :param problem: why there is no content though there is a file.
    :param changed_since_start: it was written after the engine's process was started, which so has not begun with it; False if that is not known.
    """

    path: str
    type: str = MISSING
    link: Optional[str] = None
    sha256: Optional[str] = None
    content: Optional[str] = None
    mode: Optional[str] = None
    uid: Optional[int] = None
    gid: Optional[int] = None
    size: Optional[int] = None
    writable: bool = True
    problem: Optional[str] = None
    changed_since_start: bool = False

    @classmethod
    def from_dict(cls, path: str, data: Mapping[str, Any]) -> SeenFile:
        """Of the observation's ``files``. Keys that are not known are passed over."""
        known = {item.name for item in fields(cls)} - {"path"}
        return cls(path, **{key: value for key, value in data.items() if key in known})

    @property
    def exists(self) -> bool:
        """Whether there is a file of any kind."""
        return self.type != MISSING

    @property
    def reason(self) -> str:
        """``problem``, see ``unstopped``."""
        return unstopped(self.problem)

    @property
    def target(self) -> str:
        """The path to write: a link stays, what it leads to is written."""
        return self.link or self.path


@dataclass(frozen=True)
class Unit:
    """A unit of systemd.

    :param load: LoadState, such as "loaded", "not-found" or "masked".
    :param active: ActiveState, such as "active" or "failed".
    :param sub: SubState, such as "running".
    :param enabled: UnitFileState, such as "enabled"; "" if it is not known.
    :param argv: what ExecStart runs, with its flags, which beat files; empty if it is not known.
    :param kill_mode: KillMode, such as "process"; "" if it is not known.
    """

    name: str
    load: str = "loaded"
    active: str = "active"
    sub: str = "running"
    enabled: str = ""
    argv: Tuple[str, ...] = ()
    kill_mode: str = ""


@dataclass(frozen=True)
class Candidate:
    """An engine of which something was found.

    :param evidence: one sentence each: what was found where.
    :param socket: path of the CRI socket, if it is there.
    :param role: "server" or "agent" for k3s and RKE2.
    """

    engine: str
    evidence: Tuple[str, ...] = ()
    units: Tuple[Unit, ...] = ()
    socket: Optional[str] = None
    active: bool = False
    role: Optional[str] = None


@dataclass(frozen=True)
class Observation:
    """A node's runtime as it was seen at one moment.

    :param engine: the engine to plan for; None if ``problem`` says why there is none.
    :param candidates: every engine of which something was found.
    :param version: as the program tells, such as "1.6.20~ds1".
    :param program: executable that the unit runs, which need not be the one of PATH.
    :param config_path: the engine's main config file.
    :param root: prefix of paths on disk. Paths here never have it.
    :param files: by path; what was not looked at is not in it.
    :param listings: names in directories, sorted; None for a directory that is not there.
    :param binaries: by path: {exists, executable, link}.
    :param dump: answer of the engine's own dump of its config: {argv, rc, stdout, stderr}.
    :param live: what the running engine tells about itself (Docker: live_restore, swarm, containers ...).
    :param ending: pods that a restart of the engine's units ends, since systemd ends with them what watches over their containers.
    :param record: what a former run noted, see ``record.Record``.
    :param pending: marker of a run that was interrupted: {run, since, phase, owed, failed, files: {path: {before, after}}, record}, where
        ``owed`` is whether the engine has to start anew, ``failed`` is set if it was not interrupted but its way back failed (a clause on
        how), and ``record`` is that of before the run.
    """

    engine: Optional[str] = None
    candidates: Tuple[Candidate, ...] = ()
    problem: Optional[str] = None
    version: Optional[str] = None
    version_problem: Optional[str] = None
    program: Optional[str] = None
    config_path: Optional[str] = None
    root: str = "/"
    files: Mapping[str, SeenFile] = field(default_factory=dict)
    listings: Mapping[str, Optional[List[str]]] = field(default_factory=dict)
    binaries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    dump: Optional[Mapping[str, Any]] = None
    live: Optional[Mapping[str, Any]] = None
    ending: Sequence[str] = ()
    record: Optional[Mapping[str, Any]] = None
    record_problem: Optional[str] = None
    pending: Optional[Mapping[str, Any]] = None
    kubelet_endpoint: Optional[str] = None
    lock_free: bool = True

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Observation:
        """Of the module's answer. Keys that are not known are passed over."""
        known = {item.name for item in fields(cls)} - {"candidates", "files", "listings", "binaries"}
        return cls(
            candidates=tuple(_candidate(one) for one in data.get("candidates") or ()),
            files={path: SeenFile.from_dict(path, one) for path, one in (data.get("files") or {}).items()},
            listings=dict(data.get("listings") or {}),
            binaries=dict(data.get("binaries") or {}),
            **{key: value for key, value in data.items() if key in known},
        )

    @property
    def candidate(self) -> Candidate:
        """What was found of the engine to plan for."""
        found = [one for one in self.candidates if one.engine == self.engine]
        return found[0] if found else Candidate(self.engine or "")

    @property
    def role(self) -> Optional[str]:
        """Whether it is a server or an agent."""
        return self.candidate.role

    @property
    def socket(self) -> Optional[str]:
        """Path of the CRI socket."""
        return self.candidate.socket

    def units(self) -> List[str]:
        """Names of the engine's units that run, else of those that are loaded: what a restart is for."""
        loaded = [unit for unit in self.candidate.units if unit.load == "loaded"]
        return [unit.name for unit in loaded if unit.active in ("active", "activating", "reloading")] or [
            unit.name for unit in loaded
        ]

    def file(self, path: str) -> SeenFile:
        """The file; one that was not looked at is a missing one."""
        return self.files.get(path) or SeenFile(path)

    def by_target(self) -> Dict[str, SeenFile]:
        """The files by the paths that are written, which differ where a symbolic link is."""
        return {one.target: one for one in self.files.values()}

    def text(self, path: str) -> Optional[str]:
        """The file's text; None if it is missing or cannot be read as text."""
        return self.file(path).content

    def names(self, directory: str) -> List[str]:
        """Names in a directory, sorted; of one that is missing or was not looked at, those of the files that were seen."""
        listed = self.listings.get(directory)
        if listed is not None:
            return sorted(listed)
        return sorted(
            posixpath.basename(path)
            for path, one in self.files.items()
            if posixpath.dirname(path) == directory and one.exists
        )

    def binary(self, path: str) -> Dict[str, Any]:
        """{exists, executable, link}; empty if it was not looked at."""
        return dict(self.binaries.get(path) or {})


def _candidate(data: Mapping[str, Any]) -> Candidate:
    known = {item.name for item in fields(Unit)}
    units = tuple(
        Unit(**{key: _frozen(value) for key, value in one.items() if key in known and value is not None})
        for one in data.get("units") or ()
    )
    return Candidate(
        engine=str(data.get("engine") or ""),
        evidence=tuple(data.get("evidence") or ()),
        units=units,
        socket=data.get("socket"),
        active=bool(data.get("active")),
        role=data.get("role"),
    )


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
