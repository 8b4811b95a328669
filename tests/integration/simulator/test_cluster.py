"""A cluster in a process of its own: command line, Python interface, faults, reboot, audit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.client import ClientError
from simulator.cluster import ClusterError, SimulatedCluster, is_running
from simulator.worlds import KEY, NAMESPACE, deployment, gpu_node, plugin, shared_plugin

SPEED = 100.0
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"


def small_scenario() -> dict:
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    steps = [
        {"age": "2d", "apply": [namespace, plugin(strategy="RollingUpdate"), *shared_plugin(4, "shared", key="shared")]}
    ]
    return {"name": "small", "nodes": [gpu_node()], "history": [*steps, {"age": "1d", "apply": [deployment()]}]}


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[SimulatedCluster]:
    with SimulatedCluster.start(small_scenario(), tmp_path / "cluster", speed=SPEED) as running:
        yield running


def simulator(*arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    command = [sys.executable, "-m", "simulator", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)


def allocatable(cluster: SimulatedCluster) -> int:
    return int(cluster.client().get("/api/v1/nodes/gpu-1")["status"]["allocatable"].get("nvidia.com/gpu", -1))


def test_up_prints_the_kubeconfig_and_down_ends_it_and_both_can_be_repeated(tmp_path: Path) -> None:
    scenario, directory = tmp_path / "small.yml", tmp_path / "cluster"
    scenario.write_text(json.dumps(small_scenario()))
    up = ("up", "--scenario", str(scenario), "--dir", str(directory))
    try:
        first = simulator(*up)
        assert first.stdout.strip() == str(directory / "kubeconfig")
        assert (directory / "nodes/gpu-1/libnvidia-ml.so.1").exists()
        assert (directory / "nodes/gpu-1/kubelet/device-plugins/kubelet_internal_checkpoint").exists()
        again = simulator(*up)
        assert again.returncode == 1
        assert f"A cluster is already running in {directory}" in again.stderr
        assert f"down --dir {directory}" in again.stderr
        assert simulator("audit", "--dir", str(directory)).stdout == ""
    finally:
        down = simulator("down", "--dir", str(directory))
    assert down.stdout == f"ended the cluster in {directory}\n"
    assert not (directory / "kubeconfig").exists()
    repeated = simulator("down", "--dir", str(directory))
    assert (repeated.returncode, repeated.stdout) == (0, f"no cluster is running in {directory}\n")


def test_up_clears_what_a_killed_cluster_left_and_nothing_else(tmp_path: Path) -> None:
    mine = tmp_path / "notes.txt"
    mine.write_text("keep")
    first = SimulatedCluster.start(small_scenario(), tmp_path, speed=SPEED)
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    first.wait_until(lambda: not is_running(tmp_path), 10)
    assert (tmp_path / "kubeconfig").exists()
    with SimulatedCluster.start(small_scenario(), tmp_path, speed=SPEED) as second:
        assert len(second.client().items("/api/v1/nodes")) == 1
    assert mine.read_text() == "keep"


def test_scenario_that_is_wrong_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    scenario = tmp_path / "bad.yml"
    scenario.write_text("name: bad\nnodes: [{name: a, gpus: [{card: T5}]}]\nsurprise: 1\n")
    refused = simulator("up", "--scenario", str(scenario), "--dir", str(tmp_path / "cluster"))
    assert refused.returncode == 1
    assert "no card 'T5'" in refused.stderr
    assert "unknown key 'surprise'" in refused.stderr
    assert not (tmp_path / "cluster").exists()


def test_scenario_that_fails_in_its_history_shows_the_log(tmp_path: Path) -> None:
    broken = {**small_scenario(), "history": [{"age": "1d", "apply": [deployment()]}]}
    with pytest.raises(ClusterError, match='namespaces "gpu" not found'):
        SimulatedCluster.start(broken, tmp_path)


def test_plugin_swap_over_http_changes_what_the_node_offers(cluster: SimulatedCluster) -> None:
    client = cluster.client(user_agent="swapper/1")
    assert allocatable(cluster) == 2
    position = cluster.position()
    client.patch("/api/v1/nodes/gpu-1", {"metadata": {"labels": {KEY: None}}})
    cluster.wait_until(lambda: allocatable(cluster) == 0, 30, "allocatable 0")
    client.patch("/api/v1/nodes/gpu-1", {"metadata": {"labels": {KEY: "shared"}}}, dryRun="All")
    client.patch("/api/v1/nodes/gpu-1", {"metadata": {"labels": {KEY: "shared"}}})
    cluster.wait_until(lambda: allocatable(cluster) == 8, 30, "allocatable 8")
    writes = cluster.writes(since=position)
    assert [(item["verb"], item["path"], item["status"], item["user_agent"]) for item in writes] == [
        ("PATCH", "/api/v1/nodes/gpu-1", 200, "swapper/1"),
        ("PATCH", "/api/v1/nodes/gpu-1", 200, "swapper/1"),
    ]
    assert any(item["dry_run"] for item in cluster.audit(position))
    (pod,) = client.items(PODS, labelSelector="plugin=shared")
    assert "Registered device plugin for 'nvidia.com/gpu' with Kubelet" in client.text(
        f"{PODS}/{pod['metadata']['name']}/log"
    )
    assert cluster.state()["failures"] == []


def test_reboot_gives_the_node_a_new_boot_id_and_rejects_pods_with_old_ids(cluster: SimulatedCluster) -> None:
    client = cluster.client()
    client.patch("/api/v1/nodes/gpu-1", {"metadata": {"labels": {KEY: None}}})
    cluster.wait_until(lambda: allocatable(cluster) == 0, 30)
    client.patch("/api/v1/nodes/gpu-1", {"metadata": {"labels": {KEY: "shared"}}})
    cluster.wait_until(lambda: allocatable(cluster) == 8, 30)
    before = client.get("/api/v1/nodes/gpu-1")["status"]["nodeInfo"]["bootID"]
    assert simulator("reboot", "--dir", str(cluster.directory), "--node", "gpu-1").returncode == 0
    cluster.wait_until(lambda: client.get("/api/v1/nodes/gpu-1")["status"]["nodeInfo"]["bootID"] != before, 30)
    cluster.settle()
    pods = client.items(PODS, labelSelector="app=app")
    assert sorted(pod["status"]["phase"] for pod in pods) == ["Failed", "Running"]
    (failed,) = [pod for pod in pods if pod["status"]["phase"] == "Failed"]
    assert failed["status"]["reason"] == "UnexpectedAdmissionError"
    with pytest.raises(ClusterError, match="no simulated node 'gpu-9'"):
        cluster.reboot("gpu-9")


def test_owner_takes_its_daemon_set_back(cluster: SimulatedCluster) -> None:
    path = f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets/plugin"
    client = cluster.client()
    original = client.get(path)["spec"]
    cluster.fault("owner", daemonset=f"{NAMESPACE}/plugin", reconcile=True)
    changed = client.patch(path, {"spec": {"updateStrategy": {"type": "OnDelete", "rollingUpdate": None}}})
    assert changed["spec"] != original
    cluster.wait_until(lambda: client.get(path)["spec"] == original, 30, "the owner's return")


def test_faults_of_nodes_are_ordered_and_taken_back(cluster: SimulatedCluster) -> None:
    cluster.fault("nvml", node="gpu-1", error="LIB_RM_VERSION_MISMATCH")
    state = cluster.node_directory("gpu-1") / "nvml.state"
    assert "init_error=18" in state.read_text()
    assert simulator("fault", "nvml", "--dir", str(cluster.directory), "--node", "gpu-1", "--clear").returncode == 0
    assert "init_error" not in state.read_text()
    cluster.fault("nvml", node="gpu-1", gpu=1, lost=True)
    cluster.wait_until(lambda: allocatable(cluster) == 1, 30, "one device less")
    assert "lost=1" in state.read_text()
    assert cluster.fault("plugin-crash", node="gpu-1")["crashed"] == 1
    cluster.fault("not-ready", node="gpu-1")
    node = "/api/v1/nodes/gpu-1"
    cluster.wait_until(
        lambda: cluster.client().get(node)["status"]["conditions"][-1]["status"] == "Unknown", 30, "Unknown"
    )
    order = ("fault", "kubelet", "--dir", str(cluster.directory), "--node", "gpu-1", "--action", "up")
    assert simulator(*order).returncode == 0
    cluster.wait_until(lambda: cluster.client().get(node)["status"]["conditions"][-1]["status"] == "True", 30, "Ready")
    cluster.fault("host-service", node="gpu-1", unit="nvidia-dcgm.service", action="start")
    assert "holder=" in state.read_text()
    assert cluster.state()["broken_pods"] == []
    with pytest.raises(ClusterError, match="fault plugin-crash has no option gpu"):
        cluster.fault("plugin-crash", node="gpu-1", gpu=1)
    with pytest.raises(ClusterError, match="no NVML error 'NOPE'"):
        cluster.fault("nvml", node="gpu-1", error="NOPE")


def test_api_faults_are_passed_on_to_the_server(cluster: SimulatedCluster) -> None:
    fields = ("method=GET", "path=/api/v1/nodes", "status=503", "count=1")
    options = [word for field in fields for word in ("--set", field)]
    assert simulator("fault", "api", "--dir", str(cluster.directory), *options).returncode == 0
    with pytest.raises(ClientError) as answer:
        cluster.client().get("/api/v1/nodes")
    assert answer.value.status == 503
    assert len(cluster.client().items("/api/v1/nodes")) == 1


def test_cluster_ends_with_the_process_that_started_it(tmp_path: Path) -> None:
    code = (
        "import sys; from simulator.cluster import SimulatedCluster; "
        "SimulatedCluster.start({'name': 'n', 'nodes': [{'name': 'a'}]}, sys.argv[1])"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120, env=environment)
    SimulatedCluster(tmp_path).wait_until(lambda: not is_running(tmp_path), 30, "the end of the cluster")


def test_nodes_renew_their_leases(cluster: SimulatedCluster) -> None:
    path = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/gpu-1"
    client = cluster.client()
    first = client.get(path)["spec"]["renewTime"]
    cluster.wait_until(lambda: client.get(path)["spec"]["renewTime"] > first, 30, "a renewal")
