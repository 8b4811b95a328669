# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of each node that was to be restored."""

from __future__ import annotations

from typing import Any

import pytest
from ansible.errors import AnsibleFilterError

from ansible_collections.kubegpu.sharing.plugins.filter.restore_outcome import restore_outcome

RESTORED = "(it was restored to what it was before the rollout)"
LEFT = "it was not restored and stays out of service"


def plan(*nodes: str, **skipped: str) -> dict[str, Any]:
    listed = [{"node": name.replace("_", "-"), "reason": reason} for name, reason in skipped.items()]
    return {"waves": [[node] for node in nodes], "plan": {"skipped": listed}}


def step(**nodes: dict[str, Any]) -> dict[str, Any]:
    return {"nodes": {name.replace("_", "-"): result for name, result in nodes.items()}}


SERVED = step(gpu_1={"failed": False}, gpu_2={"failed": False})
BACK = {"failed": False, "in_service": True, "held": False}


def test_nodes_that_are_back_in_service_are_restored() -> None:
    found = restore_outcome(["gpu-1", "gpu-2"], plan("gpu-1", "gpu-2"), [SERVED, step(gpu_1=BACK, gpu_2=BACK)])
    assert found == {"restored": ["gpu-1", "gpu-2"], "words": {"gpu-1": RESTORED, "gpu-2": RESTORED}}


def test_node_that_was_in_service_is_said_to_stay_there() -> None:
    left = plan(gpu_1="pods hold 12 nvidia.com/gpu")
    found = restore_outcome(["gpu-1"], left, [], in_service=["gpu-1"])
    assert found["words"]["gpu-1"] == (
        "(it was not restored and stays in service as it is now: pods hold 12 nvidia.com/gpu)"
    )
    assert found["restored"] == []


@pytest.mark.parametrize(
    ("given", "steps", "words"),
    [
        pytest.param(
            plan("gpu-1", gpu_2="on hold: a new fan"),
            [SERVED, step(gpu_1=BACK)],
            f"({LEFT}: on hold: a new fan)",
            id="the plan leaves it alone",
        ),
        pytest.param(
            plan("gpu-1"),
            [SERVED, step(gpu_1=BACK)],
            f"({LEFT}: the plan found nothing of it to go back)",
            id="silence",
        ),
        pytest.param(
            plan("gpu-1", "gpu-2"),
            [step(gpu_1={}, gpu_2={"failed": True, "reason": "no plugin pod came"}), step(gpu_1=BACK)],
            "(it could not be restored: no plugin pod came)",
            id="a step failed",
        ),
        pytest.param(
            plan("gpu-1", "gpu-2"),
            [SERVED, step(gpu_1=BACK, gpu_2={"in_service": False, "held": True, "reason": "held by Kim"})],
            "(it serves what it did before the rollout, but stays out of service: held by Kim)",
            id="proven and held",
        ),
    ],
)
def test_a_node_that_is_not_restored_is_told_and_the_other_is_restored(
    given: dict[str, Any], steps: list[dict[str, Any]], words: str
) -> None:
    found = restore_outcome(["gpu-1", "gpu-2"], given, steps)
    assert found == {"restored": ["gpu-1"], "words": {"gpu-1": RESTORED, "gpu-2": words}}


def test_a_node_that_was_cordoned_before_is_restored_to_that() -> None:
    found = restore_outcome(["gpu-1"], plan("gpu-1"), [step(gpu_1={"in_service": False, "held": False})])
    assert found == {"restored": ["gpu-1"], "words": {"gpu-1": f"{RESTORED[:-1]}; it was cordoned then)"}}


def test_a_plan_that_was_refused_is_told_node_by_node() -> None:
    """As far as it tells of nodes, and else with its own words, on one line."""
    refused = {"msg": "rollback: 1 problem\n  1. no", "refused": [{"node": "gpu-1", "reason": "pods hold 3"}]}
    found = restore_outcome(["gpu-1", "gpu-2"], refused, [{"skipped": True}])
    assert found["restored"] == []
    assert found["words"] == {"gpu-1": f"({LEFT}: pods hold 3)", "gpu-2": f"({LEFT}: rollback: 1 problem 1. no)"}


def test_a_last_step_that_never_came_restores_nothing() -> None:
    found = restore_outcome(["gpu-1"], plan("gpu-1"), [step(gpu_1={}), {"skipped": True}])
    assert found["restored"] == []


def test_a_node_whose_host_may_be_at_work_is_told_beside_those_that_were_to_be_restored() -> None:
    found = restore_outcome(["gpu-1"], plan("gpu-1"), [step(gpu_1=BACK)], busy=["gpu-2"])
    assert found["restored"] == ["gpu-1"]
    assert found["words"]["gpu-2"].startswith(f"({LEFT}, since a host step may still be running there")


@pytest.mark.parametrize(("given", "steps"), [("ok", []), ({}, "ok"), ({}, {"nodes": {}})])
def test_something_else_than_results_is_refused(given: Any, steps: Any) -> None:
    with pytest.raises(AnsibleFilterError, match="expected the result of a plan"):
        restore_outcome(["gpu-1"], given, steps)
