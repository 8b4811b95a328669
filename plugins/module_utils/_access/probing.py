# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Asks the kernel whether processes of a cgroup may open devices, by a child that joins it for a moment. PRIVATE to the collection.

The child asks with access(2), which the kernel answers by the very check that an open(2) begins with, and which never reaches the
driver: no GPU is woken, nothing is held open, nothing can hang there. It is root, so that modes of files and users of containers do not
matter, and is gone in milliseconds. When it ends it is in no cgroup any more.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import time
from typing import Dict, Iterator, List, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._access.cgroups import CgroupError, Group

_NUMBER = struct.Struct("i")
_POLL_SECONDS = 0.005
_END_SECONDS = 2.0


def ask(groups: Sequence[Group], directory: int, names: Sequence[str], seconds: float) -> Dict[str, int]:
    """The error that opening each file for reading and writing would give in those cgroups, 0 for none.

    :param directory: descriptor of the directory in which the names are.
    :param seconds: to wait at most.
    :raises CgroupError: a cgroup could not be joined, nobody could be started who joins it, or no answer came.
    """
    with _opened(groups) as doors:
        reading, writing = os.pipe()
        try:
            child = os.fork()
        except OSError as error:
            os.close(reading)
            os.close(writing)
            raise CgroupError(f"the node could not start a process that asks ({error.strerror})") from error
        if child == 0:
            _answer(doors, directory, names, writing)
        os.close(writing)
        try:
            answer = _receive(reading, time.monotonic() + seconds)
        finally:
            os.close(reading)
            _end(child)
    numbers = [number for (number,) in _NUMBER.iter_unpack(answer[: len(answer) - len(answer) % _NUMBER.size])]
    if numbers and numbers[0]:
        raise CgroupError(f"its cgroup cannot be joined ({os.strerror(numbers[0])})")
    if len(numbers) != len(names) + 1:
        raise CgroupError(
            f"no answer came from within its cgroup within {seconds:g} s: the container has ended, or stands still"
        )
    return dict(zip(names, numbers[1:]))


@contextlib.contextmanager
def _opened(groups: Sequence[Group]) -> Iterator[List[int]]:
    """Where a process joins each. Opened before there is a child, which then has next to nothing to do."""
    doors: List[int] = []
    try:
        for group in groups:
            path = os.path.join(group.directory, "cgroup.procs")
            try:
                doors.append(os.open(path, os.O_WRONLY | os.O_CLOEXEC))
            except OSError as error:
                hint = ". Run with become" if os.geteuid() else ""
                raise CgroupError(f"{path} may not be written to ({error.strerror}){hint}") from error
        yield doors
    finally:
        for door in doors:
            os.close(door)


def _answer(doors: Sequence[int], directory: int, names: Sequence[str], writing: int) -> None:
    """The child. It never comes back from here: what follows in the caller is its parent's."""
    try:
        # Should memory run out while it is there, it is the one to go.
        with contextlib.suppress(OSError):
            _write_all("/proc/self/oom_score_adj", b"1000")
        try:
            for door in doors:
                os.write(door, b"0")
        except OSError as error:
            os.write(writing, _NUMBER.pack(error.errno or 1))
            return
        os.write(writing, _NUMBER.pack(0) + b"".join(_NUMBER.pack(_may_open(directory, name)) for name in names))
    finally:
        os._exit(0)


def _may_open(directory: int, name: str) -> int:
    if os.access(name, os.R_OK | os.W_OK, dir_fd=directory):
        return 0
    # It does not tell why; open() is refused before it reaches the driver, for the same reason.
    try:
        os.close(os.open(name, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW, dir_fd=directory))
    except OSError as error:
        return error.errno or 1
    return 0


def _write_all(path: str, text: bytes) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(opened, text)
    finally:
        os.close(opened)


def _receive(reading: int, deadline: float) -> bytes:
    answer = b""
    while True:
        ready, _writable, _failed = select.select([reading], [], [], max(0.0, deadline - time.monotonic()))
        part = os.read(reading, 65536) if ready else b""
        if not part:
            return answer
        answer += part


def _end(child: int) -> None:
    """See it gone. One that stands still in a frozen cgroup can be killed there."""
    deadline = time.monotonic() + _END_SECONDS
    with contextlib.suppress(ChildProcessError):
        if os.waitpid(child, os.WNOHANG)[0]:
            return
        os.kill(child, signal.SIGKILL)
        while not os.waitpid(child, os.WNOHANG)[0] and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
