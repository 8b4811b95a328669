# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes of a wave that failed go back to what they were, each for itself, if that is asked for."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from simulator.cluster import SimulatedCluster
from simulator.scenario import generate

from .conftest import REFERENCE_VARIABLES
from .operator import Operator
from .test_host_steps import MAINTENANCE, REVISION, command, in_service, node, steps, words

GPU = "nvidia.com/gpu"
HOSTS = ["gpu-1", "gpu-2", "gpu-3", "gpu-4"]
PODS = "/api/v1/namespaces/default/pods"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
RESTORED = "(it was restored to what it was before the rollout)"


def slots(cluster: SimulatedCluster, name: str) -> int:
    return int(node(cluster, name)["status"]["allocatable"].get(GPU, 0))


def impatient_pod(cluster: SimulatedCluster, name: str, host: str) -> None:
    """Without a controller. It tolerates a cordon, so it comes as soon as the node has a slot for it."""
    spec = {
        "nodeSelector": {"kubernetes.io/hostname": host},
        "tolerations": [{"key": "node.kubernetes.io/unschedulable", "operator": "Exists"}],
        "containers": [{"name": "app", "image": "app", "resources": {"limits": {GPU: "1"}}}],
    }
    cluster.client().create(PODS, {"metadata": {"name": name}, "spec": spec})


def pods_on(cluster: SimulatedCluster, host: str) -> set[str]:
    found: list[dict[str, Any]] = cluster.client().items(PODS, fieldSelector=f"spec.nodeName={host}")
    return {pod["metadata"]["name"] for pod in found}


def lock_is_free(cluster: SimulatedCluster) -> bool:
    return not cluster.client().get(LEASE)["spec"].get("holderIdentity")


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulatedCluster, Operator]]:
    """Two T4 and two L20, a canary of each in the first wave, through which the tests of this file go one after the other."""
    # Requests for a node are counted: a report of its kubelet amid one would have it refused and sent again.
    scenario = {**generate(4, speed=20), "heartbeats": False}
    with SimulatedCluster.start(scenario, tmp_path_factory.mktemp("cluster")) as cluster:
        for number in range(3):
            impatient_pod(cluster, f"app-{number}", "gpu-1")
        cluster.settle()
        operator = Operator(cluster, tmp_path_factory.mktemp("operator"))
        more = {"kubegpu_max_unavailable": 2, "kubegpu_on_failure": "restore"}
        operator.write_inventory(HOSTS, {**REFERENCE_VARIABLES, **more})
        yield cluster, operator


def test_node_that_cannot_go_back_keeps_no_other_from_it(fleet: tuple[SimulatedCluster, Operator]) -> None:
    """With the slots of the new config come pods that the old one has no slots for."""
    cluster, operator = fleet
    assert len(pods_on(cluster, "gpu-1")) == 1
    for name in ("gpu-1", "gpu-2"):
        # The patches of a node: cordon, withdraw, serve, uncordon. Each is tried six times.
        cluster.fault("api", action="status", method="PATCH", path=f"/api/v1/nodes/{name}", nth=4, count=6, status=500)
    ended = operator.play("rollout")
    cluster.clear_api_faults()
    assert ended.returncode != 0
    assert sorted(operator.plan()["waves"][0]) == ["gpu-1", "gpu-2"]
    told = words(ended)
    assert (
        "1 of 2 nodes of this wave is not in service, so no further wave is begun. Of the others that failed, "
        "1 was restored to what it was before."
    ) in told
    assert f"Look at its health, then run again. {RESTORED}" in told
    assert "(it was not restored and stays out of service: " in told
    assert "pods hold 3 nvidia.com/gpu" in told
    assert (in_service(cluster, "gpu-2"), slots(cluster, "gpu-2")) == (True, 1)
    assert REVISION not in node(cluster, "gpu-2")["metadata"]["labels"]
    # It serves what was planned, but nobody has proven that it may be used.
    assert (in_service(cluster, "gpu-1"), slots(cluster, "gpu-1"), len(pods_on(cluster, "gpu-1"))) == (False, 3, 3)
    assert lock_is_free(cluster)


def test_as_many_pods_as_have_no_place_leave_a_node_that_goes_back(fleet: tuple[SimulatedCluster, Operator]) -> None:
    """A run that goes on with the plan of the first one finishes first what that has left."""
    cluster, operator = fleet
    before = pods_on(cluster, "gpu-1")
    fails = steps(operator.directory, "fails", command("Look at it", "false"))
    allowed = {"kubegpu_on_overcommit": "evict", "kubegpu_evict_force": True}
    ended = operator.play("rollout", kubegpu_host_steps=[fails], kubegpu_plan_id=operator.plan()["plan_id"], **allowed)
    assert ended.returncode != 0
    told = words(ended)
    assert "1 of 1 node of this wave failed, and was restored to what it was before, so no further wave" in told
    assert f'gpu-1: host step "Look at it" failed on gpu-1: non-zero return code {RESTORED}' in told
    assert (in_service(cluster, "gpu-1"), slots(cluster, "gpu-1")) == (True, 1)
    left = pods_on(cluster, "gpu-1")
    assert len(left) == 1
    assert left < before
    assert lock_is_free(cluster)


def test_host_step_that_takes_too_long_keeps_its_node_out_of_service(
    fleet: tuple[SimulatedCluster, Operator],
) -> None:
    """What it has begun there may go on, whatever is asked for. The other host of the wave has done its steps in time.

    The step has to begin within the time, which Ansible itself takes seconds of. The command that the run ends with goes on.
    """
    cluster, operator = fleet
    sleeps = command("Reset the card", "sleep", "120", when="inventory_hostname == 'gpu-1'")
    slow = steps(operator.directory, "slow", sleeps)
    ended = operator.play("rollout", kubegpu_host_steps=[slow], kubegpu_host_steps_timeout_seconds=25)
    assert ended.returncode != 0
    told = words(ended)
    assert sorted(operator.plan()["waves"][0]) == ["gpu-1", "gpu-2"]
    assert "1 of 2 nodes of this wave is not in service, so no further wave is begun." in told
    assert 'gpu-1: host step "Reset the card" failed on gpu-1: ' in told
    assert "(it was not restored and stays out of service, since a host step may still be running there" in told
    left = node(cluster, "gpu-1")
    assert left["spec"]["unschedulable"]
    note = json.loads(left["metadata"]["annotations"][MAINTENANCE])
    assert 'host step "Reset the card" failed' in note["reason"]
    assert left["metadata"]["labels"][REVISION] == "withdrawn"
    assert (in_service(cluster, "gpu-2"), slots(cluster, "gpu-2")) == (True, 8)
    assert (in_service(cluster, "gpu-3"), slots(cluster, "gpu-3")) == (True, 1)
    assert lock_is_free(cluster)
    plan_id = operator.plan()["plan_id"]
    assert f"-e kubegpu_plan_id={plan_id}" in told
    operator.must_play("rollout", kubegpu_plan_id=plan_id)
    assert [slots(cluster, name) for name in HOSTS] == [3, 8, 3, 8]
    assert all(in_service(cluster, name) for name in HOSTS)
