# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a node as they are, with what hinders replacing them. PRIVATE to the collection."""

from __future__ import annotations

import hashlib
import os
import stat
import time
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

#: No file of settings is larger; a thing of that name that is, is not read into memory.
LARGEST = 4 * 1024 * 1024
# Of clocks that are put right in small steps, and of file systems that know whole seconds.
_SLACK_SECONDS = 1.0
_MOUNTS = "/proc/self/mountinfo"


def observe_file(root: Root, path: str) -> Dict[str, Any]:
    """One path of the node: a file with its content and checksum, or what is there instead. Never raises."""
    found: Dict[str, Any] = dict.fromkeys(
        ("link", "sha256", "content", "mode", "uid", "gid", "size", "mtime", "problem")
    )
    found.update(type="missing", writable=False)
    real = root.real(path)
    if os.path.islink(real):
        found["link"] = root.node(os.path.realpath(real))
    target = os.path.realpath(real)
    try:
        there = os.stat(target)
    except FileNotFoundError:
        found["writable"] = hindrance(target) is None
        return found
    except OSError as error:
        found["type"], found["problem"] = "other", f"{path} cannot be looked at: {error.strerror}."
        return found
    found.update(mode=f"{stat.S_IMODE(there.st_mode):04o}", uid=there.st_uid, gid=there.st_gid, size=there.st_size)
    found["mtime"] = there.st_mtime
    if not stat.S_ISREG(there.st_mode):
        found["type"] = "directory" if stat.S_ISDIR(there.st_mode) else "other"
        return found
    found["type"] = "file"
    found["writable"] = hindrance(target) is None
    _read_into(found, path, target, there.st_size)
    return found


def is_changed_since(found: Mapping[str, Any], moment: Optional[float]) -> bool:
    """Whether a file that was observed was written after a moment; False if that cannot be told, as of a time that is still to come."""
    mtime = found["mtime"]
    return moment is not None and mtime is not None and moment + _SLACK_SECONDS < mtime <= time.time() + _SLACK_SECONDS


def _read_into(found: Dict[str, Any], path: str, target: str, size: int) -> None:
    if size > LARGEST:
        found["problem"] = f"{path} has {size} bytes, which no file of settings has; it was not read."
        return
    try:
        content = read_bytes(target)
    except OSError as error:
        found["problem"] = f"{path} cannot be read: {error.strerror}. Run with become."
        return
    found["sha256"] = digest(content)
    try:
        found["content"] = content.decode("utf-8")
    except UnicodeDecodeError as error:
        found["problem"] = f"{path} is no UTF-8 text (byte {error.start})."


def read_bytes(path: str) -> bytes:
    """The content of a file that is here.

    :raises OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return file.read()


def digest(content: bytes) -> str:
    """What tells two contents apart."""
    return hashlib.sha256(content).hexdigest()


def digest_of(path: str) -> Optional[str]:
    """Of the file at a path here; None if there is nothing.

    :raises OSError: there is something that cannot be read as a file.
    """
    try:
        return digest(read_bytes(path))
    except FileNotFoundError:
        return None


def list_directory(root: Root, path: str) -> Optional[List[str]]:
    """Names in a directory of the node, sorted; None if it is none."""
    try:
        return sorted(os.listdir(root.real(path)))
    except OSError:
        return None


def hindrance(target: str) -> Optional[str]:
    """Why the file at that path here cannot be put in place or replaced, as far as the kernel tells before it is tried.

    It is replaced by renaming, so its directory has to be writable too, and it must not be a mount point.
    """
    directory = os.path.dirname(target)
    while not os.path.lexists(directory):
        directory = os.path.dirname(directory)
    if not os.path.isdir(directory):
        return f"{directory} is no directory"
    try:
        if os.statvfs(directory).f_flag & os.ST_RDONLY:
            return f"the file system of {directory} is read-only"
    except OSError as error:
        return f"{directory} cannot be looked at ({error.strerror})"
    if not os.access(directory, os.W_OK | os.X_OK):
        return f"{directory} may not be written to"
    if os.path.lexists(target) and not os.access(target, os.W_OK):
        return f"{target} may not be written to (is it immutable? 'lsattr' tells)"
    if _is_mounted_on(target):
        return f"{target} is a mount of its own, which cannot be replaced by another file"
    return None


def _is_mounted_on(target: str) -> bool:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="replace") as file:
            points = [line.split(" ", 5)[4] for line in file]
    except (OSError, IndexError):
        return False
    return target.replace(" ", "\\040") in points
