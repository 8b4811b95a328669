# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people and other programs do to the nodes meanwhile."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

from simulator.cluster import SimulatedCluster

from .conftest import REFERENCE_HOSTS, REFERENCE_SCENARIO, REFERENCE_VARIABLES
from .operator import Operator

HOLD = "kubegpu.sharing/hold"
MAINTENANCE = "kubegpu.sharing/maintenance"


def hold_when_cordoned(cluster: SimulatedCluster, name: str) -> threading.Thread:
    """A person who sees the cordon and asks to keep the node."""

    def person() -> None:
        client = cluster.client(user_agent="person")
        cluster.wait_until(lambda: client.get(f"/api/v1/nodes/{name}")["spec"].get("unschedulable"), 120, "the cordon")
        client.patch(f"/api/v1/nodes/{name}", {"metadata": {"annotations": {HOLD: "let me look at it"}}})

    thread = threading.Thread(target=person, daemon=True)
    thread.start()
    return thread


def test_a_hold_during_the_rollout_keeps_the_node_and_lets_the_others_go_on(tmp_path: Path) -> None:
    with SimulatedCluster.start(REFERENCE_SCENARIO, tmp_path / "cluster", speed=20) as cluster:
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(REFERENCE_HOSTS, REFERENCE_VARIABLES)
        person = hold_when_cordoned(cluster, "gpu-l20")
        ended = operator.must_play("rollout")
        person.join(10)
        held, other = (cluster.client().get(f"/api/v1/nodes/{name}") for name in REFERENCE_HOSTS)
        assert held["spec"]["unschedulable"]
        assert MAINTENANCE in held["metadata"]["annotations"]
        assert held["status"]["allocatable"]["nvidia.com/gpu"] == "8"
        assert not other["spec"].get("unschedulable")
        assert other["status"]["allocatable"]["nvidia.com/gpu"] == "3"
        said = "1 node is held by hand: gpu-l20 (let me look at it)"
        assert said in " ".join(ended.output.split("Verification of plan")[1].split())
        assert "$ kubectl annotate node gpu-l20 kubegpu.sharing/hold-" in ended.output
        # Those who come later are told so too, each time.
        for playbook, heading in (("plan", "Plan "), ("verify", "Verification")):
            later = operator.must_play(playbook).output
            assert said in " ".join(later.split(f"\n{heading}")[-1].split()), later
        # The person is finished: the next run puts the node into service and changes nothing else.
        cluster.client().patch("/api/v1/nodes/gpu-l20", {"metadata": {"annotations": {HOLD: None}}})
        operator.must_play("rollout")
        released = cluster.client().get("/api/v1/nodes/gpu-l20")
        assert not released["spec"].get("unschedulable")
        assert MAINTENANCE not in released["metadata"].get("annotations", {})


def test_rollout_beside_the_rest_of_the_helm_chart(tmp_path: Path) -> None:
    """GPU Feature Discovery runs from the device plugin's image and is none."""
    with SimulatedCluster.start("helm-chart", tmp_path / "cluster", speed=20) as cluster:
        operator = Operator(cluster, tmp_path / "operator")
        nodes: list[dict[str, Any]] = cluster.client().items("/api/v1/nodes")
        gpus = [item["metadata"]["name"] for item in nodes if int(item["status"]["capacity"].get("nvidia.com/gpu", 0))]
        whole = {"kubegpu_sharing_configs": {"all": {"sharing": "time_slicing", "replicas": 3}}}
        operator.write_inventory(gpus, {**whole, "kubegpu_default_config": "all", "kubegpu_wave": "100%"})
        operator.must_play("rollout")
        last = cluster.position()
        operator.must_play("rollout")
        assert cluster.writes(last) == []
        for item in cluster.client().items("/api/v1/nodes"):
            if item["metadata"]["name"] in gpus:
                assert int(item["status"]["allocatable"]["nvidia.com/gpu"]) == 3 * int(
                    item["metadata"]["labels"]["nvidia.com/gpu.count"]
                )
                assert not item["spec"].get("unschedulable")
