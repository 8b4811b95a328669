# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Finding by the API what keeps NVIDIA's driver open on nodes. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.templates import LabelUsers
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.daemonsets import read_daemonset
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.find import Found, Request, find
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.methods import Method
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.processes import sort_processes
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import NodePods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import DAEMONSET_API
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.scopes import read_facts
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget

_UNREAD = "its host did not answer just now. Let it be reached, and run again."


def daemonset_of(pod: Candidate) -> str:
    """The DaemonSet that a pod belongs to, "namespace/name"; "" if it belongs to none."""
    owner = pod.state.owner
    return f"{pod.state.namespace}/{owner[1]}" if owner is not None and owner[0] == "DaemonSet" else ""


def find_again(wave: Wave, nodes: Mapping[str, NodeState], pods: NodePods) -> dict[str, Found]:
    """What holds the driver of each of these nodes now.

    Of workloads, only DaemonSets are looked at: the nodes are cordoned, so that nobody else's label can be missed on them.
    What a look at the hosts has shown stands in the plan, or in gpu_info's files.
    """
    if not nodes:
        return {}
    params = wave.session.params
    facts = read_facts(params["facts_dir"], nodes)
    daemonsets, users = _read_daemonsets(wave.session.api)
    found = {}
    for name, node in nodes.items():
        note = node.maintenance
        entry: dict[str, Any] = {
            "labels": node.labels,
            "maintenance": {"restore": note.restore} if note else None,
            "pods": [_entry_of(pod) for pod in pods.of(name)],
        }
        cluster = {"nodes": {name: entry}, "daemonsets": daemonsets, "label_users": users}
        request = _request(wave.targets[name], params)
        seen = sort_processes((facts.get(name) or {}).get("holders") or (), entry["pods"], request).daemonsets
        host = None if params["host_services"] is None else _of_host(facts.get(name), entry["pods"])
        found[name] = find(name, cluster, host, replace(request, observed={*request.observed, *seen}))
    return found


def _of_host(facts: Mapping[str, Any] | None, pods: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What somebody has just seen on the host. A pod that the API does not list has ended since; the plan knew the static ones."""
    if facts is None:
        return {"holders": None, "holders_reason": _UNREAD}
    if facts.get("holders") is None:
        return {"holders": None, "holders_reason": facts.get("holders_reason")}
    known = {None, "", *(pod["uid"] for pod in pods)}
    return {"holders": [process for process in facts["holders"] if process.get("pod_uid") in known]}


def _read_daemonsets(api: KubeApi) -> tuple[list[dict[str, Any]], dict[str, list[str]]]:
    """All DaemonSets, and which of them depend on which node label."""
    users, read = LabelUsers(), []
    for page in api.pages(api_path("daemonsets", api=DAEMONSET_API)):
        for obj in page.items:
            users.add_workload("DaemonSet", obj)
            read.append(read_daemonset(obj))
    labels = {label for daemonset in read for label in daemonset["node_selector"]}
    return read, {label: found for label, found in users.to_dict(labels, "").items() if label in labels}


def _entry_of(pod: Candidate) -> dict[str, Any]:
    owner = pod.state.owner
    return {
        "namespace": pod.state.namespace,
        "name": pod.state.name,
        "uid": pod.uid,
        "phase": pod.state.phase,
        "terminating": pod.state.terminating,
        "mirror": pod.mirror,
        "requests": pod.requests,
        "owner": {"kind": owner[0], "name": owner[1]} if owner else None,
    }


def _request(target: NodeTarget, params: Mapping[str, Any]) -> Request:
    planned = target.mig.holders if target.mig else None
    entries = (planned or {}).get("daemonsets") or ()
    return Request(
        gone=target.foreign,
        scope=target.evict.scope,
        host_services=params["host_services"] or (),
        ignore=[*params["ignore_holders"], *((planned or {}).get("ignored") or ())],
        observed={str(entry["daemonset"]) for entry in entries if entry.get("observed")},
        planned={str(entry["daemonset"]): _method_of(entry) for entry in entries} if planned is not None else None,
    )


def _method_of(entry: Mapping[str, Any]) -> Method:
    return Method(str(entry["method"]), str(entry.get("label") or ""), entry.get("value"))
