# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Callable

import pytest
from unit.plugins.fakes.driver import Driver
from unit.plugins.fakes.fake_api import api_error
from unit.plugins.fakes.fake_cluster import GPU, MAINTENANCE, FakeCluster, node_path

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError

from .conftest import Start

HOLD, SINCE = "kubegpu.sharing/hold", "kubegpu.sharing/devices-since"


def note(cluster: FakeCluster, name: str) -> dict[str, Any]:
    return json.loads(cluster.node(name)["metadata"]["annotations"][MAINTENANCE])


def gpu_pod(name: str, node: str, **status: Any) -> dict[str, Any]:
    container = {"name": "app", "image": "app", "resources": {"limits": {GPU: "1"}}}
    return {"metadata": {"name": name}, "spec": {"nodeName": node, "containers": [container]}, "status": status}


def with_controller(pod: dict[str, Any]) -> dict[str, Any]:
    references = [{"kind": "ReplicaSet", "name": "app", "controller": True}]
    return {**pod, "metadata": {**pod["metadata"], "ownerReferences": references}}


def put_pod(cluster: FakeCluster, pod: dict[str, Any]) -> str:
    path = f"/api/v1/namespaces/default/pods/{pod['metadata']['name']}"
    cluster.api.put(path, pod)
    return path


def test_in_maintenance_cordons_and_notes(start: Start) -> None:
    cluster, driver = start()
    driver.lock()
    result = driver.in_maintenance()
    assert result["failed_nodes"] == []
    assert result["actions"] == ["patch node gpu-1: cordon and annotate", "patch node gpu-2: cordon and annotate"]
    assert not cluster.schedulable("gpu-1")
    written = note(cluster, "gpu-1")
    assert (written["run"], written["plan"], written["was_unschedulable"]) == ("run-1", "0123456789abcdef", False)
    assert driver.in_maintenance()["changed"] is False


def test_in_maintenance_fails_for_one_node_alone(start: Start) -> None:
    cluster, driver = start()
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {HOLD: "Ada measures"}}})
    driver.lock()
    result = driver.in_maintenance()
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["nodes"]["gpu-1"]["reason"].startswith("held by the annotation kubegpu.sharing/hold: Ada measures.")
    assert cluster.schedulable("gpu-1")
    assert not cluster.schedulable("gpu-2")


def test_in_maintenance_of_a_node_that_is_gone_fails_for_it(start: Start) -> None:
    cluster, driver = start()
    cluster.api.remove(node_path("gpu-1"))
    driver.lock()
    result = driver.in_maintenance()
    assert result["nodes"]["gpu-1"]["reason"] == (
        "the cluster has no node of this name. It was deleted since the plan was made: make a new plan."
    )
    assert result["nodes"]["gpu-2"]["failed"] is False


def test_in_maintenance_takes_over_from_a_dead_run(start: Start) -> None:
    cluster, driver = start()
    driver.of(run="run-0").lock()
    driver.of(run="run-0").in_maintenance()
    driver.of(run="run-0").unlock()
    driver.lock()
    result = driver.in_maintenance()
    assert result["nodes"]["gpu-1"]["reason"].startswith("taken over from run run-0")
    assert note(cluster, "gpu-1")["was_unschedulable"] is False


def test_in_maintenance_leaves_a_node_of_a_dead_run_that_is_held(start: Start) -> None:
    cluster, driver = start()
    dead = driver.of(run="run-0")
    for step in (dead.lock, dead.in_maintenance, dead.unlock, driver.lock):
        step()
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {HOLD: "Ada measures"}}})
    before = cluster.node("gpu-1")
    result = driver.in_maintenance()
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["nodes"]["gpu-1"]["reason"].startswith("held by the annotation kubegpu.sharing/hold: Ada measures.")
    assert cluster.node("gpu-1") == before
    assert note(cluster, "gpu-2")["run"] == "run-1"


def test_in_maintenance_by_hand_waits_for_its_person_and_a_rollout_goes_round_it(start: Start) -> None:
    cluster, driver = start()
    repair = driver.of(run="repair-1", plan_path=None, nodes=("gpu-1",))
    for step in (repair.lock, repair.in_maintenance, repair.unlock, driver.lock):
        step()
    before = cluster.node("gpu-1")
    for check_mode in (True, False):
        result = driver.of(check_mode=check_mode).in_maintenance()
        assert result["failed_nodes"] == ["gpu-1"]
        assert "for its own sake, without a plan: a person may be at work on it" in result["nodes"]["gpu-1"]["reason"]
    assert cluster.node("gpu-1") == before
    for step in (driver.unlock, repair.lock):
        step()
    assert repair.in_service()["nodes"]["gpu-1"]["in_service"] is True


def test_in_maintenance_in_check_mode_meets_a_live_run(start: Start) -> None:
    _cluster, driver = start()
    driver.of(run="run-0").lock()
    driver.of(run="run-0").in_maintenance()
    result = driver.of(check_mode=True).in_maintenance()
    assert "run run-0 has it in maintenance (since" in result["nodes"]["gpu-1"]["reason"]
    assert result["failed_nodes"] == ["gpu-1", "gpu-2"]


def test_in_maintenance_waits_for_a_pod_that_was_bound_before(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    path = put_pod(cluster, gpu_pod("late", "gpu-1", phase="Pending"))
    driver.lock()
    lists = [0]

    def admit(_method: str, requested: str) -> None:
        lists[0] += requested == "/api/v1/pods"
        if lists[0] == 4 and "startTime" not in cluster.api.objects[path]["status"]:
            cluster.api.change(path, {"status": {"phase": "Running", "startTime": "2026-03-01T12:00:00Z"}})

    cluster.api.faults.append(admit)
    result = driver.in_maintenance()
    assert result["failed_nodes"] == []
    assert lists[0] >= 4
    assert result["nodes"]["gpu-1"]["gpu_pods"] == 1


def test_in_maintenance_lists_again_when_a_pod_was_bound_between(start: Start) -> None:
    """The scheduler's answer to an older state reaches the node after the cordon."""
    cluster, driver = start({"gpu-1": "l20"})
    driver.lock()
    lists = [0]

    def bind(_method: str, requested: str) -> None:
        lists[0] += requested == "/api/v1/pods"
        if lists[0] == 2:
            put_pod(cluster, gpu_pod("late", "gpu-1", phase="Running", startTime="2026-03-01T12:00:00Z"))

    cluster.api.faults.append(bind)
    assert driver.in_maintenance()["nodes"]["gpu-1"]["gpu_pods"] == 1
    assert lists[0] == 3


def test_in_maintenance_refuses_a_plugin_that_the_plan_does_not_know(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    stranger = {
        "metadata": {"name": "stranger"},
        "spec": {"nodeName": "gpu-1", "containers": [{"image": "x/k8s-device-plugin:v1"}]},
        "status": {"phase": "Running"},
    }
    put_pod(cluster, stranger)
    driver.lock()
    before = len(cluster.api.writes)
    foreseen = driver.of(check_mode=True).in_maintenance()["nodes"]["gpu-1"]
    result = driver.in_maintenance()["nodes"]["gpu-1"]
    assert result["reason"].startswith(
        "a device plugin that the plan does not know is on the node (default/stranger: Running"
    )
    assert result["reason"].endswith("The node was not touched.")
    assert foreseen == result
    assert (cluster.schedulable("gpu-1"), cluster.api.writes[before:]) == (True, [])


def test_in_maintenance_refuses_a_plugin_that_came_with_the_cordon(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    driver.lock()
    stranger = {
        "metadata": {"name": "stranger"},
        "spec": {"nodeName": "gpu-1", "containers": [{"image": "x/k8s-device-plugin:v1"}]},
        "status": {"phase": "Running"},
    }

    def come(verb: str, path: str) -> None:
        if verb == "PATCH" and path == node_path("gpu-1"):
            put_pod(cluster, stranger)

    cluster.api.faults.append(come)
    reason = driver.in_maintenance()["nodes"]["gpu-1"]["reason"]
    assert reason.endswith("Make a new plan. The node stays cordoned.")
    assert not cluster.schedulable("gpu-1")


def test_other_programs_of_the_plugins_image_are_no_plugins(start: Start) -> None:
    """As NVIDIA's chart deploys them, with the plugin's selector on one of them."""
    cluster, driver = start({"gpu-1": "l20"})
    for number, program in enumerate(["gpu-feature-discovery", "config-manager", "mps-control-daemon"]):
        container = {"name": program, "image": "x/k8s-device-plugin:v0.17.1", "command": [f"/usr/bin/{program}"]}
        pod = {
            "metadata": {"name": program, "labels": {"name": "nvidia-device-plugin-ds"} if number == 0 else {}},
            "spec": {"nodeName": "gpu-1", "containers": [container]},
            "status": {"phase": "Running"},
        }
        cluster.api.put(f"/api/v1/namespaces/kube-system/pods/{program}", pod)
    results = driver.roll_out()
    assert [result.get("failed_nodes", []) for result in results.values()] == [[]] * len(results)
    assert (cluster.schedulable("gpu-1"), cluster.allocatable("gpu-1")) == (True, 8)


def prepared(start: Start, **options: Any) -> tuple[FakeCluster, Any]:
    cluster, driver = start(**options)
    for step in [*driver.begin_steps, *driver.wave_steps[:3]]:
        step()
    return cluster, driver


def once_cordoned(cluster: FakeCluster, act: Callable[[], None]) -> None:
    """At the moment of the cordon, and once."""
    done: list[bool] = []

    def react(_kind: str, path: str, obj: Any) -> None:
        if path == node_path("gpu-1") and obj["spec"].get("unschedulable") and not done:
            done.append(True)
            act()

    cluster.api.listeners.append(react)


def test_in_maintenance_finds_a_pod_that_came_while_its_watch_was_cut(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    driver.lock()
    late = with_controller(gpu_pod("late", "gpu-1", phase="Running", startTime="2026-03-01T12:00:00Z"))

    def cut_and_bind() -> None:
        cluster.api.cut = True
        put_pod(cluster, late)

    once_cordoned(cluster, cut_and_bind)
    result = driver.in_maintenance(evict="gpu_pods")
    assert result["failed_nodes"] == []
    assert [pod["name"] for pod in result["nodes"]["gpu-1"]["evicted"]] == ["late"]


def test_in_maintenance_that_can_neither_watch_nor_list_fails_the_node(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    driver.lock()

    def refuse_lists(method: str, path: str) -> None:
        if path == "/api/v1/pods":
            raise api_error(method, path, 500, "InternalError")

    def fall_silent() -> None:
        cluster.api.cut = True
        cluster.api.faults.append(refuse_lists)

    once_cordoned(cluster, fall_silent)
    result = driver.in_maintenance(evict="gpu_pods")
    assert result["failed_nodes"] == ["gpu-1"]
    reason = result["nodes"]["gpu-1"]["reason"]
    assert reason.startswith(
        "it was not seen within 60 s whether more pods are on their way to the node: Cannot list pods"
    )
    assert reason.endswith("The node stays cordoned.")
    assert not cluster.schedulable("gpu-1")


def test_in_service_uncordons_what_is_proven(start: Start) -> None:
    cluster, driver = prepared(start)
    result = driver.in_service()
    assert result["nodes"]["gpu-1"] == {
        "failed": False,
        "reason": None,
        "changed": True,
        "in_service": True,
        "held": False,
        "admission_failures": [],
        "stale": [],
        "recreated": [],
    }
    assert cluster.schedulable("gpu-1")
    assert MAINTENANCE not in cluster.node("gpu-1")["metadata"]["annotations"]


def test_in_service_checks_the_proof_at_that_moment(start: Start) -> None:
    cluster, driver = prepared(start)
    cluster.api.change(node_path("gpu-1"), {"status": {"allocatable": {GPU: "7"}}})
    result = driver.in_service()
    assert result["failed_nodes"] == ["gpu-1"]
    assert "stays out of service: allocatable nvidia.com/gpu is 7, expected 8." in result["nodes"]["gpu-1"]["reason"]
    assert not cluster.schedulable("gpu-1")
    assert cluster.schedulable("gpu-2")


def test_in_service_of_a_node_not_ready_is_refused(start: Start) -> None:
    cluster, driver = prepared(start)
    conditions = [
        {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting"}
    ]
    cluster.api.change(node_path("gpu-1"), {"status": {"conditions": conditions}})
    assert "node is not Ready (NodeStatusUnknown" in driver.in_service()["nodes"]["gpu-1"]["reason"]
    assert not cluster.schedulable("gpu-1")


def test_in_service_leaves_a_foreign_cordon(start: Start) -> None:
    cluster, driver = start()
    cluster.api.change(node_path("gpu-1"), {"spec": {"unschedulable": True}})
    for step in [*driver.begin_steps, *driver.wave_steps[:3]]:
        step()
    result = driver.in_service()["nodes"]["gpu-1"]
    assert (result["failed"], result["in_service"], result["reason"]) == (
        False,
        False,
        "was cordoned before and stays so",
    )
    assert not cluster.schedulable("gpu-1")
    assert MAINTENANCE not in cluster.node("gpu-1")["metadata"]["annotations"]
    assert driver.in_service()["changed"] is False


class SlowEvictions:
    """Evictions that take a while, and how many were under way at a time."""

    def __init__(self, cluster: FakeCluster, seconds: float) -> None:
        self.seconds = seconds
        self.most = self._now = 0
        self._guard = threading.Lock()
        cluster.api.faults.append(self)

    def __call__(self, _method: str, path: str) -> None:
        if path.endswith("/eviction"):
            with self._guard:
                self._now += 1
                self.most = max(self.most, self._now)
            time.sleep(self.seconds)
            with self._guard:
                self._now -= 1


def crowd(cluster: FakeCluster, count: int) -> None:
    for number in range(count):
        status = {"phase": "Running", "startTime": "2026-03-01T12:00:00Z"}
        put_pod(cluster, with_controller(gpu_pod(f"app-{number}", "gpu-1", **status)))


@pytest.mark.parametrize("parallel", [1, 3])
def test_in_maintenance_has_no_more_evictions_under_way_than_it_is_allowed(start: Start, parallel: int) -> None:
    cluster, driver = start({"gpu-1": "l20"}, parallel=parallel)
    crowd(cluster, 9)
    slow = SlowEvictions(cluster, 0.02)
    driver.lock()
    assert len(driver.in_maintenance(evict="gpu_pods")["nodes"]["gpu-1"]["evicted"]) == 9
    assert slow.most == parallel


def test_in_maintenance_leaves_evictions_to_a_later_call_and_refuses_at_once_what_that_could_not_evict(
    start: Start,
) -> None:
    cluster, driver = start()
    path = put_pod(
        cluster, with_controller(gpu_pod("mover", "gpu-1", phase="Running", startTime="2026-03-01T11:00:00Z"))
    )
    put_pod(cluster, gpu_pod("orphan", "gpu-2", phase="Running", startTime="2026-03-01T11:00:00Z"))
    driver.lock()
    begun = driver.in_maintenance(evict="gpu_pods", evictions="later")
    assert begun["failed_nodes"] == ["gpu-2"]
    assert "set force to evict it all the same" in begun["nodes"]["gpu-2"]["reason"]
    assert (cluster.schedulable("gpu-1"), cluster.schedulable("gpu-2")) == (False, True)
    assert cluster.api.get(path)["metadata"]["name"] == "mover"
    assert begun["actions"] == ["patch node gpu-1: cordon and annotate"]
    only = driver.of(nodes=("gpu-1",), check_mode=True)
    foreseen = only.in_maintenance(evict="gpu_pods")
    assert "evict pod default/mover from node gpu-1" in foreseen["actions"]
    assert only.in_maintenance(evict="gpu_pods", evictions="later")["actions"] == []


@pytest.mark.parametrize("evict", ["none", "gpu_pods"])
def test_in_maintenance_tells_which_pods_have_finished_where_mig_instances_change(start: Start, evict: str) -> None:
    cluster, driver = start()
    path = Path(driver.plan_path)
    plan = json.loads(path.read_text())
    plan["nodes"]["gpu-1"]["mig"] = {"changes": True, "request": {}}
    path.write_text(json.dumps(plan))
    runs = {"containerStatuses": [{"name": "app", "state": {"running": {}}}]}
    for name in ("gpu-1", "gpu-2"):
        put_pod(cluster, with_controller(gpu_pod(f"done-{name}", name, phase="Succeeded")))
        put_pod(cluster, with_controller(gpu_pod(f"failed-{name}", name, phase="Failed")))
        put_pod(cluster, with_controller(gpu_pod(f"given-up-{name}", name, phase="Failed", **runs)))
        put_pod(
            cluster, with_controller(gpu_pod(f"runs-{name}", name, phase="Running", startTime="2026-03-01T11:00:00Z"))
        )
    uids = [
        cluster.api.get(f"/api/v1/namespaces/default/pods/{name}-gpu-1")["metadata"]["uid"]
        for name in ("done", "failed")
    ]
    driver.lock()
    assert "finished_pods" not in driver.in_maintenance(evict=evict, evictions="later")["nodes"]["gpu-1"]
    nodes = driver.in_maintenance(evict=evict)["nodes"]
    assert nodes["gpu-1"]["finished_pods"] == sorted(uids)
    assert "finished_pods" not in nodes["gpu-2"]


def test_in_maintenance_tells_pods_that_were_not_asked_for_in_time(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"}, parallel=1)
    crowd(cluster, 3)

    def slow(_method: str, path: str) -> None:
        """The deadline passes in the first eviction, long before the turn of the second comes."""
        if path.endswith("/eviction"):
            driver.clock.sleep(15.0)
            time.sleep(4.5)

    cluster.api.faults.append(slow)
    driver.lock()
    node = driver.in_maintenance(evict="gpu_pods", eviction_timeout_seconds=10.0)["nodes"]["gpu-1"]
    assert [pod["reason"] for pod in node["blocked"]].count("not_tried") == 2
    assert "not asked yet: the deadline came first" in node["reason"]


def test_in_maintenance_tells_of_evictions_while_the_pods_end(start: Start) -> None:
    """Nobody waits for an Event once the last pod is gone. One that comes later has an Event of its own."""
    cluster, driver = start({"gpu-1": "l20"})
    crowd(cluster, 2)
    # Pods end when they have been told of. If they never are, they end all the same, so that the order shows it.
    cluster.api.ends_after = 5.0
    ends = {"2 pods: default/app-0, default/app-1": ["app-0"], "1 pod: default/late": ["app-1", "late"]}
    told: list[str] = []

    def react(kind: str, path: str, obj: Any) -> None:
        if kind == "DELETED" and "/pods/app-" in path:
            told.append(path.rpartition("/")[2])
            if told[-1] == "app-0":
                late = gpu_pod("late", "gpu-1", phase="Running", startTime="2026-03-01T12:00:00Z")
                put_pod(cluster, with_controller(late))
        elif obj.get("reason") == "PodsEvicted":
            told.append(obj["message"].partition("evicted ")[2])
            for name in ends.get(told[-1], []):
                cluster.api.remove(f"/api/v1/namespaces/default/pods/{name}")

    cluster.api.listeners.append(react)
    driver.lock()
    assert driver.in_maintenance(evict="gpu_pods")["failed_nodes"] == []
    assert told[0] == "2 pods: default/app-0, default/app-1"
    assert sorted(told[1:]) == ["1 pod: default/late", "app-0", "app-1"]


def repaired(start: Start, **options: Any) -> tuple[FakeCluster, Driver]:
    """Nodes in a maintenance without a plan."""
    cluster, driver = start(**options)
    repair = driver.of(run="repair-1", plan_path=None)
    repair.lock()
    repair.in_maintenance()
    return cluster, repair


def advertise(cluster: FakeCluster, name: str, slots: int) -> None:
    cluster.api.change(node_path(name), {"status": {"allocatable": {GPU: str(slots)}}})


def test_in_service_after_a_maintenance_by_hand_soaks_all_nodes_at_once(start: Start) -> None:
    cluster, repair = repaired(start, soak_seconds=4.0, timeout_seconds=30.0)
    came: list[float] = []

    def late() -> None:
        came.append(time.monotonic())
        advertise(cluster, "gpu-1", 1)

    advertise(cluster, "gpu-1", 0)
    threading.Timer(0.3, late).start()
    began = time.monotonic()
    result = repair.in_service()
    ended = time.monotonic()
    assert ended - began < 8.0  # what two soaks take, one after the other
    assert ended - came[0] >= 4.0
    assert result["failed_nodes"] == []
    first, second = result["nodes"]["gpu-1"], result["nodes"]["gpu-2"]
    assert (first["in_service"], first["allocatable"]) == (True, {GPU: 1})
    assert first["waited_seconds"] >= second["waited_seconds"] >= 4.0
    assert repair.journal is not None
    lines = [json.loads(line) for line in repair.journal.read_text().splitlines()]
    assert [line["state"] for line in lines if line["node"] == "gpu-1"][-2:] == ["proven", "in_service"]


def test_in_service_after_a_maintenance_by_hand_begins_the_soak_anew_after_a_break(start: Start) -> None:
    cluster, repair = repaired(start, nodes={"gpu-1": "l20"}, soak_seconds=5.0, timeout_seconds=30.0)
    broken: list[float] = []

    def break_off() -> None:
        advertise(cluster, "gpu-1", 0)
        broken.append(repair.clock.monotonic())
        advertise(cluster, "gpu-1", 1)

    threading.Timer(1.5, break_off).start()
    assert repair.in_service()["failed_nodes"] == []
    assert repair.clock.monotonic() - broken[0] >= 5.0  # a soak that goes on ends sooner


def test_in_service_after_a_maintenance_by_hand_waits_no_longer_than_allowed(start: Start) -> None:
    cluster, repair = repaired(start, soak_seconds=0.1, timeout_seconds=4.0)
    advertise(cluster, "gpu-1", 0)
    result = repair.in_service()
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["nodes"]["gpu-1"]["reason"] == (
        f"expected allocatable {GPU} 1 for 0.1 s on end, within 4 s; last seen: allocatable {GPU} is 0, expected 1. It stays "
        "out of service. Look at its kubelet and its device plugin, then run again."
    )
    assert [result["nodes"][name]["in_service"] for name in ("gpu-1", "gpu-2")] == [False, True]
    assert (cluster.schedulable("gpu-1"), cluster.schedulable("gpu-2")) == (False, True)
    assert "in_service failed: expected" in note(cluster, "gpu-1")["reason"]


def test_in_service_after_a_maintenance_by_hand_renews_the_lock_while_it_soaks(start: Start) -> None:
    cluster, repair = repaired(start, soak_seconds=4.5, timeout_seconds=30.0, lease_seconds=1)
    before = len(cluster.api.writes)
    assert repair.in_service()["failed_nodes"] == []
    # One may be due before the soak, and one after it.
    assert len([write for write in cluster.api.writes[before:] if "/leases/" in write.path]) >= 3


def test_in_service_in_check_mode_tells_of_the_soak_and_makes_none(start: Start) -> None:
    _cluster, repair = repaired(start, soak_seconds=30.0, timeout_seconds=300.0)
    result = repair.of(check_mode=True).in_service()
    assert result["nodes"]["gpu-1"]["would_wait_for"] == f"allocatable {GPU} 1 for 30 s on end, within 300 s"
    assert (result["failed_nodes"], result["changed"]) == ([], True)


def test_in_service_does_not_soak_what_is_held_or_was_uncordoned_by_hand(start: Start) -> None:
    cluster, repair = repaired(start, soak_seconds=30.0)
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {HOLD: "mine"}}})
    cluster.api.change(node_path("gpu-2"), {"spec": {"unschedulable": None}})
    nodes = repair.in_service()["nodes"]
    assert (nodes["gpu-1"]["held"], nodes["gpu-2"]["in_service"]) == (True, True)
    assert "waited_seconds" not in nodes["gpu-1"] | nodes["gpu-2"]


def test_in_service_of_a_rollout_does_not_soak_again(start: Start) -> None:
    _cluster, driver = prepared(start)
    result = driver.in_service(soak_seconds=3600.0)
    assert result["failed_nodes"] == []
    assert "waited_seconds" not in result["nodes"]["gpu-1"]


def test_in_service_of_a_held_node_is_no_failure_but_leaves_it(start: Start) -> None:
    cluster, driver = prepared(start)
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {HOLD: "Ada looks"}}})
    result = driver.in_service()["nodes"]["gpu-1"]
    assert (result["failed"], result["held"], result["in_service"], result["changed"]) == (False, True, False, False)
    assert result["reason"] == "held by the annotation kubegpu.sharing/hold: Ada looks. It stays cordoned"
    assert not cluster.schedulable("gpu-1")
    lines = [json.loads(line) for line in driver.journal.read_text().splitlines()]
    last = [line for line in lines if line["node"] == "gpu-1"][-1]
    assert (last["state"], last["message"]) == ("held", result["reason"])


def test_in_service_reports_pods_that_failed_admission_meanwhile(start: Start) -> None:
    cluster, driver = prepared(start)
    failed = {
        "phase": "Failed",
        "reason": "UnexpectedAdmissionError",
        "message": "Allocate failed due to no healthy devices",
    }
    put_pod(cluster, gpu_pod("refused", "gpu-1", **failed))
    put_pod(cluster, gpu_pod("older", "gpu-1", **failed, startTime="2020-01-01T00:00:00Z"))
    failures = driver.in_service()["nodes"]["gpu-1"]["admission_failures"]
    assert [(one["namespace"], one["name"], one["reason"]) for one in failures] == [
        ("default", "refused", "UnexpectedAdmissionError")
    ]


def test_in_service_reports_pods_that_were_refused_under_a_run_that_died(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    dead = driver.of(run="run-0")
    for step in (dead.lock, dead.present, dead.in_maintenance, dead.withdrawn, dead.unlock):
        step()
    failed = {"phase": "Failed", "reason": "UnexpectedAdmissionError", "message": "no healthy devices"}
    put_pod(cluster, gpu_pod("refused", "gpu-1", **failed, startTime=note(cluster, "gpu-1")["since"]))
    driver.clock.sleep(60)
    for step in (driver.lock, *driver.wave_steps):
        result = step()
    assert [pod["name"] for pod in result["nodes"]["gpu-1"]["admission_failures"]] == ["refused"]


def refuse_pods_after_the_uncordon(cluster: FakeCluster) -> None:
    uncordoned: list[str] = []

    def refuse(method: str, path: str) -> None:
        if method == "PATCH" and path == node_path("gpu-1"):
            uncordoned.append(path)
        if uncordoned and method == "GET" and path == "/api/v1/pods":
            raise api_error(method, path, 500, "InternalError", "etcd is away")

    cluster.api.faults.append(refuse)


@pytest.mark.parametrize("stale_pods", ["report", "recreate"])
def test_in_service_stands_when_what_was_left_behind_cannot_be_looked_at(start: Start, stale_pods: str) -> None:
    cluster, driver = prepared(start, nodes={"gpu-1": "l20"}, stale_pods=stale_pods)
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {SINCE: "2100-01-01T00:00:00Z"}}})
    refuse_pods_after_the_uncordon(cluster)
    result = driver.in_service()
    node = result["nodes"]["gpu-1"]
    assert (node["in_service"], node["changed"], cluster.schedulable("gpu-1")) == (True, True, True)
    refused = "Pods that kubelets refused during the maintenance could not be looked at: Cannot list pods"
    assert result["warnings"][0].startswith(refused)
    trouble = "stale pods could not be looked at to the end: Cannot list pods"
    if stale_pods == "recreate":
        assert result["failed_nodes"] == ["gpu-1"]
        assert node["reason"].startswith(trouble)
        assert node["reason"].endswith("The node is in service.")
    else:
        assert result["failed_nodes"] == []
        assert result["warnings"][1].startswith(f"On nodes that are back in service, {trouble}")
    finished = [write.body for write in cluster.api.writes if write.path.endswith("/events")][-1]
    assert finished["reason"] == "MaintenanceFinished"


def test_in_service_reads_facts_before_it_touches_a_node(start: Start) -> None:
    cluster, driver = prepared(start, nodes={"gpu-1": "l20"}, facts_dir="/nonexistent")
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {SINCE: "2100-01-01T00:00:00Z"}}})
    with pytest.raises(KubeGpuError, match="Cannot read the facts in /nonexistent"):
        driver.in_service()
    assert not cluster.schedulable("gpu-1")


def test_in_service_without_a_switch_says_that_nothing_was_done(start: Start) -> None:
    _cluster, driver = start()
    driver.lock()
    reason = driver.in_service()["nodes"]["gpu-1"]["reason"]
    assert reason.startswith("it is in nobody's maintenance, yet no plugin pod of revision 0a1b2c3d4e is on the node")


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"nodes": ["gpu-1", "gpu-9"]}, "node 'gpu-9' is not in plan 0123456789abcdef"),
        ({"plan_path": "/nonexistent/plan.json"}, "plan /nonexistent/plan.json: 1 problem, nothing was changed."),
        ({"nodes": []}, "no node is named, so nothing would be done."),
        ({"parallel": 0}, "parallel is 0: use 1 or more."),
        ({"settle_seconds": -0.5}, "settle_seconds is -0.5: use 0 or more."),
    ],
)
def test_bad_input_is_refused_before_any_request(start: Start, options: dict[str, Any], problem: str) -> None:
    cluster, driver = start()
    with pytest.raises(InputError) as caught:
        driver.in_maintenance(**options)
    assert problem in caught.value.msg
    assert cluster.api.requests.get == 0


def test_a_plan_that_is_no_json_is_refused(start: Start, tmp_path: Path) -> None:
    _cluster, driver = start()
    broken = tmp_path / "broken.json"
    broken.write_text("{")
    with pytest.raises(InputError, match="it is no JSON"):
        driver.in_maintenance(plan_path=str(broken))
