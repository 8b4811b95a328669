# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The second act of the demo: an H20 becomes seven parts beside a pod that is left alone, and then other parts, of which four stay."""

from __future__ import annotations

import re
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from simulator.cluster import SimulatedCluster

from .operator import REPOSITORY, Operator

# The first test waits for four playbooks.
pytestmark = pytest.mark.timeout(400)

NODE = "gpu-h20"
DEMO = REPOSITORY / "inventories/demo-mig/group_vars"
SEVEN, FIVE = {"nvidia.com/mig-1g.12gb": 7}, {"nvidia.com/mig-1g.12gb": 4, "nvidia.com/mig-3g.48gb": 1}


@dataclass
class Act:
    """What was seen after one rollout."""

    plan: dict[str, Any]
    output: str
    pods: dict[str, dict[str, Any]]
    node: dict[str, Any]
    writes: list[dict[str, Any]]
    devices: set[str]


@dataclass
class Story:
    before: dict[str, dict[str, Any]]
    checked: Act
    seven: Act
    five: Act
    again: Act
    broken_pods: list[dict[str, Any]]


def demo_variables(name: str) -> dict[str, Any]:
    """A variables file of the demo's inventory."""
    return yaml.safe_load((DEMO / f"{name}.yml").read_text(encoding="utf-8"))


def pods(cluster: SimulatedCluster) -> dict[str, dict[str, Any]]:
    """All pods by UID."""
    return {pod["metadata"]["uid"]: pod for pod in cluster.client().get("/api/v1/pods")["items"]}


def of_app(found: dict[str, dict[str, Any]], app: str, node: str | None = None) -> dict[str, dict[str, Any]]:
    return {
        uid: pod
        for uid, pod in found.items()
        if pod["metadata"].get("labels", {}).get("app") == app and (node is None or pod["spec"].get("nodeName") == node)
    }


def devices(directory: Path) -> set[str]:
    """UUIDs of MIG devices, as nvidia-smi of the node lists them."""
    done = subprocess.run(
        [str(directory / "nodes" / NODE / "nvidia-smi"), "-L"], capture_output=True, text=True, timeout=30, check=True
    )
    return set(re.findall(r"UUID: (MIG-[^)\s]+)", done.stdout))


def wait_for_pods(cluster: SimulatedCluster, app: str, count: int) -> None:
    """Until that many pods of an app run on the node."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        there = of_app(pods(cluster), app, NODE).values()
        if sum(pod["status"].get("phase") == "Running" for pod in there) == count:
            return
        time.sleep(0.3)
    raise AssertionError(f"of {app} there are {[pod['status'] for pod in there]}")


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """Check mode, rollout of seven parts, of the other layout, and once more, with the variables of the demo's inventory."""
    with SimulatedCluster.start("h20", tmp_path_factory.mktemp("cluster"), speed=20) as cluster:
        operator = Operator(cluster, tmp_path_factory.mktemp("operator"))
        hosts = {key: value for key, value in demo_variables("gpu_nodes").items() if key.startswith("kubegpu_mig_")}
        everywhere = {
            key: value
            for key, value in demo_variables("all").items()
            if key in ("kubegpu_sharing_configs", "demo_layout", "demo_layouts")
        }
        operator.write_inventory(
            [NODE], {**everywhere, **hosts, "demo_node": f"{cluster.directory}/nodes/{{{{ inventory_hostname }}}}"}
        )

        def act(*arguments: str, waiting: tuple[str, int] | None = None, **extra: Any) -> Act:
            last = cluster.position()
            ended = operator.must_play("rollout", *arguments, **extra)
            writes = cluster.writes(last)
            if waiting:
                wait_for_pods(cluster, *waiting)
            node = cluster.client().get(f"/api/v1/nodes/{NODE}")
            return Act(operator.plan(), ended.output, pods(cluster), node, writes, devices(cluster.directory))

        before = pods(cluster)
        checked = act("--check", "--diff")
        seven = act(waiting=("notebook", 3))
        five = act(waiting=("training", 1), demo_layout="training")
        again = act(demo_layout="training")
        yield Story(before, checked, seven, five, again, cluster.state()["broken_pods"])


def advertised(node: dict[str, Any]) -> dict[str, int]:
    return {
        name: int(count)
        for name, count in node["status"]["allocatable"].items()
        if name.startswith("nvidia.com/") and int(count)
    }


def test_check_mode_says_what_will_be_and_changes_nothing(story: Story) -> None:
    assert story.checked.writes == []
    assert story.checked.devices == set()
    assert story.checked.plan["plan_id"] == story.seven.plan["plan_id"]


def test_card_is_cut_into_seven_and_the_node_is_back_in_service(story: Story) -> None:
    assert story.seven.plan["nodes"][NODE]["expected_resources"] == SEVEN
    assert advertised(story.seven.node) == SEVEN
    assert len(story.seven.devices) == 7
    assert not story.seven.node["spec"].get("unschedulable")
    assert "kubegpu.sharing/maintenance" not in story.seven.node["metadata"]["annotations"]


def test_pod_that_had_the_card_is_evicted_and_no_other(story: Story) -> None:
    evictions = [entry for entry in story.seven.writes if entry["subresource"] == "eviction"]
    assert [entry["namespace"] for entry in evictions] == ["vision"]


def test_web_pod_beside_it_is_the_same_one_without_a_restart(story: Story) -> None:
    (uid,) = of_app(story.before, "web", NODE)
    for act in (story.seven, story.five):
        assert set(of_app(act.pods, "web", NODE)) == {uid}
        assert [status["restartCount"] for status in act.pods[uid]["status"]["containerStatuses"]] == [0]


def test_exporter_that_held_the_card_is_back_on_the_node(story: Story) -> None:
    (before,) = of_app(story.before, "dcgm-exporter", NODE)
    (after,) = of_app(story.seven.pods, "dcgm-exporter", NODE)
    assert after != before
    assert story.seven.node["metadata"]["labels"]["example.com/gpu-metrics"] == "enable"
    assert not story.seven.node["spec"].get("taints")


def test_another_layout_keeps_the_four_devices_that_can_stay(story: Story) -> None:
    assert advertised(story.five.node) == FIVE
    assert len(story.seven.devices & story.five.devices) == 4
    assert len(story.five.devices) == 5


def test_pods_on_devices_that_stay_are_not_touched(story: Story) -> None:
    evicted = [entry for entry in story.five.writes if entry["subresource"] == "eviction"]
    stayed = set(of_app(story.seven.pods, "notebook")) & set(of_app(story.five.pods, "notebook"))
    assert len(stayed) + len(evicted) == 3
    assert stayed
    assert story.broken_pods == []


def test_once_more_writes_nothing(story: Story) -> None:
    assert story.again.writes == []
    assert story.again.devices == story.five.devices
