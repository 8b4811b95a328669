# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollback is killed after any of its writes, and another run ends it."""

from __future__ import annotations

import pytest

from .conftest import OpenGround
from .enumeration import Aim, Verdict, enumerate_writes
from .ground import well
from .killing import kill_and_resume
from .scenarios import MODELS, PAIR

pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others


def test_rollback_killed_after_any_write_is_finished_by_another_run(open_foreign: OpenGround) -> None:
    """The way back to the plugins of somebody else, on nodes with more pods than slots at the end."""

    def case(aim: Aim) -> Verdict:
        with open_foreign(PAIR) as ground:
            before = ground.read_places()
            problems = [] if well(forth := ground.run()) else [f"the rollout: {forth}"]
            ground.learn(ground.orders(run=forth["run"]))
            ground.scale_models(2 * MODELS)
            planning = {"on_overcommit": "evict"}
            verdict = kill_and_resume(ground, aim, rollback_of=forth["run"], planning=planning)
            problems += [f"no longer: {words}" for words in sorted(before - ground.read_places())]
            return verdict.plus(problems + ground.wrongs())

    found = enumerate_writes(case)
    found.assert_well(least=20)
    assert found.missed == set()
