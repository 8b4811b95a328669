# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why pods are still there, budgets that cover them, and stale pods."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.answers import Answer
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.budgets import observe_budget, selects
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.leftovers import Situation, explain
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.progress import Attempt
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import Verdict
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.stale import Suspicion, find_stale
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse

from .conftest import GPU, Make

NOW = datetime(2026, 3, 1, 12, 1, tzinfo=timezone.utc)
BUDGET = observe_budget(
    {
        "metadata": {"namespace": "default", "name": "a"},
        "spec": {"selector": {"matchLabels": {"app": "a"}}},
        "status": {"disruptionsAllowed": 0, "currentHealthy": 2, "desiredHealthy": 2, "expectedPods": 3},
    }
)


def going(ends: str, grace: int = 30, **more: Any) -> dict[str, Any]:
    return {"deletionTimestamp": f"2026-03-01T{ends}Z", "deletionGracePeriodSeconds": grace, **more}


@pytest.mark.parametrize(
    ("metadata", "not_ready", "reason", "words"),
    [
        (going("12:01:20"), "", "grace_period", "has 20 s left of its grace period of 30 s"),
        (going("12:00:58"), "", "grace_period", "grace period of 30 s has just ended"),
        (going("12:00:00"), "", "not_confirmed", "ended 60 s ago"),
        (going("12:00:00", finalizers=["x/y"]), "", "finalizer", "held by finalizer x/y"),
        (going("12:01:20", grace=0, finalizers=["x/y"]), "", "finalizer", "held by finalizer x/y"),
        (going("12:00:00"), "NodeStatusUnknown: silent", "node_not_ready", "not Ready (NodeStatusUnknown: silent)"),
    ],
)
def test_terminating_pod(pod: Make, metadata: dict[str, Any], not_ready: str, reason: str, words: str) -> None:
    found = pod("a", metadata=metadata)
    leftover = explain(Attempt(found, Verdict(found, "evict"), due=0.0), Situation(NOW, not_ready))
    assert leftover.reason == reason
    assert words in leftover.message


@pytest.mark.parametrize(
    ("answer", "budgets", "reason", "words"),
    [
        (Answer("budget", "words"), [BUDGET], "budget", "default/a allows 0 now: 2 of 3 pods are healthy, 2 must be"),
        (
            Answer("budget", "words"),
            [replace(BUDGET, healthy=1)],
            "budget",
            "default/a allows 0 now: 1 of 3 pods is healthy, 2 must be",
        ),
        (Answer("budget", "words of the API."), None, "budget", "words of the API"),
        (Answer("more_than_one_budget"), [BUDGET], "more_than_one_budget", "(default/a)"),
        (Answer("refused", "no."), None, "refused", "no"),
        (Answer("api_trouble", "500."), None, "api_trouble", "tried 3 times, last: 500"),
        (Answer("namespace_terminating"), None, "namespace_terminating", "namespace default is being deleted"),
        (None, None, "unanswered", "has not answered"),
        (Answer("accepted"), None, "not_confirmed", "was granted"),
    ],
)
def test_pod_that_was_refused(pod: Make, answer: Answer | None, budgets: Any, reason: str, words: str) -> None:
    found = pod("a")
    attempt = Attempt(found, Verdict(found, "evict"), due=0.0, answer=answer, asked=True, tries=3)
    leftover = explain(attempt, Situation(NOW, budgets=budgets))
    assert leftover.reason == reason
    assert words in leftover.message


def test_pod_whose_turn_had_not_come(pod: Make) -> None:
    """It waits for a worker, and no request was sent for it."""
    found = pod("a")
    attempt = Attempt(found, Verdict(found, "evict"), due=0.0, in_flight=True, tries=1)
    leftover = explain(attempt, Situation(NOW))
    assert (leftover.reason, leftover.message) == ("not_tried", "not asked yet: the deadline came first")


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, False),
        ({}, True),
        ({"matchLabels": {"app": "a"}}, True),
        ({"matchLabels": {"app": "b"}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["a", "b"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["a"]}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, True),
    ],
)
def test_selector_of_a_budget(selector: dict[str, Any] | None, selected: bool) -> None:
    assert selects(selector, {"app": "a"}) is selected


def test_stale_pods_are_told_by_allocation_then_by_plan_and_time(pod: Make) -> None:
    pods = [
        pod("valid"),
        pod("lost"),
        pod("planned", startTime="2026-03-01T12:30:00Z"),
        pod("before"),
        pod("after", startTime="2026-03-01T12:30:00Z"),
        pod("web", gpus=0),
        pod("daemon", owner="DaemonSet"),
        pod("over", phase="Failed"),
    ]
    use = NodeUse(held={"uid-valid": ((GPU, "GPU-1::0"),), "uid-lost": ((GPU, "GPU-1"),)}, gpus=1)
    suspicion = Suspicion("2026-03-01T12:10:00Z", ("uid-planned", "uid-valid"), use, {GPU: 4})
    assert [one.state.name for one in find_stale(pods, suspicion)] == ["lost", "planned", "before"]
    assert find_stale(pods[2:], Suspicion()) == []
