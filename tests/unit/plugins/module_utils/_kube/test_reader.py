# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timezone
from typing import Any
from urllib.parse import unquote_plus

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.inventory import InventoryOptions
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.reader import read_inventory, read_resource_slices

NOW = datetime(2026, 1, 29, tzinfo=timezone.utc)
GPU = "nvidia.com/gpu"


def make_node(name: str, gpus: int) -> dict[str, Any]:
    quantities = {GPU: str(gpus)} if gpus else {}
    conditions = [{"type": "Ready", "status": "True"}]
    return {
        "metadata": {"name": name},
        "spec": {},
        "status": {"capacity": quantities, "allocatable": quantities, "conditions": conditions},
    }


def make_pod(name: str, node: str, phase: str = "Running") -> dict[str, Any]:
    container = {"name": "a", "image": "a", "resources": {"requests": {GPU: "1"}}}
    metadata = {"name": name, "namespace": "default", "uid": name, "creationTimestamp": "2026-01-01T00:00:00Z"}
    return {"metadata": metadata, "spec": {"nodeName": node, "containers": [container]}, "status": {"phase": phase}}


def make_plugin() -> dict[str, Any]:
    container = {
        "name": "ctr",
        "image": "nvcr.io/nvidia/k8s-device-plugin:v0.14.5",
        "args": ["--config-file=/c/l20"],
        "volumeMounts": [{"name": "c", "mountPath": "/c"}],
    }
    pod = {"containers": [container], "volumes": [{"name": "c", "configMap": {"name": "configs"}}]}
    metadata = {"name": "plugin", "namespace": "kube-system", "uid": "plugin"}
    return {"metadata": metadata, "spec": {"template": {"spec": pod}}}


def make_cluster(gpu_nodes: int = 2, pods: int = 2) -> dict[str, list[dict[str, Any]]]:
    config = {
        "metadata": {"name": "configs", "namespace": "kube-system"},
        "data": {"l20": "flags: {migStrategy: mixed}"},
    }
    snapshot = {
        "name": "kubegpu-snapshot-r1",
        "namespace": "kubegpu-system",
        "labels": {
            "kubegpu.sharing/snapshot": "true",
            "kubegpu.sharing/run": "r1",
            "app.kubernetes.io/managed-by": "kubegpu.sharing",
        },
        "annotations": {"kubegpu.sharing/plan-id": "0a"},
    }
    return {
        "/api/v1/nodes": [make_node(f"gpu-{number}", 1) for number in range(gpu_nodes)] + [make_node("cpu-1", 0)],
        "/api/v1/pods": [make_pod(f"pod-{number}", f"gpu-{number % gpu_nodes}") for number in range(pods)]
        + [make_pod("done", "gpu-0", "Succeeded")],
        "/api/v1/resourcequotas": [],
        "/apis/policy/v1/poddisruptionbudgets": [],
        "/api/v1/configmaps": [config, {"metadata": snapshot}],
        "/apis/apps/v1/daemonsets": [make_plugin()],
        "/apis/apps/v1/deployments": [],
        "/apis/apps/v1/statefulsets": [],
        "/apis/batch/v1/jobs": [],
        "/apis/batch/v1/cronjobs": [],
    }


def test_read_inventory_brings_everything_together(serve: Any) -> None:
    client = serve(make_cluster()).client()
    cluster = read_inventory(client, InventoryOptions(), NOW).to_dict()
    assert cluster["totals"] == {GPU: {"capacity": 2, "allocatable": 2, "requested": 2, "free": 0}}
    assert cluster["plugins"][0]["config"] == {"flags": {"migStrategy": "mixed"}}
    assert [pod["name"] for pod in cluster["nodes"]["gpu-0"]["pods"]] == ["pod-0"]
    assert cluster["snapshots"] == [{"name": "kubegpu-snapshot-r1", "run": "r1", "plan_id": "0a", "created": ""}]
    assert cluster["config_maps"] == []


@pytest.mark.parametrize(("nodes", "pods"), [(2, 2), (40, 300)])
def test_read_inventory_asks_eleven_lists_and_the_pages(serve: Any, nodes: int, pods: int) -> None:
    page = 20
    server = serve(make_cluster(nodes, pods), page_size=page)
    client = server.client()
    read_inventory(client, InventoryOptions(), NOW)
    pages = -(-(nodes + 1) // page) + -(-pods // page)
    # Ten small lists, one ConfigMap that a plugin reads.
    assert client.requests.get == 11 + pages
    assert (client.requests.write, client.requests.dry_run, client.requests.review) == (0, 0, 0)
    assert {seen.method for seen in server.seen} == {"GET"}
    assert not [seen.path for seen in server.seen if seen.path.startswith("/api/v1/nodes/")]


def test_read_inventory_leaves_data_of_snapshots_and_finished_pods_where_they_are(serve: Any) -> None:
    server = serve(make_cluster())
    read_inventory(server.client(), InventoryOptions(), NOW)
    asked = {unquote_plus(seen.path): seen.headers["Accept"] for seen in server.seen}
    config_maps = "/api/v1/namespaces/kubegpu-system/configmaps?limit=500&labelSelector="
    assert asked[config_maps + "kubegpu.sharing/snapshot"] == [
        "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
    ]
    assert asked[config_maps + "!kubegpu.sharing/snapshot"] == ["application/json"]
    assert "/api/v1/pods?limit=500&fieldSelector=status.phase!=Succeeded" in asked


@pytest.mark.parametrize("refused", ["/api/v1/pods", "/api/v1/resourcequotas"])
def test_read_inventory_fails_with_the_list_that_was_refused(serve: Any, refused: str) -> None:
    server = serve(make_cluster())
    collections = server.serve
    denied = f'x is forbidden: User "kim" cannot list resource "{refused.rpartition("/")[2]}"'
    body = {"kind": "Status", "reason": "Forbidden", "message": denied}
    server.serve = lambda seen: (
        type(server.replies[0])(status=403, body=body) if seen.path.startswith(refused) else collections(seen)
    )
    with pytest.raises(ApiError, match='Grant the user the verb "list" on') as caught:
        read_inventory(server.client(), InventoryOptions(), NOW)
    assert caught.value.path.startswith(refused)


@pytest.mark.parametrize("status", [403, 404])
def test_read_inventory_does_without_budgets_that_it_may_not_list(serve: Any, status: int) -> None:
    server = serve(make_cluster())
    collections = server.serve
    body = {"kind": "Status", "reason": "Forbidden" if status == 403 else "NotFound", "message": "no"}
    server.serve = lambda seen: (
        type(server.replies[0])(status=status, body=body) if "/policy/" in seen.path else collections(seen)
    )
    assert read_inventory(server.client(), InventoryOptions(), NOW).to_dict()["budgets"] is None


def test_read_inventory_fails_where_budgets_cannot_be_read_for_another_reason(serve: Any) -> None:
    server = serve(make_cluster())
    collections = server.serve
    body = {"kind": "Status", "reason": "Unauthorized", "message": "no"}
    server.serve = lambda seen: (
        type(server.replies[0])(status=401, body=body) if "/policy/" in seen.path else collections(seen)
    )
    with pytest.raises(ApiError, match="poddisruptionbudgets"):
        read_inventory(server.client(), InventoryOptions(), NOW)


class TestResourceSlices:
    SLICES = [{"metadata": {"name": "a"}, "spec": {"driver": "gpu.nvidia.com", "nodeName": "gpu-1"}}]

    def test_a_cluster_without_the_group_has_none(self, serve: Any) -> None:
        server = serve({})
        assert read_resource_slices(server.client()) == []
        assert len(server.seen) == 1

    def test_an_older_version_of_the_group_is_found(self, serve: Any) -> None:
        server = serve({"/apis/resource.k8s.io/v1beta1/resourceslices": self.SLICES})
        collections = server.serve
        missing = {
            "kind": "Status",
            "reason": "NotFound",
            "message": "the server could not find the requested resource",
        }

        def answer(seen: Any) -> Any:
            reply = collections(seen)
            return type(server.replies[0])(status=404, body=missing) if reply.status == 404 else reply

        server.serve = answer
        assert read_resource_slices(server.client()) == self.SLICES
        assert len(server.seen) == 3
