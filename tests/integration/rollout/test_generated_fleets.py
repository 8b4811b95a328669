# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts on fleets that nobody calculated beforehand, against an independent calculation."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from integration.node_law import most_out_of_service
from integration.node_watch import NodeWatch

from simulator.cluster import SimulatedCluster
from simulator.nvml.cards import CARDS
from simulator.scenario import generate

from .operator import Operator

WAITING_PODS = 2


@dataclass(frozen=True)
class Fleet:
    """A fleet of mixed cards; every figure else is drawn at random from the seed."""

    nodes: int
    models: tuple[str, ...]
    gpus_per_node: int
    facts: str
    seed: int


FLEETS = [
    pytest.param(Fleet(3, ("A30", "L40S", "T4"), 2, "nodes", 11), id="3 nodes of 3 models, facts from NVML"),
    pytest.param(Fleet(9, ("T4", "A100-40", "L20"), 1, "labels", 22), id="9 nodes of 3 models, facts from labels"),
    pytest.param(Fleet(40, ("H100-80", "L40S"), 4, "labels", 33), id="40 nodes with 4 GPUs each"),
]


def brute_force(total: int, process: int, ceiling: Fraction, headroom: int) -> int:
    """The most processes that leave the margins, by trying."""
    best = 0
    for replicas in range(1, total + 1):
        if replicas * process > ceiling * total or replicas * (process + headroom) > total:
            break
        best = replicas
    return best


def draw(fleet: Fleet) -> dict[str, Any]:
    """Variables of an operator."""
    chance = random.Random(fleet.seed)
    configs = {}
    for model in fleet.models:
        card = CARDS[model]
        configs[model.lower()] = {
            "match": {"product": card.product},
            "sharing": "time_slicing",
            "process_memory_mib": chance.randrange(card.memory_total_mib // 12, card.memory_total_mib // 3),
        }
    return {
        "kubegpu_sharing_configs": configs,
        "kubegpu_sizing": {
            "max_memory_utilization": f"0.{chance.randrange(80, 100)}",
            "min_headroom_mib": chance.choice([0, 256, 700]),
        },
        "kubegpu_facts": fleet.facts,
        "kubegpu_wave": "50%",
        "kubegpu_max_unavailable": "40%",
    }


def scenario_of(fleet: Fleet) -> dict[str, Any]:
    """The fleet with every GPU taken, and pods that wait for one."""
    data = generate(fleet.nodes, fleet.models, fleet.gpus_per_node, speed=20)
    replicas = fleet.nodes * fleet.gpus_per_node + WAITING_PODS
    labels = {"app": "render"}
    container = {
        "name": "main",
        "image": "registry.example.com/render:1",
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    template = {
        "metadata": {"labels": labels, "annotations": {"simulator.kubegpu/gpu-memory-mib": "500"}},
        "spec": {"containers": [container]},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "render", "namespace": "default"},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
    }
    data["history"].append({"age": "2d", "apply": [deployment]})
    return data


@pytest.mark.parametrize("fleet", FLEETS)
def test_rollout_on_a_generated_fleet_agrees_with_an_independent_calculation(fleet: Fleet, tmp_path: Path) -> None:
    variables = draw(fleet)
    sizing = variables["kubegpu_sizing"]
    with SimulatedCluster.start(scenario_of(fleet), tmp_path / "cluster") as cluster:
        nodes = {
            node["metadata"]["name"]: fleet.models[int(node["metadata"]["name"].split("-")[1]) % len(fleet.models)]
            for node in cluster.client().items("/api/v1/nodes")
        }
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(list(nodes), variables)
        with NodeWatch(cluster) as watch:
            operator.must_play("rollout")
        plan = operator.plan()
        watch.learn_before(plan)
        watch.learn(plan)
        assert watch.broken() == []
        operator.must_play("report")
        report = operator.report()

    slots = 0
    for name, model in nodes.items():
        card = CARDS[model]
        process = variables["kubegpu_sharing_configs"][model.lower()]["process_memory_mib"]
        replicas = brute_force(
            card.memory_total_mib, process, Fraction(sizing["max_memory_utilization"]), sizing["min_headroom_mib"]
        )
        slots += replicas * fleet.gpus_per_node
        reported = report["nodes"][name]
        # A label's value has no spaces, and which of its dashes was one is not known.
        assert reported["product"] == (card.product if fleet.facts == "nodes" else card.product.replace(" ", "-"))
        assert reported["replicas"] == replicas
        assert reported["resources_before"] == {"nvidia.com/gpu": fleet.gpus_per_node}
        assert reported["resources_after"] == {"nvidia.com/gpu": replicas * fleet.gpus_per_node}
        assert reported["slot_mib"] == card.memory_total_mib // replicas
        assert reported["headroom_mib"] == card.memory_total_mib // replicas - process
        assert reported["utilization"] == pytest.approx(replicas * process / card.memory_total_mib, abs=0.00005)
    assert (report["slots_before"], report["slots_after"]) == (fleet.nodes * fleet.gpus_per_node, slots)
    assert (report["pending_before"], report["pending_after"]) == (WAITING_PODS, 0)
    assert (report["evicted_pods"], report["admission_errors"], report["pods_restarted"]) == (0, 0, 0)

    waves = plan["waves"]
    assert Counter(node for wave in waves for node in wave) == Counter(list(nodes))
    canaries = [plan["nodes"][node]["key"] for node in waves[0]]
    assert len(canaries) == len(set(canaries))
    cap = max(1, fleet.nodes * 40 // 100)
    assert max(len(wave) for wave in waves) <= cap
    assert 1 <= most_out_of_service(watch.seen) <= cap
