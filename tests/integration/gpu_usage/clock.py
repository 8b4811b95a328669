# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A clock that needs no time, and at whose times things happen."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any, Callable

BEGIN = datetime(2026, 3, 1, 12, tzinfo=timezone.utc)


@dataclass
class StagedClock:
    """Time passes where it is waited for.

    :param events: what happens just before the sample that is taken at so many seconds.
    :param ends: when the sampling is asked to end.
    """

    events: dict[float, Callable[[], Any]] = field(default_factory=dict)
    ends: float | None = None
    time: float = 1000.0
    #: By how much the date was set.
    jump: timedelta = timedelta()
    began: float = 1000.0

    def monotonic(self) -> float:
        return self.time

    def now(self) -> datetime:
        return BEGIN + timedelta(seconds=self.time - self.began) + self.jump

    def wait(self, seconds: float) -> bool:
        self.time += max(0.0, seconds)
        elapsed = round(self.time - self.began, 6)
        for due in sorted(self.events):
            if due <= elapsed:
                self.events.pop(due)()
        return self.ends is not None and elapsed >= self.ends
