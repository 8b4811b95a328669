# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What sharing changes for the workloads that are there. PRIVATE to the collection."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, pod_name, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE, is_plugin_resource

_PRODUCT_LABEL = "nvidia.com/gpu.product"


@dataclass(frozen=True)
class Outlook:
    """The cluster as the plan makes it.

    :param states: all GPU nodes of the cluster.
    :param nodes: the plan's nodes, as they stand in it.
    :param refusing: keys under which a request for more than one slot is refused.
    """

    cluster: Mapping[str, Any]
    states: Mapping[str, NodeState]
    nodes: Mapping[str, Mapping[str, Any]]
    refusing: frozenset[str]

    @property
    def shared(self) -> list[str]:
        """Names of nodes that share their GPUs."""
        return [name for name, node in self.nodes.items() if node["sharing"] != "none"]

    @property
    def single(self) -> list[str]:
        """Names of nodes whose MIG devices go by the name of a GPU."""
        return [name for name, node in self.nodes.items() if GPU_RESOURCE in node["mig_devices"]]


def compatibility(outlook: Outlook) -> list[dict[str, str]]:
    """The report: severity (info or warning), code, object, message."""
    if not outlook.nodes:
        return []
    checks = (_greedy_pods, _vanishing_resources, _product_selectors, _quotas, _one_name_for_both, _metrics)
    return [entry for check in checks for entry in check(outlook)]


def _entry(severity: str, code: str, where: str, message: str) -> dict[str, str]:
    return {"severity": severity, "code": code, "object": where, "message": message}


def _workload(pod: Mapping[str, Any]) -> str:
    owner = pod.get("owner")
    return f"{owner['kind']} {pod.get('namespace')}/{owner['name']}" if owner else f"Pod {pod_name(pod)}"


def _by_workload(pods: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, list[str]]]:
    """Pods of one workload together: a hundred alike pods are one finding."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for pod in pods:
        grouped[_workload(pod)].append(pod_name(pod))
    for workload in sorted(grouped):
        yield workload, sorted(grouped[workload])


def _greedy_pods(outlook: Outlook) -> Iterator[dict[str, str]]:
    """A request for two slots is refused for ever, since two slots are no bigger share."""
    greedy = []
    shared_resources = set()
    for name in outlook.shared:
        node = outlook.nodes[name]
        if node["key"] in outlook.refusing:
            shared_resources |= set(node["expected_resources"])
            greedy += [
                pod for pod in outlook.states[name].gpu_pods if _asks_for_more_than_one(pod, node["expected_resources"])
            ]
    greedy += [pod for pod in outlook.cluster.get("pending") or () if _asks_for_more_than_one(pod, shared_resources)]
    for workload, pods in _by_workload(greedy):
        yield _entry(
            "warning",
            "requests_more_than_one",
            workload,
            f"asks for more than one GPU ({some(pods)}); on a shared node its pods are refused from their next start on. Let it ask "
            "for 1, or send it to nodes that are not shared.",
        )


def _asks_for_more_than_one(pod: Mapping[str, Any], resources: Any) -> bool:
    requests = pod.get("requests") or {}
    return any(int(requests.get(resource) or 0) > 1 for resource in resources)


def _vanishing_resources(outlook: Outlook) -> Iterator[dict[str, str]]:
    """Pods that ask for a resource name which their node, or the whole cluster, will no longer have."""
    before: set[str] = set()
    remaining: set[str] = set()
    vanishing: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for name, state in outlook.states.items():
        node = outlook.nodes.get(name)
        before |= set(state.resources)
        remaining |= set(node["expected_resources"] if node else state.resources)
        if node and node["changed"]:
            for resource in state.resources.keys() - node["expected_resources"].keys():
                vanishing[resource] += [pod for pod in state.gpu_pods if resource in (pod.get("requests") or {})]
    for pod in outlook.cluster.get("pending") or ():
        # What waits for a name that nobody ever had waits as before.
        for resource in (pod.get("requests") or {}).keys() & before - remaining:
            vanishing[resource].append(pod)
    for resource in sorted(vanishing):
        for workload, pods in _by_workload(vanishing[resource]):
            yield _vanishes(resource, workload, some(pods), remaining)


def _vanishes(resource: str, workload: str, pods: str, remaining: set[str]) -> dict[str, str]:
    if resource in remaining:
        message = (
            f"asks for {resource} ({pods}), which its node will no longer advertise; its next pod needs room on one of the nodes that "
            f"still do. Let it ask for {_others(remaining - {resource})} if it is to come back."
        )
        return _entry("info", "resource_vanishes", workload, message)
    message = (
        f"asks for {resource} ({pods}), which no node will advertise any more; its next pod stays pending. Let it ask for "
        f"{_others(remaining)}."
    )
    return _entry("warning", "resource_vanishes", workload, message)


def _others(resources: set[str]) -> str:
    return f"one of {', '.join(sorted(resources))}" if resources else "one of the new names"


def _product_selectors(outlook: Outlook) -> Iterator[dict[str, str]]:
    """GPU Feature Discovery renames the product when a card is shared, and under MIG strategy single."""
    appended = [
        *(["-SHARED to its value on shared nodes (unless the resource is renamed)"] if outlook.shared else []),
        *(["-MIG- and the profile to its value on nodes of MIG strategy single"] if outlook.single else []),
    ]
    for workload in (outlook.cluster.get("label_users") or {}).get(_PRODUCT_LABEL) or () if appended else ():
        yield _entry(
            "warning",
            "selects_product_label",
            workload,
            f"selects nodes by {_PRODUCT_LABEL}; GPU Feature Discovery appends {' and '.join(appended)}, and its next pod stays "
            "pending. Select by both values, or by another label.",
        )


def _quotas(outlook: Outlook) -> Iterator[dict[str, str]]:
    """A quota counts slots from now on, and used to count cards."""
    counted = [
        *(["slots of a shared GPU"] if outlook.shared else []),
        *(["MIG devices (strategy single)"] if outlook.single else []),
    ]
    for quota in outlook.cluster.get("quotas") or () if counted else ():
        if is_plugin_resource(str(quota.get("resource") or "").replace("requests.", "", 1)):
            yield _entry(
                "warning",
                "quota_counts_slots",
                f"ResourceQuota {quota.get('namespace')}/{quota.get('name')}",
                f"limits {quota.get('resource')} to {quota.get('hard')} ({quota.get('used')} used), which counts {' and '.join(counted)}, "
                "no longer whole cards. Raise it if the namespace is to use the slots.",
            )


def _one_name_for_both(outlook: Outlook) -> Iterator[dict[str, str]]:
    """A job that wants a whole card may land on a part of one if both go by one name."""
    parts: list[str] = []
    whole: list[str] = []
    for name, state in outlook.states.items():
        node = outlook.nodes.get(name)
        if node is None:
            whole += [name] if GPU_RESOURCE in state.resources and not state.key else []
        elif GPU_RESOURCE in node["expected_resources"]:
            (parts if name in outlook.single or _is_divided(node) else whole).append(name)
    if parts and whole:
        what = "a MIG device" if set(parts) <= set(outlook.single) else "a slot"
        cure = "Rename the shared resource (rename: true)" if what == "a slot" else "Use MIG strategy mixed"
        yield _entry(
            "warning",
            "one_name_for_whole_and_shared",
            GPU_RESOURCE,
            f"is a whole card on {some(whole)} and {what} on {some(parts)}; a pod that needs a whole card may get {what}. {cure}, or "
            "keep the pods apart by labels or taints.",
        )


def _is_divided(node: Mapping[str, Any]) -> bool:
    """Each of its GPUs has several slots."""
    replicas = node["replicas"]
    return bool((replicas.get(GPU_RESOURCE, 1) if isinstance(replicas, Mapping) else replicas) > 1)


def _metrics(outlook: Outlook) -> Iterator[dict[str, str]]:
    if outlook.shared:
        yield _entry(
            "info",
            "metrics_per_card",
            "metrics",
            "Exporters of GPU metrics know physical cards alone; what each pod uses of one is written by the role gpu_usage_exporter. "
            "Neither memory nor faults are isolated between pods on a card.",
        )
