# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout to fewer slots than pods hold evicts as many of them as must go, if that is asked for, and no more."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from integration.eviction import stage

from simulator.cluster import SimulatedCluster

from .operator import Operator
from .test_host_steps import in_service, node, words

GPU, PODS = "nvidia.com/gpu", 6
FOUR = {"l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "replicas": 4}}


def eight_slots() -> dict[str, Any]:
    """A node with one GPU that somebody else's plugin shares eight ways."""
    scenario = stage.scenario(nodes=1)
    scenario["speed"] = 20
    scenario["nodes"][0]["gpus"] = [{"card": "L20", "count": 1}]
    config = scenario["history"][0]["apply"][0]
    config["data"] = {
        "config.yaml": config["data"]["config.yaml"].replace(f"replicas: {stage.SLOTS // 8}", "replicas: 8")
    }
    return scenario


def test_only_as_many_pods_as_have_no_slot_are_evicted(tmp_path: Path) -> None:
    with SimulatedCluster.start(eight_slots(), tmp_path / "cluster") as cluster:
        workload = stage.Stage(cluster, tmp_path)
        workload.deployment("app", PODS)
        before = workload.uids("app")
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory([stage.NODE], {"kubegpu_sharing_configs": FOUR})
        refused = operator.play("plan")
        assert refused.returncode != 0
        assert "pods hold 6 nvidia.com/gpu, but it would advertise 4" in words(refused)
        last = cluster.position()
        operator.must_play("rollout", kubegpu_on_overcommit="evict")
        assert len(workload.evictions(last)) == PODS - 4
        stayed = workload.uids("app")
        assert len(stayed) == 4
        assert stayed < before
        assert in_service(cluster, stage.NODE)
        assert node(cluster, stage.NODE)["status"]["allocatable"][GPU] == "4"
        # Their controller has made them anew, and they wait for a slot.
        assert len([pod for pod in cluster.client().items("/api/v1/namespaces/default/pods") if is_pending(pod)]) == 2
        assert_that_a_rollback_that_stops_names_the_run_it_takes_back(operator)


def assert_that_a_rollback_that_stops_names_the_run_it_takes_back(operator: Operator) -> None:
    """So that the command it ends with goes on in the same direction."""
    rollout = operator.last_run()
    path = f"/api/v1/nodes/{stage.NODE}"
    # The last of the patches of a node: cordon, withdraw, serve, uncordon.
    operator.cluster.fault("api", action="status", method="PATCH", path=path, nth=4, count=6, status=500)
    told = words(operator.play("rollback"))
    operator.cluster.clear_api_faults()
    back = operator.last_run()
    assert back != rollout
    go_on, _sep, undo = told.partition("To take back what this run did:")
    assert f"-e kubegpu_rollback_run={rollout}" in go_on
    assert f"-e kubegpu_rollback_run={back}" in undo


def is_pending(pod: dict[str, Any]) -> bool:
    return bool(pod["status"]["phase"] == "Pending" and not pod["spec"].get("nodeName"))
