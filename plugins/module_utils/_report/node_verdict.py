# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Is a node of a cluster file as the plan wants it? PRIVATE to the collection.

The comparison is the one that proves a rollout, so that a table and an error message have the same words.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import Any, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.comparison import Expectation, compare_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import Cluster, allocatable
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, Release
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState


@dataclass(frozen=True)
class Verdict:
    """How a node stands to its plan.

    :param differences: in words, each with the node's name.
    :param held: why a person keeps the node, which is as planned, out of service; "" if nobody does.
    """

    differences: Sequence[str] = ()
    held: str = ""

    def describe(self) -> str:
        """For a table."""
        if self.differences:
            return "✗ differs"
        return f"held: {self.held}" if self.held else "✓ as planned"


def judge_node(name: str, planned: Mapping[str, Any], after: Cluster) -> Verdict:
    """Compare a node of the plan with the cluster file."""
    entry = (after.get("nodes") or {}).get(name)
    expected = Expectation(_target(name, planned, entry or {}), bool(planned.get("was_unschedulable")))
    if entry is None:
        return Verdict(compare_node(expected, None, [])["differences"])
    node, pods = _node_state(name, entry), list(_plugin_pods(name, after))
    if node.hold is not None and (node.unschedulable or node.maintenance):
        in_service = replace(node, unschedulable=False, annotations={names.HOLD_ANNOTATION: node.hold})
        if compare_node(expected, in_service, pods)["matches"]:
            return Verdict(held=node.hold or "no reason given")
    return Verdict(compare_node(expected, node, pods)["differences"])


def _target(name: str, planned: Mapping[str, Any], entry: Mapping[str, Any]) -> NodeTarget:
    to, release = planned.get("to") or {}, planned.get("release")
    return NodeTarget(
        name=name,
        key=to.get("key", planned.get("key")),
        revision=to.get("revision"),
        expected=planned.get("expected_resources") or {},
        # whatever else the node advertises of the plugin's resources must be gone
        previous=tuple({**(planned.get("resources_before") or {}), **allocatable(entry)}),
        release=Release(release["method"], release["daemonset"], release.get("label") or {}) if release else None,
        labels=to.get("labels") or {},
        plugin=to.get("plugin") or "",
    )


def _node_state(name: str, entry: Mapping[str, Any]) -> NodeState:
    labels = dict(entry.get("labels") or {})
    for label, value in ((names.CONFIG_LABEL, entry.get("key")), (names.REVISION_LABEL, entry.get("revision"))):
        labels.pop(label, None)
        if value is not None:
            labels[label] = value
    annotations = {}
    if entry.get("maintenance"):
        annotations[names.MAINTENANCE_ANNOTATION] = json.dumps(entry["maintenance"])
    if entry.get("hold") is not None:
        annotations[names.HOLD_ANNOTATION] = str(entry["hold"])
    return NodeState(
        name=name,
        labels=labels,
        annotations=annotations,
        unschedulable=bool(entry.get("unschedulable")),
        not_ready="" if entry.get("ready", True) else "see its conditions",
        allocatable=allocatable(entry),
    )


def _plugin_pods(node: str, after: Cluster) -> Iterator[PodState]:
    for plugin in after.get("plugins") or []:
        for pod in plugin.get("pods") or []:
            if pod.get("node") == node:
                revision = pod.get("revision_label")
                yield PodState(
                    namespace=str(plugin.get("namespace") or ""),
                    name=str(pod.get("name")),
                    uid=str(pod.get("uid") or ""),
                    node=node,
                    phase=str(pod.get("phase") or ""),
                    ready=bool(pod.get("ready")),
                    terminating=bool(pod.get("terminating")),
                    owner=("DaemonSet", str(plugin.get("name"))),
                    labels={names.REVISION_LABEL: revision} if revision else {},
                )
