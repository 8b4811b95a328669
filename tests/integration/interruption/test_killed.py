# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout whose control node dies after a write, whichever it is: another run under the same plan_id ends it as planned."""

from __future__ import annotations

import pytest

from .conftest import OpenGround
from .control_node import DONE, NOTHING_TO_DO
from .enumeration import Aim, Verdict, enumerate_writes
from .ground import Ground
from .killing import kill_and_resume
from .scenarios import PAIR

pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others


def test_rollout_killed_after_any_write_is_finished_by_another_run(open_foreign: OpenGround) -> None:
    def case(aim: Aim) -> Verdict:
        with open_foreign() as ground:
            verdict = kill_and_resume(ground, aim)
            return verdict.plus(ground.wrongs())

    found = enumerate_writes(case)
    found.assert_well(least=20)
    assert found.missed == set()


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
    found = ground.run(options={"lease_seconds": 30})  # so long that it is not renewed
    assert found["ended"] == NOTHING_TO_DO
    return len(ground.writes_of(found["run"]))
