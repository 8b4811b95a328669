# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One change of a host at a time. PRIVATE to the collection.

The cluster's lock ends with the control node, a module on a host does not: when the control node dies, the module may go on
for minutes. So a module that changes a host takes this lock as well. The kernel gives it back when the process ends, in
whatever way, and not a moment before.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import signal
import stat
import threading
import time
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timezone
from types import TracebackType
from typing import Any, Optional, Type

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError

#: Gone after a reboot, as are the processes.
DEFAULT_PATH = "/run/lock/kubegpu-sharing.lock"
_POLL_SECONDS = 0.2
# How long a holder may take that does not say who it is: one that only reads the GPUs, which is over in a moment.
_READER_SECONDS = 15.0
_TEXT_BYTES = 4096


class HostLockError(KubeGpuError):
    """The lock cannot be had: ``holder`` says who has it, None if nobody has and its file is of no use."""


@dataclass(frozen=True)
class Holder:
    """Who has the lock, as its file says.

    :param doing: the change, in words: "repartition GPU 0".
    :param since: RFC 3339, when the lock was taken.
    :param advice: what to do about it, where that is not to wait and to end it if it hangs.
    """

    run: str
    doing: str
    pid: int = 0
    since: str = ""
    advice: str = ""

    def describe(self) -> str:
        """In words: "run r1 (process 4312, repartition GPU 0) since 2026-03-01T12:00:00Z"."""
        if not self.run:
            return "a process that has not said yet which run it belongs to"
        return f"run {self.run} (process {self.pid}, {self.doing}) since {self.since}"


class HostLock:
    """The lock of a host, as a context manager.

    While it is held, a hang-up does not end the process: a change that was begun is finished, whether or not anybody is left
    to hear of it. The programs that it starts do not hold the lock.

    :param run: the run, such as 20260301-120000-a1b2c3.
    :param doing: the change, in words.
    :param path: the file. It has to be the same one for all runs, also for those that reach the host through a pod.
    :param wait_seconds: how long to wait for another process; 0 means not at all.
    """

    def __init__(self, run: str, doing: str, path: str = DEFAULT_PATH, wait_seconds: float = 0) -> None:
        self._run = run
        self._doing = doing
        self._path = path
        self._wait = wait_seconds
        self._file: Optional[int] = None
        self._holder = Holder("", "")
        self._hang_up: Any = None

    def __enter__(self) -> HostLock:
        """Take it.

        :raises HostLockError: another process still has it when the time is over, or the file is of no use.
        """
        self._file = self._acquire(time.monotonic() + self._wait)
        self._hang_up = _ignore_hang_up()
        now = f"{datetime.now(timezone.utc):%Y-%m-%dT%H:%M:%SZ}"
        self._write(Holder(self._run, self._doing, os.getpid(), now))
        return self

    def advise(self, advice: str) -> None:
        """Say what others, who do not get it meanwhile, had better do."""
        self._write(replace(self._holder, advice=advice))

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        """Give it back. The file stays: who removed it might remove the lock of the next one."""
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.close(self._file)
            self._file = None
        _heed_hang_up(self._hang_up)

    def _acquire(self, deadline: float) -> int:
        while True:
            opened = self._open()
            try:
                if self._lock(opened, deadline):
                    return opened
            except BaseException:
                os.close(opened)
                raise
            os.close(opened)

    def _lock(self, opened: int, deadline: float) -> bool:
        """Lock the file. False if it is no longer the one that others find under the path."""
        patience = max(deadline, time.monotonic() + _READER_SECONDS)
        while True:
            try:
                fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                    raise self._useless(f"it cannot be locked ({error.strerror})") from error
            else:
                return self._is_current(opened)
            holder = _read(opened)
            end = deadline if holder.run else patience
            if time.monotonic() >= end:
                raise self._held(holder)
            time.sleep(min(_POLL_SECONDS, max(0.0, end - time.monotonic())))

    def _open(self) -> int:
        try:
            os.makedirs(os.path.dirname(self._path) or ".", mode=0o755, exist_ok=True)
            # Not inherited by programs that are started: they may outlive the process that the lock stands for.
            # Not through a link, nor with rights for others: the directory may be anybody's to write to.
            opened = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise self._useless(f"it cannot be opened ({error.strerror})") from error
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
            os.close(opened)
            raise self._useless(f"it is not a plain file of this user (its owner has the id {found.st_uid})")
        return opened

    def _is_current(self, opened: int) -> bool:
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False
        mine = os.fstat(opened)
        return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)

    def _write(self, holder: Holder) -> None:
        self._holder = holder
        if self._file is not None:
            os.ftruncate(self._file, 0)
            os.pwrite(self._file, json.dumps(asdict(holder)).encode(), 0)

    def _held(self, holder: Holder) -> HostLockError:
        waited = f" {self._wait:g} s were waited for it." if self._wait else ""
        process = f"process {holder.pid}" if holder.pid else "that process"
        look = f" ('ps -fp {holder.pid}' shows it)" if holder.pid else ""
        advice = holder.advice or (
            f"A module goes on when its control node dies: wait until {process} has ended{look}, then run again. "
            "If it hangs, end it: the lock is free as soon as it is gone."
        )
        return HostLockError(
            f"Cannot {self._doing} for run {self._run}: the lock {self._path} of this host is held by {holder.describe()}."
            f"{waited} {advice}",
            holder=asdict(holder),
        )

    def _useless(self, problem: str) -> HostLockError:
        return HostLockError(
            f"Cannot {self._doing} for run {self._run}: the lock {self._path} of this host is of no use: {problem}. Nothing was "
            "changed. Put that right, or choose another file for all runs.",
            holder=None,
        )


class ReaderLock:
    """Keeps changes of a host's GPUs waiting for the moment in which they are read: a change is refused while anybody holds them.

    As a context manager it says whether it was given: False means that a change is under way, which is not waited for.

    :param path: as for :class:`HostLock`.
    """

    def __init__(self, path: str = DEFAULT_PATH) -> None:
        self._path = path
        self._file: Optional[int] = None

    def __enter__(self) -> bool:
        try:
            os.makedirs(os.path.dirname(self._path) or ".", mode=0o755, exist_ok=True)
            self._file = os.open(self._path, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            # Who may not use the file cannot disturb a change either: that takes root.
            return error.errno not in (errno.EWOULDBLOCK,)
        return True

    def __exit__(
        self, kind: Optional[Type[BaseException]], error: Optional[BaseException], trace: Optional[TracebackType]
    ) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


def read_holder(path: str = DEFAULT_PATH) -> Optional[Holder]:
    """Who changes the host at this moment, None if nobody does. As :func:`is_being_changed` it neither waits nor makes the file."""
    if not is_being_changed(path):
        return None
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    try:
        return _read(opened)
    finally:
        os.close(opened)


def is_being_changed(path: str = DEFAULT_PATH) -> bool:
    """Whether a change of the host is under way. Neither waits nor makes the file, which would not be the changes' user's then."""
    try:
        opened = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno == errno.EWOULDBLOCK
    finally:
        os.close(opened)
    return False


def _read(opened: int) -> Holder:
    """What the holder wrote. Between taking the lock and saying so, there is nothing to be read."""
    try:
        said = json.loads(os.pread(opened, _TEXT_BYTES, 0).decode())
        return Holder(
            str(said["run"]), str(said["doing"]), int(said["pid"]), str(said["since"]), str(said.get("advice") or "")
        )
    except (ValueError, KeyError, TypeError):
        return Holder("", "")


def _ignore_hang_up() -> Any:
    """The former answer to a hang-up; None outside the main thread, where it cannot be changed."""
    if threading.current_thread() is not threading.main_thread():
        return None
    return signal.signal(signal.SIGHUP, signal.SIG_IGN)


def _heed_hang_up(former: Any) -> None:
    if former is not None:
        signal.signal(signal.SIGHUP, former)
