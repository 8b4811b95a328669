# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs that are killed after a write, and what others make of what they leave."""

from __future__ import annotations

import time
from typing import Any

from .enumeration import Aim, Verdict
from .ground import LEASE_SECONDS, Ground, well

Object = dict[str, Any]


def kill_and_resume(ground: Ground, aim: Aim, late_by: float = 0.0, **more: Any) -> Verdict:
    """Kill a run right after a write, start it again under its plan_id until it is done, and look.

    :param late_by: seconds after which the write is carried out.
    """
    orders = ground.orders(**more)
    fault = ground.hang_after(aim, orders.run, late_by)
    process = ground.nursery.begin(orders)
    reached = ground.until_taken(fault, process)
    if reached:
        process.kill()
        verdict = Verdict(True, request=ground.struck(fault))
    else:
        verdict = Verdict(False, wrote=ground.kinds_written_by(orders.run))
    ground.cluster.clear_api_faults()
    plan = ground.learn(orders)
    if not ground.differences(plan["nodes"]):
        time.sleep(LEASE_SECONDS)  # a run without anything to do does not wait for a lease to run out
    second = ground.run(approved=plan["plan_id"], **more)
    if not well(second):
        return verdict.plus([f"run again: {second}"])
    if reached and late_by:
        ground.cluster.wait_until(
            lambda: _has_arrived(ground, orders.run, verdict.request, late_by), what="the late write"
        )
    problems = ground.differences(plan["nodes"]) + left_over(ground, plan)
    third = ground.run(approved=plan["plan_id"], **more)
    written = [f"{item['verb']} {item['path']}" for item in ground.writes_of(third["run"])]
    if not well(third) or written:
        problems.append(f"a third run: {third}, wrote {written}")
    return verdict.plus(problems)


def left_over(ground: Ground, plan: Object) -> list[str]:
    """What no run may leave: the lock, and configs that no node bears. One that has nothing to do clears up after the dead."""
    holder = ground.holder()
    revisions = {node["to"]["revision"] for node in plan["nodes"].values()}
    surplus = [title for title, revision in ground.read_managed().items() if revision not in revisions]
    return [*([f"the lock is held by {holder}"] if holder else []), *(f"{title} is left" for title in surplus)]


def _has_arrived(ground: Ground, run: str, request: str, late_by: float) -> bool:
    """Known by the time that it took: others of the same kind came before it."""
    return any(
        item["status"] and f"{item['verb']} {item['path']}" == request and item["duration_ms"] > late_by * 900
        for item in ground.writes_of(run)
    )
