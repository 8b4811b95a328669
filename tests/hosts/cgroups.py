# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cgroups of a test host: systemd-nspawn and container runtimes in it make them below its own, and leave them behind."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

_SECONDS = 60
_POLL_SECONDS = 0.05


def enter(name: str) -> None:
    """Put this process into cgroups of its own, in all hierarchies."""
    for directory in _own_directories():
        with contextlib.suppress(OSError):
            group = directory / name
            group.mkdir(exist_ok=True)
            _allow_cpus(directory, group)
            (group / "cgroup.procs").write_text("0", encoding="utf-8")


def remove(name: str) -> None:
    """Remove the cgroups of that name with all below them. What still runs in them is killed: it belongs to no host any more."""
    deadline = time.monotonic() + _SECONDS
    while not _remove(name) and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _remove(name: str) -> bool:
    there = [
        path for directory in _own_directories() for path, _below, _files in os.walk(directory / name, topdown=False)
    ]
    for path in there:
        with contextlib.suppress(OSError):
            for pid in Path(path, "cgroup.procs").read_text(encoding="utf-8").split():
                os.kill(int(pid), signal.SIGKILL)
        with contextlib.suppress(OSError):
            os.rmdir(path)
    return not any(os.path.exists(path) for path in there)


def _allow_cpus(parent: Path, group: Path) -> None:
    """A new group of version 1 may use no processor and no memory until it is told."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if (group / name).exists():
            (group / name).write_text((parent / name).read_text(encoding="utf-8"), encoding="utf-8")


def _own_directories() -> Iterator[Path]:
    """Where this process is: in each hierarchy of version 1, systemd's named one among them, and in version 2."""
    mounts = list(_mounts())
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _number, controllers, path = line.split(":", 2)
        for mounted, options in mounts:
            if set(filter(None, controllers.split(","))) <= options and bool(controllers) == bool(options):
                yield mounted / path.lstrip("/")
                break


def _mounts() -> Iterator[tuple[Path, set[str]]]:
    """Where hierarchies are mounted, and with which options, the controllers among them; none for version 2."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _source, where, kind, options, *_rest = line.split()
        if kind in ("cgroup", "cgroup2"):
            yield Path(where), set(options.split(",")) if kind == "cgroup" else set()
