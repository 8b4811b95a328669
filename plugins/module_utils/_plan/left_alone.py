# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of nodes that a plan leaves alone, so that nobody takes silence for success. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import LABELS
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import NodeFindings, Wanted
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.runtime import NodeRuntime
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.survey import Survey
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.totals import unmatched_configs
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    CONFIG_LABEL,
    HOLD_ANNOTATION,
    REVISION_LABEL,
)


def nothing_planned(wanted: Wanted, found: Survey) -> list[str]:
    """The problem that no GPU node gets a config, though some are in scope, unless other problems of nodes say why."""
    if found.planned or not found.skipped or found.problems.tell():
        return []
    why = NodeFindings()
    for name, reason in found.skipped.items():
        why.add(name, reason)
    return [
        f"no GPU node can be planned, so this run would share nothing: {'; '.join(why.tell())}. Give facts (a host in the inventory "
        f"that is reached, or labels of GPU Feature Discovery), a match in {WHERE} or a kubegpu_default_config for the models found, "
        f"take a hold off (annotation {HOLD_ANNOTATION}), or wait until the node is Ready.",
        *(unmatched_configs(wanted, found) if found.facts else ()),
    ]


def beyond_the_limit(wanted: Wanted, found: Survey) -> list[str]:
    """Configs whose number of replicas a run without --limit may see otherwise, because it reads nodes that this one does not.

    One product has one memory size. A query or the default may match smaller cards there, and the smallest card decides.
    """
    if not wanted.request.limited or wanted.request.facts == LABELS:
        return []
    unread = sorted(found.unknown.keys() - set(wanted.scope.selected))
    taking_part = {found.matches[name].key for name in found.planned}
    problems = []
    for key, config in wanted.vocabulary.configs.items():
        is_open = bool(config.query) or key == wanted.vocabulary.default_key
        if unread and is_open and config.process_memory_mib is not None and key in taking_part:
            problems.append(
                f"{WHERE}.{key} computes its replicas from the smallest card that it matches, and what cards "
                f"{'nodes' if unread[1:] else 'node'} {some(unread)} outside --limit {'have' if unread[1:] else 'has'} is unknown: a run "
                "without --limit might come to another number. Run without --limit, have GPU Feature Discovery label all GPU nodes, "
                "match by product, or state replicas."
            )
    return problems


def bearers(wanted: Wanted, found: Survey) -> Mapping[str, str]:
    """Nodes in scope that are left alone though a rollout has been there, and what shows it."""
    states = [wanted.scope.nodes[name] for name in sorted(found.skipped) if name in wanted.scope.nodes]
    return {state.name: traces for state in states for traces in [_traces(state)] if traces}


def tell_bearers(wanted: Wanted, found: Survey) -> list[str]:
    """A warning for each kind of them."""
    told = NodeFindings()
    for name, traces in bearers(wanted, found).items():
        told.add(name, f"{traces}, but was left alone: {found.skipped[name]}.")
    return told.tell()


def tell_runtimes(wanted: Wanted, found: Survey) -> list[str]:
    """A warning for nodes that are left alone though their container runtimes are not as wanted."""
    told = NodeFindings()
    for name, reason in found.skipped.items():
        document = (wanted.request.runtimes or {}).get(wanted.scope.host_of.get(name) or "")
        runtime = NodeRuntime(document) if document else None
        if runtime and runtime.changes:
            told.add(name, f"{runtime.title} is not set up as wanted, but the node was left alone: {reason}.")
    return told.tell()


def _traces(state: NodeState) -> str:
    traces = []
    if state.labels.get(CONFIG_LABEL) or state.key:
        traces.append(f"bears config {state.key or state.labels[CONFIG_LABEL]}")
    elif state.labels.get(REVISION_LABEL) or state.revision:
        traces.append(f"bears revision {state.revision or state.labels[REVISION_LABEL]}")
    if state.maintenance:
        traces.append(f"was left out of service by run {_run_of(state.maintenance)}")
    return " and ".join(traces)


def _run_of(note: Mapping[str, Any]) -> str:
    return str(note.get("run") or "unknown")
