# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clocks of tests."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta, timezone

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import SystemClock


class FakeClock:
    """Time that passes only by sleeping."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


class HastyClock(SystemClock):
    """Real time, in which sleeping is short and counts in full. For several threads."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._skipped = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self._skipped)

    def monotonic(self) -> float:
        return super().monotonic() + self._skipped

    def sleep(self, seconds: float) -> None:
        short = min(seconds, 0.01)
        super().sleep(short)
        with self._guard:
            self._skipped += max(0.0, seconds - short)
