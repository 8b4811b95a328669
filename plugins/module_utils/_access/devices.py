# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""NVIDIA's device files in a directory. Read only. PRIVATE to the collection."""

from __future__ import annotations

import os
import re
import stat
from typing import List, Optional

# GPUs, the control device and unified memory: without them no program computes.
_NEEDED = re.compile(r"nvidia(?:ctl|[0-9]+|-uvm)")
_OTHERS = re.compile(r"nvidia-(?:modeset|uvm-tools)")
_CAPS = "nvidia-caps"
_CAP = re.compile(r"nvidia-cap[0-9]+")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW


def open_dev(root: str) -> Optional[int]:
    """A descriptor of ``dev`` below a root, None if there is none. Never through a link, which a container could lay anywhere."""
    try:
        return os.open(os.path.join(root, "dev"), _DIRECTORY)
    except OSError:
        return None


def list_devices(directory: int) -> List[str]:
    """NVIDIA's device files, those of MIG as ``nvidia-caps/nvidia-cap<number>``."""
    names = [name for name in _list(directory) if _NEEDED.fullmatch(name) or _OTHERS.fullmatch(name)]
    try:
        caps = os.open(_CAPS, _DIRECTORY, dir_fd=directory)
    except OSError:
        caps = None
    if caps is not None:
        try:
            names += [f"{_CAPS}/{name}" for name in _list(caps) if _CAP.fullmatch(name)]
        finally:
            os.close(caps)
    return sorted((name for name in names if number_of(name, directory)), key=_natural)


def is_needed(name: str) -> bool:
    """Whether no program computes without it."""
    return _NEEDED.fullmatch(name) is not None


def number_of(name: str, directory: int) -> Optional[str]:
    """Of a character device, such as "195:0"; None of anything else."""
    try:
        found = os.stat(name, dir_fd=directory, follow_symlinks=False)
    except OSError:
        return None
    return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}" if stat.S_ISCHR(found.st_mode) else None


def find_missing_links(dev_root: str) -> Optional[List[str]]:
    """Devices of the host that are found by their numbers neither in ``/dev/char`` nor in sysfs, which does not know NVIDIA's.

    A container runtime names devices to systemd by number, and leaves out what it does not find so.

    :returns: such as "nvidia0 (195:0)"; None if the host has none of NVIDIA's device files there, or they cannot be read.
    """
    try:
        directory = os.open(dev_root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        numbers = [(name, number_of(name, directory)) for name in list_devices(directory)]
    finally:
        os.close(directory)
    if not numbers:
        return None
    return [f"{name} ({number})" for name, number in numbers if not _is_found(dev_root, number or "")]


def _is_found(dev_root: str, number: str) -> bool:
    return any(os.path.lexists(os.path.join(place, number)) for place in (f"{dev_root}/char", "/sys/dev/char"))


def _list(directory: int) -> List[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _natural(name: str) -> List[object]:
    """nvidia2 comes before nvidia10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"([0-9]+)", name)]
