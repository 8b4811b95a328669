# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching a wave: what it takes for the state before, what spoils a look, and what it writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Callable

import pytest
import yaml
from unit.plugins.fakes.driver import Driver
from unit.plugins.fakes.fake_cluster import FakeCluster, node_path

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import health
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError, Request, refused
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import LeaseLostError
from ansible_collections.kubegpu.sharing.plugins.modules import rollout_health_info

from .conftest import Start

POD = "/api/v1/namespaces/nlp/pods/web"
CRASHED = {"exitCode": 1, "reason": "Error", "finishedAt": "2026-03-01T12:00:05Z"}


def pod(restarts: int = 0, node: str = "gpu-1") -> dict[str, Any]:
    spec = {
        "nodeName": node,
        "containers": [
            {"name": "app", "image": "registry.example/web:1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}
        ],
    }
    status = {"name": "app", "restartCount": restarts, "state": {"running": {}}}
    last = {"lastState": {"terminated": CRASHED}} if restarts else {}
    return {"spec": spec, "status": {"phase": "Running", "containerStatuses": [{**status, **last}]}}


@pytest.fixture
def changed(start: Start, tmp_path: Path) -> tuple[FakeCluster, Driver]:
    """A wave of two nodes with a GPU pod, recorded, then changed and back in service."""
    cluster, driver = start(baseline_path=str(tmp_path / "health.json"), watch_seconds=0.2, interval_seconds=0.05)
    cluster.api.put(POD, pod())
    driver.lock()
    driver.snapshot()
    driver.present()
    assert driver.recorded()["failed_nodes"] == []
    for step in driver.wave_steps:
        assert step()["failed_nodes"] == []
    return cluster, driver


def journal(driver: Driver) -> list[tuple[str, str]]:
    assert driver.journal is not None
    lines = [json.loads(line) for line in driver.journal.read_text().splitlines()]
    return [(line["node"], line["state"]) for line in lines if line["state"] in ("healthy", "unhealthy")]


def test_wave_that_is_well_is_said_to_be_without_a_write(changed: tuple[FakeCluster, Driver]) -> None:
    cluster, driver = changed
    writes = len(cluster.api.writes)
    result = driver.watched()
    assert (result["changed"], result["failed_nodes"], result["looped_before"]) == (False, [], [])
    assert len(cluster.api.writes) == writes
    assert journal(driver) == [("gpu-1", "healthy"), ("gpu-2", "healthy")]
    assert set(yaml.safe_load(rollout_health_info.RETURN)) == set(result) - {"changed", "actions", "diff"}


def test_restart_since_the_record_fails_its_node_alone(changed: tuple[FakeCluster, Driver]) -> None:
    cluster, driver = changed
    cluster.api.put(POD, pod(restarts=1))
    result = driver.watched(watch_seconds=0.0)
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["nodes"]["gpu-1"]["reason"].startswith("1 restart of containers with GPUs since the wave began")
    assert journal(driver) == [("gpu-1", "unhealthy"), ("gpu-2", "healthy")]
    assert driver.watched(watch_seconds=0.0, max_restarts=1)["failed_nodes"] == []


def test_pod_that_looped_and_comes_to_another_node_of_the_wave_does_not_fail_it(
    changed: tuple[FakeCluster, Driver],
) -> None:
    cluster, driver = changed
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "bad", "uid": "rs-1", "controller": True}
    for name, node in (("bad-1", "gpu-1"), ("bad-2", "gpu-2")):
        looping = pod(restarts=5, node=node)
        looping["status"]["containerStatuses"][0]["state"] = {"waiting": {"reason": "CrashLoopBackOff"}}
        path = f"/api/v1/namespaces/nlp/pods/{name}"
        cluster.api.put(path, {**looping, "metadata": {"ownerReferences": [owner]}})
        if node == "gpu-1":
            assert driver.recorded()["looped_before"] == ["gpu-1: nlp/bad-1 (app)"]
            cluster.api.remove(path)
    assert driver.watched(watch_seconds=0.0)["failed_nodes"] == []


def test_dip_of_allocatable_within_the_watch_fails_its_node(changed: tuple[FakeCluster, Driver]) -> None:
    cluster, driver = changed
    looks: list[str] = []

    def dip(_method: str, path: str) -> None:
        if path.startswith(node_path("gpu-2")):
            looks.append(path)
            wanted = "0" if len(looks) == 2 else "3"
            if cluster.allocatable("gpu-2") != int(wanted):
                cluster.law_off.add("gpu-2")
                cluster.api.change(node_path("gpu-2"), {"status": {"allocatable": {"nvidia.com/gpu": wanted}}})

    cluster.api.faults.append(dip)
    result = driver.watched()
    cluster.api.faults.clear()
    assert result["failed_nodes"] == ["gpu-2"]
    assert "allocatable nvidia.com/gpu is 0, expected 3" in result["nodes"]["gpu-2"]["reason"]


def test_node_that_is_gone_is_not_well(changed: tuple[FakeCluster, Driver]) -> None:
    cluster, driver = changed
    cluster.law_off.add("gpu-2")
    cluster.api.remove(node_path("gpu-2"))
    assert "no node of this name" in driver.watched()["nodes"]["gpu-2"]["reason"]


def test_large_wave_is_looked_at_less_often(
    changed: tuple[FakeCluster, Driver], monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster, driver = changed
    looks: list[str] = []
    cluster.api.faults.append(lambda _method, path: looks.append(path) if path == node_path("gpu-1") else None)
    # Most looks are left if the process stands still for seconds. The clock of these tests makes the watch short.
    driver.watched(watch_seconds=8.0, interval_seconds=0.8)
    often = len(looks)
    monkeypatch.setattr(health, "_NODES_A_SECOND", 0.25)
    driver.watched(watch_seconds=8.0, interval_seconds=0.8)
    cluster.api.faults.clear()
    assert (often > 4, len(looks) - often) == (True, 2), "at the beginning and at the end"


def failing(status: int, times: int) -> Callable[[str, str], None]:
    left = [times]

    def fault(method: str, path: str) -> None:
        if method == "GET" and "/pods" in path and left[0]:
            left[0] -= 1
            raise refused(Request.of("GET", path, "simulated"), status, b"{}", {})

    return fault


def test_trouble_that_passes_spoils_a_look_and_no_more(changed: tuple[FakeCluster, Driver]) -> None:
    cluster, driver = changed
    cluster.api.faults.append(failing(500, times=3))
    assert driver.watched()["failed_nodes"] == []


def test_refusal_is_no_proof(changed: tuple[FakeCluster, Driver]) -> None:
    cluster, driver = changed
    cluster.api.faults.append(failing(403, times=99))
    with pytest.raises(ApiError):
        driver.watched()


def test_watch_ends_with_the_lock(changed: tuple[FakeCluster, Driver]) -> None:
    _cluster, driver = changed
    driver.unlock()
    with pytest.raises(LeaseLostError):
        driver.watched()


def test_long_watch_renews_the_lock(changed: tuple[FakeCluster, Driver]) -> None:
    cluster, driver = changed
    writes = len(cluster.api.writes)
    driver.of(options={**driver.options, "lease_seconds": 3}).watched(watch_seconds=6.0, interval_seconds=5.0)
    assert len(cluster.api.writes) > writes
    assert all("/leases/" in write.path for write in cluster.api.writes[writes:])


def test_errors_of_hosts_are_judged_with_the_rest(changed: tuple[FakeCluster, Driver]) -> None:
    _cluster, driver = changed
    lost = {"xid": 79, "gpu_index": 0, "pci_bus_id": "0000:3b:00.0", "pid": None, "process": None, "text": "gone"}
    killed = {**lost, "xid": 45}
    result = driver.watched(
        watch_seconds=0.0, xids={"gpu-1": {"xids": [killed]}, "gpu-2": {"xids": [killed, lost]}, "other": {}}
    )
    assert result["failed_nodes"] == ["gpu-2"]
    assert result["nodes"]["gpu-2"]["xids"] == [lost]


def test_node_that_was_not_recorded_is_refused(changed: tuple[FakeCluster, Driver], tmp_path: Path) -> None:
    _cluster, driver = changed
    driver.of(nodes=("gpu-1",)).recorded(baseline_path=str(tmp_path / "one.json"))
    with pytest.raises(KubeGpuError, match="does not tell how gpu-2 was before"):
        driver.watched(baseline_path=str(tmp_path / "one.json"))
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(KubeGpuError, match="is none of this version"):
        driver.watched(baseline_path=str(tmp_path / "other.json"))


def test_options_that_make_no_sense_are_refused_at_once(changed: tuple[FakeCluster, Driver]) -> None:
    _cluster, driver = changed
    with pytest.raises(KubeGpuError) as refusal:
        driver.watched(watch_seconds=-1.0, interval_seconds=0.0, max_xids=-2)
    assert len(refusal.value.facts["problems"]) == 3
    with pytest.raises(KubeGpuError, match="no node is named"):
        driver.of(nodes=()).watched()


def test_options_are_what_is_documented() -> None:
    documented = yaml.safe_load(rollout_health_info.DOCUMENTATION)["options"]
    spec = rollout_health_info.argument_spec().options
    assert {name: (documented[name]["type"], documented[name].get("default")) for name in documented} == {
        name: (spec[name]["type"], spec[name].get("default")) for name in documented
    }
