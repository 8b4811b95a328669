# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.status import StatusRequest, read_status
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import read_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import Share

NOW = datetime(2026, 1, 29, tzinfo=timezone.utc)
GPU = "nvidia.com/gpu"
REVISION = "0a1b2c3d4e"


def make_node(name: str, gpus: int = 8, **spec: Any) -> dict[str, Any]:
    labels = {"nvidia.com/device-plugin.config": "l20", "kubegpu.sharing/revision": REVISION}
    conditions = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": {"name": name, "labels": labels},
        "spec": spec,
        "status": {"allocatable": {GPU: str(gpus)}, "conditions": conditions},
    }


def make_plugin_pod(node: str) -> dict[str, Any]:
    labels = {"kubegpu.sharing/revision": REVISION}
    metadata = {"name": f"plugin-{node}", "namespace": "kubegpu-system", "uid": f"plugin-{node}", "labels": labels}
    status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
    return {"metadata": metadata, "spec": {"nodeName": node, "containers": []}, "status": status}


def make_gpu_pod(name: str, node: str = "", phase: str = "Running", gpus: int = 1) -> dict[str, Any]:
    container = {"name": "a", "resources": {"limits": {GPU: str(gpus)}}}
    owner = {"kind": "ReplicaSet", "name": "nlp-6d4f", "uid": "rs", "controller": True}
    metadata = {
        "name": name,
        "namespace": "default",
        "uid": name,
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "ownerReferences": [owner],
    }
    spec = {"containers": [container], **({"nodeName": node} if node else {})}
    return {"metadata": metadata, "spec": spec, "status": {"phase": phase}}


def make_deployment(updated: int) -> dict[str, Any]:
    template = {"spec": {"containers": [{"name": "a", "resources": {"limits": {GPU: "1"}}}]}}
    status = {"updatedReplicas": updated, "replicas": 2, "availableReplicas": 2}
    metadata = {"name": "nlp", "namespace": "default"}
    return {"metadata": metadata, "spec": {"replicas": 2, "template": template}, "status": status}


def make_plan(names: list[str]) -> dict[str, Any]:
    node = {
        "to": {"key": "l20", "revision": REVISION, "resources": {GPU: 8}},
        "from": {"key": None, "revision": None, "resources": {GPU: 1}},
        "expected_resources": {GPU: 8},
        "resources_before": {GPU: 1},
        "was_unschedulable": False,
        "release": None,
    }
    return {
        "schema_version": 1,
        "plan_id": "0123456789abcdef",
        "plugin": {"namespace": "kubegpu-system"},
        "configs": {},
        "nodes": dict.fromkeys(names, node),
        "releases": [],
        "waves": [[name] for name in names],
    }


def make_cluster(names: list[str], pods: Any = (), updated: int = 2) -> dict[str, list[dict[str, Any]]]:
    return {
        "/api/v1/nodes": [make_node(name) for name in names],
        "/api/v1/pods": [*(make_plugin_pod(name) for name in names), *pods],
        "/apis/apps/v1/deployments": [make_deployment(updated)],
    }


def status_of(server: Any, names: list[str], nodes: list[str] | None = None, **more: Any) -> tuple[dict[str, Any], Any]:
    document = make_plan(names)
    client = server.client()
    request = StatusRequest(plan=read_plan(document, "plan.json"), document=document, nodes=nodes, **more)
    return read_status(client, request, NOW), client.requests


def test_read_status_of_a_cluster_as_planned(serve: Any) -> None:
    names = ["gpu-1", "gpu-2"]
    status, requests = status_of(serve(make_cluster(names)), names)
    assert (status["matches"], status["differences"], status["waiting"]) == (True, [], False)
    assert [wave["finished"] for wave in status["waves"]] == [True, True]
    # Two nodes, plugin pods, pending pods, failed pods, Deployments.
    assert (requests.get, requests.write) == (6, 0)


def test_read_status_of_many_nodes_reads_pages_and_no_single_node(serve: Any) -> None:
    names = [f"gpu-{number}" for number in range(60)]
    server = serve(make_cluster(names), page_size=20)
    status, requests = status_of(server, names)
    assert status["matches"]
    assert requests.get == 3 + 3 + 3  # nodes, plugin pods; pending, failed, Deployments
    assert not [seen.path for seen in server.seen if seen.path.startswith("/api/v1/nodes/")]


def test_read_status_of_given_nodes_is_the_gate(serve: Any) -> None:
    names = ["gpu-1", "gpu-2"]
    cluster = make_cluster(names)
    cluster["/api/v1/nodes"][1]["spec"]["unschedulable"] = True
    server = serve(cluster)
    first, requests = status_of(server, names, ["gpu-1"])
    assert first["matches"]
    assert list(first["nodes"]) == ["gpu-1"]
    assert requests.get == 4
    assert not [seen.path for seen in server.seen if "deployments" in seen.path]
    both, _requests = status_of(server, names, names)
    assert both["differences"] == ["node gpu-2: is cordoned, and was not when the plan was made"]
    none, _requests = status_of(server, names, [])
    assert none["matches"]


def test_read_status_counts_a_held_node_as_finished(serve: Any) -> None:
    names = ["gpu-1", "gpu-2"]
    cluster = make_cluster(names)
    cluster["/api/v1/nodes"][1]["spec"]["unschedulable"] = True
    cluster["/api/v1/nodes"][1]["metadata"]["annotations"] = {"kubegpu.sharing/hold": "Kim: bench"}
    status, _requests = status_of(serve(cluster), names, names)
    assert (status["matches"], status["held"]) == (True, {"gpu-2": "Kim: bench"})
    assert [wave["finished"] for wave in status["waves"]] == [True, True]


def test_read_status_tells_who_is_out_of_service_with_one_list(serve: Any) -> None:
    names = ["gpu-1", "gpu-2", "gpu-3", "gpu-4"]
    cluster = make_cluster(names)
    cluster["/api/v1/nodes"][3]["spec"]["unschedulable"] = True
    # Nodes that the plan knows nothing of: one with GPUs that is not Ready, and one without, which does not count.
    down, plain = make_node("gpu-9"), make_node("cpu-1", unschedulable=True)
    down["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
    plain["metadata"]["labels"], plain["status"]["allocatable"] = {}, {}
    cluster["/api/v1/nodes"] += [down, plain]
    server = serve(cluster)
    before, requests = status_of(server, names, [], max_unavailable=Share(count=4), about_to_begin=["gpu-1", "gpu-2"])
    assert (before["matches"], before["out_of_service"], before["nodes"]) == (True, ["gpu-4", "gpu-9"], {})
    assert requests.get == 3  # nodes; pending, failed
    assert not [seen.path for seen in server.seen if seen.path.startswith("/api/v1/nodes/")]
    gate, _requests = status_of(
        server, names, ["gpu-3"], max_unavailable=Share(count=3), about_to_begin=["gpu-1", "gpu-2"]
    )
    assert gate["nodes"]["gpu-3"]["matches"] is True
    assert (gate["matches"], gate["differences"]) == (
        False,
        [
            "2 of 5 GPU nodes are out of service (gpu-4, gpu-9), and this wave would add 2; at most 3 may be. "
            "Wait until they are back, or raise kubegpu_max_unavailable."
        ],
    )
    without, _requests = status_of(server, names, ["gpu-3"])
    assert "out_of_service" not in without


def test_read_status_counts_nodes_on_which_only_the_plan_knows_of_a_gpu(serve: Any) -> None:
    names = ["gpu-1", "gpu-2"]
    cluster = make_cluster(names)
    for node in cluster["/api/v1/nodes"]:
        node["metadata"]["labels"], node["status"]["allocatable"] = {}, {}
    cluster["/api/v1/nodes"][1]["spec"]["unschedulable"] = True
    status, _requests = status_of(serve(cluster), names, [], max_unavailable=Share(count=1))
    assert status["out_of_service"] == ["gpu-2"]


def test_read_status_of_a_node_outside_the_plan_is_refused(serve: Any) -> None:
    with pytest.raises(InputError, match="node 'gpu-9' is not in plan"):
        status_of(serve(make_cluster(["gpu-1"])), ["gpu-1"], ["gpu-9"])
    with pytest.raises(InputError, match="node 'gpu-9' is not in plan"):
        status_of(serve(make_cluster(["gpu-1"])), ["gpu-1"], [], about_to_begin=["gpu-9"])


@pytest.mark.parametrize(
    ("pods", "updated", "waiting", "stuck"),
    [
        pytest.param([make_gpu_pod("a", phase="Pending")], 1, True, False, id="a place is free"),
        pytest.param([make_gpu_pod("a", phase="Pending", gpus=9)], 1, False, True, id="no node has so many"),
        pytest.param(
            [make_gpu_pod("a", phase="Pending"), make_gpu_pod("b", "gpu-1", gpus=8)],
            1,
            False,
            True,
            id="all places are taken",
        ),
        pytest.param(
            [make_gpu_pod("a", phase="Pending"), make_gpu_pod("b", "gpu-1", "Failed", gpus=8)],
            1,
            True,
            False,
            id="a failed pod takes none",
        ),
        pytest.param([make_gpu_pod("a", "gpu-1", "Pending")], 2, True, None, id="a pod starts"),
        pytest.param([], 1, True, False, id="an update goes on"),
        pytest.param([make_gpu_pod("a", "gpu-1")], 2, False, None, id="all is done"),
    ],
)
def test_read_status_waits_for_what_time_alone_may_bring(
    serve: Any, pods: list[dict[str, Any]], updated: int, waiting: bool, stuck: bool | None
) -> None:
    status, _requests = status_of(serve(make_cluster(["gpu-1"], pods, updated)), ["gpu-1"])
    assert status["matches"]
    assert status["waiting"] is waiting
    assert [entry["stuck"] for entry in status["updating"]] == ([] if stuck is None else [stuck])


def test_read_status_waits_for_a_node_that_settles(serve: Any) -> None:
    cluster = make_cluster(["gpu-1"])
    cluster["/api/v1/nodes"][0]["status"]["allocatable"] = {}
    status, _requests = status_of(serve(cluster), ["gpu-1"])
    assert (status["matches"], status["waiting"]) == (False, True)
