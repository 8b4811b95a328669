# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers that are lost and conflicts at every write: a run that goes on, or stops with advice, and never guesses."""

from __future__ import annotations

from typing import Any

import pytest

from .bearing import bear_one
from .conftest import OpenGround
from .control_node import DONE, agent_of
from .enumeration import CHANGING, WRITES, Aim, Verdict, enumerate_requests, enumerate_writes, requests_at
from .scenarios import PAIR

Object = dict[str, Any]
pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others

#: What befalls the answer to a write that has been carried out.
AFTER: dict[str, Object] = {
    "500": {"status": 500, "late": True},
    "timeout": {"action": "hang", "late": True},
    "reset": {"action": "cut", "late": True},
}


@pytest.mark.parametrize("trouble", AFTER)
def test_write_whose_answer_is_lost_is_neither_repeated_blindly_nor_taken_for_failed(
    open_foreign: OpenGround, trouble: str
) -> None:
    share = 1 + list(AFTER).index(trouble)

    def case(aim: Aim) -> Verdict:
        return bear_one(open_foreign, {**AFTER[trouble], **requests_at(aim)})

    found = enumerate_requests(case, share, len(AFTER))
    found.assert_well(least=5)


def test_conflict_at_every_write_is_decided_anew(open_foreign: OpenGround) -> None:
    """Each write is refused once: the first, and from then on every other one, which is the next write's first try."""
    with open_foreign(PAIR) as ground:
        orders = ground.orders()
        for nth in range(1, 200, 2):
            ground.cluster.fault("api", **_conflict(orders.run), nth=nth)
        ending = ground.nursery.begin(orders).end()
        refused = [item for item in ground.writes_of(orders.run) if item["status"] == 409]
        ground.cluster.clear_api_faults()
        assert ending["ended"] == DONE, ending
        assert len(refused) >= 15
        assert ground.differences(ground.learn(orders)["nodes"]) == []
        assert ground.wrongs() == []


def test_conflict_that_never_ends_stops_the_rollout_with_advice_at_any_write(open_foreign: OpenGround) -> None:
    found = enumerate_writes(lambda aim: bear_one(open_foreign, {"status": 409, "count": 0, **requests_at(aim)}))
    found.assert_well(least=15)
    assert found.missed == set()


def _conflict(run: str) -> Object:
    return {"status": 409, "method": WRITES, "path": CHANGING, "agent": f"{agent_of(run)}$"}
