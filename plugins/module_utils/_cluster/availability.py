# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which GPU nodes are out of service now, and how many more may be. PRIVATE to the collection.

A plan keeps to the limit with what it knew when it was made. Since then nodes may have broken, or been cordoned by somebody
else, so it is looked at again before each wave, with the planner's own rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import AbstractSet, Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.nodes import read_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.requests import GPU_PREFIX
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.waves import WaveLimits, allowed_at_once
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import Share


@dataclass(frozen=True)
class Availability:
    """The cluster's GPU nodes.

    :param gpu_nodes: how many there are.
    :param out_of_service: names of those that are unschedulable or not Ready, whoever did it.
    """

    gpu_nodes: int
    out_of_service: frozenset[str]

    def exceeded(self, limit: Share, about_to_begin: AbstractSet[str]) -> str:
        """Why a wave must not begin now; "" if it may.

        A node that is out of service already costs nothing. One node at a time is always allowed.

        :param limit: GPU nodes that may be out of service at once, of all.
        """
        out = self.out_of_service
        added = len(about_to_begin - out)
        # The size of a wave has no part in it.
        limits = WaveLimits(wave=Share(count=1), max_unavailable=limit)
        if added <= allowed_at_once(limits, self.gpu_nodes, len(out)):
            return ""
        names = f" ({some(sorted(out))})" if out else ""
        return (
            f"{len(out)} of {self.gpu_nodes} GPU nodes are out of service{names}, and this wave would add {added}; "
            f"at most {limit.of(self.gpu_nodes)} may be. Wait until they are back, or raise kubegpu_max_unavailable."
        )


def is_gpu_node(node: Mapping[str, Any], planned: AbstractSet[str]) -> bool:
    """Whether a Node object counts, as it does for the planner.

    :param planned: nodes that the plan knows to have a GPU, even if nothing in the cluster says so.
    """
    return node["metadata"]["name"] in planned or _state(node).has_gpu()


def is_out_of_service(node: Mapping[str, Any]) -> bool:
    """Whether no pod can be scheduled on it now."""
    return _state(node).out_of_service


def _state(node: Mapping[str, Any]) -> NodeState:
    return NodeState(node["metadata"]["name"], read_node(node, GPU_PREFIX))
