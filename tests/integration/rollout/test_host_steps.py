# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Steps on the hosts of a wave: hosts that cannot be reached, steps that fail, and a second rollout meanwhile."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from simulator.cluster import SimulatedCluster
from simulator.scenario import generate

from .conftest import REFERENCE_HOSTS, REFERENCE_SCENARIO, REFERENCE_VARIABLES
from .operator import Ended, Operator

MAINTENANCE = "kubegpu.sharing/maintenance"
REVISION = "kubegpu.sharing/revision"
LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
# Nothing listens there, so the connection is refused at once. The facts of the run have been read before.
CUT_OFF = {"ansible_connection": "ssh", "ansible_host": "127.0.0.1", "ansible_port": 1}


def steps(directory: Path, name: str, *tasks: dict[str, Any]) -> str:
    """A file of host steps."""
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{name}.yml"
    path.write_text(yaml.safe_dump(list(tasks), sort_keys=False), encoding="utf-8")
    return str(path)


def command(name: str, *argv: str, **keywords: Any) -> dict[str, Any]:
    return {"name": name, "ansible.builtin.command": {"argv": list(argv)}, "changed_when": False, **keywords}


def cut_off(host: str) -> dict[str, Any]:
    """From here on the host cannot be reached."""
    return {"name": "Pull the plug", "ansible.builtin.set_fact": CUT_OFF, "when": f"inventory_hostname == '{host}'"}


def node(cluster: SimulatedCluster, name: str) -> dict[str, Any]:
    return cluster.client().get(f"/api/v1/nodes/{name}")


def in_service(cluster: SimulatedCluster, name: str) -> bool:
    found = node(cluster, name)
    return not found["spec"].get("unschedulable") and MAINTENANCE not in found["metadata"].get("annotations", {})


def words(ended: Ended) -> str:
    return " ".join(ended.output.split())


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[SimulatedCluster, Operator]]:
    """The reference cluster, through which the tests of this file go one after the other, and its operator."""
    with SimulatedCluster.start(REFERENCE_SCENARIO, tmp_path_factory.mktemp("cluster"), speed=20) as cluster:
        operator = Operator(cluster, tmp_path_factory.mktemp("operator"))
        operator.write_inventory(REFERENCE_HOSTS, REFERENCE_VARIABLES)
        yield cluster, operator


@pytest.mark.oldest
def test_canary_that_cannot_be_reached_stays_out_of_service_and_ends_the_rollout(
    reference: tuple[SimulatedCluster, Operator],
) -> None:
    cluster, operator = reference
    lost = steps(operator.directory, "lost", cut_off("gpu-l20"), command("Look at the host", "true"))
    ended = operator.play("rollout", kubegpu_host_steps=[lost], kubegpu_on_failure="restore")
    assert ended.returncode != 0
    # What was started there may go on unseen, so the node is not restored either.
    assert "it was not restored and stays out of service, since a host step may still be running there" in words(ended)
    assert "-e kubegpu_rollback_run=" in words(ended)
    assert "1 of 1 node of this wave is not in service, so no further wave is begun." in words(ended)
    assert "its host gpu-l20 could not be reached, or its host steps ended before the last one" in words(ended)
    left = node(cluster, "gpu-l20")
    assert left["spec"]["unschedulable"]
    assert left["metadata"]["labels"][REVISION] == "withdrawn"
    assert in_service(cluster, "gpu-t4")
    assert REVISION not in node(cluster, "gpu-t4")["metadata"]["labels"]
    # The leader of the wave was there to the end, for it is never connected to.
    assert not cluster.client().get(LEASE)["spec"].get("holderIdentity")


@pytest.mark.oldest
def test_node_that_a_stopped_run_left_and_that_fails_again_is_restored_if_that_is_asked_for(
    reference: tuple[SimulatedCluster, Operator],
) -> None:
    """The run before has stopped at this node. This one goes on under its plan_id, and the rollout ends all the same."""
    cluster, operator = reference
    approved = operator.plan()["plan_id"]
    assert not in_service(cluster, "gpu-l20")
    fails = steps(operator.directory, "fails", command("Look at the host", "false"))
    ended = operator.play("rollout", kubegpu_host_steps=[fails], kubegpu_on_failure="restore", kubegpu_plan_id=approved)
    assert ended.returncode != 0
    assert operator.plan()["plan_id"] != approved
    assert 'gpu-l20: host step "Look at the host" failed on gpu-l20' in words(ended)
    assert "(it was restored to what it was before the rollout)" in words(ended)
    assert "1 of 1 node of this wave failed, and was restored to what it was before, so no further wave" in words(ended)
    assert in_service(cluster, "gpu-l20")
    restored = node(cluster, "gpu-l20")
    assert REVISION not in restored["metadata"]["labels"]
    assert restored["status"]["allocatable"]["nvidia.com/gpu"] == "1"
    assert REVISION not in node(cluster, "gpu-t4")["metadata"]["labels"]
    assert not cluster.client().get(LEASE)["spec"].get("holderIdentity")


def test_steps_that_are_not_there_are_refused_before_the_first_write(
    reference: tuple[SimulatedCluster, Operator],
) -> None:
    cluster, operator = reference
    last = cluster.position()
    ended = operator.play("rollout", kubegpu_host_steps=["/nowhere/drivers.yml"])
    assert ended.returncode != 0
    assert "names task files that this control node does not have: /nowhere/drivers.yml" in words(ended)
    assert cluster.writes(last) == []


def test_step_that_fails_inside_a_block_is_told_with_its_message(
    reference: tuple[SimulatedCluster, Operator],
) -> None:
    cluster, operator = reference
    fails = {"name": "Load the driver", "ansible.builtin.fail": {"msg": "nvidia.ko does not match this kernel"}}
    wrapped = {"name": "Change the driver", "block": [fails], "rescue": [command("Tidy up", "true"), fails]}
    ended = operator.play("rollout", kubegpu_host_steps=[steps(operator.directory, "wrapped", wrapped)])
    assert ended.returncode != 0
    assert 'gpu-l20: host step "Load the driver" failed on gpu-l20: nvidia.ko does not match this kernel' in words(
        ended
    )
    assert node(cluster, "gpu-l20")["spec"]["unschedulable"]
    assert in_service(cluster, "gpu-t4")


@pytest.mark.oldest
def test_all_steps_of_a_wave_share_one_time(reference: tuple[SimulatedCluster, Operator]) -> None:
    """Each of the tasks is within it, and the first of them leaves too little for the second.

    What Ansible itself takes until the second begins counts too, and is most of the time on a machine that has much to do.
    """
    _cluster, operator = reference
    first = steps(operator.directory, "first", command("Take four seconds", "sleep", "4"))
    second = steps(operator.directory, "second", command("Take 37 seconds", "sleep", "37"))
    ended = operator.play("rollout", kubegpu_host_steps=[first, second], kubegpu_host_steps_timeout_seconds=40)
    assert ended.returncode != 0
    assert "TASK [kubegpu.sharing.rollout : Take 37 seconds]" in words(ended)
    assert 'gpu-l20: host step "Take 37 seconds" failed on gpu-l20: ' in words(ended)


def test_second_rollout_is_told_who_has_the_lock_while_the_first_one_ends_as_planned(
    reference: tuple[SimulatedCluster, Operator], tmp_path: Path
) -> None:
    """The first one waits in its host steps; --limit has to let the leaders of the waves in."""
    cluster, first = reference
    second = Operator(cluster, tmp_path / "second")
    second.write_inventory(REFERENCE_HOSTS, REFERENCE_VARIABLES)
    go_on, begun = tmp_path / "go_on", tmp_path / "begun"
    waits = steps(
        first.directory,
        "waits",
        command("Say that it has begun", "touch", str(begun)),
        {"name": "Wait", "ansible.builtin.wait_for": {"path": str(go_on), "sleep": 1, "timeout": 120}},
    )
    marks = steps(
        first.directory, "marks", command("Leave a mark", "touch", f"{tmp_path}/{{{{ inventory_hostname }}}}")
    )
    results: list[Ended] = []
    limit = ("--limit", "gpu_nodes,kubegpu-wave-*")
    thread = threading.Thread(
        target=lambda: results.append(first.play("rollout", *limit, kubegpu_host_steps=[waits, marks])), daemon=True
    )
    thread.start()
    deadline = time.monotonic() + 120
    while not begun.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    lease = cluster.client().get(LEASE)["spec"]
    last = cluster.position()
    refused = second.play("rollout")
    written = [entry for entry in cluster.writes(last) if entry["resource"] == "nodes"]
    go_on.touch()
    thread.join(240)
    assert refused.returncode != 0
    assert f"it is held by run {lease['holderIdentity']}" in words(refused)
    assert f"since {lease['acquireTime'][:19]}" in words(refused)
    # The time of the steps, less what passed until the first of them, and the usual time of the lock.
    assert 630 <= lease["leaseDurationSeconds"] <= 660
    assert written == []
    (ended,) = results
    assert ended.returncode == 0, ended.output
    assert all((tmp_path / name).exists() for name in REFERENCE_HOSTS)
    for name, slots in (("gpu-l20", "8"), ("gpu-t4", "3")):
        assert in_service(cluster, name)
        assert node(cluster, name)["status"]["allocatable"]["nvidia.com/gpu"] == slots


def test_limit_without_the_leaders_is_refused_and_says_how_to_let_them_in(
    reference: tuple[SimulatedCluster, Operator],
) -> None:
    cluster, operator = reference
    last = cluster.position()
    nothing = steps(operator.directory, "nothing", command("Do nothing", "true"))
    ended = operator.play(
        "rollout", "--limit", "gpu-t4", kubegpu_host_steps=[nothing], kubegpu_sizing={"max_memory_utilization": 0.6}
    )
    assert ended.returncode != 0
    assert "--limit 'gpu-t4,kubegpu-wave-*'" in words(ended)
    assert cluster.writes(last) == []


def test_one_host_of_two_that_cannot_be_reached_stops_neither_the_other_nor_is_forgotten(tmp_path: Path) -> None:
    with SimulatedCluster.start(generate(4, speed=20), tmp_path / "cluster") as cluster:
        operator = Operator(cluster, tmp_path / "operator")
        hosts = [f"gpu-{number}" for number in range(1, 5)]
        operator.write_inventory(hosts, {**REFERENCE_VARIABLES, "kubegpu_max_unavailable": 2})
        lost = steps(operator.directory, "lost", cut_off("gpu-1"), command("Look at the host", "true"))
        ended = operator.play("rollout", kubegpu_host_steps=[lost])
        assert ended.returncode != 0
        assert sorted(operator.plan()["waves"][0]) == ["gpu-1", "gpu-2"]
        assert "1 of 2 nodes of this wave is not in service, so no further wave is begun." in words(ended)
        assert "gpu-1: its host gpu-1 could not be reached" in words(ended)
        assert json.loads(node(cluster, "gpu-1")["metadata"]["annotations"][MAINTENANCE])["run"]
        assert in_service(cluster, "gpu-2")
        assert node(cluster, "gpu-2")["metadata"]["labels"][REVISION] != "withdrawn"
        for name in ("gpu-3", "gpu-4"):
            assert in_service(cluster, name)
            assert REVISION not in node(cluster, name)["metadata"]["labels"]
