# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compares nodes with what a plan makes of them, in words. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import unmet_serving
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import bears_target, foreign_label


@dataclass(frozen=True)
class Expectation:
    """What is to be true of a node.

    :param was_unschedulable: somebody had cordoned it before the rollout, which is theirs to undo.
    """

    target: NodeTarget
    was_unschedulable: bool = False


def compare_node(expected: Expectation, node: NodeState | None, pods: Sequence[PodState]) -> dict[str, Any]:
    """How a node stands to its plan.

    :param pods: the device plugins' pods on it.
    :returns: matches, differences (in words), settling (time alone may bring what is missing), and what was looked at.
        A node that serves what it is to and that a person holds is finished: that it is out of service is their wish.
    """
    target = expected.target
    if node is None:
        return _result([f"node {target.name} is not in the cluster"], settling=False)
    back = foreign_label(node, target)
    released = replace(node, labels={label: value for label, value in node.labels.items() if label not in back})
    unmet = unmet_serving(released, pods, target)
    owner = target.release.daemonset if target.release else ""
    unreleased = [f"label {label}={value} is back, by which {owner} selects the node" for label, value in back.items()]
    unserved = [*unmet, *unreleased]
    note = node.maintenance
    finished = node.hold is not None and not unserved
    differences = unserved if finished else [*unserved, *_out_of_service(expected, node)]
    return _result(
        [f"node {target.name}: {difference}" for difference in differences],
        # It bears the right labels: the DaemonSet controller and the kubelet are what it waits for.
        settling=bool(unmet) and bears_target(node, target),
        in_maintenance=note is not None,
        maintenance=asdict(note) if note else None,
        hold=node.hold,
        ready=not node.not_ready,
        unschedulable=node.unschedulable,
        key=node.key,
        revision=node.revision,
        allocatable={name: node.allocatable.get(name, 0) for name in target.resources},
        expected_resources=dict(target.expected),
        plugin_pods=[_plugin_pod(pod) for pod in pods],
    )


def unfinished_deployment(deployment: Mapping[str, Any]) -> str | None:
    """Why a Deployment's update is not done yet, as ``kubectl rollout status`` has it; None if it is done."""
    spec, status = deployment.get("spec") or {}, deployment.get("status") or {}
    wanted = spec.get("replicas", 1)
    updated = status.get("updatedReplicas") or 0
    if (status.get("observedGeneration") or 0) < (deployment["metadata"].get("generation") or 0):
        return "its controller has not seen its latest change yet"
    if updated < wanted:
        return f"{updated} of {wanted} replicas {_are(updated)} updated"
    if (status.get("replicas") or 0) > updated:
        old = (status.get("replicas") or 0) - updated
        return f"{old} old replica{'' if old == 1 else 's'} {_are(old)} still there"
    if (status.get("availableReplicas") or 0) < updated:
        available = status.get("availableReplicas") or 0
        return f"{available} of {updated} updated replicas {_are(available)} available"
    return None


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def could_be_placed(requests: Mapping[str, int], free: Sequence[Mapping[str, int]]) -> bool:
    """Whether some node has that many devices free. Other reasons to wait (processors, selectors) are not looked at."""
    return any(all(slots.get(name, 0) >= count for name, count in requests.items()) for slots in free)


def describe_differences(nodes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The differences of all nodes."""
    return [difference for entry in nodes.values() for difference in entry["differences"]]


def held_nodes(nodes: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Nodes that are finished and that a person holds, with their reason."""
    return {
        name: entry["hold"] or "no reason given"
        for name, entry in nodes.items()
        if entry["matches"] and entry.get("hold") is not None
    }


def finished_waves(waves: Sequence[Sequence[str]], nodes: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """For each wave of the plan of which nodes were compared, whether these are as planned."""
    found = []
    for number, wave in enumerate(waves, start=1):
        compared = [name for name in wave if name in nodes]
        if compared:
            finished = all(nodes[name]["matches"] for name in compared)
            found.append({"wave": number, "nodes": compared, "finished": finished})
    return found


def _out_of_service(expected: Expectation, node: NodeState) -> list[str]:
    note = node.maintenance
    if note is not None:
        held = f"; held by a person: {node.hold}" if node.hold else ""
        run = f"run {note.run}" if note.run else "a run that cannot be told (its annotation is unreadable)"
        step = f", last step {note.step}" if note.step else ""
        return [f"is still in maintenance (since {note.since or 'an unknown time'}) of {run}{step}{held}"]
    if node.unschedulable and not expected.was_unschedulable:
        return ["is cordoned, and was not when the plan was made"]
    return []


def _plugin_pod(pod: PodState) -> dict[str, Any]:
    return {
        "namespace": pod.namespace,
        "name": pod.name,
        "uid": pod.uid,
        "phase": pod.phase,
        "ready": pod.ready,
        "terminating": pod.terminating,
        "revision": pod.revision,
    }


def _result(differences: list[str], *, settling: bool, **more: Any) -> dict[str, Any]:
    return {"matches": not differences, "differences": differences, "settling": settling, **more}
