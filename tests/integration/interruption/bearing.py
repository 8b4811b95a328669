# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs upon which trouble of the API comes, and what they make of it."""

from __future__ import annotations

import re
from typing import Any

from .conftest import OpenGround
from .control_node import STOPPED, agent_of
from .enumeration import Verdict
from .ground import Ground, well
from .scenarios import PAIR

Object = dict[str, Any]
#: An order, in the words of the collection's messages.
ADVICE = re.compile(r"[Rr]un (it |the rollout )?again|Look at|Check|Wait|Make a new plan|Find out")


def bear_one(open_foreign: OpenGround, fault: Object) -> Verdict:
    with open_foreign(PAIR) as ground:
        return bear(ground, fault)


def bear(ground: Ground, fault: Object) -> Verdict:
    """A run with a fault; if it stops, another one without."""
    orders = ground.orders()
    number = int(ground.cluster.fault("api", agent=f"{agent_of(orders.run)}$", **fault)["id"])
    ending = ground.nursery.begin(orders).end()
    if ground.taken(number):
        verdict = Verdict(True, request=ground.struck(number))
    else:
        verdict = Verdict(False, wrote=ground.kinds_written_by(orders.run))
    ground.cluster.clear_api_faults()
    verdict = verdict.plus(judge(ending))
    if ending["ended"] == STOPPED:
        orders = ground.orders(approved=ending["plan_id"])
        ending = ground.nursery.begin(orders).end()
        if not well(ending):
            return verdict.plus([f"run again: {ending}"])
    plan = ground.learn(orders)
    return verdict.plus([*ground.differences(plan["nodes"]), *ground.wrongs()])


def judge(ending: Object) -> list[str]:
    """What is wrong with the way in which a run ended."""
    if well(ending):
        return []
    if ending["ended"] != STOPPED:
        return [ending["message"]]
    return [] if ADVICE.search(ending["message"]) else [f"stopped without advice: {ending['message']}"]
