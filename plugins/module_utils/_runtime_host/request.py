# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A plan as the node obeys it. PRIVATE to the collection.

It was made on the control node; what is checked here is that it is whole, and that it names only what it may.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Mapping, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observed_files import digest
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import STATE_DIR
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

SCHEMA_VERSION = 1
_RUN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,38}[a-z0-9])?")
_UNIT = re.compile(r"[A-Za-z0-9:_.@-]+\.service")
CANDIDATE = ".kubegpu-candidate-"


@dataclass(frozen=True)
class FileStep:
    """A file to be written, or removed.

    :param seen: its checksum as it was planned for, None: there was no file.
    :param content: None removes it.
    :param mode: of a file that is new.
    :param make_directory: whether its directory may be missing, and is made then.
    """

    path: str
    seen: Optional[str]
    content: Optional[bytes]
    mode: int = 0o644
    make_directory: bool = False

    @property
    def after(self) -> Optional[str]:
        """Its checksum when it has been written."""
        return None if self.content is None else digest(self.content)


@dataclass(frozen=True)
class ProbeSettings:
    """How the runtime shows that it is back. :param seconds: for its restart and its answer together."""

    kind: str = "cri"
    socket: Optional[str] = None
    seconds: float = 60.0


@dataclass(frozen=True)
class Request:
    """What to do on this node.

    :param record: the new record, None: there is to be none.
    :param dump: what the runtime has to make of its files once they are written: {argv, stdout}.
    :param confirm_seconds: how long a detached change waits to be confirmed.
    """

    engine: str
    run: str
    files: Tuple[FileStep, ...] = ()
    restart: bool = False
    units: Tuple[str, ...] = ()
    probe: ProbeSettings = field(default_factory=ProbeSettings)
    guards: Tuple[Mapping[str, Any], ...] = ()
    record: Optional[Mapping[str, Any]] = None
    actions: Tuple[str, ...] = ()
    dump: Optional[Mapping[str, Any]] = None
    state_dir: str = STATE_DIR
    keep_backups: int = 5
    confirm_seconds: float = 0.0
    root: Root = field(default_factory=Root)


def read_request(params: Mapping[str, Any]) -> Request:
    """The request that a module's options, or the file of a detached program, make.

    :raises InputError: the plan is not whole, or asks for what this node does not do.
    """
    plan: Mapping[str, Any] = params["plan"] or {}
    problems = _problems(plan, params)
    if problems:
        raise InputError("Plan for the container runtime of this node", problems)
    probe = plan.get("probe") or {}
    return Request(
        engine=plan["engine"],
        run=params["run"],
        files=tuple(_file_step(one) for one in plan.get("files") or ()),
        restart=bool(plan.get("restart")),
        units=tuple(plan.get("units") or ()),
        probe=ProbeSettings(
            str(probe.get("kind") or "cri"),
            probe.get("socket"),
            float(probe.get("seconds") or params["restart_seconds"]),
        ),
        guards=tuple(plan.get("guards") or ()),
        record=plan.get("record"),
        actions=tuple(plan.get("actions") or ()),
        dump=params.get("dump") or None,
        state_dir=params["state_dir"],
        keep_backups=int(params["keep_backups"]),
        confirm_seconds=float(params.get("confirm_seconds") or 0),
        root=Root(params["root"]),
    )


def check_run(run: str) -> List[str]:
    """Names of units and files are made of it."""
    if _RUN.fullmatch(run):
        return []
    return [
        f"run is {run!r}; it has to be at most 40 lower-case letters, digits, '-' and '.', with a letter or digit at both ends."
    ]


def _problems(plan: Mapping[str, Any], params: Mapping[str, Any]) -> List[str]:
    found = check_run(params["run"])
    if plan.get("schema_version") != SCHEMA_VERSION:
        return [
            *found,
            f"The plan is of schema version {plan.get('schema_version')!r}, this module obeys {SCHEMA_VERSION}. Use one collection for both.",
        ]
    found += [f"The plan itself was refused: {problem}" for problem in plan.get("problems") or ()]
    found += [problem for one in plan.get("files") or () for problem in _file_problems(one)]
    paths = [one.get("path") for one in plan.get("files") or ()]
    found += [f"{path} is named twice." for path in sorted({one for one in paths if paths.count(one) > 1}, key=str)]
    units = plan.get("units") or ()
    found += [f"{unit!r} is no name of a service." for unit in units if not _UNIT.fullmatch(str(unit))]
    if plan.get("restart") and not units:
        found.append("The plan restarts the runtime and names no service of it.")
    if not plan.get("engine"):
        found.append("The plan names no engine.")
    return found


def _file_problems(one: Mapping[str, Any]) -> List[str]:
    path, content = str(one.get("path")), one.get("content")
    if not _is_plain(path):
        return [f"{path!r} is no absolute path."]
    if content is not None and not isinstance(content, str):
        return [f"The content of {path} is no text."]
    # What was planned and what arrived: a transport that converts text is known to exist.
    if one.get("after") != (None if content is None else digest(content.encode("utf-8"))):
        return [f"The content of {path} is not the one that was planned: its checksum differs."]
    return []


def _is_plain(path: str) -> bool:
    return path.startswith("/") and os.path.normpath(path) == path and "\0" not in path and path != "/"


def _file_step(one: Mapping[str, Any]) -> FileStep:
    content = one.get("content")
    return FileStep(
        path=one["path"],
        seen=one.get("before"),
        content=None if content is None else content.encode("utf-8"),
        mode=int(str(one.get("mode") or "0644"), 8),
        make_directory=bool(one.get("make_directory")),
    )


def staging_of(plan: Mapping[str, Any]) -> Tuple[Dict[str, str], List[str]]:
    """Texts by path that are put on the node for the time of a command, and the command.

    :raises InputError: the plan has none, or one that might replace a file of somebody.
    """
    staging = plan.get("staging") or {}
    files = {str(one["path"]): str(one["content"]) for one in staging.get("files") or ()}
    problems = [
        f"{path} is no place for a candidate: its name has to begin with {CANDIDATE}."
        for path in files
        if not _is_plain(path) or not os.path.basename(path).startswith(CANDIDATE)
    ]
    if not staging.get("argv"):
        problems.append("The plan names no command that reads the candidate.")
    if problems:
        raise InputError("Candidate for the container runtime of this node", problems)
    return files, [str(word) for word in staging["argv"]]
