# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods a rollout disturbed, by comparing the cluster before and after. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Collection, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import (
    Cluster,
    object_name,
    plugin_owner_uids,
    plugin_pod_uids,
)

Pod = Mapping[str, Any]
_FINISHED = ("Succeeded", "Failed")


@dataclass(frozen=True)
class Disturbance:
    """Pods that were not left alone, each a mapping with namespace, name, uid, node and why.

    :param evicted: evicted by the rollout (its journal says so), or by a kubelet meanwhile.
    :param recreated: stale pods that the rollout evicted once their node served again, to be made anew.
    :param refused: failed the kubelet's admission meanwhile.
    :param restarted: ran before, and lost their containers or vanished though their controller was not replacing them.
    :param rolled: vanished because their controller replaced them by pods of a newer template: its own update.
    :param paused: of DaemonSets that keep the driver open, and that left a node while its MIG devices changed.
    """

    evicted: list[dict[str, Any]] = field(default_factory=list)
    recreated: list[dict[str, Any]] = field(default_factory=list)
    refused: list[dict[str, Any]] = field(default_factory=list)
    restarted: list[dict[str, Any]] = field(default_factory=list)
    rolled: list[dict[str, Any]] = field(default_factory=list)
    paused: list[dict[str, Any]] = field(default_factory=list)


def compare_pods(
    before: Cluster,
    after: Cluster,
    journal: Sequence[Mapping[str, Any]],
    paused: Mapping[str, Collection[str]] | None = None,
) -> Disturbance:
    """What happened to pods between two readings of the cluster. The device plugins' own pods do not count.

    :param paused: DaemonSets, "namespace/name", that were to leave a node for a time, by node.
    """
    disturbance = Disturbance()
    present = {pod["uid"]: (node, pod) for node, pod in _workload_pods(after)}
    disturbance.evicted.extend(_evicted(before, present, journal))
    disturbance.recreated.extend(_told(journal, "recreated"))
    disturbance.refused.extend(refused_pods(before, after))
    sent_away = {entry["uid"] for entry in (*disturbance.evicted, *disturbance.recreated)}
    newer = _running_templates(present.values())
    for node, pod in _workload_pods(before):
        if pod["uid"] in sent_away or pod.get("phase") != "Running" or pod.get("terminating"):
            continue
        entry = {"namespace": pod.get("namespace"), "name": pod.get("name"), "uid": pod["uid"], "node": node}
        found = present.get(pod["uid"])
        if found is not None and found[1].get("phase") not in _FINISHED:
            rise = (found[1].get("restarts") or 0) - (pod.get("restarts") or 0)
            if rise > 0:
                disturbance.restarted.append(
                    {**entry, "why": f"its containers restarted {'once' if rise == 1 else f'{rise} times'}"}
                )
        elif found is not None and found[1].get("phase") == "Succeeded":
            # it came to its end by itself
            continue
        elif _is_of(pod, (paused or {}).get(node, ())):
            disturbance.paused.append({**entry, "why": "its DaemonSet was paused while MIG devices changed"})
        elif newer.get(_workload(pod), set()) - {pod.get("controller_hash")}:
            disturbance.rolled.append({**entry, "why": "replaced by its controller with a newer template"})
        else:
            disturbance.restarted.append({**entry, "why": "it is gone" if found is None else "it failed"})
    return disturbance


def _workload_pods(cluster: Cluster) -> Iterator[tuple[str, Pod]]:
    pods_of_plugins, plugins = plugin_pod_uids(cluster), plugin_owner_uids(cluster)
    for name, node in (cluster.get("nodes") or {}).items():
        for pod in node.get("pods") or []:
            if pod["uid"] not in pods_of_plugins and (pod.get("owner") or {}).get("uid") not in plugins:
                yield name, pod


def _is_of(pod: Pod, daemonsets: Collection[str]) -> bool:
    owner = pod.get("owner") or {}
    return owner.get("kind") == "DaemonSet" and f"{pod.get('namespace')}/{owner.get('name')}" in daemonsets


def _workload(pod: Pod) -> tuple[Any, ...]:
    """What stays the same when a controller rolls its pods: a Deployment's ReplicaSets differ in the hash that ends their name."""
    owner = pod.get("owner") or {}
    name, template = str(owner.get("name") or ""), pod.get("controller_hash")
    if template and name.endswith(f"-{template}"):
        name = name[: -len(str(template)) - 1]
    return (pod.get("namespace"), owner.get("kind"), name)


def _running_templates(pods: Any) -> dict[tuple[Any, ...], set[Any]]:
    """Hashes of the templates that run now, by workload."""
    found: dict[tuple[Any, ...], set[Any]] = {}
    for _node, pod in pods:
        if pod.get("owner") and pod.get("controller_hash") and pod.get("phase") == "Running":
            found.setdefault(_workload(pod), set()).add(pod["controller_hash"])
    return found


def _evicted(
    before: Cluster, present: Mapping[str, tuple[str, Pod]], journal: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    yield from _told(journal, "evicted")
    known = {pod["uid"] for _node, pod in _workload_pods(before) if pod.get("reason") == "Evicted"}
    for node, pod in present.values():
        if pod.get("reason") == "Evicted" and pod["uid"] not in known:
            yield {
                "namespace": pod.get("namespace"),
                "name": pod.get("name"),
                "uid": pod["uid"],
                "node": node,
                "why": "Evicted",
            }


def refused_pods(before: Cluster, after: Cluster) -> Iterator[dict[str, Any]]:
    """Pods that failed a kubelet's admission between two readings of the cluster."""
    known = {pod["uid"] for pod in before.get("failed") or []}
    for pod in after.get("failed") or []:
        if pod["uid"] not in known:
            yield {
                "namespace": pod.get("namespace"),
                "name": pod.get("name"),
                "uid": pod["uid"],
                "node": pod.get("node"),
                "why": f"{pod.get('reason')}: {pod.get('message')}",
            }


def _told(journal: Sequence[Mapping[str, Any]], state: str) -> Iterator[dict[str, Any]]:
    """Each pod once, however often a run asked for its eviction."""
    told = {(entry.get("pod") or {}).get("uid"): entry for entry in journal if entry.get("state") == state}
    return map(_from_journal, told.values())


def _from_journal(entry: Mapping[str, Any]) -> dict[str, Any]:
    pod = entry.get("pod") or {}
    return {
        "namespace": pod.get("namespace"),
        "name": pod.get("name"),
        "uid": pod.get("uid"),
        "node": entry.get("node"),
        "why": entry.get("message") or "",
    }


def describe_pod(entry: Mapping[str, Any]) -> str:
    """One of the pods above, in words."""
    return f"{object_name(entry)} on {entry.get('node')}" + (f": {entry['why']}" if entry.get("why") else "")
