# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout that is killed in the middle, and run again under the id of the plan that was approved.

This is a sample through ansible-playbook; tests/integration/interruption goes through every write.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.cluster import SimulatedCluster

from .conftest import REFERENCE_AT_REST, REFERENCE_HOSTS, REFERENCE_SCENARIO, REFERENCE_VARIABLES
from .operator import Operator, kill_run

MAINTENANCE = "kubegpu.sharing/maintenance"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
#: The next run waits for so long, and this one may write only while an answer to its renewal takes less than two thirds of it.
LEASE_SECONDS = 12


def patched_nodes(cluster: SimulatedCluster) -> int:
    """How often nodes have been patched by the collection."""
    return sum("kubegpu" in entry["user_agent"] for entry in cluster.writes() if entry["resource"] == "nodes")


@pytest.mark.parametrize(
    ("writes", "done"),
    [
        pytest.param(2, [], id="the canary has no plugin"),
        pytest.param(5, ["gpu-l20"], id="the second wave has begun"),
    ],
)
def test_killed_rollout_ends_as_planned_when_it_is_run_again(tmp_path: Path, writes: int, done: list[str]) -> None:
    with SimulatedCluster.start(REFERENCE_AT_REST, tmp_path / "cluster", speed=20) as cluster:
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_lease_seconds": LEASE_SECONDS})
        # The one after them gets no answer: however late the run is killed, it has come no further.
        cluster.fault(
            "api", action="hang", method="PATCH", path="/api/v1/nodes/", agent="kubegpu", nth=writes + 1, count=0
        )
        process = operator.start("rollout")
        try:
            cluster.wait_until(lambda: patched_nodes(cluster) >= writes, 120, f"{writes} patches of nodes")
        finally:
            kill_run(process)
        cluster.clear_api_faults()
        approved = operator.plan()["plan_id"]
        killed, lease = cluster.position(), cluster.client().get(LEASE)
        in_hand = next(name for name in REFERENCE_HOSTS if name not in done)
        assert cluster.client().get(f"/api/v1/nodes/{in_hand}")["spec"]["unschedulable"]

        said = " ".join(operator.must_play("rollout", kubegpu_plan_id=approved, kubegpu_lock_wait=60).output.split())
        # It says whose id it bears, what it waits for before it waits, and whose lock that was.
        assert f"What is left of approved plan {approved} As approved:" in said
        assert f"Verification of approved plan {approved} All 2 planned nodes as planned" in said
        dead = f"run {lease['spec']['holderIdentity']} ("
        waits = [f"A run has died and left its lock: {dead}", f"Another run has the lock: {dead[:-2]} since"]
        assert any(
            said.find(words) in range(said.index("TASK [kubegpu.sharing.rollout : begin | Take the lock]"))
            for words in waits
        )
        assert f"A run died, and its lock was taken over: {dead}" in said
        before = said[: said.index("wave | Take the nodes out of scheduling")]
        assert "Pods that must leave have 600 s, the old device plugin 300 s, and the new one 300 s and" in before
        touched = {entry["name"] for entry in cluster.writes(killed) if entry["resource"] == "nodes"}
        assert touched.isdisjoint(done)
        for name, slots in (("gpu-l20", "8"), ("gpu-t4", "3")):
            node = cluster.client().get(f"/api/v1/nodes/{name}")
            assert node["status"]["allocatable"]["nvidia.com/gpu"] == slots
            assert not node["spec"].get("unschedulable")
            assert MAINTENANCE not in node["metadata"].get("annotations", {})


def test_rollout_that_finds_nothing_to_do_clears_up_after_one_that_died_at_its_end(tmp_path: Path) -> None:
    with SimulatedCluster.start(REFERENCE_SCENARIO, tmp_path / "cluster", speed=50) as cluster:
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(REFERENCE_HOSTS, REFERENCE_VARIABLES)
        operator.must_play("rollout")
        leave_lock_and_config(cluster)
        since = cluster.position()
        operator.must_play("rollout", "--check")
        assert cluster.writes(since) == []
        operator.must_play("rollout")
        written = [(entry["verb"], entry["resource"]) for entry in cluster.writes(since)]
        lease = ("PATCH", "coordination.k8s.io/leases")
        # A slow run renews the lock in between.
        assert (written[0], written[-1]) == (lease, lease)
        assert [write for write in written if write != lease] == [("DELETE", "configmaps")]
        assert not cluster.client().get(LEASE)["spec"].get("holderIdentity")
        since = cluster.position()
        operator.must_play("rollout")
        assert cluster.writes(since) == []


def leave_lock_and_config(cluster: SimulatedCluster) -> None:
    """The lock names a run that is long dead, and there is a config that no node bears any more."""
    client, old = cluster.client(), "2020-01-01T00:00:00.000000Z"
    dead = {"holderIdentity": "run-dead", "leaseDurationSeconds": 1, "acquireTime": old, "renewTime": old}
    client.patch(LEASE, {"spec": dead})
    labels = {"app.kubernetes.io/managed-by": "kubegpu.sharing", "kubegpu.sharing/revision": "ffffffffff"}
    metadata = {"name": "kubegpu-device-plugin-old", "namespace": "kubegpu-system", "labels": labels}
    config = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}
    client.create("/api/v1/namespaces/kubegpu-system/configmaps", config)
