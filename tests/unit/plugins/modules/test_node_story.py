# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a node itself says about the runs that had it: Events and the note."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.plugins.fakes.fake_api import api_error, lost_answer
from unit.plugins.fakes.fake_cluster import MAINTENANCE, FakeCluster, node_path

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError

from .conftest import Start

HOLD = "kubegpu.sharing/hold"


def story(cluster: FakeCluster, name: str) -> list[dict[str, Any]]:
    """Events of a node in the order in which they were written."""
    bodies = [write.body for write in cluster.api.writes if write.method == "POST" and write.path.endswith("/events")]
    return [body for body in bodies if body["involvedObject"]["name"] == name]


def reasons(cluster: FakeCluster, name: str) -> list[tuple[str, str]]:
    return [(event["type"], event["reason"]) for event in story(cluster, name)]


def test_rollout_writes_two_events_to_each_node(start: Start) -> None:
    cluster, driver = start()
    driver.roll_out()
    begun, finished = story(cluster, "gpu-1")
    assert (begun["type"], begun["reason"]) == ("Normal", "MaintenanceBegun")
    assert begun["message"] == (
        "run run-1, plan 0123456789abcdef: out of service for sharing change to l20 revision 0a1b2c3d4e"
    ), "the plan is named once"
    assert (finished["type"], finished["reason"]) == ("Normal", "MaintenanceFinished")
    assert finished["message"].endswith("serves l20 revision 0a1b2c3d4e, allocatable nvidia.com/gpu 8; back in service")
    uid = cluster.node("gpu-1")["metadata"]["uid"]
    assert begun["involvedObject"] == {"apiVersion": "v1", "kind": "Node", "name": "gpu-1", "uid": uid}
    assert begun["metadata"]["namespace"] == "default"
    assert begun["metadata"]["name"].startswith("gpu-1.")
    assert begun["metadata"]["name"] != finished["metadata"]["name"]


def test_maintenance_without_a_plan_reads_its_node_once_and_tells_of_no_change(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    driver.roll_out()
    repair = driver.of(run="repair-1", plan_path="")
    repair.lock()
    reads: list[str] = []
    cluster.api.faults.append(lambda method, path: reads.append(path) if method == "GET" else None)
    assert repair.in_maintenance()["failed_nodes"] == []
    assert reads.count(node_path("gpu-1")) == 1
    assert repair.in_service()["failed_nodes"] == []
    begun, finished = story(cluster, "gpu-1")[2:]
    assert begun["message"] == "run repair-1: out of service for maintenance by run repair-1, nothing is to change"
    assert finished["message"] == "run repair-1: serves as before, allocatable nvidia.com/gpu 8; back in service"


def test_check_mode_and_a_second_run_write_none(start: Start) -> None:
    cluster, driver = start()
    driver.lock()
    for step in driver.of(check_mode=True).wave_steps:
        step()
    assert story(cluster, "gpu-1") == []
    driver.roll_out()
    driver.of(run="run-2").roll_out()
    assert len(story(cluster, "gpu-1")) == 2


def test_takeover_and_hold_are_told(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    dead = driver.of(run="run-0")
    for step in (dead.lock, dead.present, dead.in_maintenance, dead.unlock, driver.lock, driver.in_maintenance):
        step()
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {HOLD: "Ada measures"}}})
    for step in (driver.withdrawn, driver.serving, driver.in_service):
        assert step()["failed_nodes"] == []
    assert [reason for _type, reason in reasons(cluster, "gpu-1")] == [
        "MaintenanceBegun",
        "MaintenanceTakenOver",
        "MaintenanceHeld",
    ]
    assert (
        "taken over from run run-0, which holds no lease (in maintenance since 20"
        in story(cluster, "gpu-1")[1]["message"]
    )
    assert "Ada measures" in story(cluster, "gpu-1")[2]["message"]


def test_failure_stands_in_the_note_and_in_a_warning(start: Start) -> None:
    cluster, driver = start()
    cluster.broken_revisions.add("0a1b2c3d4e")
    for step in (driver.lock, driver.present, driver.in_maintenance, driver.withdrawn):
        assert step().get("failed_nodes", []) == []
    # The other node must be proven in this time, even if the process stands still for seconds meanwhile.
    result = driver.serving(timeout_seconds=4.0)
    assert result["failed_nodes"] == ["gpu-1"]
    assert "warnings" not in result
    note = json.loads(cluster.node("gpu-1")["metadata"]["annotations"][MAINTENANCE])
    assert note["reason"].startswith("serving failed: expected allocatable nvidia.com/gpu 8")
    assert len(note["reason"]) <= 500
    assert reasons(cluster, "gpu-1")[-1] == ("Warning", "MaintenanceFailed")
    assert "Incompatible platform detected" in story(cluster, "gpu-1")[-1]["message"]
    assert [reason for _type, reason in reasons(cluster, "gpu-2")] == ["MaintenanceBegun"]


def test_node_that_the_run_does_not_have_is_not_written_to(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {HOLD: "Ada measures"}}})
    driver.lock()
    before = len(cluster.api.writes)
    assert driver.in_maintenance()["failed_nodes"] == ["gpu-1"]
    assert len(cluster.api.writes) == before


@pytest.mark.parametrize("status", [403, 422])
def test_event_that_is_refused_costs_one_warning_and_no_step(start: Start, status: int) -> None:
    cluster, driver = start()

    def refuse(method: str, path: str) -> None:
        if method == "POST" and path.endswith("/events"):
            raise api_error(method, path, status, "Forbidden" if status == 403 else "Invalid", "not these")

    cluster.api.faults.append(refuse)
    results = driver.roll_out()
    assert [name for result in results.values() for name in result.get("failed_nodes", [])] == []
    warnings = results["in_maintenance"]["warnings"]
    assert len(warnings) == 1
    assert warnings[0].startswith("The step itself is not affected")
    assert "The Event MaintenanceBegun on node gpu-" in warnings[0]
    assert warnings[0].endswith("So with 1 more.")


def test_event_without_an_answer_is_not_written_twice(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    create = cluster.api.create
    lost: list[str] = []

    def lose_the_first(path: str, body: Any, *, dry_run: bool = False) -> dict[str, Any]:
        made = create(path, body, dry_run=dry_run)
        if path.endswith("/events") and not lost:
            lost.append(body["metadata"]["name"])
            raise lost_answer("POST", path)
        return made

    cluster.api.create = lose_the_first  # type: ignore[method-assign]  # the answer is lost, not the request
    results = driver.roll_out()
    assert all("warnings" not in result for result in results.values())
    assert len(cluster.api.under("events")) == 2


def test_message_fits_whatever_is_said(start: Start) -> None:
    cluster, driver = start({"gpu-1": "l20"})
    for step in (driver.lock, driver.present, driver.in_maintenance, driver.withdrawn, driver.serving):
        step()
    cluster.api.change(node_path("gpu-1"), {"metadata": {"annotations": {HOLD: "ä€\n" * 900}}})
    driver.in_service()
    message = story(cluster, "gpu-1")[-1]["message"]
    assert 900 < len(message.encode()) <= 1000
    assert "\n" not in message


def test_failure_on_a_host_is_noted_on_its_node_and_leaves_the_others_alone(start: Start) -> None:
    cluster, driver = start()
    for step in (driver.lock, driver.present, driver.in_maintenance, driver.withdrawn):
        step()
    before = len(cluster.api.writes)
    result = driver.failed(failures={"gpu-1": "the driver does not match this kernel", "gpu-2": ""})
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["nodes"]["gpu-1"]["reason"] == "the driver does not match this kernel"
    assert not result["nodes"]["gpu-2"]["failed"]
    note = json.loads(cluster.node("gpu-1")["metadata"]["annotations"][MAINTENANCE])
    assert note["reason"] == "host steps failed: the driver does not match this kernel"
    assert reasons(cluster, "gpu-1")[-1] == ("Warning", "MaintenanceFailed")
    assert [write.path.rsplit("/", 1)[-1] for write in cluster.api.writes[before:]] == ["gpu-1", "events"]
    checked = driver.of(check_mode=True).failed(failures={"gpu-2": "no answer"})
    assert checked["failed_nodes"] == ["gpu-2"]
    assert len(cluster.api.writes) == before + 2
    with pytest.raises(InputError, match="gpu-9: not among the nodes of this call"):
        driver.failed(failures={"gpu-9": "no answer"})
