# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A disruption budget that will refuse is the first thing that an operator hears of a plan, forward and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from integration.rollout.conftest import REFERENCE_HOSTS, REFERENCE_SCENARIO, REFERENCE_VARIABLES
from integration.rollout.operator import Operator

from simulator.cluster import SimulatedCluster

from .conftest import OpenRoad
from .test_rollback import crowd, grow


def keep_all(cluster: SimulatedCluster, namespace: str, app: str, count: int) -> None:
    """A budget that can do without none of the pods, as the API serves it once its numbers are there."""
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    metadata = {"name": app, "namespace": namespace}
    spec = {"minAvailable": count, "selector": {"matchLabels": {"app": app}}}
    client = cluster.client()
    client.create(path, {"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": metadata, "spec": spec})


@pytest.mark.timeout(200)
def test_sharing_plan_warns_first_of_a_budget_that_will_refuse(tmp_path: Path) -> None:
    with SimulatedCluster.start(REFERENCE_SCENARIO, tmp_path / "cluster", speed=50) as cluster:
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(REFERENCE_HOSTS, {**REFERENCE_VARIABLES, "kubegpu_stale_pods": "recreate"})
        keep_all(cluster, "nlp", "nlp", 2)
        shown = operator.must_play("plan").output
        plan = operator.plan()
        first = plan["warnings"][0]
        assert first.startswith(
            "Disruption budget nlp/nlp will refuse evictions from wave 1 on, until the deadline: 2 of its"
        )
        # The third waits for a GPU.
        assert "it allows no disruptions (2 of 3 pods healthy, 2 demanded)" in first
        pods = {f"{pod['namespace']}/{pod['name']}" for node in plan["nodes"].values() for pod in node["stale_pods"]}
        assert all(pod in first for pod in pods)
        assert "kubegpu_stale_pods: report" in first
        words = " ".join(shown.split())
        assert "Disruption budget nlp/nlp will refuse evictions from wave 1 on" in words.partition("Warnings")[2]


def test_rollback_plan_warns_first_of_a_budget_that_will_refuse(open_road: OpenRoad) -> None:
    road = grow(open_road())
    crowd(road, "gpu-l20", 5)
    keep_all(road.cluster, "default", "crowd", 5)
    path = "/apis/policy/v1/namespaces/default/poddisruptionbudgets/crowd"
    road.wait_for(lambda: (road.client.get(path).get("status") or {}).get("currentHealthy") == 5)
    plan = road.plan_back(on_overcommit="evict")
    assert plan["warnings"][0].startswith("Disruption budget default/crowd will refuse evictions from wave 1 on")
