# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disruption budgets, and other refusals: each is told apart, and none holds up the other pods."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from integration.meanwhile import meanwhile

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import LeaseLostError

from .conftest import Open
from .stage import LEASE, NODE, Stage

BUDGETS = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"


def blocked(result: dict[str, Any]) -> dict[str, str]:
    """Reason by workload."""
    return {pod["name"].split("-")[0]: pod["reason"] for pod in result["nodes"][NODE]["blocked"]}


def test_budget_that_never_frees_fails_with_its_numbers_while_others_went(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("kept", 2)
    stage.deployment("free", 4)
    stage.budget("kept", minAvailable=2)
    kept = stage.uids("kept")
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_timeout_seconds=5.0)
    node = result["nodes"][NODE]
    assert (result["failed_nodes"], blocked(result)) == ([NODE], {"kept": "budget"})
    assert len(node["blocked"]) == 2
    assert len(node["evicted"]) == 4
    for pod in node["blocked"]:
        assert pod["message"] == ("its disruption budget default/kept allows 0 now: 2 of 2 pods are healthy, 2 must be")
    assert node["reason"].startswith("2 pods are still there after 5 s: default/kept-")
    assert node["reason"].endswith("Clear what holds them, then run again. The node stays cordoned.")
    assert (stage.uids("kept"), stage.uids("free"), stage.unschedulable()) == (kept, set(), True)
    tries = [item for item in stage.evictions() if "/kept-" in item["path"]]
    # Every 0.2 s for 5 s at most, each of the two.
    assert 4 <= len(tries) <= 54
    assert {item["status"] for item in tries} == {429}


def test_budget_that_frees_later_delays_nobody_else(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("slow", 2)
    stage.deployment("free", 3)
    stage.budget("slow", minAvailable=2)

    def asked() -> bool:
        """The others have gone, and what the budget says has been heard."""
        answers = [item["status"] for item in stage.evictions()]
        return answers.count(201) == 3 and 429 in answers

    def free() -> None:
        stage.cluster.wait_until(asked, what="an eviction of each pod")
        stage.client.delete(f"{BUDGETS}/slow")

    with meanwhile(free):
        result = stage.driver().in_maintenance(evict="gpu_pods")
    assert result["failed_nodes"] == []
    assert len(result["nodes"][NODE]["evicted"]) == 5
    granted = [item["path"] for item in stage.evictions() if item["status"] == 201]
    assert [path.split("/")[6].split("-")[0] for path in granted] == ["free"] * 3 + ["slow"] * 2


def test_budget_lets_one_after_the_other_go(open_stage: Open) -> None:
    """Each successor must be ready elsewhere before the next one may go."""
    stage = open_stage()
    with stage.cordoned("gpu-2"):
        # One takes longer to be ready than the next one takes to be asked for.
        stage.deployment("rolling", 3, node="", start=30)
    stage.budget("rolling", maxUnavailable=1)
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_retry_seconds=0.1)
    assert (result["failed_nodes"], len(result["nodes"][NODE]["evicted"])) == ([], 3)
    answers = [item["status"] for item in stage.evictions()]
    assert answers.count(201) == 3
    assert 429 in answers[answers.index(201, answers.index(201) + 1) :]
    assert stage.uids("rolling") == set()


def test_pod_of_two_budgets_is_reported_at_once_and_not_tried_again(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("twice", 1)
    stage.deployment("free", 1)
    stage.budget("one", minAvailable=0, selector={"matchLabels": {"app": "twice"}})
    stage.budget(
        "two", minAvailable=0, selector={"matchExpressions": [{"key": "app", "operator": "In", "values": ["twice"]}]}
    )
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_timeout_seconds=60.0)
    node = result["nodes"][NODE]
    assert (blocked(result), len(node["evicted"])) == ({"twice": "more_than_one_budget"}, 1)
    assert "(default/one, default/two)" in node["blocked"][0]["message"]
    assert node["reason"].startswith("1 pod is still there and cannot be evicted: default/twice-")
    assert [item["status"] for item in stage.evictions() if "/twice-" in item["path"]] == [500]


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"status": 429, "reason": "TooManyRequests", "count": 3}, id="flow control"),
        pytest.param({"status": 429, "retry_after": 1, "count": 1}, id="flow control that names a time"),
        pytest.param({"status": 500, "count": 3}, id="500"),
        pytest.param({"status": 504, "count": 2}, id="timeout of the server"),
        pytest.param({"action": "cut", "count": 2}, id="reset"),
        pytest.param({"action": "cut", "late": True, "count": 2}, id="answer lost"),
    ],
)
def test_trouble_of_the_api_is_no_refusal(open_stage: Open, fault: dict[str, Any]) -> None:
    stage = open_stage()
    stage.deployment("gpu", 3)
    gone = stage.uids("gpu")
    stage.cluster.fault("api", method="POST", path="/eviction", **fault)
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_retry_seconds=30.0, eviction_timeout_seconds=25.0)
    node = result["nodes"][NODE]
    # Well before a budget would be asked again.
    assert (result["failed_nodes"], node["blocked"]) == ([], [])
    assert {pod["uid"] for pod in node["evicted"]} == gone


def test_refusal_of_another_kind_is_reported_in_the_words_of_the_api(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 1)
    words = {"status": 403, "reason": "Forbidden", "message": 'admission webhook "keep" denied the request: not now'}
    stage.cluster.fault("api", method="POST", path="/eviction", **words)
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_timeout_seconds=60.0)
    assert blocked(result) == {"gpu": "refused"}
    assert 'webhook "keep" denied the request: not now' in result["nodes"][NODE]["reason"]
    assert len(stage.evictions()) == 1


def test_run_that_lost_its_lock_evicts_no_more(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("kept", 2)
    stage.budget("kept", minAvailable=2)
    driver = stage.driver(lease_seconds=3)
    threading.Timer(1.0, take_lock, [stage]).start()
    with pytest.raises(LeaseLostError, match="held by run run-2"):
        driver.in_maintenance(evict="gpu_pods")
    position = stage.cluster.position()
    stage.client.delete(f"{BUDGETS}/kept")
    assert stage.evictions(position) == []
    assert len(stage.uids("kept")) == 2


def take_lock(stage: Stage) -> None:
    lease = stage.client.get(LEASE)
    annotations = {**lease["metadata"].get("annotations", {}), "kubegpu.sharing/holder": "run-2"}
    stage.client.patch(LEASE, {"metadata": {"annotations": annotations}, "spec": {"holderIdentity": "run-2"}})
