# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout whose control node dies after a write, whichever it is: another run under the same plan_id ends it as planned."""

from __future__ import annotations

import time
from typing import Any

import pytest

from .conftest import OpenGround
from .control_node import DONE, NOTHING_TO_DO
from .enumeration import Verdict, enumerate_requests
from .ground import LEASE_SECONDS, Ground, well
from .scenarios import MODELS, PAIR

SHARES = 2
pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others
Object = dict[str, Any]

#: What happens to pods with a GPU, by options of the steps and of the plan.
MANNERS: dict[str, tuple[Object, Object]] = {
    "pods are evicted": ({"evict": "gpu_pods"}, {}),
    "stale pods are recreated": ({"stale_pods": "recreate"}, {"stale_pods": "recreate"}),
}


@pytest.mark.parametrize("share", range(1, SHARES + 1))
def test_rollout_killed_after_any_write_is_finished_by_another_run(open_foreign: OpenGround, share: int) -> None:
    def case(number: int) -> Verdict:
        with open_foreign() as ground:
            reached, problems = kill_and_resume(ground, number)
            return Verdict(reached, problems + ground.wrongs())

    found = enumerate_requests(case, share, SHARES)
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 10


@pytest.mark.parametrize("manner", MANNERS)
def test_rollout_that_moves_pods_killed_after_any_write_is_finished_by_another_run(
    open_foreign: OpenGround, manner: str
) -> None:
    options, planning = MANNERS[manner]

    def case(number: int) -> Verdict:
        with open_foreign(PAIR) as ground:
            before = ground.read_models()
            reached, problems = kill_and_resume(ground, number, options=options, planning=planning)
            after = ground.await_models()
            problems += [f"pod {uid} is still there as it was" for uid in sorted(before & after)]
            return Verdict(reached, problems + ground.wrongs())

    found = enumerate_requests(case, 1, 1)
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 20


@pytest.mark.parametrize(
    "seconds", [pytest.param(1.5, id="amid the next run"), pytest.param(3.5, id="after the next run")]
)
def test_write_of_a_dead_run_that_arrives_late_does_no_harm(open_foreign: OpenGround, seconds: float) -> None:
    """Each write in turn is still on its way when its run dies, and arrives when another run has the lock, or has ended."""

    def case(number: int) -> Verdict:
        with open_foreign(PAIR) as ground:
            reached, problems = kill_and_resume(ground, number, late_by=seconds)
            return Verdict(reached, problems + ground.wrongs())

    found = enumerate_requests(case, 1, 1)
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 15


@pytest.mark.parametrize("share", range(1, SHARES + 1))
def test_rollback_killed_after_any_write_is_finished_by_another_run(open_foreign: OpenGround, share: int) -> None:
    """The way back to the plugins of somebody else, on nodes with more pods than slots at the end."""

    def case(number: int) -> Verdict:
        with open_foreign(PAIR) as ground:
            before = ground.read_places()
            problems = [] if well(forth := ground.run()) else [f"the rollout: {forth}"]
            ground.learn(ground.orders(run=forth["run"]))
            ground.scale_models(2 * MODELS)
            planning = {"on_overcommit": "evict"}
            reached, more = kill_and_resume(ground, number, rollback_of=forth["run"], planning=planning)
            problems += more
            problems += [f"no longer: {words}" for words in sorted(before - ground.read_places())]
            return Verdict(reached, problems + ground.wrongs())

    found = enumerate_requests(case, share, SHARES)
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 10


def test_run_without_anything_to_do_clears_up_after_a_dead_one_and_not_after_one_that_is_alive(
    open_foreign: OpenGround,
) -> None:
    with open_foreign(PAIR) as ground:
        first = ground.run()
        assert first["ended"] == DONE
        ground.learn(ground.orders(run=first["run"]))
        assert idle_run(ground) == 0
        surplus = ground.leave_surplus()
        ground.leave_lock("run-alive", seconds=600)
        assert (idle_run(ground), ground.holder()) == (0, "run-alive")
        ground.leave_lock("run-dead", seconds=1, ago=60)
        assert (idle_run(ground), ground.holder()) == (3, None)
        assert surplus not in ground.read_managed()
        # Each of the two alone is reason enough.
        ground.leave_surplus()
        assert (idle_run(ground), ground.holder()) == (3, None)
        assert surplus not in ground.read_managed()
        ground.leave_lock("run-dead", seconds=1, ago=60)
        assert (idle_run(ground), ground.holder()) == (2, None)
        assert idle_run(ground) == 0
        assert ground.wrongs() == []


def idle_run(ground: Ground) -> int:
    """How much a run has written that found nothing to do."""
    found = ground.run()
    assert found["ended"] == NOTHING_TO_DO
    return len(ground.writes_of(found["run"]))


def kill_and_resume(ground: Ground, number: int, late_by: float = 0.0, **more: Any) -> tuple[bool, list[str]]:
    """Kill a run right after a write, start it again under its plan_id until it is done, and look.

    :param late_by: seconds after which the write is carried out.
    """
    orders = ground.orders(**more)
    fault = ground.hang_after(number, orders.run, late_by)
    process = ground.nursery.begin(orders)
    reached = ground.until_taken(fault, process)
    if reached:
        process.kill()
    ground.cluster.clear_api_faults()
    sent = ground.cluster.position() if late_by else 0
    plan = ground.learn(orders)
    if not ground.differences(plan["nodes"]):
        time.sleep(LEASE_SECONDS)  # a run without anything to do does not wait for a lease to run out
    second = ground.run(approved=plan["plan_id"], **more)
    if not well(second):
        return reached, [f"run again: {second}"]
    if reached and late_by:
        ground.cluster.wait_until(lambda: _answered(ground, orders.run, sent), timeout=10, what="the late write")
    problems = ground.differences(plan["nodes"]) + left_over(ground, plan)
    third = ground.run(approved=plan["plan_id"], **more)
    written = [f"{item['verb']} {item['path']}" for item in ground.writes_of(third["run"])]
    if not well(third) or written:
        problems.append(f"a third run: {third}, wrote {written}")
    return reached, problems


def left_over(ground: Ground, plan: Object) -> list[str]:
    """What no run may leave: the lock, and configs that no node bears. One that has nothing to do clears up after the dead."""
    holder = ground.holder()
    revisions = {node["to"]["revision"] for node in plan["nodes"].values()}
    surplus = [title for title, revision in ground.read_managed().items() if revision not in revisions]
    return [*([f"the lock is held by {holder}"] if holder else []), *(f"{title} is left" for title in surplus)]


def _answered(ground: Ground, run: str, since: int) -> bool:
    return any(item["status"] for item in ground.writes_of(run, since))
