# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that would have fewer slots than their pods hold. PRIVATE to the collection.

The next reboot would refuse the surplus, so it is for the operator to decide what becomes of it.
"""

from __future__ import annotations

from typing import Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, pod_name, some

ACCEPTED = "Accepted by kubegpu_on_overcommit: accept."


def check_overcommit(state: NodeState, expected: Mapping[str, int]) -> list[str]:
    """What is short on a node, as sentences without the node; empty if its pods fit."""
    findings = []
    for resource, (requested, slots) in short_of(state, expected).items():
        pods = sorted(pod_name(pod) for pod in state.gpu_pods if (pod.get("requests") or {}).get(resource))
        findings.append(
            f"pods hold {requested} {resource}, but it would advertise {slots}; the next reboot would refuse the surplus. "
            f"They are {some(pods, 10) or 'not listed'}"
        )
    return findings


def short_of(state: NodeState, expected: Mapping[str, int]) -> dict[str, tuple[int, int]]:
    """(what its pods hold, what it would advertise) of each resource of which that is too little."""
    figures = {
        resource: (state.requested(resource), expected.get(resource, 0))
        for resource in sorted({*state.resources, *expected})
    }
    return {resource: (held, slots) for resource, (held, slots) in figures.items() if held > slots}
