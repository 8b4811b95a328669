# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what the collection needs of a whole cluster, in lists and with no request per node. PRIVATE to the collection."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Callable

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.inventory import Inventory, InventoryOptions
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.names import SNAPSHOT_LABEL

NODES = "/api/v1/nodes"
PODS = "/api/v1/pods"
DAEMONSETS = "/apis/apps/v1/daemonsets"
# Pods that have done their work hold nothing and are nobody's concern; there may be many of them.
NOT_SUCCEEDED = "status.phase!=Succeeded"
_WORKLOADS = {
    "Deployment": "/apis/apps/v1/deployments",
    "StatefulSet": "/apis/apps/v1/statefulsets",
    "Job": "/apis/batch/v1/jobs",
    "CronJob": "/apis/batch/v1/cronjobs",
}
# v1 came with Kubernetes 1.34. A cluster of 1.31 has alpha versions only, which NVIDIA's driver does not run on.
_SLICE_VERSIONS = ("v1", "v1beta2", "v1beta1")
_BUDGETS = "/apis/policy/v1/poddisruptionbudgets"
# Small lists are read beside the large ones: each is mostly waiting for the API server.
_THREADS = 3


def read_inventory(client: KubeClient, options: InventoryOptions, now: datetime) -> Inventory:
    """The cluster's nodes, pods, device plugins and what else a plan has to know.

    One list each of nodes, DaemonSets, pods, Deployments, StatefulSets, Jobs, CronJobs, ResourceQuotas, ResourceSlices,
    PodDisruptionBudgets and (twice, by label) the plugin namespace's ConfigMaps, in pages; one more request for each
    ConfigMap that somebody else's plugin reads.

    :raises ApiError: something could not be read.
    """
    inventory = Inventory(options, now)
    with ThreadPoolExecutor(_THREADS) as threads:
        # What these return is added by this thread alone, in the end.
        beside = [threads.submit(read) for read in _small_lists(client, options)]
        try:
            _read_nodes_and_pods(client, inventory)
        except ApiError:
            for future in beside:
                future.cancel()
            raise
        for future in beside:
            future.result()(inventory)
    for name in inventory.missing_config_maps():
        namespace, _slash, config_map_name = name.partition("/")
        config_map = client.get_or_none(api_path("configmaps", namespace, config_map_name))
        if config_map is not None:
            inventory.add_config_text(config_map)
    return inventory


def _read_nodes_and_pods(client: KubeClient, inventory: Inventory) -> None:
    for page in client.pages(NODES):
        inventory.add_nodes(page.items)
    for page in client.pages(DAEMONSETS):
        inventory.add_workloads("DaemonSet", page.items)
    for page in client.pages(PODS, fieldSelector=NOT_SUCCEEDED):
        inventory.add_pods(page.items)


_Addition = Callable[[Inventory], None]


def _small_lists(client: KubeClient, options: InventoryOptions) -> list[Callable[[], _Addition]]:
    return [
        *(lambda kind=kind, path=path: _workloads(client, kind, path) for kind, path in _WORKLOADS.items()),
        lambda: _quotas(client),
        lambda: _budgets(client),
        lambda: _config_maps(client, options.namespace),
        lambda: _snapshots(client, options.namespace),
        lambda: _resource_slices(client),
    ]


def _workloads(client: KubeClient, kind: str, path: str) -> _Addition:
    items = client.list(path).items
    return lambda inventory: inventory.add_workloads(kind, items)


def _quotas(client: KubeClient) -> _Addition:
    items = client.list("/api/v1/resourcequotas").items
    return lambda inventory: inventory.add_quotas(items)


def _budgets(client: KubeClient) -> _Addition:
    """They foretell what an eviction will be answered. A rollout does without where they may not be listed."""
    try:
        items = client.list(_BUDGETS).items
    except ApiError as error:
        if error.status not in (403, 404):
            raise
        return lambda inventory: None
    return lambda inventory: inventory.add_budgets(items)


def _config_maps(client: KubeClient, namespace: str) -> _Addition:
    items = client.list(api_path("configmaps", namespace), labelSelector=f"!{SNAPSHOT_LABEL}").items
    return lambda inventory: inventory.add_config_maps(items)


def _snapshots(client: KubeClient, namespace: str) -> _Addition:
    """Their metadata only: the snapshots of a large fleet are several MiB."""
    items = client.list_metadata(api_path("configmaps", namespace), labelSelector=SNAPSHOT_LABEL).items
    return lambda inventory: inventory.add_snapshots(items)


def _resource_slices(client: KubeClient) -> _Addition:
    items = read_resource_slices(client)
    return lambda inventory: inventory.add_resource_slices(items)


def read_resource_slices(client: KubeClient) -> list[dict[str, Any]]:
    """What DRA drivers offer; nothing where the cluster does not know ResourceSlices."""
    for version in _SLICE_VERSIONS:
        try:
            path = f"/apis/resource.k8s.io/{version}/resourceslices"
            return client.list(path).items
        except ApiError as error:
            if error.status != 404:
                raise
            # An unknown version of a known group answers with a Status, an unknown group with plain text.
            if error.reason != "NotFound":
                return []
    return []
