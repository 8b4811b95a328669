# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be said and what time it has to be before a rollout writes anything."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from simulator.cluster import SimulatedCluster

from .operator import Ended, Operator


def words(ended: Ended) -> str:
    return " ".join(ended.output.split())


def another_day() -> dict[str, object]:
    """A window that is closed today, tomorrow and was closed yesterday, so that midnight does not matter."""
    return {"days": [f"{datetime.now(timezone.utc) + timedelta(days=3):%A}"], "start": "22:00", "end": "05:00"}


def test_window_that_is_closed_keeps_the_rollout_from_writing_and_says_when_it_opens(
    reference_cluster: SimulatedCluster, operator: Operator
) -> None:
    last = reference_cluster.position()
    ended = operator.play("rollout", kubegpu_window=another_day())
    assert ended.returncode != 0
    assert "The window is closed: it is" in words(ended)
    assert f"-e kubegpu_plan_id={operator.plan()['plan_id']}" in words(ended)
    assert reference_cluster.writes(last) == []


def test_check_mode_outside_the_window_shows_the_rollout_and_says_that_it_would_wait(
    reference_cluster: SimulatedCluster, operator: Operator
) -> None:
    ended = operator.must_play("rollout", "--check", kubegpu_window=another_day(), kubegpu_approve=True)
    assert "In earnest this run would be refused now. The window is closed: it is" in words(ended)


def test_approval_without_anybody_to_give_it_is_refused_and_names_the_plan_to_hand_over(
    reference_cluster: SimulatedCluster, operator: Operator
) -> None:
    last = reference_cluster.position()
    ended = operator.play("rollout", kubegpu_approve=True)
    assert ended.returncode != 0
    plan_id = operator.plan()["plan_id"]
    assert f"Nobody approved plan {plan_id}" in words(ended)
    assert f"hand over what was approved: -e kubegpu_plan_id={plan_id}" in words(ended)
    assert reference_cluster.writes(last) == []


def test_approval_is_asked_for_at_a_terminal_and_a_yes_carries_the_plan_out(
    reference_cluster: SimulatedCluster, operator: Operator
) -> None:
    # Only what the window leaves open is asked about; this one always is.
    ended = operator.play_at_terminal(
        "rollout", "yes", kubegpu_approve=True, kubegpu_window={"timezone": "Europe/Berlin"}
    )
    assert ended.returncode == 0, ended.output
    assert "changes 2 nodes in 2 waves" in words(ended)
    last = reference_cluster.position()
    operator.must_play("rollout", kubegpu_approve=True)
    assert reference_cluster.writes(last) == []
