# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Two runs on one cluster: exactly one proceeds, and a run that has lost its lock writes nothing any more."""

from __future__ import annotations

import re
import signal
import time
from dataclasses import dataclass
from typing import Any

import pytest

from .conftest import OpenGround
from .control_node import DONE, STOPPED, Orders, agent_of, take_lock
from .enumeration import Aim, Verdict, enumerate_requests, requests_at
from .ground import Ground, well
from .nursery import Process
from .scenarios import PAIR

Object = dict[str, Any]

SHARES = 2
pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others
#: Of runs that live beside another one: they do not lose it while the machine is busy with others.
LEASE_SECONDS = 4
LIVING = {"lease_seconds": LEASE_SECONDS}
#: Of a run that another one watches for a sign of life, at most for so long: some come in that time, though it stands still for seconds.
WATCHED = {"lease_seconds": 12}
#: Of runs that are not to lose it at all, however long a process stands still.
PATIENT = {"lease_seconds": 30}
#: How long the answer to a write is withheld: until its run has been stopped, and less than a lease, and less than a run waits.
WITHHELD_SECONDS = 2.5
#: So long, what other threads are about to send is let go: the gap between asking the fence and sending cannot be closed
#: by any client, and is the reason why writes to nodes bear a resourceVersion besides.
IN_FLIGHT_SECONDS = 1.5
#: Writes to the nodes themselves begin here, on the cluster of a pair: lock, snapshot and objects come first.
MIDWAY = 12
REFUSAL = re.compile(r"held by run (\S+) \(\S+@\S+\) since \d{4}-\d\d-\d\dT")


@dataclass(frozen=True)
class Sleeper:
    """A run that was stopped (SIGSTOP) after a write, before it saw the answer.

    :param request: that write; "" if there was none.
    """

    orders: Orders
    process: Process
    request: str

    def wake(self) -> Object:
        self.process.signal(signal.SIGCONT)
        return self.process.end()


@pytest.mark.parametrize("share", range(1, SHARES + 1))
def test_run_that_wakes_up_after_its_lock_was_taken_over_writes_nothing(open_foreign: OpenGround, share: int) -> None:
    """A control node is suspended after each of its writes in turn. Another one ends the rollout, or just begins it."""

    def case(aim: Aim) -> Verdict:
        with open_foreign(PAIR) as ground:
            return wake_too_late(ground, aim, share == 1)

    found = enumerate_requests(case, share, SHARES)
    found.assert_well(least=7)


def test_run_that_wakes_up_before_anybody_took_its_lock_goes_on(open_foreign: OpenGround) -> None:
    with open_foreign(PAIR) as ground:
        sleeper = suspend(ground, MIDWAY)
        time.sleep(LEASE_SECONDS + 1)
        assert sleeper.wake()["ended"] == DONE
        assert ground.differences(ground.learn(sleeper.orders)["nodes"]) == []
        assert ground.wrongs() == []


@pytest.mark.parametrize("ahead", [-600.0, 0.0, 600.0])
def test_second_run_is_refused_while_the_first_one_lives_whatever_its_clock_says(
    open_foreign: OpenGround, ahead: float
) -> None:
    with open_foreign(PAIR) as ground:
        orders = ground.orders(options={**WATCHED, "soak_seconds": 1.5, "timeout_seconds": 120})
        # Without a watch no soak of more than a second is proven: the first run waits until it may watch.
        ground.cluster.fault("api", path="watch=1", agent=f"{agent_of(orders.run)}$", status=500, count=0)
        process = ground.nursery.begin(orders)
        ground.cluster.wait_until(ground.holder, what="the first run's lock")
        second = ground.run(skew_seconds=ahead, options={**WATCHED, "wait_seconds": 0})
        ground.cluster.clear_api_faults()
        assert second["ended"] == STOPPED
        found = REFUSAL.search(second["message"])
        assert found is not None, second["message"]
        assert found[1] == orders.run
        assert ground.writes_of(second["run"]) == []
        assert process.end()["ended"] == DONE
        assert ground.differences(ground.learn(orders)["nodes"]) == []
        assert ground.wrongs() == []


def test_second_run_that_waits_finds_its_work_done(open_foreign: OpenGround) -> None:
    with open_foreign(PAIR) as ground:
        process, orders = ground.begin(options=PATIENT)
        ground.cluster.wait_until(lambda: ground.holder() or not process.alive, what="the first run's lock, or its end")
        second = ground.run(options={**PATIENT, "wait_seconds": 60})
        assert process.end()["ended"] == DONE
        assert well(second), second
        assert not wrote_to_nodes(ground, second["run"])
        assert ground.differences(ground.learn(orders)["nodes"]) == []
        assert ground.holder() is None
        assert ground.wrongs() == []


def test_of_two_runs_that_begin_at_once_one_proceeds(open_foreign: OpenGround) -> None:
    with open_foreign(PAIR) as ground:
        begun = [ground.begin(options={**LIVING, "wait_seconds": 0}) for _run in range(2)]
        endings = {orders.run: process.end() for process, orders in begun}
        wrote = [run for run in endings if wrote_to_nodes(ground, run)]
        assert len(wrote) == 1, endings
        assert endings[wrote[0]]["ended"] == DONE
        (refused,) = (run for run in endings if run not in wrote)
        # Who was so slow that the other one had ended by then finds its work done.
        assert f"held by run {wrote[0]}" in endings[refused]["message"] or well(endings[refused])
        assert ground.differences(ground.learn(begun[0][1])["nodes"]) == []
        assert ground.wrongs() == []


@pytest.mark.parametrize("ahead", [-600.0, 600.0])
def test_dead_run_is_taken_over_whatever_its_clock_said(open_foreign: OpenGround, ahead: float) -> None:
    with open_foreign(PAIR) as ground:
        orders = ground.orders(skew_seconds=ahead)
        fault = ground.hang_after(MIDWAY, orders.run)
        process = ground.nursery.begin(orders)
        assert ground.until_taken(fault, process)
        process.kill()
        ground.cluster.clear_api_faults()
        plan = ground.learn(orders)
        assert ground.run(approved=plan["plan_id"])["ended"] == DONE
        assert ground.differences(plan["nodes"]) == []
        assert ground.wrongs() == []


def wrote_to_nodes(ground: Ground, run: str) -> bool:
    return any(item["resource"] == "nodes" and item["status"] == 200 for item in ground.writes_of(run))


def wake_too_late(ground: Ground, aim: Aim, ended: bool) -> Verdict:
    """:param ended: the other run has ended when the first one wakes up; otherwise it merely holds the lock by then."""
    sleeper = suspend(ground, aim)
    plan = ground.learn(sleeper.orders)
    if not sleeper.request:
        return Verdict(False, ground.differences(plan["nodes"]) + ground.wrongs())
    had = ground.holder() == sleeper.orders.run
    other = ground.orders(approved=plan["plan_id"], options=LIVING)
    if ended:
        ending = ground.nursery.begin(other).end()
    else:
        take_lock(other)
    # It had none yet at its first write; and who finds the rollout done takes no lock from anybody.
    lost = had and ground.holder() != sleeper.orders.run
    woken = time.time()
    sleeper.wake()
    late = [item for item in ground.writes_of(sleeper.orders.run) if item["time"] > woken] if lost else []
    problems = [f"wrote when it had lost its lock: {item['verb']} {item['path']} {item['status']}" for item in late]
    if not ended:
        again = ground.orders(run=other.run, approved=plan["plan_id"], options=LIVING)
        ending = ground.nursery.begin(again).end()
    if not well(ending):
        problems.append(f"the other run: {ending}")
    return Verdict(True, [*problems, *ground.differences(plan["nodes"]), *ground.wrongs()], sleeper.request)


def suspend(ground: Ground, aim: Aim) -> Sleeper:
    """From this write on, every answer is withheld for a while. That is when the run is stopped."""
    orders = ground.orders(options=LIVING)
    held = {"action": "latency", "latency_ms": WITHHELD_SECONDS * 1000, "late": True}
    asked = {**requests_at(aim), "agent": f"{agent_of(orders.run)}$", "count": 0}
    fault = int(ground.cluster.fault("api", **held, **asked)["id"])
    process = ground.nursery.begin(orders)
    if not ground.until_taken(fault, process):
        return Sleeper(orders, process, "")
    request = ground.struck(fault)
    time.sleep(IN_FLIGHT_SECONDS)
    process.signal(signal.SIGSTOP)
    ground.cluster.clear_api_faults()
    return Sleeper(orders, process, request)
