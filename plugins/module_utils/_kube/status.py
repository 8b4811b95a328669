# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads how far a cluster is from a plan. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import AbstractSet, Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster import comparison, pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.availability import (
    Availability,
    is_gpu_node,
    is_out_of_service,
)
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
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import Share

#: Up to so many nodes are read one by one; for more, the list of all is the smaller effort.
_SINGLE_READS = 10
_THREADS = 4
_DEPLOYMENTS = "/apis/apps/v1/deployments"


@dataclass(frozen=True)
class StatusRequest:
    """What is to be compared.

    :param document: the plan file's content, which tells more than the accepted plan does.
    :param nodes: names of nodes of the plan; None for all, which also looks at the workloads.
    :param max_unavailable: GPU nodes that may be out of service at once; None if that is not to be looked at.
    :param about_to_begin: nodes that the caller is about to take out of service.
    """

    plan: RolloutPlan
    document: Mapping[str, Any]
    nodes: Sequence[str] | None = None
    max_unavailable: Share | None = None
    about_to_begin: Sequence[str] = ()


def read_status(client: KubeClient, request: StatusRequest, now: datetime) -> dict[str, Any]:
    """How the cluster stands to the plan.

    Reads the plugins' pods by label, pending and failed pods by phase, and nodes in pages (or one by one if they are few
    and no others matter). For the whole plan also Deployments, and all pods if one waits for a GPU.

    :raises InputError: nodes that the plan does not have.
    :raises ApiError: something could not be read.
    """
    plan = request.plan
    targets = plan.select(list(plan.nodes) if request.nodes is None else request.nodes)
    beginning = {target.name for target in plan.select(request.about_to_begin)}
    observed, availability = _read_nodes(client, request, [target.name for target in targets])
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
    differences = [*comparison.describe_differences(nodes), *_too_many(availability, request, beginning)]
    workloads = _read_workloads(client, now, observed if request.nodes is None else None)
    settling = any(entry["settling"] for entry in nodes.values())
    return {
        "matches": not differences,
        "differences": differences,
        "nodes": nodes,
        "held": comparison.held_nodes(nodes),
        **({"out_of_service": sorted(availability.out_of_service)} if availability else {}),
        "waves": comparison.finished_waves(request.document.get("waves") or [], nodes),
        **workloads,
        "waiting": workloads["waiting"] or settling,
    }


def _too_many(availability: Availability | None, request: StatusRequest, beginning: AbstractSet[str]) -> list[str]:
    if availability is None or request.max_unavailable is None:
        return []
    exceeded = availability.exceeded(request.max_unavailable, beginning)
    return [exceeded] if exceeded else []


def _read_nodes(
    client: KubeClient, request: StatusRequest, names: Sequence[str]
) -> tuple[dict[str, NodeState], Availability | None]:
    """The nodes of these names, and how all GPU nodes are if that is asked for."""
    counted = request.max_unavailable is not None
    if len(names) <= _SINGLE_READS and not counted:
        objects = work_through(lambda name: client.get_or_none(api_path("nodes", name=name)), names, _THREADS)
        return {obj["metadata"]["name"]: observe_node(obj) for obj in objects if obj}, None
    wanted, planned = set(names), _known_gpu_nodes(request)
    found: dict[str, NodeState] = {}
    gpu_nodes: dict[str, bool] = {}
    for page in client.pages(NODES):
        for obj in page.items:
            name = obj["metadata"]["name"]
            if name in wanted:
                found[name] = observe_node(obj)
            if counted and is_gpu_node(obj, planned):
                gpu_nodes[name] = is_out_of_service(obj)
    out = frozenset(name for name, is_out in gpu_nodes.items() if is_out)
    return found, Availability(len(gpu_nodes), out) if counted else None


def _known_gpu_nodes(request: StatusRequest) -> set[str]:
    """Nodes on which the plan found a GPU. It may have it from the node itself, while nothing in the cluster tells."""
    skipped = {entry["node"] for entry in request.document.get("skipped") or []}
    return {*request.plan.nodes, *skipped}


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
