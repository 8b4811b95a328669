"""The simulation's clock: time stamps are wall-clock times, waiting can be sped up."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta, timezone


class Clock:
    """Wall-clock time with an offset for replayed history, and sleeps in simulated seconds.

    Time stamps are not sped up because clients compare them with their own clocks; only delays are.
    """

    def __init__(self, speed: float = 1.0) -> None:
        if speed <= 0:
            raise ValueError(f"speed must be positive, not {speed}")
        self.speed = speed
        self._offset = timedelta(0)

    def now(self) -> datetime:
        """Aware UTC time; in the past while a scenario's history is replayed."""
        return datetime.now(timezone.utc) + self._offset

    def set_offset(self, offset: timedelta) -> None:
        self._offset = offset

    async def sleep(self, simulated_seconds: float) -> None:
        await asyncio.sleep(max(0.0, simulated_seconds) / self.speed)


def rfc3339(moment: datetime) -> str:
    """metav1.Time: RFC 3339 in UTC with whole seconds."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def rfc3339_micro(moment: datetime) -> str:
    """metav1.MicroTime: RFC 3339 in UTC with exactly six fraction digits."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
