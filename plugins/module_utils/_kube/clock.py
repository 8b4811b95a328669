# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time, so that tests can bring their own. PRIVATE to the collection."""

from __future__ import annotations

import time
from datetime import datetime, timezone
from typing import Protocol

#: Linux' ordinary monotonic clock stands still while the machine is suspended; this one does not.
_BOOT_TIME: int | None = getattr(time, "CLOCK_BOOTTIME", None)


class Clock(Protocol):
    """What waits and leases need of time."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC. For time stamps that others read."""

    def monotonic(self) -> float:
        """Seconds that only grow. For deadlines."""

    def sleep(self, seconds: float) -> None:
        """Let so many seconds go by."""


class SystemClock:
    """The machine's own clock."""

    def now(self) -> datetime:
        """The time of day, aware, in UTC."""
        return datetime.now(timezone.utc)

    def monotonic(self) -> float:
        """Seconds that only grow, those in which the machine sleeps included: a lease runs out all the same meanwhile."""
        return time.monotonic() if _BOOT_TIME is None else time.clock_gettime(_BOOT_TIME)

    def sleep(self, seconds: float) -> None:
        """Sleep; a negative number counts as 0."""
        time.sleep(max(0.0, seconds))
