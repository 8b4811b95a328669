# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading a kernel log without waiting for it. PRIVATE to the collection."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import List

# No record is longer, and each read of /dev/kmsg gives one.
_RECORD_BYTES = 16384
# The ring has 128 MiB at the very most, and as a rule 256 KiB; of a file the end is enough.
_MOST_BYTES = 16 * 1024 * 1024


def read_kernel_log(path: str) -> str:
    """What the log has now.

    :param path: /dev/kmsg, or a file with what was read from it or from dmesg.
    :raises OSError: it cannot be read.
    """
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if stat.S_ISREG(os.fstat(handle).st_mode):
            return _read_end(handle)
        return _read_device(handle)
    finally:
        os.close(handle)


def _read_end(handle: int) -> str:
    size = os.fstat(handle).st_size
    if size > _MOST_BYTES:
        os.lseek(handle, size - _MOST_BYTES, os.SEEK_SET)
    parts = iter(lambda: os.read(handle, 1 << 20), b"")
    return b"".join(parts).decode("utf-8", "replace")


def _read_device(handle: int) -> str:
    found: List[bytes] = []
    size = 0
    while size < _MOST_BYTES:
        try:
            record = os.read(handle, _RECORD_BYTES)
        except BlockingIOError:
            break  # that was all
        except OSError as error:
            # The record was overwritten before it was read; the next read goes on with the oldest that is left.
            if error.errno == errno.EPIPE:
                continue
            raise
        if not record:
            break
        found.append(record)
        size += len(record)
    return b"".join(found).decode("utf-8", "replace")


def seconds_since_boot() -> float:
    """By the clock that the kernel's log comes closest to: it does not count the time in which the machine slept either."""
    return time.clock_gettime(time.CLOCK_MONOTONIC)


def card_addresses(proc_root: str) -> List[str]:
    """PCI addresses of the GPUs that the driver has, in NVML's order, which is that of the addresses; empty if it does not say."""
    try:
        return sorted(os.listdir(os.path.join(proc_root, "driver", "nvidia", "gpus")))
    except OSError:
        return []


def explain(path: str, error: OSError) -> str:
    """Why the log could not be read, and what to do."""
    cure = {
        errno.ENOENT: "Name the node's kernel log in kubegpu_kernel_log, or set kubegpu_health_xids to false.",
        errno.EPERM: "Read it as root (become), or set kubegpu_health_xids to false.",
        errno.EACCES: "Read it as root (become), or set kubegpu_health_xids to false.",
    }.get(error.errno or 0, "Look at the node.")
    return f"Cannot read the kernel log {path}: {error.strerror or error}. {cure}"
