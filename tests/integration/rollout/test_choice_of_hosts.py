# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts take part, where their variables come from, and what happens to those that cannot be read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from simulator.cluster import SimulatedCluster
from simulator.scenario import generate

from .conftest import REFERENCE_HOSTS, REFERENCE_VARIABLES
from .operator import Operator

# Nothing listens there, and the connection is refused at once.
UNREACHABLE = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def rewrite(operator: Operator, change: Any) -> None:
    """Change the inventory as data."""
    path = operator.directory / "inventory.yml"
    inventory = yaml.safe_load(path.read_text(encoding="utf-8"))
    path.write_text(yaml.safe_dump(change(inventory), sort_keys=False), encoding="utf-8")


def replicas(operator: Operator) -> dict[str, int]:
    return {name: node["replicas"] for name, node in operator.plan()["nodes"].items()}


def test_limit_plans_the_nodes_of_its_hosts_alone(operator: Operator) -> None:
    operator.must_play("plan", "--limit", "gpu-t4")
    assert replicas(operator) == {"gpu-t4": 3}


def test_variables_of_the_group_hold_though_another_host_comes_first(operator: Operator) -> None:
    def move(inventory: dict[str, Any]) -> dict[str, Any]:
        configs = inventory["all"]["vars"].pop("kubegpu_sharing_configs")
        inventory["gpu_nodes"]["vars"]["kubegpu_sharing_configs"] = configs
        return {"admin": {"hosts": {"bastion": UNREACHABLE}}, **inventory}

    rewrite(operator, move)
    operator.must_play("plan")
    assert replicas(operator) == {"gpu-l20": 8, "gpu-t4": 3}


def test_hosts_may_have_other_names_than_their_nodes(operator: Operator) -> None:
    def rename(inventory: dict[str, Any]) -> dict[str, Any]:
        inventory["gpu_nodes"]["hosts"] = {f"rack-{name}": {"kubegpu_node_name": name} for name in REFERENCE_HOSTS}
        return inventory

    rewrite(operator, rename)
    operator.must_play("plan", "--limit", "rack-gpu-l20")
    plan = operator.plan()
    assert {name: (node["host"], node["facts"]) for name, node in plan["nodes"].items()} == {
        "gpu-l20": ("rack-gpu-l20", "nvml")
    }


def test_the_group_may_have_another_name(operator: Operator) -> None:
    rewrite(operator, lambda inventory: {"all": inventory["all"], "cards": inventory["gpu_nodes"]})
    operator.must_play("plan", kubegpu_group="cards")
    assert replicas(operator) == {"gpu-l20": 8, "gpu-t4": 3}


@pytest.fixture(scope="module")
def labelled_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedCluster]:
    """An L20 and a T4 with the labels of GPU Feature Discovery."""
    with SimulatedCluster.start(generate(2, speed=20), tmp_path_factory.mktemp("labelled")) as cluster:
        yield cluster


@pytest.mark.parametrize(
    ("mode", "sources"),
    [
        pytest.param("auto", {"gpu-1": "labels", "gpu-2": "nvml"}, id="auto takes its labels"),
        pytest.param("nodes", {"gpu-2": "nvml"}, id="nodes leaves it alone"),
    ],
)
def test_a_host_that_cannot_be_reached_does_not_end_the_plan(
    labelled_cluster: SimulatedCluster, tmp_path: Path, mode: str, sources: dict[str, str]
) -> None:
    operator = Operator(labelled_cluster, tmp_path)
    operator.write_inventory(["gpu-1", "gpu-2"], {**REFERENCE_VARIABLES, "kubegpu_facts": mode})

    def cut_off(inventory: dict[str, Any]) -> dict[str, Any]:
        inventory["gpu_nodes"]["hosts"]["gpu-1"] = UNREACHABLE
        return inventory

    rewrite(operator, cut_off)
    operator.must_play("plan")
    plan = operator.plan()
    assert {name: node["facts"] for name, node in plan["nodes"].items()} == sources
    assert [entry["node"] for entry in plan["skipped"]] == [name for name in ("gpu-1",) if name not in sources]


def test_labels_alone_are_enough_without_any_host(labelled_cluster: SimulatedCluster, tmp_path: Path) -> None:
    operator = Operator(labelled_cluster, tmp_path)
    operator.write_inventory([], REFERENCE_VARIABLES)
    rewrite(operator, lambda inventory: {"all": inventory["all"]})
    operator.must_play("plan", kubegpu_facts="labels")
    assert {name: node["facts"] for name, node in operator.plan()["nodes"].items()} == {
        "gpu-1": "labels",
        "gpu-2": "labels",
    }
    ended = operator.play("plan")
    assert ended.returncode != 0
    assert "No host of the group gpu_nodes is left in this run" in " ".join(ended.output.split())


def test_a_held_node_is_left_alone_and_listed(reference_cluster: SimulatedCluster, operator: Operator) -> None:
    client = reference_cluster.client()
    hold = {"metadata": {"annotations": {"kubegpu.sharing/hold": "waiting for a new fan"}}}
    client.patch("/api/v1/nodes/gpu-t4", hold)
    try:
        ended = operator.must_play("plan")
    finally:
        client.patch("/api/v1/nodes/gpu-t4", {"metadata": {"annotations": {"kubegpu.sharing/hold": None}}})
    assert replicas(operator) == {"gpu-l20": 8}
    assert "waiting for a new fan" in json.dumps(operator.plan()["skipped"])
    assert "waiting for a new fan" in ended.output
