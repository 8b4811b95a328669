# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout that cannot go on stops at its wave, leaves the node out of service, and finishes when it is run again."""

from __future__ import annotations

import json
from typing import Any, Iterator

import pytest

from simulator.cluster import SimulatedCluster

from .conftest import REFERENCE_AT_REST, REFERENCE_HOSTS, REFERENCE_VARIABLES
from .operator import Ended, Operator

MAINTENANCE = "kubegpu.sharing/maintenance"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
# The patches of one node: cordon, withdraw, serve, uncordon.
STEPS = {2: "withdrawn", 3: "serving", 4: "in service"}


def node(cluster: SimulatedCluster, name: str) -> dict[str, Any]:
    return cluster.client().get(f"/api/v1/nodes/{name}")


@pytest.fixture(scope="module", params=list(STEPS), ids=list(STEPS.values()))
def stopped(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Operator, Ended]]:
    """A rollout whose step on the canary the API server refused."""
    with SimulatedCluster.start(REFERENCE_AT_REST, tmp_path_factory.mktemp("cluster"), speed=20) as cluster:
        operator = Operator(cluster, tmp_path_factory.mktemp("operator"))
        operator.write_inventory(REFERENCE_HOSTS, REFERENCE_VARIABLES)
        cluster.fault(
            "api", action="status", method="PATCH", path="/api/v1/nodes/gpu-l20", nth=request.param, count=0, status=500
        )
        ended = operator.play("rollout")
        cluster.clear_api_faults()
        (operator.directory / "approved").write_text(operator.plan()["plan_id"], encoding="utf-8")
        yield operator, ended


def test_stopped_rollout_fails_and_tells_the_reason_and_what_to_do_next_once(stopped: tuple[Operator, Ended]) -> None:
    operator, ended = stopped
    assert ended.returncode != 0
    output = " ".join(ended.output.split())
    assert "1 of 1 node of this wave is not in service, so no further wave is begun." in output
    inventory = operator.directory / "inventory.yml"
    approved, run = operator.plan()["plan_id"], operator.last_run()
    for once in (
        "simulated fault",
        " describe node gpu-l20",
        f"kubegpu.sharing.rollout -i {inventory} -e kubegpu_plan_id={approved}",
        f"kubegpu.sharing.rollback -i {inventory} -e kubegpu_rollback_run={run}",
    ):
        assert output.partition("PLAY [Carry out the plan")[2].partition("PLAY RECAP")[0].count(once) == 1, once


def test_stopped_rollout_keeps_the_node_out_of_service_with_its_note(stopped: tuple[Operator, Ended]) -> None:
    operator, _ended = stopped
    left = node(operator.cluster, "gpu-l20")
    assert left["spec"]["unschedulable"]
    assert json.loads(left["metadata"]["annotations"][MAINTENANCE])["was_unschedulable"] is False


def test_stopped_rollout_does_not_begin_the_next_wave(stopped: tuple[Operator, Ended]) -> None:
    operator, _ended = stopped
    untouched = node(operator.cluster, "gpu-t4")
    assert not untouched["spec"].get("unschedulable")
    assert "kubegpu.sharing/revision" not in untouched["metadata"]["labels"]
    assert operator.cluster.client().items("/api/v1/nodes", labelSelector="nvidia-device-enable")


def test_stopped_rollout_gives_the_lock_back(stopped: tuple[Operator, Ended]) -> None:
    operator, _ended = stopped
    assert not operator.cluster.client().get(LEASE)["spec"].get("holderIdentity")


def test_stopped_rollout_is_reported_as_it_was_left(stopped: tuple[Operator, Ended]) -> None:
    operator, _ended = stopped
    # What a person does afterwards is not the rollout's doing.
    operator.cluster.client().patch("/api/v1/nodes/gpu-t4", {"metadata": {"labels": {"nvidia-device-enable": "off"}}})
    ended = operator.play("report")
    operator.cluster.client().patch(
        "/api/v1/nodes/gpu-t4", {"metadata": {"labels": {"nvidia-device-enable": "enable"}}}
    )
    assert "First cordon to the stop, 1 node not back in service" in ended.output
    report = operator.report()
    assert (report["as_planned"], report["left_out_of_service"]) == (False, ["gpu-l20"])
    assert report["nodes"]["gpu-t4"]["resources_after"] == {"nvidia.com/gpu": 1}
    assert "cluster_now.json" not in [path.name for path in (operator.work_dir / "runs").rglob("*.json")]


def test_stopped_rollout_refuses_a_plan_that_was_never_approved(stopped: tuple[Operator, Ended]) -> None:
    operator, _ended = stopped
    last = operator.cluster.position()
    assert operator.play("rollout", kubegpu_plan_id="0123456789abcdef").returncode != 0
    assert operator.cluster.writes(last) == []


def test_stopped_rollout_finishes_when_it_is_run_again_as_it_was_approved(stopped: tuple[Operator, Ended]) -> None:
    operator, _ended = stopped
    approved = (operator.directory / "approved").read_text(encoding="utf-8")
    operator.must_play("rollout", kubegpu_plan_id=approved)
    for name, slots in (("gpu-l20", "8"), ("gpu-t4", "3")):
        done = node(operator.cluster, name)
        assert done["status"]["allocatable"]["nvidia.com/gpu"] == slots
        assert not done["spec"].get("unschedulable")
        assert MAINTENANCE not in done["metadata"].get("annotations", {})
    last = operator.cluster.position()
    operator.must_play("rollout", kubegpu_plan_id=approved)
    assert operator.cluster.writes(last) == []
