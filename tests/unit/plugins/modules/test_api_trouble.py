# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An API that refuses for good in the middle of a step: the nodes fail, each says why, and what was done is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from unit.plugins.fakes.driver import Driver
from unit.plugins.fakes.fake_api import api_error
from unit.plugins.fakes.fake_cluster import MAINTENANCE, FakeCluster, node_path

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import LeaseLostError

from .conftest import Start

LEASE = "/apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout"
STEPS = ["in_maintenance", "withdrawn", "serving", "in_service"]


def brought_to(start: Start, step: str, **options: Any) -> tuple[FakeCluster, Driver]:
    """A rollout whose next step is this one, and a plugin that will not come up, so that nothing is proven by chance."""
    cluster, driver = start(**options)
    if step == "serving":
        cluster.broken_revisions.add("0a1b2c3d4e")
    for one in [*driver.begin_steps, *driver.wave_steps[: STEPS.index(step)]]:
        assert one().get("failed_nodes", []) == []
    return cluster, driver


def refuse(cluster: FakeCluster, requests: tuple[str, str], status: int, after: tuple[str, str] = ("", "")) -> None:
    """Refuse requests of a method on a path, once there was another one, if that is said."""
    seen: list[str] = [] if after[0] else ["from the start"]

    def answer(method: str, path: str) -> None:
        if (method, path) == after:
            seen.append(path)
        if seen and (method, path) == requests:
            raise api_error(method, path, status, "Refused", "not any more")

    cluster.api.faults.append(answer)


def lines(driver: Driver, node: str) -> list[dict[str, Any]]:
    assert driver.journal is not None
    return [line for line in map(json.loads, driver.journal.read_text().splitlines()) if line["node"] == node]


@pytest.mark.parametrize("status", [403, 500])
@pytest.mark.parametrize(
    ("step", "path", "words"),
    [
        ("in_maintenance", "/api/v1/pods", "Cannot list pods"),
        ("withdrawn", "/api/v1/nodes", "Cannot list nodes"),
        ("serving", "/api/v1/nodes", "Cannot list nodes"),
        ("in_service", "/api/v1/pods", "Cannot list pods"),
    ],
)
def test_list_that_is_refused_for_good_fails_the_nodes(
    start: Start, step: str, path: str, words: str, status: int
) -> None:
    cluster, driver = brought_to(start, step, nodes={"gpu-1": "l20"})
    after = ("PATCH", node_path("gpu-1")) if step == "in_maintenance" else ("", "")
    refuse(cluster, ("GET", path), status, after)
    result = getattr(driver, step)()
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["nodes"]["gpu-1"]["reason"].startswith(words)
    note = json.loads(cluster.node("gpu-1")["metadata"]["annotations"][MAINTENANCE])
    assert note["reason"].startswith(f"{step} failed: {words}")
    told = [write.body for write in cluster.api.writes if write.path.endswith("/events")][-1]
    assert told["reason"] == "MaintenanceFailed"
    last = lines(driver, "gpu-1")[-1]
    assert (last["state"], last["message"][: len(step) + len(words) + 2]) == ("failed", f"{step}: {words}")
    assert not cluster.schedulable("gpu-1")


def test_watch_that_is_refused_fails_the_node_that_is_waited_for(start: Start) -> None:
    cluster, driver = brought_to(start, "serving", nodes={"gpu-1": "l20"})
    refuse(cluster, ("GET", "/api/v1/nodes?watch"), 403)
    result = driver.serving()
    assert result["failed_nodes"] == ["gpu-1"]
    assert result["actions"][0].startswith("patch node gpu-1: serve l20")
    assert "nodes" in result["nodes"]["gpu-1"]["reason"]
    assert [line["state"] for line in lines(driver, "gpu-1")][-2:] == ["serving", "failed"]


def test_change_that_is_refused_for_one_node_hides_no_other(start: Start) -> None:
    cluster, driver = brought_to(start, "withdrawn", parallel=1)
    refuse(cluster, ("PATCH", node_path("gpu-2")), 403)
    result = driver.withdrawn()
    assert result["failed_nodes"] == ["gpu-1", "gpu-2"]
    assert [action.split(":")[0] for action in result["actions"]] == ["patch node gpu-1"]
    note = json.loads(cluster.node("gpu-1")["metadata"]["annotations"][MAINTENANCE])
    assert note["reason"].startswith("withdrawn failed: Cannot patch nodes gpu-2")
    assert "The note on node gpu-2 could not be written" in result["warnings"][0]


def test_node_that_is_back_stays_so_when_the_next_one_may_not_be_changed(start: Start) -> None:
    cluster, driver = brought_to(start, "in_service", parallel=1)
    refuse(cluster, ("PATCH", node_path("gpu-2")), 403)
    result = driver.in_service()
    assert result["failed_nodes"] == ["gpu-2"]
    assert (result["nodes"]["gpu-1"]["in_service"], cluster.schedulable("gpu-1")) == (True, True)
    assert "in_service" not in result["nodes"]["gpu-2"]
    assert lines(driver, "gpu-1")[-1]["state"] == "in_service"


def test_lock_that_is_lost_midway_says_what_was_done(start: Start) -> None:
    cluster, driver = brought_to(start, "in_maintenance", parallel=1, lease_seconds=1)

    def lose(method: str, path: str) -> None:
        if method == "PATCH" and path == node_path("gpu-1"):
            cluster.api.change(LEASE, {"spec": {"holderIdentity": "run-2"}})
            driver.clock.sleep(1)

    cluster.api.faults.append(lose)
    with pytest.raises(LeaseLostError) as caught:
        driver.in_maintenance()
    facts = caught.value.facts
    assert (facts["changed"], facts["actions"]) == (True, ["patch node gpu-1: cordon and annotate"])
    assert (facts["nodes"]["gpu-1"]["changed"], facts["nodes"]["gpu-2"]["changed"]) == (True, False)
    assert not cluster.schedulable("gpu-1")
