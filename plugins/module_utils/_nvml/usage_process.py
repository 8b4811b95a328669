# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The name of a process that samples: whoever finds GPUs held has to see by whom. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import PROGRAM

_COMM = "/proc/self/comm"


@contextlib.contextmanager
def named_process(name: str) -> Iterator[None]:
    """Within it, this process has that name in ps and in messages about who holds a GPU. No more than a courtesy."""
    former = None
    with contextlib.suppress(OSError), open(_COMM, "r+", encoding="utf-8") as file:
        former = file.read().strip()
        file.write(name)
    try:
        yield
    finally:
        if former is not None:
            with contextlib.suppress(OSError), open(_COMM, "w", encoding="utf-8") as file:
                file.write(former)


def is_sampled(holders: Optional[Sequence[Mapping[str, Any]]]) -> bool:
    """Whether one of those that hold GPUs samples them, and so gives way in a moment."""
    return any(holder["command"] == PROGRAM for holder in holders or ())
