# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbooks there and back again on the reference cluster: 2 slots, 11, 2, 11."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.rollout.conftest import REFERENCE_HOSTS, REFERENCE_SCENARIO, REFERENCE_VARIABLES
from integration.rollout.operator import Operator

from simulator.cluster import SimulatedCluster

from .conftest import OpenRoad
from .test_rollback import grow, loners

GPU = "nvidia.com/gpu"
OF_A_ROLLOUT = ("kubegpu.sharing/", "nvidia.com/device-plugin.config", "nvidia-device-enable")


def slots(cluster: SimulatedCluster) -> list[int]:
    nodes = [cluster.client().get(f"/api/v1/nodes/{name}") for name in REFERENCE_HOSTS]
    assert not any(node["spec"].get("unschedulable") for node in nodes)
    return [int(node["status"]["allocatable"].get(GPU, 0)) for node in nodes]


def labels(cluster: SimulatedCluster) -> dict[str, dict[str, str]]:
    return {
        name: {
            label: value
            for label, value in cluster.client().get(f"/api/v1/nodes/{name}")["metadata"]["labels"].items()
            if label.startswith(OF_A_ROLLOUT)
        }
        for name in REFERENCE_HOSTS
    }


def plugins(cluster: SimulatedCluster) -> set[tuple[str, str]]:
    """(namespace, node) of all device plugins."""
    return {
        (pod["metadata"]["namespace"], pod["spec"]["nodeName"])
        for pod in cluster.client().get("/api/v1/pods")["items"]
        if "device-plugin" in pod["metadata"]["name"]
    }


@pytest.mark.timeout(400)
def test_there_and_back_and_there_again(tmp_path: Path) -> None:
    with SimulatedCluster.start(REFERENCE_SCENARIO, tmp_path / "cluster", speed=50) as cluster:
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_on_overcommit": "accept"})
        before = labels(cluster)
        operator.must_play("rollout")
        assert slots(cluster) == [8, 3]
        after = labels(cluster)

        since = cluster.position()
        rehearsed = operator.must_play("rollback", "--check", "--diff")
        assert cluster.writes(since) == []
        plan = operator.plan()
        assert plan["plan_id"] in rehearsed.output
        operator.must_play("rollback", kubegpu_plan_id=plan["plan_id"])
        assert slots(cluster) == [1, 1]
        assert labels(cluster) == before
        assert plugins(cluster) == {("kube-system", name) for name in REFERENCE_HOSTS}

        operator.must_play("rollout")
        assert (slots(cluster), labels(cluster)) == ([8, 3], after)


@pytest.mark.timeout(200)
def test_what_the_operator_allows_to_be_lost_reaches_the_plan(open_road: OpenRoad, tmp_path: Path) -> None:
    road = grow(open_road())
    loners(road, "gpu-l20", 5)
    operator = Operator(road.cluster, tmp_path / "operator")
    operator.write_inventory(REFERENCE_HOSTS, {"kubegpu_on_overcommit": "evict"})
    operator.must_play("rollback", "--check")
    refused = operator.plan()
    assert refused["waves"] == [["gpu-t4"]]
    assert "kubegpu_evict_force" in refused["skipped"][0]["reason"]
    assert refused["warnings"][0].startswith("Not taken back: node gpu-l20: ")
    operator.must_play("rollback", "--check", kubegpu_evict_force=True)
    assert operator.plan()["nodes"]["gpu-l20"]["evict"]["fit"] == {GPU: 4}
