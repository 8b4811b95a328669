# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements as files on a node, each with a lock that its process holds while it samples. PRIVATE to the collection.

The kernel gives the lock back when the process ends, in whatever way: so a measurement that is not complete and not locked was
interrupted, and nobody has to wait to know it.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import UNFINISHED, replace_file

DEFAULT_PATH = "/var/lib/kubegpu-sharing/measurements"
# Also a file's name, with what is added to it.
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_DOCUMENT, _LOCK = ".json", ".lock"
# Where everybody may write, others cannot take away what is there if it is sticky.
_ANYBODYS = stat.S_IWOTH | stat.S_ISVTX
# Who looks whether a measurement runs holds its lock for a moment.
_LOCK_SECONDS, _LOCK_POLL_SECONDS = 2.0, 0.05


def check_id(given: str) -> str:
    """The id of a measurement, which is a part of file names.

    :raises KubeGpuError: it cannot be one.
    """
    if not _ID.fullmatch(given):
        raise KubeGpuError(
            f"The id {given!r} of a measurement cannot be the name of a file. Choose one of at most 128 letters, digits, dots, "
            "underscores and hyphens that begins with a letter or a digit."
        )
    return given


@dataclass(frozen=True)
class Found:
    """A measurement as its file tells it.

    :param document: None if there is none, or none that can be read.
    :param problem: why it cannot be read, if so.
    """

    id: str
    running: bool
    document: Optional[Dict[str, Any]] = None
    problem: Optional[str] = None

    @property
    def state(self) -> str:
        """running, complete, interrupted, unavailable (the host has no NVML that works) or unreadable."""
        if self.running:
            return "running"
        if self.document is None:
            return "unreadable" if self.problem else "interrupted"
        if not self.document.get("nvml_available"):
            return "unavailable"
        return "complete" if self.document.get("complete") else "interrupted"


@dataclass(frozen=True)
class UsageFiles:
    """The measurements in a directory. It and they are the user's alone: who runs what is nobody else's business."""

    directory: str = DEFAULT_PATH

    def ids(self) -> List[str]:
        """Of all measurements there are, also of those that have not written yet."""
        try:
            names = os.listdir(self.directory)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KubeGpuError(
                f"Listing the measurements in {self.directory} failed: {error.strerror}. Run with become, or set path to the "
                "directory that they were written to."
            ) from error
        found = {name[: -len(end)] for name in names for end in (_DOCUMENT, _LOCK) if name.endswith(end)}
        return sorted(one for one in found if _ID.fullmatch(one))

    def find(self, wanted: str) -> Optional[Found]:
        """A measurement, None if there is none of that id. Never waits for it."""
        # asked first: what has ended by then has written its last document
        running = self._is_running(wanted)
        try:
            return Found(wanted, running, _read(self._path(wanted, _DOCUMENT)))
        except FileNotFoundError:
            exists = os.path.lexists(self._path(wanted, _LOCK))
            return Found(wanted, running) if exists else None
        except (OSError, ValueError) as error:
            path = self._path(wanted, _DOCUMENT)
            return Found(wanted, running, None, f"Reading {path} failed: {error}. Remove it with state=absent.")

    def remove(self, unwanted: str, check_mode: bool) -> Optional[bool]:
        """Remove a measurement's files: True if there were any, None if it runs and was left alone."""
        if self._is_running(unwanted):
            return None
        paths = [self._path(unwanted, end) for end in (_DOCUMENT, _DOCUMENT + UNFINISHED, _LOCK)]
        there = [path for path in paths if os.path.lexists(path)]
        for path in there if not check_mode else ():
            try:
                os.unlink(path)
            except FileNotFoundError:
                continue
            except OSError as error:
                raise KubeGpuError(f"Removing {path} failed: {error.strerror}. Run with become.") from error
        return bool(there)

    def open(self, wanted: str) -> UsageFile:
        """The file of a measurement that begins: see :class:`UsageFile`."""
        return UsageFile(self.directory, self._path(wanted, ""))

    def _path(self, wanted: str, end: str) -> str:
        return os.path.join(self.directory, wanted + end)

    def _is_running(self, wanted: str) -> bool:
        try:
            opened = os.open(self._path(wanted, _LOCK), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        except OSError:
            return False
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        finally:
            os.close(opened)
        return False


class UsageFile:
    """The file of a measurement that begins; a context manager that holds its lock.

    Where it cannot be written, the sampling goes on without: ``problem`` says why, until a later attempt succeeds.
    """

    def __init__(self, directory: str, stem: str) -> None:
        self._directory = directory
        self._stem = stem
        self._lock: Optional[int] = None
        self.problem: Optional[str] = None
        #: The file, None until it was written.
        self.path: Optional[str] = None

    def __enter__(self) -> UsageFile:
        """Take the lock.

        :raises KubeGpuError: a process samples under the same id.
        """
        try:
            os.makedirs(os.path.dirname(self._directory) or ".", mode=0o755, exist_ok=True)
            _make_private(self._directory)
            self._lock = self._take_lock()
        except OSError as error:
            self.problem = self._say(error)
        return self

    def __exit__(self, *_exception: Any) -> None:
        """Give it back. Its file stays, for who removed it might remove the lock of the next one."""
        if self._lock is not None:
            os.close(self._lock)

    def write(self, document: Mapping[str, Any]) -> None:
        """Write it in one piece, so that a reader sees the one before or this one."""
        try:
            if self._lock is None:
                _make_private(self._directory)
                self._lock = self._take_lock()
            replace_file(self._stem + _DOCUMENT, json.dumps(document, separators=(",", ":")).encode(), 0o600)
        except OSError as error:
            self.problem = self._say(error)
        except KubeGpuError as error:
            # the lock could not be had at the beginning, and another process has it now
            self.problem = error.msg
        else:
            self.problem, self.path = None, self._stem + _DOCUMENT

    def _take_lock(self) -> int:
        opened = os.open(self._stem + _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        deadline = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                if time.monotonic() >= deadline:
                    os.close(opened)
                    raise self._is_taken() from error
            except OSError:
                os.close(opened)
                raise
            else:
                if _is_at(self._stem + _LOCK, opened):
                    return opened
                # removed by who found it free a moment ago: nobody else would find this one
                os.close(opened)
                return self._take_lock()
            time.sleep(_LOCK_POLL_SECONDS)

    def _is_taken(self) -> KubeGpuError:
        return KubeGpuError(
            f"Sampling as {os.path.basename(self._stem)} failed: a process on this host samples under that id and holds "
            f"{self._stem}{_LOCK}. Collect it with state=collected, or choose another id."
        )

    def _say(self, error: OSError) -> str:
        return (
            f"The measurement cannot be written to {self._stem}{_DOCUMENT} ({error.strerror}): what was sampled is in memory "
            "alone, and lost if the sampling is interrupted. Make room there, or set path to a directory that can be written to."
        )


def _is_at(path: str, opened: int) -> bool:
    try:
        return os.path.samestat(os.stat(path, follow_symlinks=False), os.fstat(opened))
    except FileNotFoundError:
        return False


def _make_private(directory: str) -> None:
    """Make the directory; one that is there has to be this user's, and no other's link to one, or others could choose what is written to."""
    try:
        os.mkdir(directory, 0o700)
    except FileExistsError:
        there, found = os.lstat(directory), os.stat(directory)
        mine = there.st_uid == found.st_uid == os.geteuid()
        if not stat.S_ISDIR(found.st_mode) or not mine or found.st_mode & _ANYBODYS == stat.S_IWOTH:
            raise PermissionError(errno.EACCES, "it is not a directory of this user alone") from None


def _read(path: str) -> Dict[str, Any]:
    opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    with os.fdopen(opened, encoding="utf-8") as file:
        document = json.load(file)
    if not isinstance(document, dict) or document.get("kind") != "measurement":
        raise ValueError("it is not a measurement")
    return document
