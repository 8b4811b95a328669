# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What somebody does at a certain moment of a step: once something has come about, and not after some time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

SECONDS = 60.0


@contextmanager
def meanwhile(act: Callable[[], Any]) -> Iterator[None]:
    """Do something in another thread, which awaits its moment itself. It has ended when the context is left, and what it raises is raised there."""
    with ThreadPoolExecutor(1) as pool:
        acting = pool.submit(act)
        yield
        acting.result(SECONDS)
