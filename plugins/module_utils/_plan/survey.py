# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Looks at every GPU node: its facts, and which config is for it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Dict, List

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import (
    Card,
    FactReader,
    NodeFacts,
    NoFactsError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import Decided, decide_key
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.matching import Match, Matcher
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import ON_HOLD, NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import NodeFindings, Wanted


@dataclass
class Survey:
    """What there is to plan.

    :param facts: by node, of all GPU nodes that have any, in or out of scope.
    :param keys: what each config that matches something becomes.
    :param planned: nodes in scope that get a config.
    :param skipped: why others in scope are left alone.
    :param unknown: why nothing is known of a node's GPUs, in or out of scope.
    """

    facts: Dict[str, NodeFacts] = field(default_factory=dict)
    matches: Dict[str, Match] = field(default_factory=dict)
    keys: Dict[str, Decided] = field(default_factory=dict)
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
    for key in sorted(cards):
        config = wanted.vocabulary.configs[key]
        found.keys[key] = decide_key(config, list(cards[key]), wanted.vocabulary.margins, wanted.options)
    dra_nodes = frozenset(wanted.request.cluster.get("dra_nodes") or ())
    for name in wanted.scope.selected:
        state = wanted.scope.nodes[name]
        reason = _why_left_alone(state) or found.unknown.get(name) or _why_unmatched(state, found)
        if reason:
            found.skipped[name] = reason
        else:
            _admit(state, found, name in dra_nodes)
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


def _admit(state: NodeState, found: Survey, by_dra: bool) -> None:
    """Take a node into the plan, unless something is in the way."""
    match = found.matches[state.name]
    problems = list(match.problems)
    if by_dra:
        problems.append(
            "its GPUs are handed out by dynamic resource allocation (ResourceSlices of gpu.nvidia.com), and a device plugin "
            "beside it would hand them out twice. Remove that driver from the node, or put the node on hold (annotation "
            "kubegpu.sharing/hold)."
        )
    with_mig = [index for index, card in enumerate(found.facts[state.name].cards) if card.mig_enabled]
    if match.key and with_mig:
        problems.append(
            f"MIG is enabled on GPU {', '.join(map(str, with_mig))}, which is not supported yet. Disable MIG there, or write a "
            "match that leaves the card out."
        )
    found.problems.add(state.name, *problems)
    if not problems:
        found.planned.append(state.name)
