# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A run that moves pods with GPUs is killed after any of its writes, and another one ends the rollout."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import OpenGround
from .enumeration import Aim, Verdict, enumerate_writes
from .killing import kill_and_resume
from .scenarios import PAIR

pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others
Object = dict[str, Any]

#: What happens to pods with a GPU, by options of the steps and of the plan.
MANNERS: dict[str, tuple[Object, Object]] = {
    "pods are evicted": ({"evict": "gpu_pods"}, {}),
    "stale pods are recreated": ({"stale_pods": "recreate"}, {"stale_pods": "recreate"}),
}


@pytest.mark.parametrize("manner", MANNERS)
def test_rollout_that_moves_pods_killed_after_any_write_is_finished_by_another_run(
    open_foreign: OpenGround, manner: str
) -> None:
    options, planning = MANNERS[manner]

    def case(aim: Aim) -> Verdict:
        with open_foreign(PAIR) as ground:
            before = ground.read_models()
            verdict = kill_and_resume(ground, aim, options=options, planning=planning)
            after = ground.await_models()
            problems = [f"pod {uid} is still there as it was" for uid in sorted(before & after)]
            return verdict.plus(problems + ground.wrongs())

    found = enumerate_writes(case)
    found.assert_well(least=20)
    assert found.missed == set()
