# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that do not go, or come back, or come late: the very pod is what is awaited."""

from __future__ import annotations

import threading
import time
from typing import Any

from integration.meanwhile import meanwhile

from .conftest import Open
from .stage import NODE, OTHER, Stage, pod_spec

PODS = "/api/v1/namespaces/default/pods"
#: A pod of which the scheduler had decided before it heard of the cordon.
LATE = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "late", "namespace": "default"},
    "spec": pod_spec(1, ""),
}


def only_blocked(result: dict[str, Any]) -> dict[str, str]:
    (pod,) = result["nodes"][NODE]["blocked"]
    return pod


def test_finalizer_is_named(open_stage: Open) -> None:
    stage = open_stage()
    stage.pod("held", metadata={"finalizers": ["example.com/audit"]})
    driver = stage.driver(evict="gpu_pods", force=True)
    result = driver.in_maintenance(eviction_timeout_seconds=3.0)
    pod = only_blocked(result)
    assert pod["reason"] == "finalizer"
    assert pod["message"].startswith("terminating, held by finalizer example.com/audit")
    assert len(result["nodes"][NODE]["evicted"]) == 1
    # Awaited without another eviction, and once the finalizer is gone a second call ends well.
    stage.client.patch(f"{PODS}/held", {"metadata": {"finalizers": None}})
    again = driver.in_maintenance()
    assert (again["failed_nodes"], again["nodes"][NODE]["evicted"]) == ([], [])
    assert len(stage.evictions()) == 1


def test_pod_that_ignores_sigterm_has_its_grace_named(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("deaf", 1, stop=9999, spec={"terminationGracePeriodSeconds": 3600})
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_timeout_seconds=3.0)
    pod = only_blocked(result)
    assert pod["reason"] == "grace_period"
    assert "has not ended on SIGTERM and has 35" in pod["message"]
    assert "of its grace period of 3600 s" in pod["message"]


def test_grace_period_of_zero_means_zero(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("deaf", 1, stop=9999, spec={"terminationGracePeriodSeconds": 3600})
    result = stage.driver().in_maintenance(evict="gpu_pods", grace_period=0, eviction_timeout_seconds=5.0)
    assert (result["failed_nodes"], len(result["nodes"][NODE]["evicted"])) == ([], 1)


def test_pods_of_a_node_that_is_not_ready_have_nobody_to_confirm_their_end(open_stage: Open) -> None:
    stage = open_stage(speed=50)
    stage.deployment("gpu", 1)
    stage.cluster.fault("not-ready", node=NODE)
    stage.cluster.wait_until(lambda: not ready(stage), what="the node to be not Ready")
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_timeout_seconds=3.0)
    pod = only_blocked(result)
    assert pod["reason"] == "node_not_ready"
    assert "its node is not Ready (NodeStatusUnknown" in pod["message"]
    assert "so nobody confirms its end" in result["nodes"][NODE]["reason"]


def ready(stage: Stage) -> bool:
    conditions = stage.client.get(f"/api/v1/nodes/{NODE}")["status"]["conditions"]
    return next(one["status"] for one in conditions if one["type"] == "Ready") == "True"


def test_terminating_pod_is_awaited_and_not_evicted(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 1, stop=9999, spec={"terminationGracePeriodSeconds": 3600})
    (uid,) = stage.uids("gpu")
    name = stage.pods("gpu")[0]["metadata"]["name"]
    stage.client.patch("/apis/apps/v1/namespaces/default/deployments/gpu", {"spec": {"replicas": 0}})
    stage.cluster.wait_until(lambda: "deletionTimestamp" in stage.client.get(f"{PODS}/{name}")["metadata"])
    driver = stage.driver()

    def end() -> None:
        stage.cluster.wait_until(stage.unschedulable, what="the cordon")
        time.sleep(0.5)  # for an eviction that should not be
        stage.client.delete(f"{PODS}/{name}", {"gracePeriodSeconds": 0})

    with meanwhile(end):
        result = driver.in_maintenance(evict="gpu_pods")
    assert (result["failed_nodes"], result["nodes"][NODE]["evicted"], stage.evictions()) == ([], [], [])
    assert not stage.exists(uid)


def stateful(stage: Stage, replicas: int) -> set[str]:
    """StatefulSet db, whose pods are on the node for now. Their UIDs."""
    labels = {"app": "db"}
    template = {"metadata": {"labels": labels}, "spec": pod_spec(1, "")}
    spec = {"replicas": replicas, "serviceName": "db", "selector": {"matchLabels": labels}, "template": template}
    with stage.cordoned(OTHER):
        path = "/apis/apps/v1/namespaces/default/statefulsets"
        stage.client.create(path, {"metadata": {"name": "db"}, "spec": spec})
        stage.ready("db", replicas)
    return stage.uids("db")


def test_eviction_that_arrives_late_spares_the_next_pod_of_that_name(open_stage: Open) -> None:
    """Its pod was deleted by somebody else, and the StatefulSet has put another one on another node."""
    stage = open_stage()
    (old,) = stateful(stage, 1)
    fault = stage.cluster.fault("api", method="POST", path="/eviction", action="latency", latency_ms=8000)["id"]

    def replace() -> None:
        stage.cluster.wait_until(lambda: stage.cluster.api_fault(fault)["taken"], what="the eviction to be on its way")
        stage.client.delete(f"{PODS}/db-0")
        stage.ready("db", 1, node=OTHER)

    replacer = threading.Thread(target=replace)
    replacer.start()
    result = stage.driver().in_maintenance(evict="gpu_pods")
    replacer.join(timeout=20)
    assert [item["status"] for item in stage.evictions()] == [409]
    assert (result["failed_nodes"], result["nodes"][NODE]["evicted"], stage.exists(old)) == ([], [], False)
    stage.ready("db", 1, node=OTHER)


def test_stateful_pod_back_under_its_name_is_another_pod(open_stage: Open) -> None:
    """The old one is what is awaited."""
    stage = open_stage()
    old = stateful(stage, 2)
    result = stage.driver().in_maintenance(evict="gpu_pods")
    assert result["failed_nodes"] == []
    assert {pod["uid"] for pod in result["nodes"][NODE]["evicted"]} == old
    assert not any(map(stage.exists, old))
    stage.ready("db", 2, node=OTHER)
    assert {pod["metadata"]["name"] for pod in stage.pods("db", node=OTHER)} == {"db-0", "db-1"}


def test_pod_bound_after_the_cordon_is_evicted_too(open_stage: Open) -> None:
    """As by a scheduler that has not heard of the cordon yet."""
    stage = open_stage()
    stage.deployment("gpu", 1, stop=20, spec={"terminationGracePeriodSeconds": 60})
    driver = stage.driver(evict="gpu_pods", force=True)
    # Well before the other one has ended.
    stage.cluster.fault("late-pod", node=NODE, pod=LATE, seconds=5)
    result = driver.in_maintenance()
    assert result["failed_nodes"] == []
    assert [pod["name"].split("-")[0] for pod in result["nodes"][NODE]["evicted"]] == ["gpu", "late"]
    assert stage.pods() == []


def test_late_pod_that_may_not_be_evicted_fails_the_node_by_name(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 1)
    driver = stage.driver()
    driver.in_maintenance()
    stage.client.create(PODS, {"metadata": {"name": "late"}, "spec": {**pod_spec(1, ""), "nodeName": NODE}})
    result = driver.in_maintenance(evict="gpu_pods", eviction_timeout_seconds=60.0)
    assert only_blocked(result)["reason"] == "needs_force"
    assert len(result["nodes"][NODE]["evicted"]) == 1


def test_three_hundred_pods_go_at_once(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 300)
    gone = stage.uids("gpu")
    since = stage.cluster.position()
    result = stage.driver().in_maintenance(evict="gpu_pods", eviction_timeout_seconds=60.0)
    assert result["failed_nodes"] == [], result["nodes"][NODE]["reason"]
    assert {pod["uid"] for pod in result["nodes"][NODE]["evicted"]} >= gone
    assert stage.uids("gpu") == set()
    # One list in pages, no look at single pods.
    reads = [item["path"] for item in stage.cluster.audit(since) if item["verb"] == "GET"]
    assert not [path for path in reads if "/namespaces/default/pods/" in path]


def test_watches_that_break_are_taken_up_again(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 20)
    stage.cluster.fault("api", action="cut", path="watch=1", count=0, after_ms=100)
    result = stage.driver().in_maintenance(evict="gpu_pods")
    assert (result["failed_nodes"], stage.uids("gpu")) == ([], set())


def test_pod_that_came_while_no_watch_was_to_be_had_is_evicted_too(open_stage: Open) -> None:
    """A node looks empty to a watch that is down: a list tells."""
    stage = open_stage()
    driver = stage.driver(evict="gpu_pods", force=True)
    # The watch of the node's pods breaks at once, however often it is tried for some seconds. Lists are answered.
    stage.cluster.fault("api", action="cut", path=f"nodeName%3D{NODE}.*watch=1", count=5)
    # After the list with which the watch begins, and before the node can be found empty.
    stage.cluster.fault("late-pod", node=NODE, pod=LATE)
    result = driver.in_maintenance(settle_seconds=0.5)
    assert result["failed_nodes"] == []
    assert [pod["name"] for pod in result["nodes"][NODE]["evicted"]] == ["late"]
    assert stage.pods() == []
