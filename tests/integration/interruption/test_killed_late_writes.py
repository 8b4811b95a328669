# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a run sends at its end may still be on its way when it is dead."""

from __future__ import annotations

import pytest

from .conftest import OpenGround
from .enumeration import Aim, Verdict, enumerate_writes
from .killing import kill_and_resume
from .scenarios import PAIR

pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others


@pytest.mark.parametrize(
    "seconds", [pytest.param(1.5, id="amid the next run"), pytest.param(3.5, id="after the next run")]
)
def test_write_of_a_dead_run_that_arrives_late_does_no_harm(open_foreign: OpenGround, seconds: float) -> None:
    """Each write in turn is still on its way when its run dies, and arrives when another run has the lock, or has ended."""

    def case(aim: Aim) -> Verdict:
        with open_foreign(PAIR) as ground:
            verdict = kill_and_resume(ground, aim, late_by=seconds)
            return verdict.plus(ground.wrongs())

    found = enumerate_writes(case)
    found.assert_well(least=15)
    assert found.missed == set()
