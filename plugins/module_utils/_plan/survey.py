# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at every GPU node: its facts, and which config is for it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import (
    Card,
    FactReader,
    NodeFacts,
    NoFactsError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import Decided, decide_key
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.label_facts import PRODUCT_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.matching import Match, Matcher
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_node import NodeMig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_plans import MigPlanner, MigProblemsError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import NONE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import ON_HOLD, NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import NodeFindings, Wanted
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.products import normalise_product

_REACH = (
    "add its host to the inventory, or see why NVML does not work there; to leave the node alone, put it on hold (annotation "
    "kubegpu.sharing/hold)."
)


@dataclass
class Survey:
    """What there is to plan.

    :param facts: by node, of all GPU nodes that have any, in or out of scope.
    :param keys: what each config that matches something becomes.
    :param mig: what becomes of the GPUs of each node whose config says so, in or out of scope, unless something is in the way.
    :param planned: nodes in scope that get a config.
    :param skipped: why others in scope are left alone.
    :param unknown: why nothing is known of a node's GPUs, in or out of scope.
    """

    facts: Dict[str, NodeFacts] = field(default_factory=dict)
    matches: Dict[str, Match] = field(default_factory=dict)
    keys: Dict[str, Decided] = field(default_factory=dict)
    mig: Dict[str, NodeMig] = field(default_factory=dict)
    mig_problems: Dict[str, List[str]] = field(default_factory=dict)
    planned: List[str] = field(default_factory=list)
    skipped: Dict[str, str] = field(default_factory=dict)
    unknown: Dict[str, str] = field(default_factory=dict)
    problems: NodeFindings = field(default_factory=NodeFindings)


def survey(wanted: Wanted) -> Survey:
    """Look at all nodes, decide the configs, and say which nodes are planned.

    Nodes out of scope count for the arithmetic too, as far as they are known: a config has one number of replicas, whatever
    --limit says.
    """
    found = Survey()
    _read_facts(wanted, found)
    cards: Dict[str, Dict[Card, None]] = {}
    for name, match in found.matches.items():
        if match.key:
            cards.setdefault(match.key, {}).update(dict.fromkeys(found.facts[name].cards))
    _plan_mig(wanted, found)
    for key in sorted(cards):
        config = wanted.vocabulary.configs[key]
        memory = _device_memory(key, found) if config.mig_strategy != NONE else None
        # Without a single node whose devices are known, its nodes tell why.
        if memory != {}:
            found.keys[key] = decide_key(config, list(cards[key]), wanted.vocabulary.margins, wanted.options, memory)
    dra_nodes = frozenset(wanted.request.cluster.get("dra_nodes") or ())
    for name in wanted.scope.selected:
        state = wanted.scope.nodes[name]
        reason = _why_left_alone(state)
        if not reason and name in found.unknown and _bears_mig(state, wanted):
            found.problems.add(name, f"{found.unknown[name]}. What MIG devices it has, NVML alone tells: {_REACH}")
            continue
        reason = reason or found.unknown.get(name) or _why_unmatched(state, found)
        if reason:
            found.skipped[name] = reason
        else:
            _admit(state, found, wanted, name in dra_nodes)
    for node, host in wanted.scope.host_of.items():
        if node not in wanted.scope.nodes:
            found.skipped[node] = _why_no_gpu(wanted.request.host_facts.get(host))
    return found


def _read_facts(wanted: Wanted, found: Survey) -> None:
    """Fill facts, matches, and unknown for the other nodes."""
    reader, matcher = FactReader(wanted.request.facts), Matcher(wanted.vocabulary, wanted.complete)
    for name, state in wanted.scope.nodes.items():
        host = wanted.scope.host_of.get(name)
        try:
            facts = reader.read(state.entry, wanted.request.host_facts.get(host) if host else None)
        except NoFactsError as error:
            found.unknown[name] = str(error)
        else:
            found.facts[name], found.matches[name] = facts, matcher.match(facts)


def _plan_mig(wanted: Wanted, found: Survey) -> None:
    """Fill mig and what is in its way."""
    planner = MigPlanner()
    for name, match in found.matches.items():
        config = wanted.vocabulary.configs[match.key] if match.key else None
        if config is not None and config.mig:
            try:
                found.mig[name] = planner.plan(config, found.facts[name], wanted.scope.nodes[name])
            except MigProblemsError as error:
                found.mig_problems[name] = error.problems


def _device_memory(key: str, found: Survey) -> Dict[str, int | None]:
    """MiB of the smallest device by resource, over all nodes of a config."""
    sizes: Dict[str, List[int | None]] = {}
    for name, mig in found.mig.items():
        if found.matches[name].key == key:
            for resource, size in mig.memory.items():
                sizes.setdefault(resource, []).append(size)
    return {resource: None if None in all_of else min(filter(None, all_of)) for resource, all_of in sizes.items()}


def _bears_mig(state: NodeState, wanted: Wanted) -> bool:
    """A node of a config with MIG, as far as its label or the model that its labels tell of show it."""
    model = normalise_product(state.labels.get(PRODUCT_LABEL, ""))
    return any(
        config.mig and (state.key == key or (config.product and normalise_product(config.product) == model))
        for key, config in wanted.vocabulary.configs.items()
    )


def _why_left_alone(state: NodeState) -> str:
    if state.hold is not None:
        return f"{ON_HOLD}{state.hold or 'no reason given'}"
    return "" if state.entry.get("ready", True) else "the node is not Ready"


def _why_unmatched(state: NodeState, found: Survey) -> str:
    match = found.matches[state.name]
    if match.key or match.problems:
        return ""
    models = ", ".join(sorted({card.name for card in found.facts[state.name].cards}))
    bears = f"; it goes on with the config {state.key!r} that it bears" if state.key else ""
    return f"no config matches {models}{bears}"


def _why_no_gpu(facts: Any) -> str:
    reason = (facts or {}).get("reason")
    return f"no sign of an NVIDIA GPU{f' ({reason})' if reason else ''}"


def _admit(state: NodeState, found: Survey, wanted: Wanted, by_dra: bool) -> None:
    """Take a node into the plan, unless something is in the way."""
    match = found.matches[state.name]
    problems = [*match.problems, *found.mig_problems.get(state.name, ())]
    if by_dra:
        problems.append(
            "its GPUs are handed out by dynamic resource allocation (ResourceSlices of gpu.nvidia.com), and a device plugin "
            "beside it would hand them out twice. Remove that driver from the node, or put the node on hold (annotation "
            "kubegpu.sharing/hold)."
        )
    with_mig = [index for index, card in enumerate(found.facts[state.name].cards) if card.mig_enabled]
    if match.key and with_mig and not wanted.vocabulary.configs[match.key].mig:
        where = f"{WHERE}.{match.key}"
        problems.append(
            f"MIG is enabled on GPU {', '.join(map(str, with_mig))}, and {where} says nothing of MIG. Describe the devices "
            f"(mig: {{strategy: mixed, devices: {{1g.12gb: 7}}}}), switch MIG off with mig: {{strategy: none}}, or write a match that "
            "leaves the card out."
        )
    found.problems.add(state.name, *problems)
    if not problems:
        found.planned.append(state.name)
