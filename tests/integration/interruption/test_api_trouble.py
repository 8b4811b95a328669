# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Trouble of the API at every request of a rollout: it ends as planned all the same, or stops and says what to do."""

from __future__ import annotations

from typing import Any

import pytest

from .bearing import bear_one, judge
from .conftest import OpenGround
from .control_node import STOPPED
from .enumeration import Aim, Verdict, enumerate_requests
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
#: All requests, without the dozens of access reviews, which are one and the same.
EACH = "^(?!/apis/authorization)"


@pytest.mark.parametrize("trouble", BEFORE)
def test_request_that_fails_once_is_borne_or_stops_the_rollout_with_advice(
    open_foreign: OpenGround, trouble: str
) -> None:
    """Each trouble befalls every fourth request, and the four together all of them, reads and writes."""
    share = 1 + list(BEFORE).index(trouble)

    def case(aim: Aim) -> Verdict:
        return bear_one(open_foreign, {**BEFORE[trouble], "path": EACH, "nth": aim})

    found = enumerate_requests(case, share, len(BEFORE))
    found.assert_well(least=15)


def test_permissions_that_cannot_be_asked_about_stop_the_rollout_before_its_first_write(
    open_foreign: OpenGround,
) -> None:
    with open_foreign(PAIR) as ground:
        ground.cluster.fault("api", path="^/apis/authorization", count=0, status=500)
        ending = ground.run()
        assert ending["ended"] == STOPPED
        assert judge(ending) == []
        assert ground.writes_of(ending["run"]) == []
