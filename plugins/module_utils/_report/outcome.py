# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a rollout, in figures: the content of report.json. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import (
    Cluster,
    allocatable,
    count_slots,
    gpu_nodes,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.disturbance import Disturbance, compare_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.ending import read_ending
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.holds import find_holds
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_cards import (
    Shares,
    cards_of_facts,
    join_cards,
    name_pods,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.mig_layout import layouts_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.mig_view import paused_daemonsets
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.node_verdict import judge_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.runtime_view import set_up_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline import Timeline, build_timeline
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import in_order
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import SHARING

SCHEMA_VERSION = 1
# States of the journal in which a node has the devices of the plan.
_SWITCHED = ("serving", "proven", "in_service", "held")
_PENDING_FIELDS = ("namespace", "name", "uid", "requests", "since", "seconds", "message")


@dataclass(frozen=True)
class Rollout:
    """Everything that is known of a rollout.

    :param journal: entries in order of time.
    :param extra: keys that the caller adds to report.json, for example second_run_writes.
    :param facts: what gpu_info told of nodes before it.
    :param facts_after: the same after it, of those that were read again.
    :param ending: what it has written about its end, see :func:`read_ending`.
    """

    plan: Mapping[str, Any]
    before: Cluster
    after: Cluster
    journal: Sequence[Mapping[str, Any]] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    facts_after: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    ending: Optional[Mapping[str, Any]] = None

    @property
    def timeline(self) -> Optional[Timeline]:
        return build_timeline(self.journal)

    @property
    def disturbance(self) -> Disturbance:
        return compare_pods(self.before, self.after, self.journal, paused_daemonsets(self.plan, self.before))


def summarise(rollout: Rollout, created: str) -> dict[str, Any]:
    """Content of report.json.

    :param created: the time of the report, RFC 3339.
    """
    plan, before, after = rollout.plan, rollout.before, rollout.after
    disturbance, timeline = rollout.disturbance, rollout.timeline
    names = in_order(plan.get("nodes") or {})
    nodes = {name: _node(name, rollout, timeline) for name in names}
    return {
        "schema_version": SCHEMA_VERSION,
        "created": created,
        "plan_id": plan.get("plan_id"),
        "kind": plan.get("kind") or SHARING,
        **read_ending(rollout.ending, rollout.journal, plan, rollout.facts),
        "slots_before": count_slots(before),
        "slots_after": count_slots(after),
        "pending_before": len(before.get("pending") or []),
        "pending_after": len(after.get("pending") or []),
        "evicted_pods": len(disturbance.evicted),
        "pods_recreated": len(disturbance.recreated),
        "admission_errors": len(disturbance.refused),
        "pods_restarted": len(disturbance.restarted),
        "second_run_writes": None,
        "duration_seconds": round(timeline.settled, 3) if timeline else None,
        "watch_seconds": round(watched, 3) if timeline and (watched := timeline.watched()) is not None else None,
        "left_out_of_service": [name for name in names if nodes[name]["left_out_of_service"]],
        # over nothing there is no success to tell of
        "as_planned": bool(nodes) and not any(node["differences"] for node in nodes.values()),
        "resumed_from": plan.get("resumed_from"),
        "nodes": nodes,
        "waves": plan.get("waves") or [],
        "skipped": plan.get("skipped") or [],
        "held": [hold.to_dict() for hold in find_holds(plan, after)],
        "other_gpu_nodes": [name for name in gpu_nodes(after) if name not in (plan.get("nodes") or {})],
        "pods": {
            "evicted": disturbance.evicted,
            "recreated": disturbance.recreated,
            "admission_errors": disturbance.refused,
            "restarted": disturbance.restarted,
            "rolled_by_their_controller": disturbance.rolled,
            "paused": disturbance.paused,
            "pending_before": [_pending(pod) for pod in before.get("pending") or []],
            "pending_after": [_pending(pod) for pod in after.get("pending") or []],
            "stale": _still_stale(rollout, names),
        },
        "runtimes": [set_up_runtime(name, plan["nodes"][name]) for name in names if _has_set_up_runtime(name, rollout)],
        "compatibility": plan.get("compatibility") or [],
        "warnings": plan.get("warnings") or [],
        "cards": _cards(rollout, nodes),
        "timeline": timeline.to_dict() if timeline else None,
        **rollout.extra,
    }


def _node(name: str, rollout: Rollout, timeline: Optional[Timeline]) -> dict[str, Any]:
    planned = rollout.plan["nodes"][name]
    sizing = planned.get("sizing") or {}
    verdict = judge_node(name, planned, rollout.after)
    return {
        "product": planned.get("product"),
        "gpu_count": planned.get("gpu_count"),
        "key": planned.get("key"),
        "sharing": planned.get("sharing"),
        "replicas": planned.get("replicas"),
        "memory_total_mib": sizing.get("memory_total_mib"),
        "process_memory_mib": sizing.get("process_memory_mib"),
        "slot_mib": sizing.get("slot_mib"),
        "headroom_mib": sizing.get("headroom_mib"),
        "utilization": sizing.get("utilization"),
        "arithmetic": sizing.get("arithmetic"),
        "mig_devices": planned.get("mig_devices") or {},
        "mig_layouts": layouts_of(planned),
        "by_resource": sizing.get("resources") or {},
        "changed": bool(planned.get("changed")),
        "resources_before": allocatable((rollout.before.get("nodes") or {}).get(name) or {}),
        "resources_after": allocatable((rollout.after.get("nodes") or {}).get(name) or {}),
        "expected_resources": planned.get("expected_resources") or {},
        "differences": list(verdict.differences),
        "held": verdict.held or None,
        "seconds_out_of_service": round(timeline.out_of_service(name), 3) if timeline else None,
        "left_out_of_service": timeline is not None and timeline.left_out(name),
    }


def _cards(rollout: Rollout, nodes: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Who holds the memory of the cards of nodes that changed; where none did, of all."""
    pods = name_pods(rollout.before, rollout.after)
    names = [name for name, node in nodes.items() if node["changed"]] or list(nodes)
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {"before": {}, "after": {}}
    for when, facts in (("before", rollout.facts), ("after", rollout.facts_after)):
        for name in names:
            shares = Shares.of(rollout.plan["nodes"][name], nodes[name][f"resources_{when}"])
            found[when][name] = cards_of_facts(facts.get(name) or {}, shares, pods)
    return join_cards(found["before"], found["after"])


def _still_stale(rollout: Rollout, names: list[str]) -> list[dict[str, Any]]:
    """Pods that the plan said would keep their old device ids, as far as they still run and their node was switched."""
    running = {
        pod["uid"]
        for node in (rollout.after.get("nodes") or {}).values()
        for pod in node.get("pods") or []
        if pod.get("phase") == "Running"
    }
    switched = (name for name in names if _was_switched(name, rollout))
    planned = ((name, pod) for name in switched for pod in rollout.plan["nodes"][name].get("stale_pods") or [])
    return [{**pod, "node": name} for name, pod in planned if pod.get("uid") in running]


def _was_switched(name: str, rollout: Rollout) -> bool:
    """Whether the node has got the devices of the plan. A node that was as planned before had them all along."""
    planned = rollout.plan["nodes"][name]
    if not planned.get("changed"):
        return True
    if _went_on(name, rollout):
        return True
    node, to = (rollout.after.get("nodes") or {}).get(name) or {}, planned.get("to") or {}
    return bool(to.get("revision")) and node.get("revision") == to["revision"]


def _has_set_up_runtime(name: str, rollout: Rollout) -> bool:
    """What is done on the host of a node comes before its devices."""
    return bool(rollout.plan["nodes"][name].get("runtime")) and _went_on(name, rollout)


def _went_on(name: str, rollout: Rollout) -> bool:
    states = {entry.get("state") for entry in rollout.journal if entry.get("node") == name}
    # One that failed may have been restored, by the same states.
    return bool(states.intersection(_SWITCHED)) and "failed" not in states


def _pending(pod: Mapping[str, Any]) -> dict[str, Any]:
    return {name: pod.get(name) for name in _PENDING_FIELDS}
