# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What may go wrong while nodes are switched: each time the node says why, stays out of service, and a second run finishes."""

from __future__ import annotations

import threading
import time
from typing import Any

import pytest
from integration.meanwhile import meanwhile

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.modules import rollout_snapshot_info
from simulator.manifests import daemonset

from .conftest import Open
from .stage import FOREIGN, GPU, LEASE, REVISION, WITHDRAWN, Stage, failures


class KilledError(Exception):
    """kill -9: nothing in the product catches it."""


class Mortal(KubeClient):
    """A client whose process dies after its last write."""

    last = 0

    def _send(self, method: str, path: str, query: Any, **more: Any) -> dict[str, Any]:
        if self.requests.write >= self.last:
            raise KilledError
        return super()._send(method, path, query, **more)


def ready_to_serve(stage: Stage, **options: Any) -> Any:
    driver = stage.driver(**options)
    for step in (driver.lock, driver.present, driver.in_maintenance, driver.withdrawn):
        assert step().get("failed_nodes", []) == []
    return driver


@pytest.mark.parametrize("last", [3, 9, 11, 13, 15])
def test_run_killed_after_a_write_is_finished_by_another(open_stage: Open, last: int) -> None:
    stage = open_stage()
    mortal = Mortal.from_params({"kubeconfig": str(stage.cluster.kubeconfig)})
    assert isinstance(mortal, Mortal)
    mortal.last = last
    with pytest.raises(KilledError):
        stage.driver().of(api=mortal).roll_out()
    stage.let_lease_run_out()
    assert failures(stage.driver("run-2").roll_out()) == {}
    assert stage.unfinished() == {}


def test_conflict_on_every_write_to_a_node_is_decided_anew(open_stage: Open) -> None:
    stage = open_stage()
    for nth in (1, 3, 5, 7):
        for name in ("gpu-l20", "gpu-t4"):
            stage.cluster.fault("api", method="PATCH", path=f"/api/v1/nodes/{name}", nth=nth, status=409)
    assert failures(stage.driver().roll_out()) == {}
    assert stage.unfinished() == {}


@pytest.mark.parametrize(
    ("method", "fault"),
    [
        pytest.param("GET", {"status": 500}, id="read refused"),
        pytest.param("GET", {"action": "cut"}, id="read cut"),
        pytest.param("POST", {"status": 500}, id="creation refused"),
        pytest.param("POST", {"action": "cut", "late": True}, id="creation without an answer"),
        pytest.param("PATCH", {"status": 429}, id="change refused"),
        pytest.param("PATCH", {"action": "cut", "late": True}, id="change without an answer"),
    ],
)
def test_trouble_of_the_api_is_survived_at_any_request(open_stage: Open, method: str, fault: dict[str, Any]) -> None:
    """At every third request of a kind, all through the rollout."""
    stage = open_stage()
    for nth in range(1, 40, 3):
        stage.cluster.fault("api", method=method, path="^(?!/simulator)", nth=nth, **fault)
    assert failures(stage.driver().roll_out()) == {}
    stage.cluster.clear_api_faults()
    assert stage.unfinished() == {}


def test_watches_that_break_are_taken_up_again(open_stage: Open) -> None:
    stage = open_stage(speed=20)
    stage.cluster.fault("api", action="cut", path="watch=1", count=0, after_ms=150)
    assert failures(stage.driver().roll_out()) == {}
    stage.cluster.clear_api_faults()
    assert stage.unfinished() == {}


def test_latency_of_every_request_is_borne(open_stage: Open) -> None:
    stage = open_stage()
    stage.cluster.fault("latency", latency_ms=40)
    assert failures(stage.driver().roll_out()) == {}
    assert stage.unfinished() == {}


def test_node_deleted_midway_fails_alone(open_stage: Open) -> None:
    stage = open_stage(speed=20)
    stage.may_go("gpu-t4")
    driver = stage.driver()
    for step in (driver.lock, driver.present, driver.in_maintenance):
        step()
    # Nobody confirms the end of its plugin, so that it is awaited until the node is gone.
    stage.cluster.fault("kubelet", node="gpu-t4", action="down")

    def delete() -> None:
        _until(lambda: stage.revision("gpu-t4") == WITHDRAWN)
        stage.client.delete("/api/v1/nodes/gpu-t4")

    with meanwhile(delete):
        result = driver.withdrawn()
    assert result["failed_nodes"] == ["gpu-t4"]
    assert "deleted" in result["nodes"]["gpu-t4"]["reason"]
    rest = driver.of(nodes=("gpu-l20",))
    assert rest.serving()["failed_nodes"] == []
    assert rest.in_service()["failed_nodes"] == []
    assert stage.allocatable("gpu-l20") == 8


def test_plugin_that_never_comes_up_says_what_was_seen_and_leaves_the_node_out(open_stage: Open) -> None:
    stage = open_stage()
    driver = ready_to_serve(stage)
    stage.cluster.fault("nvml", node="gpu-l20", error="DRIVER_NOT_LOADED")
    assert driver.of(nodes=("gpu-t4",)).serving()["failed_nodes"] == []
    result = driver.of(nodes=("gpu-l20",)).serving(timeout_seconds=4.0)
    assert result["failed_nodes"] == ["gpu-l20"]
    reason = result["nodes"]["gpu-l20"]["reason"]
    assert "expected allocatable nvidia.com/gpu 8" in reason
    assert "allocatable nvidia.com/gpu is 0, expected 8" in reason
    assert "kubegpu-device-plugin-l20-" in reason
    assert "Look at the plugin pod's log" in reason
    assert driver.of(nodes=("gpu-t4",)).in_service()["failed_nodes"] == []
    assert (stage.schedulable("gpu-l20"), stage.schedulable("gpu-t4")) == (False, True)
    # The driver is loaded, and a second run goes on where the first one ended.
    driver.unlock()
    stage.cluster.fault("nvml", node="gpu-l20", clear=True)
    assert failures(stage.driver("run-2").roll_out()) == {}
    assert stage.unfinished() == {}


def test_plugin_that_crashes_while_it_soaks_is_not_proven_before_it_is_steady(open_stage: Open) -> None:
    stage = open_stage(speed=20)
    driver = ready_to_serve(stage)
    assert driver.of(nodes=("gpu-t4",)).serving()["failed_nodes"] == []
    soak = 8.0
    crashes: list[float] = []

    def crash() -> None:
        _until(lambda: stage.allocatable("gpu-l20") == 8)
        time.sleep(1)
        crashes.append(time.monotonic())
        assert stage.cluster.fault("plugin-crash", node="gpu-l20")["crashed"] == 1

    with meanwhile(crash):
        result = driver.of(nodes=("gpu-l20",)).serving(soak_seconds=soak, timeout_seconds=60.0)
        proven = time.monotonic()
    assert result["failed_nodes"] == []
    assert proven - crashes[0] > soak
    assert driver.in_service()["failed_nodes"] == []


def test_node_that_goes_silent_is_not_put_back(open_stage: Open) -> None:
    stage = open_stage()
    driver = ready_to_serve(stage)
    assert driver.serving()["failed_nodes"] == []
    stage.cluster.fault("not-ready", node="gpu-l20")
    _until(lambda: _ready(stage, "gpu-l20") != "True")
    result = driver.in_service()
    assert result["failed_nodes"] == ["gpu-l20"]
    assert "node is not Ready" in result["nodes"]["gpu-l20"]["reason"]
    assert not stage.schedulable("gpu-l20")


def test_lock_lost_in_the_middle_stops_everything_and_names_the_new_holder(open_stage: Open) -> None:
    stage = open_stage()
    driver = ready_to_serve(stage, lease_seconds=3)
    threading.Timer(0.5, stage.client.patch, [LEASE, {"spec": {"holderIdentity": "run-2"}}]).start()
    with pytest.raises(KubeGpuError, match=r"Cannot write for run run-1: .* is held by run run-2"):
        driver.serving(soak_seconds=20.0)
    since = stage.cluster.position()
    with pytest.raises(KubeGpuError, match="is held by run run-2"):
        driver.in_service()
    assert stage.cluster.writes(since) == []
    assert not stage.schedulable("gpu-l20")


def test_lock_is_renewed_while_a_step_waits(open_stage: Open) -> None:
    stage = open_stage()
    driver = ready_to_serve(stage, lease_seconds=2)
    since, began = stage.cluster.position(), time.monotonic()
    driver.serving(soak_seconds=10.0)
    took = time.monotonic() - began
    renewals = [item for item in stage.cluster.writes(since) if "/leases/" in item["path"]]
    # After a third of the lease each time, or later on a machine that is busy.
    assert 3 <= len(renewals) <= took / (2 / 3) + 2


def test_owner_that_takes_its_daemonset_back_stops_the_nodes_that_are_to_leave_it(open_stage: Open) -> None:
    stage = open_stage("addon-owned")
    driver = stage.driver()
    for step in (driver.lock, driver.present, driver.in_maintenance):
        step()
    stage.cluster.fault("owner", daemonset=FOREIGN["addon-owned"])
    result = driver.withdrawn()
    assert sorted(result["failed_nodes"]) == ["gpu-1", "gpu-2", "gpu-3"]
    assert "has taken it back" in result["nodes"]["gpu-1"]["reason"]
    assert all(REVISION not in stage.node(name)["metadata"]["labels"] for name in driver.nodes)
    with pytest.raises(InputError, match="was changed since the plan was made"):
        driver.present()


def test_held_node_is_not_begun_and_a_node_held_midway_is_not_put_back(open_stage: Open) -> None:
    stage = open_stage()
    hold = {"metadata": {"annotations": {"kubegpu.sharing/hold": "Ada measures"}}}
    stage.patch_node("gpu-l20", hold)
    driver = stage.driver()
    for step in (driver.lock, driver.present):
        step()
    assert driver.in_maintenance()["failed_nodes"] == ["gpu-l20"]
    rest = driver.of(nodes=("gpu-t4",))
    rest.withdrawn()
    rest.serving()
    stage.patch_node("gpu-t4", hold)
    result = rest.in_service()["nodes"]["gpu-t4"]
    assert (result["failed"], result["held"], result["in_service"]) == (False, True, False)
    assert (stage.schedulable("gpu-l20"), stage.schedulable("gpu-t4")) == (True, False)


def test_registration_that_was_lost_is_repaired_by_another_rollout(open_stage: Open) -> None:
    """A foreign plugin came and went: ours runs on, ready, and the kubelet has lost it for good."""
    stage = open_stage()
    assert failures(stage.driver().roll_out()) == {}
    assert stage.law is not None
    assert stage.law.broken() == []
    stage.patch_node("gpu-t4", {"metadata": {"labels": {"nvidia-device-enable": "enable"}}})
    _until(lambda: len(_plugins_ready(stage, "gpu-t4")) == 2)
    stage.patch_node("gpu-t4", {"metadata": {"labels": {"nvidia-device-enable": None}}})
    _until(lambda: len(_plugins_ready(stage, "gpu-t4")) == 1 and stage.allocatable("gpu-t4") == 0)
    driver = stage.driver("run-2")
    for step in (driver.lock, driver.present, driver.in_maintenance):
        assert step().get("failed_nodes", []) == []
    stage.watch_the_law()
    assert driver.withdrawn()["nodes"]["gpu-t4"]["changed"] is True
    assert driver.serving()["failed_nodes"] == []
    since = stage.cluster.position()
    assert driver.withdrawn()["changed"] is False
    assert [item for item in stage.cluster.writes(since) if "/nodes/" in item["path"]] == []
    assert driver.in_service()["failed_nodes"] == []
    assert stage.unfinished() == {}


def test_registration_lost_in_the_midst_of_a_run_is_repaired_by_the_next_one(open_stage: Open) -> None:
    stage = open_stage()
    driver = ready_to_serve(stage)
    assert driver.serving()["failed_nodes"] == []
    stage.patch_node("gpu-t4", {"metadata": {"labels": {"nvidia-device-enable": "enable"}}})
    _until(lambda: len(_plugins_ready(stage, "gpu-t4")) == 2)
    stage.patch_node("gpu-t4", {"metadata": {"labels": {"nvidia-device-enable": None}}})
    _until(lambda: len(_plugins_ready(stage, "gpu-t4")) == 1 and stage.allocatable("gpu-t4") == 0)
    assert driver.in_service()["failed_nodes"] == ["gpu-t4"]
    driver.unlock()
    assert failures(stage.driver("run-2").roll_out()) == {}
    assert stage.unfinished() == {}


def test_run_killed_while_its_plugin_comes_up_is_finished_by_another(open_stage: Open) -> None:
    """It looks like a lost registration: the target is on the node, and nothing is advertised yet."""
    stage = open_stage(speed=20)
    driver = ready_to_serve(stage)
    for name in driver.nodes:
        stage.cluster.fault("nvml", node=name, error="DRIVER_NOT_LOADED")
    assert len(driver.serving(timeout_seconds=0.01)["failed_nodes"]) == 2
    for name in driver.nodes:
        stage.cluster.fault("nvml", node=name, clear=True)
    stage.let_lease_run_out()
    assert failures(stage.driver("run-2").roll_out()) == {}
    assert stage.unfinished() == {}


def test_other_programs_of_the_plugins_image_are_left_alone(open_stage: Open) -> None:
    """GPU Feature Discovery as NVIDIA's chart deploys it since v0.15: from the plugin's own image."""
    stage = open_stage()
    stage.client.create("/apis/apps/v1/namespaces/kube-system/daemonsets", _feature_discovery())
    _until(lambda: sum(name.startswith("gfd-") for name in stage.uids("kube-system")) >= 2)
    before = {name: uid for name, uid in stage.uids("kube-system").items() if name.startswith("gfd-")}
    assert failures(stage.driver().roll_out()) == {}
    assert stage.unfinished() == {}
    assert before.items() <= stage.uids("kube-system").items()


def test_plugin_that_the_plan_does_not_know_leaves_its_node_untouched(open_stage: Open) -> None:
    stage = open_stage()
    stranger = {
        "metadata": {"name": "stranger"},
        "spec": {
            "nodeName": "gpu-t4",
            "containers": [{"name": "x", "image": "gke.gcr.io/nvidia-gpu-device-plugin:v1"}],
        },
    }
    stage.client.create("/api/v1/namespaces/kube-system/pods", stranger)
    driver = stage.driver()
    for step in (driver.lock, driver.present):
        step()
    since = stage.cluster.position()
    result = driver.in_maintenance()
    assert result["failed_nodes"] == ["gpu-t4"]
    assert result["nodes"]["gpu-t4"]["reason"].endswith("The node was not touched.")
    written = [item for item in stage.cluster.writes(since) if "/nodes/" in item["path"]]
    assert {item["name"] for item in written} == {"gpu-l20"}
    # A kubelet's own status may come before it, which is then decided anew.
    assert [item["status"] for item in written if item["status"] != 409] == [200]


def test_what_is_left_of_an_interrupted_rollout_goes_on_under_the_id_that_was_approved(open_stage: Open) -> None:
    stage = open_stage()
    approved = stage.plan["plan_id"]
    driver = stage.driver()
    for step in driver.begin_steps:
        step()
    for step in driver.of(nodes=("gpu-l20",)).wave_steps:
        assert step()["failed_nodes"] == []
    driver.unlock()
    rest = stage.make_plan()
    assert rest["plan_id"] != approved
    params = {"plan_path": driver.plan_path, "plan_id": approved, "lock_namespace": "kubegpu-system"}
    result = rollout_snapshot_info.run(params, stage.api()).to_result()
    assert (result["resumable"], result["snapshot"]) == (True, "kubegpu-snapshot-run-1")
    second = stage.driver("run-2")
    second.lock()
    assert second.snapshot(plan_id=approved)["snapshot_run"] == "run-1"
    second.unlock()
    other = {**params, "plan_id": "fedcba9876543210"}
    assert rollout_snapshot_info.run(other, stage.api()).to_result()["resumable"] is False


def test_node_that_was_cordoned_before_stays_so(open_stage: Open) -> None:
    stage = open_stage()
    stage.patch_node("gpu-t4", {"spec": {"unschedulable": True}})
    assert failures(stage.driver().roll_out()) == {}
    assert (stage.allocatable("gpu-t4"), stage.schedulable("gpu-t4")) == (3, False)
    assert (stage.allocatable("gpu-l20"), stage.schedulable("gpu-l20")) == (8, True)


def test_two_runs_race_and_one_proceeds(open_stage: Open) -> None:
    stage = open_stage()
    outcomes: dict[str, str] = {}

    def try_it(run: str) -> None:
        try:
            stage.driver(run).lock()
            outcomes[run] = "took it"
        except KubeGpuError as error:
            outcomes[run] = error.msg

    threads = [threading.Thread(target=try_it, args=[f"run-{number}"]) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    winners = [run for run, outcome in outcomes.items() if outcome == "took it"]
    assert len(winners) == 1
    assert all(f"it is held by run {winners[0]}" in text for run, text in outcomes.items() if run != winners[0])


def test_objects_of_someone_else_are_refused_before_any_write(open_stage: Open) -> None:
    stage = open_stage()
    config = next(iter(stage.plan["configs"].values()))["objects"][0]
    stage.client.create("/api/v1/namespaces", {"metadata": {"name": "kubegpu-system"}})
    theirs = {"metadata": {"name": config["metadata"]["name"]}, "data": {"a": "b"}}
    stage.client.create("/api/v1/namespaces/kubegpu-system/configmaps", theirs)
    driver = stage.driver()
    driver.lock()
    since = stage.cluster.position()
    with pytest.raises(InputError, match="exists and was not made by this collection"):
        driver.present()
    assert stage.cluster.writes(since) == []


def test_drift_of_our_objects_is_put_right(open_stage: Open) -> None:
    stage = open_stage()
    driver = stage.driver()
    driver.roll_out()
    config, daemonset = next(iter(stage.plan["configs"].values()))["objects"]
    base = "/apis/apps/v1/namespaces/kubegpu-system/daemonsets"
    path = f"{base}/{daemonset['metadata']['name']}"
    stage.client.patch(path, {"spec": {"updateStrategy": {"type": "RollingUpdate"}}})
    stage.client.delete(f"/api/v1/namespaces/kubegpu-system/configmaps/{config['metadata']['name']}")
    driver.lock()
    result = driver.present()
    assert sorted(action.split()[0] for action in result["actions"]) == ["create", "patch"]
    assert stage.client.get(path)["spec"]["updateStrategy"]["type"] == "OnDelete"
    assert driver.present()["changed"] is False


def _feature_discovery() -> dict[str, Any]:
    container = {
        "name": "gpu-feature-discovery-ctr",
        "image": "nvcr.io/nvidia/k8s-device-plugin:v0.17.1",
        "command": ["/usr/bin/gpu-feature-discovery"],
    }
    pod = {"containers": [container], "tolerations": [{"operator": "Exists"}]}
    return daemonset("gfd", "kube-system", pod, {"app": "gfd"})


def _plugins_ready(stage: Stage, node: str) -> list[str]:
    pods = stage.client.items("/api/v1/pods")
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod["spec"].get("nodeName") == node
        and any("device-plugin" in container["image"] for container in pod["spec"]["containers"])
        and any(item["type"] == "Ready" and item["status"] == "True" for item in pod["status"].get("conditions", []))
    ]


def _ready(stage: Stage, name: str) -> str:
    conditions = stage.node(name)["status"]["conditions"]
    return next(condition["status"] for condition in conditions if condition["type"] == "Ready")


def _until(condition: Any, seconds: float = 30) -> None:
    waiting = threading.Event()
    for _look in range(int(seconds / 0.1)):
        if condition():
            return
        waiting.wait(0.1)
    raise AssertionError(f"did not come about within {seconds} s")


def test_stage_reads_what_the_cluster_says(open_stage: Open) -> None:
    """The tests above rest on it."""
    stage = open_stage()
    assert stage.allocatable("gpu-l20") == 1
    assert GPU in stage.node("gpu-l20")["status"]["allocatable"]
    assert set(stage.unfinished()) == {"gpu-l20", "gpu-t4"}
