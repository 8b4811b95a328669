# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for a rollout by these modules as a whole, whatever happens to it. The law itself is watched by the cluster
that every test of this folder runs on: at no moment is a node schedulable while it advertises what its revision does not say.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from unit.plugins.fakes.driver import Driver
from unit.plugins.fakes.fake_api import FakeApi, api_error, lost_answer
from unit.plugins.fakes.fake_cluster import MAINTENANCE, FakeCluster

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import lease_path

from .conftest import Start

METHODS = ["label", "affinity"]
LEASE = lease_path("kubegpu-system")


class KilledError(Exception):
    """kill -9: nothing in the product catches it."""


def finished(cluster: FakeCluster) -> bool:
    cluster.settle()
    return all(
        cluster.schedulable(name)
        and cluster.allocatable(name) == {"l20": 8, "t4": 3}[key]
        and MAINTENANCE not in cluster.node(name)["metadata"].get("annotations", {})
        for name, key in cluster.keys.items()
    )


def let_lease_run_out(api: FakeApi) -> None:
    if LEASE in api.objects:
        api.change(LEASE, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}})


def failed_nodes(results: dict[str, Any]) -> dict[str, Any]:
    return {
        name: {node: result["nodes"][node]["reason"] for node in result["failed_nodes"]}
        for name, result in results.items()
        if result.get("failed_nodes")
    }


@pytest.mark.parametrize("method", METHODS)
def test_rollout_finishes_and_a_second_one_writes_nothing(start: Start, method: str) -> None:
    cluster, driver = start(method=method)
    results = driver.roll_out()
    assert failed_nodes(results) == {}
    assert finished(cluster)
    driver.of(run="run-2").lock()
    before = len(cluster.api.writes)
    second = driver.of(run="run-2")
    # It is not planned anew here, so it would record a snapshot, as every run that starts a plan does.
    for step in second.steps[2:]:
        assert step()["changed"] is False, step.__name__
    assert cluster.api.writes[before:] == []


@pytest.mark.parametrize("method", METHODS)
def test_check_mode_writes_nothing_and_reports_what_the_real_run_does(start: Start, method: str) -> None:
    cluster, driver = start(method=method)
    foreseen = {step.__name__: step() for step in driver.of(check_mode=True).steps}
    assert cluster.api.writes == []
    assert driver.journal is not None
    assert not driver.journal.exists()
    for step in driver.steps:
        done = step()
        for part in ("changed", "actions", "diff"):
            assert foreseen[step.__name__][part] == done[part], (step.__name__, part)
    for name in ("withdrawn", "serving"):
        assert all(node["would_wait_for"] for node in foreseen[name]["nodes"].values())


def test_journal_tells_the_states_of_a_node_in_order(start: Start) -> None:
    _cluster, driver = start()
    driver.roll_out()
    assert driver.journal is not None
    lines = [json.loads(line) for line in driver.journal.read_text().splitlines()]
    states = [line["state"] for line in lines if line["node"] == "gpu-1"]
    assert states == ["schedulable", "cordoned", "withdrawn", "serving", "proven", "in_service"]
    assert {line["run"] for line in lines} == {"run-1"}
    assert all(len(line["time"]) == len("2026-03-01T12:00:00.125Z") for line in lines)


@pytest.mark.parametrize("method", METHODS)
def test_writes_per_node_are_four(start: Start, method: str) -> None:
    cluster, driver = start(method=method)
    driver.roll_out()
    per_node = Counter(write.path for write in cluster.api.writes if "/nodes/" in write.path)
    assert per_node == {"/api/v1/nodes/gpu-1": 4, "/api/v1/nodes/gpu-2": 4}


def test_every_node_patch_is_conditional(start: Start) -> None:
    cluster, driver = start()
    driver.roll_out()
    assert all(
        write.body["metadata"]["resourceVersion"]
        for write in cluster.api.writes
        if write.path.startswith("/api/v1/nodes/")
    )


def count_writes(start: Start, method: str) -> int:
    cluster, driver = start(method=method)
    driver.roll_out()
    return len(cluster.api.writes)


@pytest.mark.parametrize("same_run", [True, False], ids=["same run", "another run"])
@pytest.mark.parametrize("method", METHODS)
def test_rollout_killed_after_any_write_finishes_when_started_again(start: Start, method: str, same_run: bool) -> None:
    total = count_writes(start, method)
    for last in range(1, total):
        cluster, driver = start(method=method)
        _kill_after(cluster.api, last)
        with pytest.raises(KilledError):
            driver.roll_out()
        cluster.api.faults.clear()
        cluster.settle()
        if not same_run:
            let_lease_run_out(cluster.api)
            driver = driver.of(run="run-2")
        results = driver.roll_out()
        assert failed_nodes(results) == {}, f"after write {last}: {cluster.api.writes[last - 1]}"
        assert finished(cluster), f"after write {last}"
        assert cluster.violations == []


def _kill_after(api: FakeApi, last: int) -> None:
    def kill(_method: str, _path: str) -> None:
        if len(api.writes) >= last:
            raise KilledError

    api.faults.append(kill)


@pytest.mark.parametrize("method", METHODS)
def test_rollout_survives_a_conflict_on_every_write(start: Start, method: str) -> None:
    """Before each PATCH of an object, somebody else writes the same object."""
    cluster, driver = start(method=method)
    seen: Counter[str] = Counter()

    def interfere(verb: str, path: str) -> None:
        if verb == "PATCH" and path in cluster.api.objects:
            seen[path] += 1
            if seen[path] % 2:
                cluster.api.change(path, {"metadata": {"annotations": {"somebody": str(seen[path])}}})

    cluster.api.faults.append(interfere)
    assert failed_nodes(driver.roll_out()) == {}
    assert finished(cluster)
    assert seen["/api/v1/nodes/gpu-1"] == 8


@pytest.mark.parametrize("kind", ["500", "lost answer"])
@pytest.mark.parametrize("method", METHODS)
def test_rollout_survives_one_trouble_at_any_write(start: Start, method: str, kind: str) -> None:
    total = count_writes(start, method)
    for number in range(total):
        cluster, driver = start(method=method)
        _trouble_at(cluster.api, number, kind)
        results = driver.roll_out()
        assert failed_nodes(results) == {}, f"write {number}"
        assert finished(cluster), f"write {number}"


def _trouble_at(api: FakeApi, number: int, kind: str) -> None:
    """Refuse the write with this number, or carry it out and lose the answer."""
    left = [True]

    def refuse(method: str, path: str) -> None:
        if kind == "500" and method != "GET" and len(api.writes) == number and left:
            left.clear()
            raise api_error(method, path, 500, "InternalError")

    api.faults.append(refuse)
    if kind != "lost answer":
        return
    for name in ("create", "patch", "delete"):
        setattr(api, name, _losing(api, getattr(api, name), number, left))


def _losing(api: FakeApi, send: Any, number: int, left: list[bool]) -> Any:
    def lose(path: str, *args: Any, **options: Any) -> Any:
        answer = send(path, *args, **options)
        if len(api.writes) > number and left:
            left.clear()
            raise lost_answer({"create": "POST", "patch": "PATCH"}.get(send.__name__, "DELETE"), path)
        return answer

    return lose


def test_two_runs_at_once_exactly_one_proceeds(start: Start) -> None:
    cluster, driver = start()
    driver.lock()
    with pytest.raises(Exception, match="it is held by run run-1"):
        driver.of(run="run-2").lock()
    before = len(cluster.api.writes)
    for step in driver.of(run="run-2").steps[1:4]:
        with pytest.raises(
            Exception, match="Cannot write for run run-2: the lock kubegpu-system/kubegpu-rollout is held by run run-1"
        ):
            step()
    assert cluster.api.writes[before:] == []


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", ["snapshot", "present", "in_maintenance", "withdrawn", "serving", "in_service"])
def test_a_lock_lost_before_a_step_stops_it_before_its_first_write(start: Start, method: str, step: str) -> None:
    cluster, driver = start(method=method)
    for one in driver.steps:
        if one.__name__ == step:
            break
        one()
    let_lease_run_out(cluster.api)
    driver.of(run="run-2").lock()
    before = len(cluster.api.writes)
    with pytest.raises(Exception, match="is held by run run-2"):
        getattr(driver, step)()
    assert cluster.api.writes[before:] == []
    assert isinstance(driver, Driver)
