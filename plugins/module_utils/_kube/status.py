# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads how far a cluster is from a plan. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster import comparison, pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.quantities import add_counts
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import GPU_PREFIX, pod_requests
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import pod_template
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import plugin_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.reader import NODES, PODS
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState, observe_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import RolloutPlan

#: Up to so many nodes are read one by one; for more, the list of all is the smaller effort.
_SINGLE_READS = 10
_THREADS = 4
_DEPLOYMENTS = "/apis/apps/v1/deployments"


@dataclass(frozen=True)
class StatusRequest:
    """What is to be compared.

    :param document: the plan file's content, which tells more than the accepted plan does.
    :param nodes: names of nodes of the plan; None for all, which also looks at the workloads.
    """

    plan: RolloutPlan
    document: Mapping[str, Any]
    nodes: Sequence[str] | None = None


def read_status(client: KubeClient, request: StatusRequest, now: datetime) -> dict[str, Any]:
    """How the cluster stands to the plan.

    Reads the plugins' pods by label, pending and failed pods by phase, and nodes in pages (or one by one if they are few).
    For the whole plan also Deployments, and all pods if one waits for a GPU.

    :raises InputError: nodes that the plan does not have.
    :raises ApiError: something could not be read.
    """
    plan = request.plan
    targets = plan.select(list(plan.nodes) if request.nodes is None else request.nodes)
    observed = _read_nodes(client, [target.name for target in targets])
    by_node = plugin_pods(client, plan, targets) if targets else {}
    planned = request.document.get("nodes") or {}
    nodes = {
        target.name: comparison.compare_node(
            comparison.Expectation(target, bool(planned[target.name].get("was_unschedulable"))),
            observed.get(target.name),
            by_node.get(target.name, []),
        )
        for target in targets
    }
    differences = comparison.describe_differences(nodes)
    workloads = _read_workloads(client, now, observed if request.nodes is None else None)
    settling = any(entry["settling"] for entry in nodes.values())
    return {
        "matches": not differences,
        "differences": differences,
        "nodes": nodes,
        "waves": comparison.finished_waves(request.document.get("waves") or [], nodes),
        **workloads,
        "waiting": workloads["waiting"] or settling,
    }


def _read_nodes(client: KubeClient, names: Sequence[str]) -> dict[str, NodeState]:
    if len(names) <= _SINGLE_READS:
        objects = work_through(lambda name: client.get_or_none(api_path("nodes", name=name)), names, _THREADS)
        return {obj["metadata"]["name"]: observe_node(obj) for obj in objects if obj}
    wanted = set(names)
    found = {}
    for page in client.pages(NODES):
        found.update(
            {obj["metadata"]["name"]: observe_node(obj) for obj in page.items if obj["metadata"]["name"] in wanted}
        )
    return found


def _read_workloads(client: KubeClient, now: datetime, nodes: Mapping[str, NodeState] | None) -> dict[str, Any]:
    """Pods that wait for a GPU or were refused one, and what else is on its way.

    :param nodes: those on which a waiting pod may find a place; None if that is not to be looked at.
    """
    pending, starting = _read_pending(client, now)
    failed = [
        entry
        for page in client.pages(PODS, fieldSelector="status.phase=Failed")
        for pod in page.items
        if pod_requests(pod.get("spec") or {}, GPU_PREFIX)
        for entry in [pods.read_failed(pod)]
        if entry
    ]
    updating: list[dict[str, Any]] = []
    waiting = False
    if nodes is not None:
        free = _read_free(client, nodes) if pending else []
        stuck = [entry for entry in pending if not comparison.could_be_placed(entry["requests"], free)]
        updating = _read_updating(client, stuck)
        moving = [entry for entry in updating if not entry["stuck"]]
        waiting = bool(starting or moving or len(stuck) < len(pending))
    return {"pending": pending, "starting": starting, "failed_pods": failed, "updating": updating, "waiting": waiting}


def _read_pending(client: KubeClient, now: datetime) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    pending, starting = [], []
    for page in client.pages(PODS, fieldSelector="status.phase=Pending"):
        for pod in page.items:
            requests = pod_requests(pod.get("spec") or {}, GPU_PREFIX)
            if not requests:
                continue
            entry = pods.read_pending(pod, requests, now)
            if entry:
                pending.append(entry)
            elif (pod.get("spec") or {}).get("nodeName"):
                starting.append({**pods.identity(pod), "node": pods.pod_node(pod)})
    return pending, starting


def _read_free(client: KubeClient, nodes: Mapping[str, NodeState]) -> list[dict[str, int]]:
    """Free devices of each node that takes pods."""
    requested: dict[str, dict[str, int]] = {}
    held = "status.phase!=Succeeded,status.phase!=Failed"
    for page in client.pages(PODS, fieldSelector=held):
        for pod in page.items:
            spec = pod.get("spec") or {}
            name = spec.get("nodeName") or ""
            if name in nodes:
                requested[name] = add_counts(requested.get(name, {}), pod_requests(spec, GPU_PREFIX))
    return [
        {resource: count - requested.get(name, {}).get(resource, 0) for resource, count in node.allocatable.items()}
        for name, node in nodes.items()
        if not node.unschedulable and not node.not_ready
    ]


def _read_updating(client: KubeClient, stuck: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Deployments with GPUs whose update is not finished, and whether it is because a pod of theirs finds no place."""
    updating = []
    for page in client.pages(_DEPLOYMENTS):
        for deployment in page.items:
            if not pod_requests(pod_template("Deployment", deployment), GPU_PREFIX):
                continue
            message = comparison.unfinished_deployment(deployment)
            if message:
                metadata = deployment["metadata"]
                names = {"namespace": metadata.get("namespace") or "", "name": metadata["name"]}
                updating.append({"kind": "Deployment", **names, "message": message, "stuck": _is_stuck(names, stuck)})
    return updating


def _is_stuck(deployment: Mapping[str, str], stuck: Sequence[Mapping[str, Any]]) -> bool:
    """A ReplicaSet's name is its Deployment's and a hash."""
    return any(
        pod["namespace"] == deployment["namespace"]
        and (pod["owner"] or {}).get("kind") == "ReplicaSet"
        and pod["owner"]["name"].rpartition("-")[0] == deployment["name"]
        for pod in stuck
    )
