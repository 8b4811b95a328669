"""Runs controllers: work queues and timers in simulated seconds, in virtual time or sped-up wall-clock time.

Everything in the control plane is a synchronous reaction to a change or a timer, so one ordered queue and one heap of
timers are the whole machinery. In virtual time (replayed history, tests) waiting costs nothing: the next timer's moment
is simply the next moment. Live, the same timers fire on the asyncio loop. A timer's callback runs *at its due time* in
either mode, so that chains of delays never add up the machine's own jitter, and the order of events is the same
on a fast and on a slow machine.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
import time
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from typing import Any, Protocol

from simulator.apiserver.errors import ApiError
from simulator.clock import Clock

log = logging.getLogger("simulator.engine")

MAX_RETRIES = 12
FIRST_RETRY_SECONDS = 0.02
#: Wall-clock seconds that live work may take before HTTP requests get their turn.
TURN_SECONDS = 0.02
STEPS_BETWEEN_CLOCK_READS = 20


class Worker(Protocol):
    """A controller: brings what ``key`` names to its desired state. Called again whenever something changed."""

    name: str

    def reconcile(self, key: str) -> None: ...


class Timer:
    """A pending callback. ``settles``: a cluster that is coming to rest waits for it."""

    __slots__ = ("due", "callback", "settles", "cancelled")

    def __init__(self, due: float, callback: Callable[[], None], settles: bool) -> None:
        self.due = due
        self.callback = callback
        self.settles = settles
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Engine:
    """One queue, one heap of timers, one notion of simulated time (seconds since the start of the simulation)."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.failures: list[str] = []
        self._time = 0.0
        self._epoch = datetime.now(timezone.utc)
        self._ready: deque[tuple[Worker, str]] = deque()
        self._queued: set[tuple[str, str]] = set()
        self._retries: dict[tuple[str, str], int] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._sequence = 0
        self._processing = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._started_at = 0.0
        self._base = 0.0
        self._handle: asyncio.Handle | None = None

    @property
    def live(self) -> bool:
        return self._loop is not None

    @property
    def time(self) -> float:
        """Simulated seconds; while a timer's callback runs, exactly the moment for which it was set."""
        if self._loop is None or self._processing:
            return self._time
        return max(self._time, self._wall_time())

    def enqueue(self, worker: Worker, key: str) -> None:
        """Have ``worker`` look at ``key`` soon; asking twice before it did is asking once."""
        if self.live and not self._processing:
            # Asked by a request. What was due before it and is late goes first.
            self.later(0.0, self._queue, worker, key)
            return
        self._queue(worker, key)

    def _queue(self, worker: Worker, key: str) -> None:
        mark = (worker.name, key)
        if mark not in self._queued:
            self._queued.add(mark)
            self._ready.append((worker, key))

    def later(self, seconds: float, callback: Callable[..., None], *args: Any, settles: bool = True) -> Timer:
        """Call back after ``seconds`` simulated seconds."""
        timer = Timer(self.time + max(0.0, seconds), (lambda: callback(*args)) if args else callback, settles)
        self._sequence += 1
        heapq.heappush(self._timers, (timer.due, self._sequence, timer))
        self._wake()
        return timer

    # Virtual time.

    def set_time_of_day(self, moment: datetime) -> None:
        """Virtual time: what the clock shows now, later moments following from it."""
        self._epoch = moment - timedelta(seconds=self._time)
        self._show_time()

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` simulated seconds pass, with everything that happens in them."""
        end = self._time + seconds
        self._drain()
        while self._timers and self._timers[0][0] <= end:
            self._run_due(self._timers[0][0])
        self._time = end
        self._show_time()

    def settle(self, limit: float = 3600.0) -> None:
        """Let time pass until nothing is going on any more, at most ``limit`` simulated seconds."""
        end = self._time + limit
        self._drain()
        while any(timer.settles and not timer.cancelled for _unused, _unused, timer in self._timers):
            due = self._timers[0][0]
            if due > end:
                break
            self._run_due(due)

    def run_until(self, condition: Callable[[], bool], limit: float = 600.0) -> bool:
        """Let time pass until ``condition`` holds; False if it does not within ``limit`` simulated seconds."""
        end = self._time + limit
        self._drain()
        while not condition():
            if not self._timers or self._timers[0][0] > end:
                self._time = end
                self._show_time()
                return condition()
            self._run_due(self._timers[0][0])
        return True

    # Live.

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on simulated time passes ``clock.speed`` times as fast as the wall clock."""
        self._loop = loop
        self._base = self._time
        self._started_at = loop.time()
        self.clock.set_offset(timedelta(0))
        self._wake()

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        self._loop = None

    @property
    def settled(self) -> bool:
        """Nothing is queued and no timer is pending that a cluster at rest would not have."""
        return not self._ready and not any(t.settles and not t.cancelled for _unused, _unused, t in self._timers)

    def _wall_time(self) -> float:
        assert self._loop is not None
        return self._base + (self._loop.time() - self._started_at) * self.clock.speed

    def _wake(self) -> None:
        if self._loop is None or self._processing:
            return
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        wait = (self._timers[0][0] - self._wall_time()) / self.clock.speed if self._timers else None
        if self._ready or (wait is not None and wait <= 0):
            # Not call_later(0): requests without end could put that off again and again.
            self._handle = self._loop.call_soon(self._turn)
        elif wait is not None:
            self._handle = self._loop.call_later(wait, self._turn)

    def _turn(self) -> None:
        """One bounded share of the event loop's time."""
        self._handle = None
        now = self._wall_time()
        stop_at = time.monotonic() + TURN_SECONDS
        self._processing = True
        try:
            # What a turn before this one left, at the moment for which that was.
            self._drain(stop_at)
            while not self._ready and self._timers and self._timers[0][0] <= now and time.monotonic() < stop_at:
                self._run_due(self._timers[0][0], stop_at)
        finally:
            self._processing = False
            self._wake()

    # Both.

    def _run_due(self, due: float, stop_at: float | None = None) -> None:
        """All timers of one moment, then what they set going: so that many changes at once are looked at once."""
        self._time = max(self._time, due)
        self._show_time()
        while self._timers and self._timers[0][0] <= due:
            timer = heapq.heappop(self._timers)[2]
            if not timer.cancelled:
                timer.cancelled = True
                self._call(timer)
        self._drain(stop_at)

    def _call(self, timer: Timer) -> None:
        try:
            timer.callback()
        except Exception:
            log.exception("a timer failed")
            self.failures.append(f"timer {timer.callback}")

    def _drain(self, stop_at: float | None = None) -> None:
        steps = 0
        while self._ready:
            worker, key = self._ready.popleft()
            self._queued.discard((worker.name, key))
            self._reconcile(worker, key)
            steps += 1
            if stop_at is not None and steps % STEPS_BETWEEN_CLOCK_READS == 0 and time.monotonic() > stop_at:
                return

    def _reconcile(self, worker: Worker, key: str) -> None:
        mark = (worker.name, key)
        try:
            worker.reconcile(key)
            self._retries.pop(mark, None)
        except Exception as error:
            attempt = self._retries[mark] = self._retries.get(mark, 0) + 1
            if not isinstance(error, ApiError):
                log.exception("%s failed at %s", worker.name, key)
                self.failures.append(f"{worker.name} {key}: {error!r}")
            if attempt > MAX_RETRIES:
                log.error("%s gives up on %s: %s", worker.name, key, error)
                self._retries.pop(mark, None)
                return
            self.later(FIRST_RETRY_SECONDS * 2**attempt, self.enqueue, worker, key)

    def _show_time(self) -> None:
        if self._loop is None:
            moment = self._epoch + timedelta(seconds=self._time)
            self.clock.set_offset(moment - datetime.now(timezone.utc))
