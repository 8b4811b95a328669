# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The cgroups that decide which devices a process may open. Read only. PRIVATE to the collection.

Version 1 has a controller for it, ``devices``, with lists of rules. Version 2 has none: whoever makes a cgroup attaches a program (BPF)
to it, and the kernel asks the programs of all levels. Where both are mounted (hybrid), runc uses version 1, but a program of version 2
counts as well. Either way the kernel looks at where the process is that opens a device, and at nothing else of it.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import Dict, Iterator, List, Optional, Tuple

_MIB = 1024 * 1024
# What a short-lived process may take of a container's memory without anybody noticing. It touches some dozens of pages.
_ROOM_BYTES = 16 * _MIB
_ESCAPED = re.compile(r"\\([0-7]{3})")
_DELETED = " (deleted)"


@dataclass(frozen=True)
class Group:
    """A cgroup.

    :param directory: where it is seen.
    :param mount: where its hierarchy is mounted.
    """

    directory: str
    mount: str
    version: int


class CgroupError(Exception):
    """A process's cgroup cannot be found or joined. The message says why, as a sentence."""


@dataclass(frozen=True)
class _Mount:
    point: str
    root: str
    version: int
    controllers: Tuple[str, ...]


def find_groups(cgroup: str, mountinfo: str) -> List[Group]:
    """The cgroups of a process in which devices are decided, at least one.

    :param cgroup: text of its ``/proc/<pid>/cgroup``.
    :param mountinfo: text of the ``/proc/<pid>/mountinfo`` of the process that is to join it.
    :raises CgroupError: one that decides is not to be seen from here.
    """
    mounts = list(_parse_mounts(mountinfo))
    found: List[Group] = []
    unified = None
    for line in cgroup.splitlines():
        number, _colon, rest = line.partition(":")
        controllers, _colon, path = rest.partition(":")
        if path.endswith(_DELETED):
            raise CgroupError("its cgroup has been removed: the container is ending")
        if "devices" in controllers.split(","):
            found.append(_place([one for one in mounts if "devices" in one.controllers], path))
        elif number == "0" and not controllers:
            unified = path
    found += _find_unified(mounts, unified, bool(found))
    if not found:
        raise CgroupError(
            "neither the devices controller of cgroups version 1 nor cgroups version 2 are mounted here: run this on the host itself"
        )
    return found


def _find_unified(mounts: List[_Mount], path: Optional[str], beside: bool) -> List[Group]:
    """The cgroup of version 2. Mounted or not, every process has a place in it.

    :param beside: version 1 decides. Then this one seldom does, and need not be anybody's to see or to join.
    """
    there = [one for one in mounts if one.version == 2]
    if path is None or not there:
        return []
    try:
        group = _place(there, path)
    except CgroupError:
        if beside:
            return []
        raise
    usable = not beside or os.access(os.path.join(group.directory, "cgroup.procs"), os.W_OK)
    return [group] if usable else []


def _place(mounts: List[_Mount], path: str) -> Group:
    for mount in mounts:
        rest = _below(path, mount.root)
        if rest is not None:
            return Group(os.path.join(mount.point, rest) if rest else mount.point, mount.point, mount.version)
    where = ", ".join(mount.point for mount in mounts) or "any mount"
    raise CgroupError(
        f"its cgroup {path} is not below {where}: this runs in a cgroup namespace or a container of its own. Run it on the host itself"
    )


def _below(path: str, root: str) -> Optional[str]:
    """A cgroup's path within a mount, None if it is not in it. Both are told relative to the reader's namespace, and may begin with "/.."."""
    prefix = root.rstrip("/")
    if path != prefix and not path.startswith(prefix + "/"):
        return None
    rest = path[len(prefix) :].strip("/")
    return None if ".." in rest.split("/") else rest


def _parse_mounts(text: str) -> Iterator[_Mount]:
    """Mounts of cgroups in a text as proc(5) has it: root and mount point are fields 4 and 5, the type comes after a lone dash."""
    for line in text.splitlines():
        head, dash, tail = line.partition(" - ")
        fields, kind = head.split(), tail.split()
        if not dash or len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
            continue
        version = 2 if kind[0] == "cgroup2" else 1
        yield _Mount(
            _unescape(fields[4]), _unescape(fields[3]), version, tuple(kind[2].split(",")) if version == 1 else ()
        )


def _unescape(text: str) -> str:
    return _ESCAPED.sub(lambda match: chr(int(match.group(1), 8)), text)


def check_member(group: Group, pid: int) -> None:
    """Make sure that it is that process's cgroup, before anybody joins it.

    :raises CgroupError: it is not, or cannot be read.
    """
    try:
        with open(os.path.join(group.directory, "cgroup.procs"), encoding="ascii") as file:
            members = file.read().split()
    except OSError as error:
        raise CgroupError(f"its cgroup {group.directory} cannot be read ({error.strerror})") from error
    if str(pid) not in members:
        raise CgroupError(f"process {pid} is not in {group.directory}: it has ended or moved meanwhile")


def check_joinable(group: Group) -> None:
    """Refuse to join a cgroup of version 2 where that might do harm: there a process brings its memory along, and may be frozen.

    Version 1 has a hierarchy of its own for devices, in which a process takes nothing from anybody.

    :raises CgroupError: frozen, or so short of memory that one more process might set off the killing of others.
    """
    if group.version == 1:
        return
    if _read_table(group.directory, "cgroup.events").get("frozen") == 1:
        raise CgroupError("the container is frozen (paused)")
    directory = group.directory
    while directory.startswith(group.mount):
        room = _room(directory)
        if room is not None and room < _ROOM_BYTES:
            raise CgroupError(
                f"{directory} has {max(0, room) // _MIB} MiB of memory left, and a process that joins it might have others killed"
            )
        if directory == group.mount:
            return
        directory = os.path.dirname(directory)


def _room(directory: str) -> Optional[int]:
    """Bytes that a cgroup of version 2 may still take; None if it is not limited, or does not tell."""
    limit, used = _read_number(directory, "memory.max"), _read_number(directory, "memory.current")
    if limit is None or used is None:
        return None
    told = _read_table(directory, "memory.stat")
    # what is only cached gives way
    return limit - used + told.get("inactive_file", 0) + told.get("active_file", 0)


def _read_number(directory: str, name: str) -> Optional[int]:
    text = _read(directory, name).strip()
    return int(text) if text.isdigit() else None


def _read_table(directory: str, name: str) -> Dict[str, int]:
    words = (line.split() for line in _read(directory, name).splitlines())
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _read(directory: str, name: str) -> str:
    try:
        with open(os.path.join(directory, name), encoding="ascii", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
