# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of one node, and why. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import KeyPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_entry import mig_entry, reasons_of_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_node import NodeMig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.releases import Release, serves
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.runtime import NodeRuntime, reasons_of_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE


@dataclass(frozen=True)
class NodeContext:
    """A node that is planned, and what its change has to reckon with.

    :param incumbents: other people's device plugins on it.
    :param missing: objects of its config that the cluster lacks.
    :param mig: what becomes of its GPUs; None if the config says nothing of MIG.
    :param runtime: its container runtime; None if that is left alone.
    """

    state: NodeState
    host: str | None
    facts: NodeFacts
    plan: KeyPlan
    incumbents: Sequence[Mapping[str, Any]] = ()
    missing: Sequence[str] = ()
    mig: NodeMig | None = None
    runtime: NodeRuntime | None = None

    @property
    def expected(self) -> dict[str, int]:
        """What it is to advertise."""
        return self.plan.config_file.advertise(self.devices)

    @property
    def devices(self) -> Mapping[str, int]:
        """What it has in the end, by the resource that it is when nothing is shared."""
        return self.mig.devices if self.mig else {GPU_RESOURCE: len(self.facts.cards)}

    def replicas_of(self, resource: str) -> int:
        """Slots of each device of a resource."""
        part = self.plan.parts.get(resource)
        return part.choice.replicas if part else 1

    @property
    def bears_config(self) -> bool:
        """Key and revision are as planned."""
        return (self.state.key, self.state.revision) == (self.plan.config.key, self.plan.objects.revision)

    @property
    def is_repair(self) -> bool:
        """It bears its config already: its slots are those that its pods were given."""
        return self.bears_config and not (self.mig and self.mig.changing)


def reasons_to_switch(context: NodeContext) -> list[str]:
    """Why the node is not as planned; empty if it is."""
    state, plan = context.state, context.plan
    key, revision = plan.config.key, plan.objects.revision
    reasons = []
    if state.key != key:
        reasons.append(f"config {key} instead of {state.key}" if state.key else f"new config {key}")
    elif state.revision != revision:
        reasons.append(f"another revision of config {key}")
    if state.resources != context.expected:
        now, planned = _show(state.resources, context.expected)
        reasons.append(f"advertises {now}, planned {planned}")
    if any(state.name in serves(plugin) for plugin in context.incumbents):
        reasons.append("served by a plugin that is not ours")
    elif context.incumbents:
        reasons.append("selected by a plugin that is not ours")
    reasons += reasons_of_layout(context.mig) if context.mig else []
    if context.bears_config:
        reasons += [f"{what} is missing" for what in context.missing]
    return reasons


def reasons_for_host(context: NodeContext) -> list[str]:
    """Why a node that serves as planned is taken out of service all the same: something is to be done on its host."""
    return reasons_of_runtime(context.runtime)


def reasons_to_resume(state: NodeState) -> list[str]:
    """Why a node that is as planned is still not done with."""
    return [f"resumed after run {state.maintenance.get('run') or 'unknown'}"] if state.maintenance else []


def _show(now: Mapping[str, int], planned: Mapping[str, int]) -> tuple[str, str]:
    """Both as short as they can be told apart: the names of resources matter only where there are several."""
    if len({*now, *planned}) == 1:
        return str(sum(now.values())), str(sum(planned.values()))
    return _list(now), _list(planned)


def _list(resources: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(resources.items())) or "0"


@dataclass(frozen=True)
class Change:
    """What is decided about a node; without reasons it is left as it is.

    :param switch: its plugin changes; without, it is only put back into service, or rid of stale pods, or its host changes.
    :param stale: pods that keep device ids which the node does not have, or will not have.
    :param evict: pods that leave it while it is out of service, as it stands in the plan.
    :param ids_change: device ids that its pods hold may vanish.
    :param recreate: stale pods are made anew once it serves.
    :param holders: what keeps the driver open while its MIG devices change.
    :param restarts: its container runtime is restarted.
    """

    reasons: Sequence[str]
    switch: bool
    stale: Sequence[Mapping[str, Any]]
    evict: Mapping[str, Any]
    ids_change: bool = False
    recreate: bool = False
    release: Release | None = None
    holders: Mapping[str, Any] | None = None
    restarts: bool = False

    @property
    def disruption(self) -> str:
        """How far running pods are disturbed."""
        if self.evict["scope"] != "none":
            return str(self.evict["scope"])
        if self.recreate:
            return "affected"
        return "switch" if self.switch or self.restarts else "none"


def node_entry(context: NodeContext, change: Change) -> dict[str, Any]:
    """The node as it stands in the plan."""
    state, facts, plan = context.state, context.facts, context.plan
    before, expected = state.resources, context.expected
    return {
        "host": context.host,
        "key": plan.config.key,
        "product": ", ".join(sorted({card.name for card in facts.cards})),
        "gpu_count": len(facts.cards),
        "facts": facts.source,
        "confidence": facts.confidence,
        "sharing": plan.sharing,
        "replicas": plan.replicas,
        "mig": mig_entry(context.mig, change.holders) if context.mig else None,
        "runtime": context.runtime.entry() if context.runtime else None,
        "mig_devices": context.mig.mig_devices if context.mig else {},
        "slots_before": sum(before.values()),
        "slots_after": sum(expected.values()),
        "from": {"key": state.key, "revision": state.revision, "resources": before},
        "to": {"key": plan.config.key, "revision": plan.objects.revision, "resources": expected},
        "expected_resources": expected,
        "resources_before": before,
        "sizing": plan.sizing_of(facts.smallest, context.devices),
        "changed": bool(change.reasons),
        "reasons": list(change.reasons),
        "disruption": change.disruption,
        "release": change.release.for_node() if change.release and change.reasons else None,
        "ids_change": change.ids_change,
        "evict": change.evict,
        "stale_pods": list(change.stale),
        "recreate": change.recreate,
        "was_unschedulable": state.was_unschedulable,
    }
