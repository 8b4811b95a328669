# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble of the API at every request of a rollout: it ends as planned all the same, or stops and says what to do."""

from __future__ import annotations

import re
from typing import Any

import pytest

from .conftest import OpenGround
from .control_node import DONE, STOPPED, agent_of
from .enumeration import Verdict, enumerate_requests
from .ground import CHANGING, WRITES, Ground, well
from .scenarios import PAIR

Object = dict[str, Any]
pytestmark = pytest.mark.timeout(900)  # of each test, on a machine that is busy with others

#: What befalls a request that is not carried out.
BEFORE: dict[str, Object] = {
    "500": {"status": 500},
    "429": {"status": 429, "retry_after": 1},
    "timeout": {"action": "hang"},
    "reset": {"action": "cut"},
}
#: What befalls the answer to a write that has been carried out.
AFTER: dict[str, Object] = {
    "500": {"status": 500, "late": True},
    "timeout": {"action": "hang", "late": True},
    "reset": {"action": "cut", "late": True},
}
#: All requests, without the dozens of access reviews, which are one and the same.
EACH = "^(?!/apis/authorization)"
#: An order, in the words of the collection's messages.
ADVICE = re.compile(r"[Rr]un (it |the rollout )?again|Look at|Check|Wait|Make a new plan|Find out")


@pytest.mark.parametrize("trouble", BEFORE)
def test_request_that_fails_once_is_borne_or_stops_the_rollout_with_advice(
    open_foreign: OpenGround, trouble: str
) -> None:
    """Each trouble befalls every fourth request, and the four together all of them, reads and writes."""
    share = 1 + list(BEFORE).index(trouble)

    def case(number: int) -> Verdict:
        with open_foreign(PAIR) as ground:
            return bear(ground, {**BEFORE[trouble], "path": EACH, "nth": number})

    found = enumerate_requests(case, share, len(BEFORE))
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 15


@pytest.mark.parametrize("trouble", AFTER)
def test_write_whose_answer_is_lost_is_neither_repeated_blindly_nor_taken_for_failed(
    open_foreign: OpenGround, trouble: str
) -> None:
    share = 1 + list(AFTER).index(trouble)

    def case(number: int) -> Verdict:
        with open_foreign(PAIR) as ground:
            return bear(ground, {**AFTER[trouble], "method": WRITES, "path": CHANGING, "nth": number})

    found = enumerate_requests(case, share, len(AFTER))
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 5


def test_permissions_that_cannot_be_asked_about_stop_the_rollout_before_its_first_write(
    open_foreign: OpenGround,
) -> None:
    with open_foreign(PAIR) as ground:
        ground.cluster.fault("api", path="^/apis/authorization", count=0, status=500)
        ending = ground.run()
        assert ending["ended"] == STOPPED
        assert judge(ending) == []
        assert ground.writes_of(ending["run"]) == []


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
    def case(number: int) -> Verdict:
        with open_foreign(PAIR) as ground:
            return bear(ground, {"status": 409, "method": WRITES, "path": CHANGING, "nth": number, "count": 0})

    found = enumerate_requests(case, 1, 1)
    assert found.problems == {}, found.describe()
    assert len(found.reached) >= 15


def bear(ground: Ground, fault: Object) -> Verdict:
    """A run with a fault; if it stops, another one without."""
    orders = ground.orders()
    number = int(ground.cluster.fault("api", agent=f"{agent_of(orders.run)}$", **fault)["id"])
    ending = ground.nursery.begin(orders).end()
    reached = ground.taken(number)
    ground.cluster.clear_api_faults()
    problems = judge(ending)
    if ending["ended"] == STOPPED:
        orders = ground.orders(approved=ending["plan_id"])
        ending = ground.nursery.begin(orders).end()
        if not well(ending):
            return Verdict(reached, [*problems, f"run again: {ending}"])
    plan = ground.learn(orders)
    return Verdict(reached, [*problems, *ground.differences(plan["nodes"]), *ground.wrongs()])


def judge(ending: Object) -> list[str]:
    """What is wrong with the way in which a run ended."""
    if well(ending):
        return []
    if ending["ended"] != STOPPED:
        return [ending["message"]]
    return [] if ADVICE.search(ending["message"]) else [f"stopped without advice: {ending['message']}"]


def _conflict(run: str) -> Object:
    return {"status": 409, "method": WRITES, "path": CHANGING, "agent": f"{agent_of(run)}$"}
