# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An H20 that one pod has taken whole is cut into seven by a run that dies half-way and by the next one, and gets its layouts back.

The tests go one after the other through the same cluster: each begins with what the one before it has left.
"""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from simulator.cluster import SimulatedCluster
from simulator.nvml.mig_state import MigState

from .operator import PLAYBOOK_SECONDS, REPOSITORY, Operator
from .test_host_steps import REVISION, command, in_service, node, steps, words

NODE = "gpu-h20"
SMALL, LARGE, GPU = "nvidia.com/mig-1g.12gb", "nvidia.com/mig-3g.48gb", "nvidia.com/gpu"
EXPORTER_LABEL = "example.com/gpu-metrics"
CREATE = "nvmlDeviceCreateGpuInstanceWithPlacement"
SEVEN, OTHERWISE = {"1g.12gb": 7}, {"1g.12gb": 4, "3g.48gb": 1}


def configs(devices: dict[str, int]) -> dict[str, Any]:
    """The operator's wish."""
    return {"h20": {"match": {"product": "NVIDIA H20"}, "mig": {"strategy": "mixed", "devices": devices}}}


def advertised(cluster: SimulatedCluster) -> dict[str, int]:
    amounts = node(cluster, NODE)["status"]["allocatable"]
    return {name: int(count) for name, count in amounts.items() if name.startswith("nvidia.com/") and int(count)}


def pods(cluster: SimulatedCluster, app: str) -> dict[str, dict[str, Any]]:
    """Pods of an app on the node, by UID."""
    found = cluster.client().items("/api/v1/pods", fieldSelector=f"spec.nodeName={NODE}")
    return {pod["metadata"]["uid"]: pod for pod in found if pod["metadata"].get("labels", {}).get("app") == app}


def running(cluster: SimulatedCluster, app: str) -> set[str]:
    return {uid for uid, pod in pods(cluster, app).items() if pod["status"].get("phase") == "Running"}


def instances(cluster: SimulatedCluster) -> dict[tuple[str, int], int]:
    """What tells each instance from another one that was made anew at its place, by profile and place."""
    [gpu] = list(MigState.read(cluster.node_directory(NODE)).gpus.values())
    return {(one.profile, one.start): one.compute[0].serial if one.compute else -1 for one in gpu.instances}


@pytest.fixture(scope="module")
def hall(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulatedCluster, Operator]]:
    """The cluster of the demo's second act, and its operator."""
    text = (REPOSITORY / "tests/simulator/scenarios/h20.yml").read_text(encoding="utf-8")
    # A first patch of the node is waited for: amid a report of its kubelet that would be refused, and nothing cordoned yet.
    scenario = {**yaml.safe_load(text), "heartbeats": False}
    with SimulatedCluster.start(scenario, tmp_path_factory.mktemp("cluster"), speed=20) as cluster:
        operator = Operator(cluster, tmp_path_factory.mktemp("operator"))
        operator.write_inventory([NODE, "gpu-l20"], {"kubegpu_sharing_configs": configs(SEVEN)})
        yield cluster, operator


def test_process_that_came_to_the_host_since_the_plan_keeps_every_pod_where_it_is(
    hall: tuple[SimulatedCluster, Operator],
) -> None:
    """Cordoned is the node by then, and the next run takes it over."""
    cluster, operator = hall
    # The answer to the cordon is held back until the process is there: the run looks at the host right after it.
    path = f"/api/v1/nodes/{NODE}"
    held = cluster.fault(
        "api", action="latency", method="PATCH", path=path, agent="kubegpu", late=True, latency_ms=8000
    )
    stood = {app: pods(cluster, app).keys() for app in ("web", "vision", "dcgm-exporter")}
    stranger = cluster.node_directory(NODE) / "proc/4242"
    with ThreadPoolExecutor() as beside:
        come = beside.submit(come_once_cordoned, cluster, held["id"], stranger)
        refused = operator.play("rollout")
        come.result()
    cluster.clear_api_faults()
    shutil.rmtree(stranger)
    assert refused.returncode != 0
    assert "process 4242 (profiler) on its host, of unit session-1.scope, keeps NVIDIA" in words(refused)
    assert {app: pods(cluster, app).keys() for app in stood} == stood
    assert not in_service(cluster, NODE)


def come_once_cordoned(cluster: SimulatedCluster, held: int, process: Path) -> None:
    """Somebody starts a tool on the host."""
    cluster.wait_until(lambda: cluster.api_fault(held, 5)["taken"], timeout=PLAYBOOK_SECONDS, what="the cordon")
    assert not in_service(cluster, NODE)
    (process / "fd").mkdir(parents=True)
    (process / "comm").write_text("profiler\n", encoding="utf-8")
    (process / "cgroup").write_text("0::/user.slice/user-0.slice/session-1.scope\n", encoding="utf-8")
    (process / "fd/3").symlink_to("/dev/nvidiactl")


def test_run_that_dies_between_two_instances_is_finished_by_the_next(hall: tuple[SimulatedCluster, Operator]) -> None:
    cluster, operator = hall
    web, taken = pods(cluster, "web").keys(), pods(cluster, "vision").keys()
    cluster.fault("nvml", node=NODE, function=f"{CREATE}@4", error="KILL")
    died = operator.play("rollout")
    assert died.returncode != 0
    assert len(instances(cluster)) == 3
    assert not in_service(cluster, NODE)
    assert f"failed on {NODE}" in words(died)
    # What was paused goes on meanwhile: the host is at rest, and who looks at the node misses its figures.
    assert EXPORTER_LABEL in node(cluster, NODE)["metadata"]["labels"]
    cluster.fault("nvml", node=NODE, clear=True)

    operator.must_play("rollout", kubegpu_plan_id=operator.plan()["plan_id"])
    assert in_service(cluster, NODE)
    assert advertised(cluster) == {SMALL: 7}
    assert len(instances(cluster)) == 7
    assert pods(cluster, "web").keys() == web
    assert not pods(cluster, "vision").keys() & taken
    assert running(cluster, "dcgm-exporter")
    cluster.wait_until(lambda: len(running(cluster, "notebook")) == 3, what="three notebooks on MIG devices")
    assert cluster.state()["broken_pods"] == []


def test_node_that_fails_after_its_layout_has_changed_gets_the_layout_back(
    hall: tuple[SimulatedCluster, Operator],
) -> None:
    """What can stay stays, there and back, and with it the pods on it."""
    cluster, operator = hall
    web, stood, notebooks = pods(cluster, "web").keys(), instances(cluster), running(cluster, "notebook")
    fails = steps(operator.directory, "fails", command("Look at it", "false"))
    wish = {"kubegpu_sharing_configs": configs(OTHERWISE), "kubegpu_on_failure": "restore"}
    ended = operator.play("rollout", kubegpu_host_steps=[fails], **wish)
    assert ended.returncode != 0
    assert f'host step "Look at it" failed on {NODE}: non-zero return code (it was restored to what it was' in words(
        ended
    )
    assert operator.plan()["nodes"][NODE]["mig"]["changes"] is True
    assert in_service(cluster, NODE)
    assert advertised(cluster) == {SMALL: 7}
    assert len(instances(cluster).items() & stood.items()) == 4
    assert pods(cluster, "web").keys() == web
    assert running(cluster, "notebook") == notebooks
    assert EXPORTER_LABEL in node(cluster, NODE)["metadata"]["labels"]
    assert cluster.state()["broken_pods"] == []


def test_rollback_makes_the_card_whole_again_and_the_old_plugin_serves_it(
    hall: tuple[SimulatedCluster, Operator],
) -> None:
    cluster, operator = hall
    first = min(path.name for path in (operator.work_dir / "runs").iterdir() if (path / "journal.jsonl").exists())
    operator.must_play("rollback", kubegpu_rollback_run=first)
    assert in_service(cluster, NODE)
    assert advertised(cluster) == {GPU: 1}
    assert instances(cluster) == {}
    assert REVISION not in node(cluster, NODE)["metadata"]["labels"]
    assert not (cluster.node_directory(NODE) / "root/run/kubegpu-sharing/mig-ready").exists()
    assert running(cluster, "dcgm-exporter")
    assert cluster.state()["broken_pods"] == []
