# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The time of a sampling, and the wish to end it early. PRIVATE to the collection."""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from datetime import datetime, timezone
from types import FrameType
from typing import Any, Dict, Optional, Protocol

_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class UsageClock(Protocol):
    """What a sampling knows of time."""

    def monotonic(self) -> float:
        """Seconds of a clock that nobody sets."""

    def now(self) -> datetime:
        """Date and time, which somebody may set meanwhile; UTC."""

    def wait(self, seconds: float) -> bool:
        """Wait so long, not at all if it is 0 or less. True as soon as the sampling shall end."""


class SystemClock:
    """The machine's; a context manager within which SIGTERM, SIGINT and SIGHUP end the waiting and nothing else."""

    def __init__(self) -> None:
        self._reader = self._writer = -1
        self._former: Dict[int, Any] = {}

    def __enter__(self) -> SystemClock:
        # A pipe, for a signal may come at any moment, also between the look at a flag and the sleep.
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        if threading.current_thread() is threading.main_thread():
            self._former = {number: signal.signal(number, self._stop) for number in _SIGNALS}
        return self

    def __exit__(self, *_exception: Any) -> None:
        for number, former in self._former.items():
            signal.signal(number, former)
        os.close(self._reader)
        os.close(self._writer)

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def wait(self, seconds: float) -> bool:
        return bool(select.select([self._reader], [], [], max(0.0, seconds))[0])

    def _stop(self, _signal: int, _frame: Optional[FrameType]) -> None:
        try:
            os.write(self._writer, b".")
        except BlockingIOError:
            # full of earlier ones
            return
