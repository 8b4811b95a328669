# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sizes and plans follow from samples alone, on a fleet whose programs nobody calculated beforehand."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration.rollout.operator import Operator

from simulator.cluster import SimulatedCluster
from simulator.nvml.cards import CARDS
from simulator.scenario import generate

pytestmark = pytest.mark.integration

MODELS = ("A30", "L40S", "T4")
GPUS_PER_NODE = 2
#: One simulated second is a tenth of a real one: a peak is sampled twice at least, and comes back every two seconds.
SPEED, PEAK_SECONDS, EVERY_SECONDS = 10, 10, 20


@dataclass(frozen=True)
class Program:
    """What each of a workload's processes takes on a card at its peak, by product."""

    name: str
    processes: int
    peaks: dict[str, int]

    def deployment(self, replicas: int) -> dict[str, Any]:
        course = {
            product: {
                "steps": [[0, peak // 3], [5, peak], [5 + PEAK_SECONDS, peak // 2]],
                "every": EVERY_SECONDS,
            }
            for product, peak in self.peaks.items()
        }
        annotations = {
            "simulator.kubegpu/gpu-memory-mib": json.dumps(course),
            "simulator.kubegpu/gpu-processes": str(self.processes),
        }
        labels = {"app": self.name}
        container = {
            "name": "main",
            "image": "registry.example.com/render:1",
            "resources": {"limits": {"nvidia.com/gpu": 1}},
        }
        template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": {"containers": [container]}}
        return {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": self.name, "namespace": "default"},
            "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template},
        }


def draw(chance: random.Random) -> list[Program]:
    cards = [CARDS[model] for model in MODELS]
    return [
        Program(
            name,
            processes,
            {card.product: chance.randrange(card.memory_total_mib // 40, card.memory_total_mib // 8) for card in cards},
        )
        for name, processes in (("render", 1), ("speech", 2), ("vision", 1))
    ]


def truth(cluster: SimulatedCluster, programs: list[Program], products: dict[str, str]) -> dict[str, int]:
    """By product the most that a container takes of such a card, by where its pods are."""
    found: dict[str, int] = {}
    for pod in cluster.client().items("/api/v1/namespaces/default/pods"):
        node = pod["spec"].get("nodeName")
        program = next((item for item in programs if item.name == pod["metadata"]["labels"].get("app")), None)
        if node in products and program and pod["status"]["phase"] == "Running":
            product = products[node]
            found[product] = max(found.get(product, 0), program.processes * program.peaks[product])
    return found


def test_sizes_and_plan_follow_from_samples_of_unknown_programs(tmp_path: Path) -> None:
    chance = random.Random(5)
    programs = draw(chance)
    data = generate(len(MODELS), MODELS, GPUS_PER_NODE, speed=SPEED)
    data["history"].append({"age": "2d", "apply": [program.deployment(GPUS_PER_NODE) for program in programs]})
    configs = {
        model.lower(): {"match": {"product": CARDS[model].product}, "sharing": "time_slicing"} for model in MODELS
    }
    with SimulatedCluster.start(data, tmp_path / "cluster", speed=SPEED) as cluster:
        nodes = [node["metadata"]["name"] for node in cluster.client().items("/api/v1/nodes")]
        gpu_nodes = {name: cluster.node_directory(name) for name in nodes if cluster.node_directory(name).exists()}
        operator = Operator(cluster, tmp_path / "operator")
        operator.write_inventory(
            sorted(gpu_nodes),
            {
                "kubegpu_sharing_configs": configs,
                "kubegpu_measure_seconds": 8,
                "kubegpu_measure_interval_seconds": 0.2,
                "kubegpu_measure_progress_seconds": 5,
                "ansible_async_dir": str(tmp_path / "async"),
            },
        )
        operator.must_play("measure")
        run = max((operator.work_dir / "runs").iterdir())
        facts = {name: json.loads((run / f"facts/{name}.json").read_text(encoding="utf-8")) for name in gpu_nodes}
        products = {name: fact["facts"]["gpus"][0]["product"] for name, fact in facts.items()}
        expected = truth(cluster, programs, products)
    assert len(expected) == len(MODELS)

    proposal = json.loads((run / "proposal.json").read_text(encoding="utf-8"))
    cards = {model.lower(): CARDS[model] for model in MODELS}
    assert {key: config["process_memory_mib"] for key, config in proposal["configs"].items()} == {
        key: expected[card.product] for key, card in cards.items()
    }
    plan = json.loads((run / "plan_proposed.json").read_text(encoding="utf-8"))
    replicas = {node["key"]: node["replicas"] for node in plan["nodes"].values() if node.get("key")}
    # Whole numbers: 9 tenths of the card, in processes.
    assert replicas == {key: 9 * card.memory_total_mib // (10 * expected[card.product]) for key, card in cards.items()}
