# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pausing what holds the driver of nodes and letting it come back, against a cluster in memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.driver import Driver
from unit.plugins.fakes.fake_api import api_error
from unit.plugins.fakes.fake_cluster import MAINTENANCE, FakeCluster, node_path

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import lease_path

from .conftest import Start

OPERATOR = "nvidia.com/gpu.deploy.dcgm-exporter"
LEASE = lease_path("kubegpu-system")
EVERYTHING = [{"operator": "Exists"}]
NODES = ("gpu-1", "gpu-2")


def by_label(cluster: FakeCluster) -> None:
    label(cluster, {"metrics": "on"})
    cluster.run_everywhere("exporter", nodeSelector={"metrics": "on"})


def by_operator(cluster: FakeCluster) -> None:
    label(cluster, {OPERATOR: "true"})
    cluster.run_everywhere("exporter", nodeSelector={OPERATOR: "true"})


def by_taint(cluster: FakeCluster) -> None:
    cluster.run_everywhere("exporter")


WAYS = pytest.mark.parametrize("run", [by_label, by_operator, by_taint])


def label(cluster: FakeCluster, labels: dict[str, str]) -> None:
    for name in cluster.keys:
        cluster.api.change(node_path(name), {"metadata": {"labels": labels}})


def plan_layouts(driver: Driver, holders: dict[str, Any] | None = None, changes: bool = True) -> None:
    """Let the plan lay out MIG instances on every node."""
    path = Path(driver.plan_path)
    plan = json.loads(path.read_text())
    for entry in plan["nodes"].values():
        entry["mig"] = {"changes": changes, "request": {"state": "present"}, "holders": holders}
    path.write_text(json.dumps(plan))


def begun(start: Start, run: Any = None, **options: Any) -> tuple[FakeCluster, Driver]:
    """In maintenance, with an exporter on each node."""
    cluster, driver = start(**options)
    if run:
        run(cluster)
    plan_layouts(driver)
    for step in (driver.lock, driver.present, driver.in_maintenance):
        assert step().get("failed_nodes", []) == []
    return cluster, driver


def shape(cluster: FakeCluster, name: str) -> tuple[Any, Any, Any]:
    """What pausing may touch of a node."""
    node = cluster.node(name)
    labels = {key: node["metadata"]["labels"].get(key) for key in ("metrics", OPERATOR)}
    noted = json.loads((node["metadata"].get("annotations") or {}).get(MAINTENANCE, '{"restore": {}}'))
    return labels, node["spec"].get("taints"), noted["restore"].get("paused")


@WAYS
def test_paused_and_resumed_leave_the_node_as_it_was(start: Start, run: Any) -> None:
    cluster, driver = begun(start, run)
    before = {name: shape(cluster, name) for name in NODES}
    result = driver.paused()
    assert result["failed_nodes"] == []
    assert all(cluster.pods_of("exporter", name) == [] for name in NODES)
    assert [holder["daemonset"] for holder in result["nodes"]["gpu-1"]["paused"]] == ["monitoring/exporter"]
    resumed = driver.resumed()
    assert resumed["nodes"]["gpu-1"]["resumed"] == ["monitoring/exporter"]
    assert resumed["nodes"]["gpu-1"]["absent"] == []
    assert all(cluster.pods_of("exporter", name) == [f"exporter-{name}"] for name in NODES)
    assert {name: shape(cluster, name) for name in NODES} == before


@WAYS
@pytest.mark.parametrize("step", ["paused", "resumed"])
def test_second_call_writes_nothing(start: Start, run: Any, step: str) -> None:
    cluster, driver = begun(start, run)
    driver.paused()
    if step == "resumed":
        driver.resumed()
    before = len(cluster.api.writes)
    again = getattr(driver, step)()
    assert (again["changed"], again["failed_nodes"]) == (False, [])
    assert [write for write in cluster.api.writes[before:] if "leases" not in write.path] == []


@WAYS
def test_check_mode_tells_what_a_real_run_does(start: Start, run: Any) -> None:
    cluster, driver = start()
    run(cluster)
    plan_layouts(driver)
    steps = ("in_maintenance", "paused", "withdrawn", "serving", "resumed", "in_service")
    foretold = {step: getattr(driver.of(check_mode=True), step)() for step in steps}
    assert cluster.api.writes == []
    driver.lock()
    driver.present()
    for step in steps:
        result = getattr(driver, step)()
        told = {name: (result[name], foretold[step][name]) for name in ("changed", "diff", "actions", "failed_nodes")}
        assert all(real == told_before for real, told_before in told.values()), (step, told)
    assert "would_wait_for" in foretold["paused"]["nodes"]["gpu-1"]
    assert "would_wait_for" in foretold["resumed"]["nodes"]["gpu-1"]


def test_one_that_cannot_be_paused_fails_and_nothing_is_touched(start: Start) -> None:
    cluster, driver = begun(start, lambda cluster: cluster.run_everywhere("exporter", tolerations=EVERYTHING))
    before = len(cluster.api.writes)
    result = driver.paused()
    assert result["failed_nodes"] == list(NODES)
    reason = result["nodes"]["gpu-1"]["reason"]
    assert "kubectl -n monitoring patch daemonset exporter" in reason
    assert reason.endswith("Nothing was paused on the node, and nothing evicted from it.")
    assert cluster.pods_of("exporter", "gpu-1") == ["exporter-gpu-1"]
    touched = [write for write in cluster.api.writes[before:] if write.path == node_path("gpu-1")]
    assert all("labels" not in write.body["metadata"] and "spec" not in write.body for write in touched)
    left_out = driver.paused(ignore_holders=["exporter"])
    assert (left_out["failed_nodes"], left_out["changed"]) == ([], False)


def test_what_came_since_the_plan_was_made_is_refused(start: Start) -> None:
    cluster, driver = begun(start, by_taint)
    plan_layouts(driver, {"daemonsets": [], "host": [], "ignored": []})
    reason = driver.paused()["nodes"]["gpu-1"]["reason"]
    assert reason.startswith(
        "DaemonSet monitoring/exporter keeps NVIDIA's driver open and came since the plan was made."
    )
    assert cluster.pods_of("exporter", "gpu-1") == ["exporter-gpu-1"]
    planned = {"daemonset": "monitoring/exporter", "method": "taint", "label": None, "value": None, "observed": False}
    plan_layouts(driver, {"daemonsets": [planned], "host": [], "ignored": []})
    assert driver.paused()["failed_nodes"] == []


def test_what_was_seen_on_the_host_is_paused_as_well(start: Start, tmp_path: Path) -> None:
    probe = [{"name": "probe", "image": "example/probe:1"}]
    cluster, driver = begun(start, lambda cluster: cluster.run_everywhere("probe", containers=probe))
    pod = cluster.api.objects["/api/v1/namespaces/monitoring/pods/probe-gpu-1"]
    holder = {"pid": 7, "command": "probe", "pod_uid": pod["metadata"]["uid"], "unit": None}
    stranger = {"pid": 8, "command": "mystery", "pod_uid": None, "unit": None}
    facts = {"host": "gpu-1", "node": "gpu-1", "facts": {"holders": [holder, stranger]}}
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts/gpu-1.json").write_text(json.dumps(facts))
    result = driver.of(nodes=("gpu-1",)).paused(facts_dir=str(tmp_path / "facts"))
    assert [holder["daemonset"] for holder in result["nodes"]["gpu-1"]["paused"]] == ["monitoring/probe"]
    assert "delete pod monitoring/probe-gpu-1 of node gpu-1" in result["actions"]


def test_what_came_to_the_host_since_the_plan_was_made_is_refused(start: Start, tmp_path: Path) -> None:
    cluster, driver = begun(start, by_label)
    driver = driver.of(nodes=("gpu-1",))
    directory = tmp_path / "facts"
    directory.mkdir()
    pod = cluster.api.objects["/api/v1/namespaces/monitoring/pods/exporter-gpu-1"]
    exporter = {"pid": 7, "command": "exporter", "pod_uid": pod["metadata"]["uid"], "unit": None}
    ended = {"pid": 8, "command": "python", "pod_uid": "gone-since", "unit": None}
    service = {"pid": 9, "command": "nvidia-persiste", "pod_uid": None, "unit": "nvidia-persistenced.service"}
    stranger = {"pid": 10, "command": "mystery", "pod_uid": None, "unit": "mystery.service"}

    def paused(*holders: dict[str, Any] | None) -> str:
        """Why the node is refused."""
        facts = {"holders": None if None in holders else list(holders), "holders_reason": "Permission denied."}
        document = {"host": "gpu-1", "node": "gpu-1", "facts": facts}
        (directory / "gpu-1.json").write_text(json.dumps(document))
        services = {"facts_dir": str(directory), "host_services": ["nvidia-persistenced"]}
        return str(driver.of(check_mode=True).paused(**services)["nodes"]["gpu-1"]["reason"])

    assert paused(exporter, ended, service) == "None"
    assert paused(exporter, stranger).startswith("process 10 (mystery) on its host, of unit mystery.service, keeps")
    assert paused(stranger).endswith("Nothing was paused on the node, and nothing evicted from it.")
    assert "could not be read: Permission denied." in paused(None)
    (directory / "gpu-1.json").unlink()
    refused = driver.paused(facts_dir=str(directory), host_services=[])
    assert "its host did not answer just now" in refused["nodes"]["gpu-1"]["reason"]
    assert cluster.pods_of("exporter", "gpu-1") == ["exporter-gpu-1"]


def test_nodes_whose_layout_stays_are_left_alone(start: Start) -> None:
    cluster, driver = begun(start, by_taint)
    plan_layouts(driver, changes=False)
    result = driver.paused()
    assert (result["changed"], result["nodes"]["gpu-1"]["paused"]) == (False, [])
    assert driver.resumed()["changed"] is False
    assert cluster.pods_of("exporter", "gpu-1") == ["exporter-gpu-1"]


def test_paused_without_maintenance_is_refused(start: Start) -> None:
    cluster, driver = start()
    by_taint(cluster)
    plan_layouts(driver)
    driver.lock()
    assert "it is not in maintenance" in driver.paused()["nodes"]["gpu-1"]["reason"]
    assert (driver.resumed()["changed"], driver.resumed()["failed_nodes"]) == (False, [])


def test_pod_that_does_not_end_fails_its_node_and_a_second_call_goes_on(start: Start) -> None:
    cluster, driver = begun(start, by_label)

    def keep(method: str, path: str) -> None:
        if method == "PATCH" and path == node_path("gpu-1"):
            cluster.api.put("/api/v1/namespaces/monitoring/pods/stuck", stuck)

    stuck = dict(cluster.api.objects["/api/v1/namespaces/monitoring/pods/exporter-gpu-1"])
    deleted = {**stuck["metadata"], "name": "stuck", "uid": "s", "deletionTimestamp": "2026-03-01T12:00:00Z"}
    stuck = {**stuck, "metadata": deleted, "spec": {**stuck["spec"], "containers": [{"name": "x", "image": "kept"}]}}
    cluster.api.faults.append(keep)
    # The other node's pod must be seen to go in this time, even if the process stands still for seconds meanwhile.
    result = driver.paused(timeout_seconds=4.0)
    assert result["failed_nodes"] == ["gpu-1"]
    assert "still there after 4 s: monitoring/stuck: terminating" in result["nodes"]["gpu-1"]["reason"]
    cluster.api.faults.clear()
    cluster.api.remove("/api/v1/namespaces/monitoring/pods/stuck")
    assert driver.paused()["failed_nodes"] == []


def test_pod_that_comes_again_before_the_taint_is_seen_is_deleted_as_well(start: Start) -> None:
    cluster, driver = begun(start, by_taint)
    path = "/api/v1/namespaces/monitoring/pods/exporter-gpu-1"
    first = dict(cluster.api.objects[path])
    came: list[str] = []

    def come_again(kind: str, at: str, _obj: Any) -> None:
        if kind == "DELETED" and at == path and not came:
            came.append(at)
            cluster.api.put(path, {**first, "metadata": {**first["metadata"], "uid": "late"}})

    cluster.api.listeners.append(come_again)
    assert driver.paused()["failed_nodes"] == []
    assert came
    assert cluster.pods_of("exporter", "gpu-1") == []


def test_deletion_that_does_not_get_through_is_tried_again(start: Start) -> None:
    cluster, driver = begun(start, by_taint)
    refused: list[str] = []

    def refuse(method: str, path: str) -> None:
        if method == "DELETE" and path not in refused:
            refused.append(path)
            raise api_error(method, path, 500, "InternalError")

    cluster.api.faults.append(refuse)
    assert driver.paused(timeout_seconds=10.0)["failed_nodes"] == []
    assert len(refused) == 2


def test_what_does_not_come_back_is_told_and_keeps_no_node_out_of_service(start: Start) -> None:
    cluster, driver = begun(start, by_label)
    driver.paused()
    cluster.api.remove("/apis/apps/v1/namespaces/monitoring/daemonsets/exporter")
    result = driver.resumed(return_seconds=0.1)
    assert (result["failed_nodes"], result["nodes"]["gpu-1"]["absent"]) == ([], ["monitoring/exporter"])
    assert (
        "Node gpu-1: monitoring/exporter may run again, and had no ready pod there after 0.1 s."
        in result["warnings"][0]
    )


def test_a_run_that_takes_over_puts_back_what_the_dead_one_has_paused(start: Start) -> None:
    cluster, driver = begun(start, by_operator)
    before = {name: shape(cluster, name) for name in NODES}
    driver.paused()
    driver.unlock()
    second = driver.of(run="run-2")
    second.lock()
    for step in (second.in_maintenance, second.paused, second.withdrawn, second.serving, second.resumed):
        assert step()["failed_nodes"] == []
    assert {name: shape(cluster, name) for name in NODES} == before
    assert second.in_service()["failed_nodes"] == []


@WAYS
def test_in_service_puts_back_what_nobody_has_resumed(start: Start, run: Any) -> None:
    cluster, driver = begun(start, run)
    before = {name: shape(cluster, name) for name in NODES}
    for step in (driver.paused, driver.withdrawn, driver.serving, driver.in_service):
        assert step()["failed_nodes"] == []
    assert {name: shape(cluster, name) for name in NODES} == before
    assert cluster.schedulable("gpu-1")
    assert cluster.pods_of("exporter", "gpu-1") == ["exporter-gpu-1"]


def test_nothing_is_paused_by_a_run_that_lost_the_lock(start: Start) -> None:
    cluster, driver = begun(start, by_label)
    driver.unlock()
    with pytest.raises(Exception, match="nobody holds the lock"):
        driver.paused()
    assert cluster.pods_of("exporter", "gpu-1") == ["exporter-gpu-1"]


class KilledError(Exception):
    """kill -9: nothing in the product catches it."""


def everything(start: Start) -> tuple[FakeCluster, Driver]:
    """A node with an exporter of each way to be paused."""
    cluster, driver = start(nodes={"gpu-1": "l20"}, return_seconds=0.5)
    label(cluster, {"metrics": "on", OPERATOR: "true"})
    cluster.run_everywhere("a", nodeSelector={"metrics": "on"})
    cluster.run_everywhere("b", nodeSelector={OPERATOR: "true"})
    cluster.run_everywhere("c")
    plan_layouts(driver)
    return cluster, driver


def roll_out(driver: Driver) -> None:
    steps = (driver.lock, driver.present, driver.in_maintenance, driver.paused, driver.withdrawn, driver.serving)
    for step in (*steps, driver.resumed, driver.in_service):
        assert step().get("failed_nodes", []) == [], step.__name__


def test_wave_killed_after_any_write_is_finished_by_another_run_with_everything_put_back(start: Start) -> None:
    cluster, driver = everything(start)
    before = shape(cluster, "gpu-1")
    roll_out(driver)
    assert shape(cluster, "gpu-1") == before
    for last in range(1, len(cluster.api.writes)):
        cluster, driver = everything(start)

        def kill(_method: str, _path: str, cluster: FakeCluster = cluster, last: int = last) -> None:
            if len(cluster.api.writes) >= last:
                raise KilledError

        cluster.api.faults.append(kill)
        with pytest.raises(KilledError):
            roll_out(driver)
        cluster.api.faults.clear()
        cluster.settle()
        if LEASE in cluster.api.objects:
            cluster.api.change(LEASE, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}})
        roll_out(driver.of(run="run-2"))
        assert shape(cluster, "gpu-1") == before, f"after write {last}"
        assert all(cluster.pods_of(name, "gpu-1") for name in "abc"), f"after write {last}"
        assert cluster.schedulable("gpu-1")
