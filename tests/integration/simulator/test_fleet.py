"""Large fleets come up without a task, a timer or a directory for every node."""

from __future__ import annotations

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
