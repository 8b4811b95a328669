"""The reference scenario: what it settles to, what its nodes show in files, and that sharing finishes the stuck update."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from simulator.controllers.meta import condition
from simulator.scenario import Scenario
from simulator.simulation import Simulation
from simulator.worlds import KEY, shared_plugin

STUCK = (
    "0/8 nodes are available: 8 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption: 0/8 nodes are available: "
    "2 No preemption victims found for incoming pod, 6 Preemption is not helpful for scheduling."
)
GPU_NODES = ("gpu-l20", "gpu-t4")


@pytest.fixture
def reference(tmp_path: Path) -> Simulation:
    simulation = Simulation(Scenario.load("reference"), directory=tmp_path)
    simulation.replay()
    return simulation


def age_of(obj: dict) -> timedelta:
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"].replace("Z", "+00:00"))
    return datetime.now(timezone.utc) - created


def test_two_slots_are_taken_and_one_pod_has_been_waiting_for_28_days(reference: Simulation) -> None:
    assert [reference.allocatable(node) for node in GPU_NODES] == [1, 1]
    pods = reference.pods("nlp", app="nlp")
    running = [pod for pod in pods if pod["status"]["phase"] == "Running"]
    (waiting,) = [pod for pod in pods if pod["status"]["phase"] == "Pending"]
    assert sorted(pod["spec"]["nodeName"] for pod in running) == list(GPU_NODES)
    assert (condition(waiting, "PodScheduled") or {})["message"] == STUCK
    assert timedelta(days=28) <= age_of(waiting) < timedelta(days=28, minutes=5)
    events = [event for event in reference.store.list("events") if event["reason"] == "FailedScheduling"]
    assert [event["message"] for event in events] == [STUCK]
    assert age_of(events[0]) < timedelta(minutes=5)
    assert reference.engine.failures == []


def test_update_is_past_its_deadline(reference: Simulation) -> None:
    status = reference.get("apps/deployments", "nlp/nlp")["status"]
    conditions = {item["type"]: item["reason"] for item in status["conditions"]}
    assert conditions == {"Available": "MinimumReplicasAvailable", "Progressing": "ProgressDeadlineExceeded"}
    assert (status["replicas"], status["updatedReplicas"], status["unavailableReplicas"]) == (3, 1, 1)


def test_nodes_show_their_processes_with_cgroups_that_name_the_pod(reference: Simulation, tmp_path: Path) -> None:
    for node, used in zip(GPU_NODES, (4621, 4401)):
        (pod,) = [item for item in reference.pods("nlp") if item["spec"].get("nodeName") == node]
        directory = tmp_path / "nodes" / node
        processes = [
            line for line in (directory / "nvml.state").read_text().splitlines() if line.startswith("process=")
        ]
        (process,) = [line.removeprefix("process=").split() for line in processes]
        assert process[0] == "compute"
        assert int(process[2]) == used
        proc = directory / "proc" / process[1]
        uid = pod["metadata"]["uid"].replace("-", "_")
        container = pod["status"]["containerStatuses"][0]["containerID"].removeprefix("containerd://")
        expected = f"kubepods-burstable.slice/kubepods-burstable-pod{uid}.slice/cri-containerd-{container}.scope"
        assert (proc / "cgroup").read_text() == f"0::/kubepods.slice/{expected}\n"
        assert (proc / "comm").read_text() == "python3\n"
        assert (proc / "cmdline").read_bytes() == b"python3\0-m\0nlp.serve\0"
        checkpoint = json.loads((directory / "kubelet/device-plugins/kubelet_internal_checkpoint").read_text())
        (entry,) = checkpoint["Data"]["PodDeviceEntries"]
        assert entry["PodUID"] == pod["metadata"]["uid"]
        assert entry["DeviceIDs"] == {"-1": [reference.agent(node).gpus.gpus[0].uuid]}
    assert not (tmp_path / "nodes" / "cpu-1").exists()


def share(simulation: Simulation, node: str, replicas: int) -> None:
    """Switch one node by hand: the old plugin off, then a sharing one on."""
    key = f"shared-{replicas}"
    for manifest in shared_plugin(replicas, key, key=key, version="v0.14.5"):
        simulation.apply({**manifest, "metadata": {**manifest["metadata"], "namespace": "kube-system"}})
    simulation.patch_node(
        node, {"spec": {"unschedulable": True}, "metadata": {"labels": {"nvidia-device-enable": None}}}
    )
    assert simulation.engine.run_until(lambda: simulation.allocatable(node) == 0, 30)
    simulation.patch_node(node, {"metadata": {"labels": {KEY: key}}})
    assert simulation.engine.run_until(lambda: simulation.allocatable(node) == replicas, 30)
    simulation.patch_node(node, {"spec": {"unschedulable": None}})


def test_sharing_schedules_the_waiting_pod_within_43_seconds_and_finishes_the_update(reference: Simulation) -> None:
    (waiting,) = [pod for pod in reference.pods("nlp") if pod["status"]["phase"] == "Pending"]
    others = {pod["metadata"]["uid"] for pod in reference.pods("web")}
    share(reference, "gpu-l20", 8)

    def placed() -> bool:
        return "nodeName" in reference.get("pods", f"nlp/{waiting['metadata']['name']}")["spec"]

    assert reference.engine.run_until(placed, 43)
    share(reference, "gpu-t4", 3)
    reference.engine.settle()
    assert [reference.allocatable(node) for node in GPU_NODES] == [8, 3]
    pods = reference.pods("nlp")
    assert [pod["status"]["phase"] for pod in pods] == ["Running", "Running"]
    assert waiting["metadata"]["uid"] in {pod["metadata"]["uid"] for pod in pods}
    assert {pod["spec"]["containers"][0]["image"] for pod in pods} == {"registry.example.com/nlp/inference:2024.4"}
    assert {pod["metadata"]["uid"] for pod in reference.pods("web")} == others
    # The old pods are gone with the update, so that no pod holds an id from before and a reboot rejects none.
    for node in GPU_NODES:
        reference.agent(node).reboot()
    reference.engine.advance(200)
    assert [pod["status"]["phase"] for pod in reference.pods("nlp")] == ["Running", "Running"]
    assert [reference.allocatable(node) for node in GPU_NODES] == [8, 3]
