# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of a host that are the old or the new ones whenever somebody looks, also after a loss of power. PRIVATE to the collection.

Of each file there is one writer at a time: a new one is written beside it, under a name that follows from its own, so that what a
killed process left is found and goes. Where there may be several, each takes a name of its own.
"""

from __future__ import annotations

import contextlib
import os
from typing import IO, Iterator

#: What is added to a file's name while its successor is written.
UNFINISHED = ".new"


@contextlib.contextmanager
def new_file(path: str, mode: int) -> Iterator[IO[bytes]]:
    """A file to be written: with exactly this mode, on the disk when the block ends, and gone if anything in it fails.

    :raises OSError: it cannot be written.
    """
    # One that a killed process left, or a link that somebody has put there, is not written through.
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    # Nobody else reads it before it has its mode.
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode & 0o700)
    try:
        with os.fdopen(opened, "wb") as file:
            os.fchmod(file.fileno(), mode)
            yield file
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(path)
        raise


def replace_file(path: str, content: bytes, mode: int, unfinished: str = UNFINISHED) -> None:
    """Put a file into its place, in one step. After a loss of power it is the old or the new one.

    :param unfinished: what is added to its name meanwhile.
    :raises OSError: it cannot be written; what was there stands.
    """
    temporary = path + unfinished
    with new_file(temporary, mode) as file:
        file.write(content)
    try:
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def replace_durably(path: str, content: bytes, mode: int) -> None:
    """As :func:`replace_file`; when this returns, it is the new one also after a loss of power.

    :raises OSError: as there, or the disk does not say that it has it.
    """
    replace_file(path, content, mode)
    sync_directory(os.path.dirname(path))


def remove_durably(path: str) -> None:
    """Remove a file, if it is there; it does not come back after a loss of power.

    :raises OSError: it cannot be removed.
    """
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
    sync_directory(os.path.dirname(path))


def sync_directory(path: str) -> None:
    """Have the disk know which names are in a directory."""
    opened = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
