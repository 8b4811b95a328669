# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What tests order from the simulated API server, and what they read from it."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from simulator.client import ClientError
from simulator.cluster import SimulatedCluster

NODES = "/api/v1/nodes"


@pytest.fixture(autouse=True)
def _no_faults_remain(cluster: SimulatedCluster) -> Iterator[None]:
    yield
    cluster.clear_api_faults()


def test_audit_tells_reads_writes_dry_runs_and_reviews_apart(cluster: SimulatedCluster, namespace: str) -> None:
    start = cluster.position()
    client = cluster.client(user_agent="tester/1.0")
    client.get(NODES, limit="1")
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    client.create(maps, {"metadata": {"name": "a"}}, dryRun="All")
    client.create(maps, {"metadata": {"name": "a"}})
    client.create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", {"spec": {"resourceAttributes": {"verb": "get"}}}
    )
    read, dry, write, review = cluster.audit(since=start)
    assert (read["verb"], read["path"], read["resource"], read["status"]) == ("GET", f"{NODES}?limit=1", "nodes", 200)
    assert read["user_agent"] == "tester/1.0"
    assert read["bytes"] > 100
    assert [entry["dry_run"] for entry in (read, dry, write, review)] == [False, True, False, False]
    assert [entry["review"] for entry in (read, dry, write, review)] == [False, False, False, True]
    assert (write["namespace"], write["status"]) == (namespace, 201)
    assert [entry["path"] for entry in cluster.writes(since=start)] == [maps]
    lines = (cluster.directory / "audit.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["seq"] == review["seq"]


def test_status_fault_hits_the_nth_matching_requests_alone(cluster: SimulatedCluster) -> None:
    cluster.fault("api", method="GET", path="/nodes", nth=2, count=2, status=429, retry_after=1, message="slow down")
    client = cluster.client()
    answers, messages = [], []
    for _unused in range(4):
        try:
            client.get(NODES)
            answers.append(200)
        except ClientError as error:
            answers.append(error.status)
            messages.append(error.body["message"])
    assert answers == [200, 429, 429, 200]
    assert messages == ["slow down"] * 2
    client.get("/api/v1/namespaces")


def test_cut_connection_looks_like_a_lost_server(cluster: SimulatedCluster) -> None:
    cluster.fault("api", action="cut", path="/nodes")
    with pytest.raises((ClientError, OSError)):
        cluster.client().get(NODES)
    assert cluster.client().get(NODES)["items"]


def test_late_cut_loses_the_answer_of_a_stored_write(cluster: SimulatedCluster, namespace: str) -> None:
    maps = f"/api/v1/namespaces/{namespace}/configmaps"
    cluster.fault("api", action="cut", method="POST", path="/configmaps", late=True)
    with pytest.raises((ClientError, OSError)):
        cluster.client().create(maps, {"metadata": {"name": "stored"}})
    assert cluster.client().get(f"{maps}/stored")


def test_latency_delays_one_request_or_all(cluster: SimulatedCluster) -> None:
    fault = cluster.fault("api", action="latency", latency_ms=500, path="/nodes")["id"]
    assert _seconds(cluster) > 0.5
    _seconds(cluster)
    assert cluster.api_fault(fault)["taken"] == 1
    cluster.fault("latency", latency_ms=100)
    assert _seconds(cluster) > 0.1


def test_latency_of_requests_at_once_overlaps(cluster: SimulatedCluster) -> None:
    # Far more than a request takes on a busy machine.
    cluster.fault("latency", latency_ms=2000)
    started = time.monotonic()
    with ThreadPoolExecutor(10) as pool:
        assert len(list(pool.map(lambda number: _seconds(cluster), range(10)))) == 10
    assert time.monotonic() - started < 10 * 2


def test_flow_control_answers_in_plain_text_when_to_come_again(cluster: SimulatedCluster, namespace: str) -> None:
    cluster.fault("api", action="flow-control", method="POST", path="/eviction$", retry_after=3)
    path = f"/api/v1/namespaces/{namespace}/pods/none/eviction"
    answers = []
    for _unused in range(2):
        with pytest.raises(ClientError) as refused:
            cluster.client().create(path, {"metadata": {"name": "none"}})
        answers.append((refused.value.status, refused.value.headers.get("Retry-After"), refused.value.body))
    assert answers[0] == (429, "3", "Too many requests, please try again later.\n")
    assert (answers[1][0], answers[1][2]["reason"]) == (404, "NotFound")


def test_fault_is_awaited_until_it_has_begun_to_act_and_no_longer_than_asked_for(cluster: SimulatedCluster) -> None:
    fault = str(cluster.fault("api", path=f"^{NODES}", status=503)["id"])

    def wait(seconds: float) -> tuple[int, float]:
        began = time.monotonic()
        listed = cluster.client().get("/simulator/v1/fault", taken=fault, seconds=str(seconds))["faults"]
        (found,) = (item["taken"] for item in listed if str(item["id"]) == fault)
        return found, time.monotonic() - began

    taken, seconds = wait(0.3)
    assert taken == 0
    assert seconds >= 0.3
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(wait, 30.0)
        time.sleep(0.1)
        with pytest.raises(ClientError):
            cluster.client().get(NODES)
        taken, seconds = waiting.result(30)
    assert taken == 1
    assert seconds < 20


def test_unknown_fault_is_refused(cluster: SimulatedCluster) -> None:
    with pytest.raises(Exception, match="unknown fault fields: colour"):
        cluster.fault("api", colour="red")


def _seconds(cluster: SimulatedCluster) -> float:
    started = time.monotonic()
    cluster.client().get(NODES, limit="1")
    return time.monotonic() - started
