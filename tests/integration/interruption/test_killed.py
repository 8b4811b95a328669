# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout whose control node dies after a write, whichever it is: another run under the same plan_id ends it as planned."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import OpenGround
from .control_node import NOTHING_TO_DO
from .enumeration import Verdict, enumerate_requests
from .ground import Ground, well

SHARES = 2
Object = dict[str, Any]


@pytest.mark.parametrize("share", range(1, SHARES + 1))
def test_rollout_killed_after_any_write_is_finished_by_another_run(open_foreign: OpenGround, share: int) -> None:
    def case(number: int) -> Verdict:
        with open_foreign() as ground:
            reached, problems = kill_and_resume(ground, number)
            return Verdict(reached, problems + ground.wrongs())

    found = enumerate_requests(case, share, SHARES)
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 10


def kill_and_resume(ground: Ground, number: int) -> tuple[bool, list[str]]:
    """Kill a run right after a write, start it again under its plan_id until it is done, and look."""
    orders = ground.orders()
    fault = ground.hang_after(number, orders.run)
    process = ground.nursery.begin(orders)
    reached = ground.until_taken(fault, process)
    if reached:
        process.kill()
    ground.cluster.clear_api_faults()
    plan = ground.learn(orders)
    second = ground.run(approved=plan["plan_id"])
    if not well(second):
        return reached, [f"run again: {second}"]
    problems = ground.differences(plan["nodes"]) + lock_problems(ground, second)
    third = ground.run(approved=plan["plan_id"])
    written = [f"{item['verb']} {item['path']}" for item in ground.writes_of(third["run"])]
    if not well(third) or written:
        problems.append(f"a third run: {third}, wrote {written}")
    return reached, problems


def lock_problems(ground: Ground, second: Object) -> list[str]:
    """A run gives the lock back that it took. One that has nothing to do takes none, and leaves that of the dead as it is."""
    holder = ground.holder()
    if holder is None or second["ended"] == NOTHING_TO_DO:
        return []
    return [f"the lock is held by {holder}"]
