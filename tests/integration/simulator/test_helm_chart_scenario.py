"""The chart's scenario: DaemonSets of one image and with one selector, of which only one is a device plugin."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.controllers.meta import is_ready
from simulator.scenario import Scenario
from simulator.simulation import Simulation

NAMESPACE = "nvidia-device-plugin"
PLUGIN = "nvdp-nvidia-device-plugin"
DISCOVERY = f"{PLUGIN}-gpu-feature-discovery"
GPUS = {"gpu-1": 2, "gpu-2": 2, "gpu-t4": 1}


@pytest.fixture(scope="module")
def chart() -> Simulation:
    simulation = Simulation(Scenario.load("helm-chart"))
    simulation.replay()
    return simulation


def pods_of(simulation: Simulation, daemonset: str) -> dict[str, dict[str, Any]]:
    """Pods by node."""
    return {
        pod["spec"]["nodeName"]: pod
        for pod in simulation.pods(NAMESPACE)
        if pod["metadata"]["ownerReferences"][0]["name"] == daemonset
    }


def test_settles_with_every_card_served_whole_and_labelled(chart: Simulation) -> None:
    assert chart.engine.failures == []
    assert {node: chart.allocatable(node) for node in GPUS} == GPUS
    assert chart.allocatable("cpu-1") is None
    labels = {node["metadata"]["name"]: node["metadata"]["labels"] for node in chart.store.list("nodes")}
    assert [labels[node].get("nvidia.com/gpu.product") for node in GPUS] == ["NVIDIA-L40S", "NVIDIA-L40S", "Tesla-T4"]
    running = [pod["status"]["phase"] for pod in chart.pods("default", app="vision")]
    assert running == ["Running"] * 3


def test_daemon_sets_select_alike_and_keep_to_their_own_pods(chart: Simulation) -> None:
    for name in (PLUGIN, DISCOVERY):
        found = pods_of(chart, name)
        assert sorted(found) == sorted(GPUS)
        assert all(map(is_ready, found.values()))
        assert chart.get("apps/daemonsets", f"{NAMESPACE}/{name}")["status"]["numberReady"] == len(GPUS)
    assert pods_of(chart, f"{PLUGIN}-mps-control-daemon") == {}
    daemonsets = [item for item in chart.store.list("apps/daemonsets") if item["metadata"]["namespace"] == NAMESPACE]
    assert len(daemonsets) == 3
    assert len({str(item["spec"]["selector"]) for item in daemonsets}) == 1


@pytest.mark.parametrize(("daemonset", "lost"), [(DISCOVERY, False), (PLUGIN, True)])
def test_only_the_plugin_holds_the_socket(daemonset: str, lost: bool) -> None:
    simulation = Simulation(Scenario.load("helm-chart"))
    simulation.replay()
    simulation.registry.delete("apps/daemonsets", NAMESPACE, daemonset)
    simulation.engine.advance(30)
    assert pods_of(simulation, daemonset) == {}
    assert {node: simulation.allocatable(node) for node in GPUS} == (dict.fromkeys(GPUS, 0) if lost else GPUS)
