# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sums of a plan, and what is worth a word about it as a whole. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import Wanted
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.survey import Survey
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import is_plugin_resource
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean


def totals(nodes: Mapping[str, Mapping[str, Any]], states: Mapping[str, NodeState], skipped: int) -> dict[str, int]:
    """Sums over the plan's nodes."""
    requested = {
        name: sum(
            states[name].requested(resource) for resource in {*node["expected_resources"], *node["resources_before"]}
        )
        for name, node in nodes.items()
    }
    staying = {
        name: requested[name] - _requested_by(states[name], node["evict"]["pods"]) for name, node in nodes.items()
    }
    before = sum(node["slots_before"] for node in nodes.values())
    after = sum(node["slots_after"] for node in nodes.values())
    return {
        "slots_before": before,
        "slots_after": after,
        "free_before": sum(max(0, node["slots_before"] - requested[name]) for name, node in nodes.items()),
        "free_after": sum(max(0, node["slots_after"] - staying[name]) for name, node in nodes.items()),
        "requested": sum(requested.values()),
        "gpus": sum(node["gpu_count"] for node in nodes.values()),
        "nodes": len(nodes),
        "nodes_changed": sum(node["changed"] for node in nodes.values()),
        "nodes_skipped": skipped,
        "stale_pods": sum(len(node["stale_pods"]) for node in nodes.values()),
        "evicted_pods": sum(len(node["evict"]["pods"]) for node in nodes.values()),
    }


def _requested_by(state: NodeState, pods: Sequence[Mapping[str, Any]]) -> int:
    """Slots that some of a node's pods have asked for."""
    uids = {pod["uid"] for pod in pods}
    requests = (pod.get("requests") or {} for pod in state.gpu_pods if pod["uid"] in uids)
    return sum(int(count) for one in requests for name, count in one.items() if is_plugin_resource(name))


def unmatched_configs(wanted: Wanted, found: Survey) -> list[str]:
    """Configs that match nothing, perhaps for a misspelt model."""
    told = []
    models = sorted({card.name for facts in found.facts.values() for card in facts.cards})
    for key, config in wanted.vocabulary.configs.items():
        if key in found.keys or (key == wanted.vocabulary.default_key and not (config.product or config.query)):
            continue
        hint = did_you_mean(config.product, models) if config.product else ""
        told.append(f"{WHERE}.{key} matches no GPU. The models found are {', '.join(models) or 'none'}.{hint}")
    return told


def hints(wanted: Wanted, found: Survey, out: frozenset[str]) -> list[str]:
    """Configs that match nothing, and a limit that is used up.

    :param out: GPU nodes out of service; empty if the plan changes nothing.
    """
    told = unmatched_configs(wanted, found)
    allowed = wanted.limits.max_unavailable.of(len(wanted.scope.nodes))
    if out and len(out) >= allowed:
        told.append(
            f"kubegpu_max_unavailable {wanted.limits.max_unavailable} allows {allowed} of {len(wanted.scope.nodes)} GPU nodes out of "
            f"service, and {len(out)} {'are' if len(out) > 1 else 'is'} ({some(sorted(out))}); nodes in service are changed one at a time."
        )
    return told
