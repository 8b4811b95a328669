# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is to be done to a node's container runtime, as data. Pure. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Dict, List, Mapping, Optional, Tuple

SCHEMA_VERSION = 1


def sha256(text: Optional[str]) -> Optional[str]:
    """Hex digest of a text in UTF-8; None of no text."""
    return None if text is None else hashlib.sha256(text.encode("utf-8")).hexdigest()


@dataclass(frozen=True)
class FileChange:
    """A file to write, or to remove.

    :param path: what is written: of a symbolic link its target.
    :param before: sha256 that the file has to have when it is written; None: there must be no file.
    :param content: the new text; None removes the file.
    :param mode: for a file that is new, such as "0644"; one that is there keeps mode and owner.
    :param make_directory: its directory may be missing and is made (0755).
    """

    path: str
    before: Optional[str]
    content: Optional[str]
    mode: str = "0644"
    make_directory: bool = False

    def to_dict(self) -> Dict[str, Any]:
        """With ``after``: sha256 of the content."""
        return {**asdict(self), "after": sha256(self.content)}


@dataclass(frozen=True)
class Staging:
    """Files that are put on the node for as long as a command reads them.

    :param files: path and text. None of them is there before, none has a name that the engine itself reads.
    :param argv: the command, whose stdout is the dump to compare.
    """

    files: Tuple[Tuple[str, str], ...]
    argv: Tuple[str, ...]

    def to_dict(self) -> Dict[str, Any]:
        """{files: [{path, content}], argv}."""
        files = [{"path": path, "content": content} for path, content in self.files]
        return {"files": files, "argv": list(self.argv)}


@dataclass(frozen=True)
class Ours:
    """What a dump of the new config has to show, as paths of keys. Everything else has to be as it was.

    :param values: path and value that must be there.
    :param tables: paths under which things may appear, vanish or change.
    :param elsewhere: path and file of somebody else's, which says something else of a value; only for messages.
    """

    values: Tuple[Tuple[Tuple[str, ...], Any], ...] = ()
    tables: Tuple[Tuple[str, ...], ...] = ()
    elsewhere: Tuple[Tuple[Tuple[str, ...], str], ...] = ()

    def to_dict(self) -> Dict[str, Any]:
        """{values: [[path, value]], tables: [path]}."""
        return {
            "values": [[list(path), value] for path, value in self.values],
            "tables": [list(path) for path in self.tables],
        }


@dataclass(frozen=True)
class Probe:
    """How the engine shows that it is back.

    :param kind: "cri", "crio", "docker", "k3s", "rke2" or "microk8s".
    :param socket: path of the socket to ask; None: the engine's usual one.
    :param seconds: how long it may take.
    """

    kind: str
    socket: Optional[str] = None
    seconds: int = 60


@dataclass(frozen=True)
class Guard:
    """What has to hold on the node right before the restart, and again after it.

    :param kind: "quorum": the other servers of a cluster are enough without this one.
    :param argv: command whose answer tells.
    """

    kind: str
    argv: Tuple[str, ...] = ()


@dataclass(frozen=True)
class RuntimePlan:
    """What one node needs. With problems, nothing of it is done.

    :param restart: the engine has to read its config again.
    :param actions: one line per change, in order.
    :param notes: what was found and needs nothing done.
    :param warnings: what was found and somebody should know before it is too late.
    :param problems: why nothing may be done, one message each.
    :param files: in the order of writing.
    :param units: what to restart, in order.
    :param record: the new record; None: there is to be none.
    :param version: of the engine, as observed.
    :param kept: facts about what was found, for "what it found": plain JSON.
    :param forgets: there is a record of what others have taken out already, and it goes.
    :param begun: (path, sha256) of further files that an interrupted run has brought to where they are; None: it removed one.
    """

    engine: str
    files: Tuple[FileChange, ...] = ()
    restart: bool = False
    actions: Tuple[str, ...] = ()
    notes: Tuple[str, ...] = ()
    warnings: Tuple[str, ...] = ()
    problems: Tuple[str, ...] = ()
    staging: Optional[Staging] = None
    ours: Ours = field(default_factory=Ours)
    units: Tuple[str, ...] = ()
    probe: Optional[Probe] = None
    guards: Tuple[Guard, ...] = ()
    record: Optional[Mapping[str, Any]] = None
    diff: Tuple[Mapping[str, str], ...] = ()
    version: Optional[str] = None
    kept: Mapping[str, Any] = field(default_factory=dict)
    forgets: bool = False
    begun: Tuple[Tuple[str, Optional[str]], ...] = ()

    @property
    def changed(self) -> bool:
        """Whether there is anything to do."""
        return bool(self.files or self.restart or self.forgets)

    @property
    def digest(self) -> str:
        """sha256 of what would be done, the same wherever it is planned: files' content after, units and problems.

        A run that was interrupted changes nothing about it, so that what was approved can be finished.
        """
        files = sorted([*self.begun, *((one.path, sha256(one.content)) for one in self.files)])
        decided = [self.engine, files, list(self.units) if self.restart else [], list(self.problems)]
        return hashlib.sha256(json.dumps(decided, sort_keys=True).encode()).hexdigest()

    def refused(self, *problems: str) -> RuntimePlan:
        """The plan with more problems."""
        return replace(self, problems=(*self.problems, *problems))

    def to_dict(self) -> Dict[str, Any]:
        """Plain JSON, as the node and the rollout read it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "engine": self.engine,
            "changed": self.changed,
            "restart": self.restart,
            "actions": list(self.actions),
            "notes": list(self.notes),
            "warnings": list(self.warnings),
            "problems": list(self.problems),
            "files": [one.to_dict() for one in self.files],
            "staging": self.staging.to_dict() if self.staging else None,
            "ours": self.ours.to_dict(),
            "units": list(self.units),
            "probe": asdict(self.probe) if self.probe else None,
            "guards": [{"kind": one.kind, "argv": list(one.argv)} for one in self.guards],
            "record": dict(self.record) if self.record is not None else None,
            "diff": [dict(one) for one in self.diff],
            "digest": self.digest,
            "version": self.version,
            "kept": dict(self.kept),
        }


def problems_of(engine: str, problems: List[str], **fields: Any) -> RuntimePlan:
    """A plan that does nothing but say why."""
    return RuntimePlan(engine, problems=tuple(problems), **fields)
