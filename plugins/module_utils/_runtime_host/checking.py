# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a plan can be carried out on this node, as far as that can be told without writing. PRIVATE to the collection."""

from __future__ import annotations

import os
from typing import Dict, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observed_files import hindrance
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.pending import NAME
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import FileStep, Request
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.swap import Swap

# Names in directories, and the marker.
_SPARE_BYTES = 64 * 1024


def find_problems(request: Request, swap: Swap) -> List[str]:
    """All that hinders it: files that were changed since, that cannot be replaced, too little space."""
    if not request.files and not request.restart:
        return []
    found = [problem for step in request.files for problem in [_file_problem(request, swap, step)] if problem]
    marker = os.path.join(request.root.real(request.state_dir), NAME)
    hindered = hindrance(marker)
    if hindered:
        found.append(
            f"What is about to be changed cannot be noted in {request.state_dir}: {hindered}. Run with become, or choose another state_dir "
            "(kubegpu_runtime_state_dir)."
        )
    return found + _space_problems(request)


def _file_problem(request: Request, swap: Swap, step: FileStep) -> Optional[str]:
    changed = swap.compare(step)
    if changed:
        return changed
    real = request.root.real(step.path)
    if not step.make_directory and not os.path.isdir(os.path.dirname(real)):
        return f"The directory of {step.path} is not there, and the plan does not make it. Run again, which plans anew."
    hindered = hindrance(real)
    return f"{step.path} cannot be replaced: {hindered}. Put that right, then run again." if hindered else None


def _space_problems(request: Request) -> List[str]:
    """Of each file system, whether what is written to it fits beside what is there."""
    state = os.path.join(request.root.real(request.state_dir), NAME)
    needs: Dict[int, Tuple[str, int]] = {}
    real = request.root.real
    for path, size in [
        # Copies of what is replaced.
        (state, sum(_size(real(step.path)) for step in request.files)),
        *[(real(step.path), len(step.content or b"")) for step in request.files],
    ]:
        directory = os.path.dirname(path)
        while not os.path.isdir(directory):
            directory = os.path.dirname(directory)
        device = os.stat(directory).st_dev
        first, needed = needs.get(device, (directory, 0))
        needs[device] = (first, needed + size)
    return [
        problem
        for directory, needed in needs.values()
        for problem in [_space_problem(directory, needed + _SPARE_BYTES)]
        if problem
    ]


def _size(path: str) -> int:
    """Of a file; 0 of none."""
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _space_problem(directory: str, needed: int) -> Optional[str]:
    there = os.statvfs(directory)
    free = there.f_frsize * (there.f_bavail if os.geteuid() else there.f_bfree)
    if free < needed:
        return f"The file system of {directory} has {free} bytes left, and {needed} are needed. Make space, then run again."
    if there.f_files and not there.f_ffree:
        return f"The file system of {directory} has no room for another file (no inodes left). Remove some, then run again."
    return None
