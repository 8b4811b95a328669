"""Large fleets come up without a task, a timer or a directory for every node."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import pytest

from simulator.controllers import daemonset
from simulator.controllers.daemonset import placement
from simulator.controllers.facts import Facts
from simulator.controllers.meta import is_ready, is_terminating, split_key
from simulator.scenario import Scenario, generate
from simulator.simulation import Simulation


def test_fleet_of_several_models_comes_up_served_and_labelled() -> None:
    simulation = Simulation(Scenario.load(generate(300, models=("L20", "T4", "A30"), gpus_per_node=8, cpu_nodes=2)))
    simulation.replay()
    simulation.go_live()
    assert sum(simulation.allocatable(node) or 0 for node in simulation.agents) == 2400
    products = {node["metadata"]["labels"].get("nvidia.com/gpu.product") for node in simulation.store.list("nodes")}
    assert products == {"NVIDIA-L20", "Tesla-T4", "NVIDIA-A30", None}
    status = simulation.get("apps/daemonsets", "kube-system/nvidia-device-plugin-daemonset")["status"]
    assert status["numberReady"] == 300
    assert simulation.engine.settled
    assert simulation.store.list("coordination.k8s.io/leases") == []
    assert simulation.engine.failures == []


def test_reports_of_a_resting_fleet_cost_nothing() -> None:
    simulation = Simulation(Scenario.load(generate(150)))
    simulation.replay()
    simulation.go_live()
    revision = simulation.store.revision
    simulation.engine.advance(3600)
    assert simulation.store.revision == revision


def test_a_changed_node_costs_a_look_at_that_node_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Counter[str]()

    def counted(daemon_set: dict[str, Any], node: dict[str, Any], facts: Facts) -> tuple[bool, bool]:
        looks[node["metadata"]["name"]] += 1
        return placement(daemon_set, node, facts)

    simulation = Simulation(Scenario.load(generate(200)))
    simulation.replay()
    monkeypatch.setattr(daemonset, "placement", counted)
    for name in simulation.agents:
        simulation.label(name, **{"nvidia-device-enable": None})
        simulation.engine.advance(0.05)
    simulation.engine.settle()
    assert simulation.pods("kube-system") == []
    assert max(looks.values()) <= 5


@pytest.mark.parametrize("seed", range(5))
def test_daemon_set_status_is_what_a_look_at_every_node_would_give(seed: int) -> None:
    chance = random.Random(seed)
    simulation = Simulation(Scenario.load(generate(12)))
    simulation.replay()
    key = "kube-system/nvidia-device-plugin-daemonset"
    for _unused in range(60):
        names = [node["metadata"]["name"] for node in simulation.store.list("nodes")]
        name = chance.choice(names)
        pods = [pod for pod in simulation.pods("kube-system") if not is_terminating(pod)]
        what = chance.choice(["label", "label", "taint", "pod", "template", "node" if len(names) > 8 else "label"])
        if what == "label":
            simulation.label(name, **{"nvidia-device-enable": chance.choice(["enable", None])})
        elif what == "taint":
            effect = chance.choice(["NoSchedule", "NoExecute"])
            taints = chance.choice([[{"key": "k", "effect": effect}], None])
            simulation.patch_node(name, {"spec": {"taints": taints}})
        elif what == "pod" and pods:
            simulation.registry.delete("pods", "kube-system", chance.choice(pods)["metadata"]["name"])
        elif what == "template":
            args = {"spec": {"template": {"metadata": {"annotations": {"n": str(chance.random())}}}}}
            simulation.registry.patch("apps/daemonsets", *split_key(key), args)
        elif what == "node":
            simulation.registry.delete("nodes", None, name)
        simulation.engine.advance(chance.choice([0.0, 0.04, 0.3, 3.0]))
    simulation.engine.settle()
    # The status of what a taint merely keeps away changes with the DaemonSet's next look alone.
    simulation.registry.patch(
        "apps/daemonsets", *split_key(key), {"spec": {"minReadySeconds": 0, "revisionHistoryLimit": 9}}
    )
    simulation.engine.settle()
    wanted = [placement(simulation.get("apps/daemonsets", key), node) for node in simulation.store.list("nodes")]
    status = simulation.get("apps/daemonsets", key)["status"]
    ready = {pod["spec"]["nodeName"] for pod in simulation.pods("kube-system") if is_ready(pod)}
    places = zip(simulation.store.list("nodes"), wanted)
    should = {node["metadata"]["name"] for node, (run, _stay) in places if run}
    assert status["desiredNumberScheduled"] == status["numberReady"] == len(should)
    assert should <= ready
    assert status["numberMisscheduled"] == len(ready - should)
    assert simulation.engine.failures == []
