# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A wave whose pods run out of GPU memory on the new slots, or whose GPU reports errors, stops the rollout before the next one.

The tests go one after the other through the same cluster: each begins with what the one before it has left.
"""

from __future__ import annotations

import json
import time
from typing import Any, Iterator

import pytest

from simulator.cluster import SimulatedCluster
from simulator.scenario import generate
from simulator.worlds import deployment

from .operator import Ended, Operator
from .test_host_steps import MAINTENANCE, in_service, node, words
from .test_restore import RESTORED, lock_is_free, pods_on, slots

HOSTS = ["gpu-1", "gpu-2", "gpu-3"]
GREEDY = "/apis/apps/v1/namespaces/default/deployments/greedy"
#: More than a card of 46068 MiB has for that many.
SLOTS, MEMORY_MIB = 12, 6000
TOO_MANY = {"l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "replicas": SLOTS}}


def send_greedy_pods(cluster: SimulatedCluster) -> None:
    """As many as the new config has slots on gpu-1, anew: none of them has crashed before."""
    client = cluster.client()
    if client.items("/apis/apps/v1/namespaces/default/deployments"):
        client.delete(GREEDY, {"propagationPolicy": "Background"})
        cluster.wait_until(lambda: not pods_on(cluster, "gpu-1"), what="the old pods' end")
    body = deployment("greedy", replicas=SLOTS, pod={"nodeSelector": {"kubernetes.io/hostname": "gpu-1"}})
    body["metadata"]["namespace"] = "default"
    body["spec"]["template"]["metadata"]["annotations"] = {"simulator.kubegpu/gpu-memory-mib": str(MEMORY_MIB)}
    client.create("/apis/apps/v1/namespaces/default/deployments", body)
    cluster.settle()


def health_states(operator: Operator) -> list[tuple[str, str]]:
    path = operator.work_dir / "runs" / operator.last_run() / "journal.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [(line["node"], line["state"]) for line in lines if line["state"] in ("healthy", "unhealthy")]


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulatedCluster, Operator]]:
    """Three L20, one in each wave."""
    with SimulatedCluster.start(generate(3, ["L20"], speed=20), tmp_path_factory.mktemp("cluster")) as cluster:
        operator = Operator(cluster, tmp_path_factory.mktemp("operator"))
        more = {"kubegpu_sharing_configs": TOO_MANY, "kubegpu_health_seconds": 3, "kubegpu_on_overcommit": "accept"}
        # A plan would be refused for the pod that runs already.
        more["kubegpu_accept_live_memory"] = HOSTS
        operator.write_inventory(HOSTS, more)
        yield cluster, operator


def test_wave_with_too_many_slots_is_taken_back_if_that_is_asked_for(fleet: tuple[SimulatedCluster, Operator]) -> None:
    cluster, operator = fleet
    send_greedy_pods(cluster)
    ended = operator.play("rollout", kubegpu_on_failure="restore")
    assert ended.returncode != 0
    told = words(ended)
    assert "restarts of containers with GPUs since the wave began, 0 allowed (kubegpu_health_max_restarts)" in told
    assert RESTORED in told
    assert (
        "1 of 1 node of this wave failed, and was restored to what it was before, so no further wave is begun" in told
    )
    assert {name: slots(cluster, name) for name in HOSTS} == dict.fromkeys(HOSTS, 1)
    assert all(in_service(cluster, name) for name in HOSTS)
    assert MAINTENANCE not in node(cluster, "gpu-1")["metadata"].get("annotations", {})
    assert health_states(operator) == [("gpu-1", "unhealthy")]
    assert lock_is_free(cluster)


def test_wave_with_too_many_slots_stops_the_rollout_and_stays_in_service(
    fleet: tuple[SimulatedCluster, Operator],
) -> None:
    cluster, operator = fleet
    send_greedy_pods(cluster)
    ended = operator.play("rollout")
    assert ended.returncode != 0
    told = words(ended)
    assert "and is in service all the same, so no further wave is begun" in told
    assert "last end: exit code 1" in told
    inventory = operator.directory / "inventory.yml"
    assert f"kubegpu.sharing.rollback -i {inventory} -e kubegpu_rollback_run={operator.last_run()}" in told
    assert "logs greedy-" in told
    assert "MiB of GPU 0 for each slot before, and a slot is 3839 MiB now" in told
    assert "once gpu-1 is seen to; nothing watches it again:" in told
    assert {name: slots(cluster, name) for name in HOSTS} == {"gpu-1": SLOTS, "gpu-2": 1, "gpu-3": 1}
    assert all(in_service(cluster, name) for name in HOSTS)
    assert lock_is_free(cluster)
    operator.must_play("report")
    report: dict[str, Any] = operator.report()
    assert report["timeline"]["nodes"]["gpu-1"][-1]["state"] == "unhealthy"
    assert (report["outcome"], list(report["failures"])) == ("failed", ["gpu-1"])
    # Nothing of it is to be changed any more, and nothing watches it.
    assert "gpu-1 was not well when it was changed" in words(operator.must_play("verify", "--limit", "gpu-1"))


def test_gpu_that_reports_an_error_in_its_wave_stops_the_rollout_too(fleet: tuple[SimulatedCluster, Operator]) -> None:
    cluster, operator = fleet
    # Whoever just runs it again does not spread it.
    last = cluster.position()
    refused = operator.play("rollout")
    assert refused.returncode != 0
    assert "A rollout has stopped at nodes that were in service and not well" in words(refused)
    assert cluster.writes(last) == []
    (operator.work_dir / "not_well.json").unlink()
    cluster.fault("nvml", node="gpu-2", gpu=0, xid=13)
    ended = play_and_report(cluster, operator)
    assert ended.returncode != 0
    told = words(ended)
    assert "1 error of GPUs (Xid) since the wave began, 0 allowed (kubegpu_health_max_xids): Xid 31 of" in told
    assert slots(cluster, "gpu-2") == SLOTS
    assert in_service(cluster, "gpu-2")
    # What gpu-1 has suffered is over with its wave, and what gpu-2 reported before its own is not this rollout's doing.
    assert health_states(operator)[-2:] == [("gpu-2", "healthy"), ("gpu-2", "unhealthy")]


def play_and_report(cluster: SimulatedCluster, operator: Operator) -> Ended:
    """A rollout in which gpu-2 reports two errors once it is out of scheduling: of a process that was killed, and one that counts."""
    process = operator.start("rollout")
    deadline = time.monotonic() + 200
    while process.poll() is None and in_service(cluster, "gpu-2") and time.monotonic() < deadline:
        time.sleep(0.1)
    for xid in (45, 31):
        cluster.fault("nvml", node="gpu-2", gpu=0, xid=xid)
    process.wait(180)
    return Ended(process.returncode, (operator.directory / "output").read_text(encoding="utf-8"))


def test_host_whose_kernel_log_cannot_be_read_is_told_and_no_failure(fleet: tuple[SimulatedCluster, Operator]) -> None:
    cluster, operator = fleet
    (cluster.node_directory("gpu-3") / "kmsg").unlink()
    assert list(json.loads((operator.work_dir / "not_well.json").read_text(encoding="utf-8"))) == ["gpu-2"]
    (operator.work_dir / "not_well.json").unlink()
    told = words(operator.must_play("rollout"))
    assert "Whether GPUs have reported errors is not known of every node of this wave" in told
    assert "Cannot read the kernel log" in told
    assert slots(cluster, "gpu-3") == SLOTS
    assert health_states(operator) == [("gpu-3", "healthy")]
    operator.must_play("report")
    assert operator.report()["outcome"] == "finished"
    last = cluster.position()
    operator.must_play("rollout")
    assert cluster.writes(last) == []
