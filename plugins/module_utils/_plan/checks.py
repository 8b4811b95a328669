# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons to refuse a plan that is well-formed: what it would do to nodes, pods and other people's objects.
PRIVATE to the collection.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.eviction import (
    Eviction,
    PodsDecision,
    describe_evicted,
    refuse_overcommit,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import KeyPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.live_memory import LiveMemory, check_live_memory
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_memory import check_mig_memory, whole_gpus
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_warnings import warn_of_mig, warn_of_reboot
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_plan import NodeContext
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import pod_name, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.overcommit import ACCEPTED, check_overcommit
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.placement import check_placement
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import daemonset_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import NodeFindings, Wanted
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.objects import tolerations_of

# What a config is in the cluster, and where the cluster file lists such objects of the plugin's namespace.
_OURS = (("ConfigMap", "config_maps"), ("DaemonSet", "daemon_sets"))


@dataclass(frozen=True)
class Findings:
    """What the checks found, by node."""

    problems: NodeFindings = field(default_factory=NodeFindings)
    warnings: NodeFindings = field(default_factory=NodeFindings)


def check_node(context: NodeContext, pods: PodsDecision, wanted: Wanted, findings: Findings) -> None:
    """Look at a node whose plugin is to change, or that is to be put back into service."""
    state, name = context.state, context.state.name
    findings.problems.add(name, *check_placement(state, wanted.options.node_selector, tolerations_of(wanted.options)))
    if len(context.incumbents) > 1:
        names = " and ".join(daemonset_of(plugin) for plugin in context.incumbents)
        findings.problems.add(
            name, f"two device plugins of others serve or select it ({names}), on one socket. Remove one of them first."
        )
    findings.warnings.add(name, *_privileges_lost(context, wanted))
    check_mig(context, pods.eviction, findings)
    check_runtime(context, pods.eviction, findings)
    if context.is_repair:
        return
    _check_memory(context, bool(pods.stale), name in wanted.request.accept_live_memory, findings)
    _check_slots(context, pods, wanted, findings)


def check_mig(context: NodeContext, eviction: Eviction, findings: Findings) -> None:
    """What a change of MIG devices takes along."""
    mig, name = context.mig, context.state.name
    if mig is None:
        return
    findings.warnings.add(name, *warn_of_mig(mig, context.state.labels))
    leaving = [pod for pod in eviction.pods if pod not in eviction.for_room and pod not in eviction.for_runtime]
    if eviction.whole:
        findings.warnings.add(name, warn_of_reboot(mig, [pod_name(pod) for pod in leaving]))
    elif leaving:
        listed = some([pod_name(pod) for pod in leaving], 10)
        findings.warnings.add(
            name, f"MIG devices change: {listed} will be evicted, since the devices that they hold go."
        )


def check_runtime(context: NodeContext, eviction: Eviction, findings: Findings) -> None:
    """What a restart of the container runtime takes along."""
    if context.runtime is None or not context.runtime.changes:
        return
    name, leaving = context.state.name, [pod_name(pod) for pod in eviction.for_runtime]
    findings.warnings.add(name, *context.runtime.warnings(leaving))
    if context.is_repair:
        # Otherwise they are told together with what slots lack.
        findings.problems.add(name, *(f"{problem}." for problem in eviction.problems))


def _check_slots(context: NodeContext, pods: PodsDecision, wanted: Wanted, findings: Findings) -> None:
    """Whether the pods that stay fit; those whose devices go are told of elsewhere."""
    name, eviction = context.state.name, pods.eviction
    findings.problems.add(name, *(f"{problem}." for problem in eviction.problems))
    state = pods.remaining or context.state
    surplus = check_overcommit(state, context.expected)
    if surplus and wanted.request.on_overcommit == "evict":
        if eviction.for_room and not eviction.problems:
            findings.warnings.add(name, f"{describe_evicted(eviction.for_room)}.")
    elif wanted.request.on_overcommit == "accept":
        findings.warnings.add(name, *(f"{finding}. {ACCEPTED}" for finding in surplus))
    else:
        findings.problems.add(name, *refuse_overcommit(state, context.expected))


def _privileges_lost(context: NodeContext, wanted: Wanted) -> list[str]:
    """The kubelet's static CPU manager takes the devices away from a plugin that runs without privileges."""
    if wanted.options.privileged:
        return []
    return [
        f"DaemonSet {daemonset_of(plugin)} runs privileged, and ours will not. If that was for the kubelet's static CPU manager, set "
        f"kubegpu_device_plugin: {{privileged: true}}."
        for plugin in context.incumbents
        if plugin.get("privileged")
    ]


def tell_accepted(context: NodeContext, wanted: Wanted, findings: Findings) -> None:
    """Of a node with nothing to change, what was accepted once: it would be out of sight for good."""
    if context.state.name in wanted.request.accept_live_memory:
        _tell_accepted(context.state.name, _look_at_memory(context, ids_change=False).refusals, findings)


def _tell_accepted(name: str, refusals: Sequence[str], findings: Findings) -> None:
    findings.warnings.add(name, *(f"{one}. Accepted by kubegpu_accept_live_memory." for one in refusals))


def _look_at_memory(context: NodeContext, ids_change: bool) -> LiveMemory:
    memory = check_live_memory(*whole_gpus(context), context.plan, ids_change)
    if context.mig:
        devices = check_mig_memory(context)
        memory = LiveMemory((*memory.refusals, *devices.refusals), (*memory.warnings, *devices.warnings))
    return memory


def _check_memory(context: NodeContext, ids_change: bool, accepted: bool, findings: Findings) -> None:
    name, memory = context.state.name, _look_at_memory(context, ids_change)
    findings.warnings.add(name, *memory.warnings)
    if accepted:
        _tell_accepted(name, memory.refusals, findings)
        return
    cure = "Give each process less memory, plan fewer replicas, or name the node in kubegpu_accept_live_memory after a look at it."
    findings.problems.add(name, *(f"{refusal}. {cure}" for refusal in memory.refusals))


def missing_objects(plan: KeyPlan, namespace: str, cluster: Mapping[str, Any]) -> list[str]:
    """Objects of a config that the cluster lacks. What the cluster file does not tell is not missing."""
    name = plan.objects.name
    return [
        f"{kind} {namespace}/{name}"
        for kind, beside in _OURS
        if cluster.get(beside) is not None and name not in {one.get("name") for one in cluster[beside]}
    ]


def check_names(plans: Sequence[KeyPlan], namespace: str, cluster: Mapping[str, Any]) -> list[str]:
    """Objects that bear our names and are somebody else's."""
    taken = {
        f"{kind} {namespace}/{one.get('name')}"
        for kind, beside in _OURS
        for one in cluster.get(beside) or ()
        if not one.get("managed")
    }
    return [
        f"{kind} {namespace}/{plan.objects.name} exists and is not ours: it lacks the label app.kubernetes.io/managed-by: "
        f"kubegpu.sharing. Remove or rename it; nothing that somebody else made is overwritten."
        for plan in plans
        for kind, _beside in _OURS
        if f"{kind} {namespace}/{plan.objects.name}" in taken
    ]
