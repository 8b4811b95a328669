from __future__ import annotations

import asyncio
import time
from datetime import datetime, timedelta, timezone

from simulator.apiserver.errors import ApiError
from simulator.clock import Clock
from simulator.controllers.engine import Engine


class Recorder:
    """A worker that writes down when it was called for what."""

    name = "recorder"

    def __init__(self, engine: Engine, fails: int = 0) -> None:
        self.engine = engine
        self.seen: list[tuple[float, str]] = []
        self.fails = fails

    def reconcile(self, key: str) -> None:
        self.seen.append((round(self.engine.time, 3), key))
        if self.fails:
            self.fails -= 1
            raise ApiError(409, "Conflict", "somebody was faster")

    async def has_seen(self, count: int) -> None:
        """Return when it was called so often, or after five seconds."""
        for _unused in range(500):
            await asyncio.sleep(0.01)
            if len(self.seen) == count:
                return


def test_key_is_looked_at_once_however_often_it_was_asked_for() -> None:
    engine = Engine(Clock())
    worker = Recorder(engine)
    for key in ("a", "b", "a"):
        engine.enqueue(worker, key)
    engine.advance(0)
    assert worker.seen == [(0, "a"), (0, "b")]


def test_timers_run_in_order_at_their_own_moment() -> None:
    engine = Engine(Clock())
    worker = Recorder(engine)

    def chain() -> None:
        engine.later(0.5, engine.enqueue, worker, "chained")

    engine.later(2, engine.enqueue, worker, "late")
    engine.later(1, chain)
    engine.later(1.2, engine.enqueue, worker, "cancelled").cancel()
    engine.advance(10)
    assert worker.seen == [(1.5, "chained"), (2, "late")]
    assert engine.time == 10


def test_settling_waits_for_what_is_going_on_and_not_for_what_always_goes_on() -> None:
    engine = Engine(Clock())
    worker = Recorder(engine)
    engine.later(30, engine.enqueue, worker, "work")
    engine.later(60, engine.enqueue, worker, "heartbeat", settles=False)
    engine.settle()
    assert worker.seen == [(30, "work")]


def test_refused_write_is_tried_again_later() -> None:
    engine = Engine(Clock())
    worker = Recorder(engine, fails=2)
    engine.enqueue(worker, "a")
    engine.advance(1)
    assert [key for _unused, key in worker.seen] == ["a", "a", "a"]
    assert engine.failures == []


def test_clock_shows_virtual_time() -> None:
    clock = Clock()
    engine = Engine(clock)
    engine.set_time_of_day(datetime.now(timezone.utc) - timedelta(days=2))
    engine.advance(86400)
    assert abs(datetime.now(timezone.utc) - clock.now() - timedelta(days=1)) < timedelta(seconds=5)


def test_live_timers_keep_their_order_whatever_the_machine_does() -> None:
    """A chain of short delays ends before one long delay that is a little longer than their sum."""
    engine = Engine(Clock(speed=100))
    worker = Recorder(engine)

    def link(rest: int) -> None:
        if rest:
            engine.later(0.1, link, rest - 1)
        else:
            engine.enqueue(worker, "chain")

    async def run() -> None:
        engine.start(asyncio.get_running_loop())
        link(10)
        engine.later(1.05, engine.enqueue, worker, "long")
        await worker.has_seen(2)
        engine.stop()

    asyncio.run(run())
    assert [key for _unused, key in worker.seen] == ["chain", "long"]


def test_request_does_not_overtake_timers_that_are_late() -> None:
    engine = Engine(Clock(speed=100))
    worker = Recorder(engine)

    def chain() -> None:
        engine.later(1.0, engine.enqueue, worker, "chained")

    # Before it is live, so that their moments are known exactly.
    engine.later(1.0, chain)
    engine.later(3.0, engine.enqueue, worker, "single")

    async def run() -> None:
        engine.start(asyncio.get_running_loop())
        # The machine has no time until all of them are late, and then a request comes.
        time.sleep(0.1)
        engine.enqueue(worker, "asked for")
        await worker.has_seen(3)
        engine.stop()

    asyncio.run(run())
    assert [key for _unused, key in worker.seen] == ["chained", "single", "asked for"]
    assert [moment for moment, _unused in worker.seen[:2]] == [2, 3]
