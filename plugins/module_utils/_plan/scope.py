# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes a plan is about: those of the cluster, of which some are hosts of the inventory. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, some
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.words import did_you_mean

# Unknown hosts that are told one by one.
_SLIPS = 8


@dataclass(frozen=True)
class Scope:
    """GPU nodes.

    :param nodes: all of the cluster, by name, sorted.
    :param selected: names of those that may be planned.
    :param host_of: host of the inventory, by node.
    """

    nodes: Mapping[str, NodeState]
    selected: Tuple[str, ...]
    host_of: Mapping[str, str]


def read_hosts(given: Mapping[Any, Any]) -> dict[str, str]:
    """Node by host, as the operator wrote it; "" for the host's own name."""
    return {str(host): str(node or "") for host, node in given.items()}


def read_scope(
    cluster: Mapping[str, Any], hosts: Mapping[str, str], limited: bool, with_gpus: frozenset[str]
) -> tuple[Scope, list[str]]:
    """The scope, and what is wrong with the inventory.

    :param hosts: node by host, of the hosts that take part; an empty node is the host's own name.
    :param limited: only these hosts' nodes are to be planned, not the whole cluster.
    :param with_gpus: hosts on which NVML found a GPU.
    """
    known = cluster.get("nodes") or {}
    host_of: dict[str, str] = {}
    unknown = {host: hosts[host] or host for host in sorted(hosts) if (hosts[host] or host) not in known}
    problems = _tell_unknown(unknown, known)
    for host in sorted(hosts.keys() - unknown.keys()):
        node = hosts[host] or host
        if node in host_of:
            problems.append(
                f"hosts {host_of[node]} and {host} are both node {node}; take one out, or correct kubegpu_node_name."
            )
        else:
            host_of[node] = host
    nodes = {}
    for name in sorted(known):
        state = NodeState(name, known[name])
        if state.has_gpu() or host_of.get(name) in with_gpus:
            nodes[name] = state
    selected = tuple(name for name in nodes if not limited or name in host_of)
    problems += _tell_clashes(selected, host_of)
    if limited and not selected and not problems:
        problems.append(
            f"none of the hosts in this run ({', '.join(sorted(hosts)) or 'none'}) is a GPU node; name others in --limit."
        )
    return Scope(nodes, selected, host_of), problems


def _tell_clashes(selected: Tuple[str, ...], host_of: Mapping[str, str]) -> list[str]:
    """Nodes without a host that bear the name of another node's host: as hosts of a rollout they would be one."""
    node_of = {host: node for node, host in host_of.items()}
    return [
        f"host {name} is node {node_of[name]}, but there is also a node {name}, which no host is: a rollout could not tell the two "
        f"apart. Rename the host, correct its kubegpu_node_name, or add a host for node {name}."
        for name in selected
        if name in node_of and name not in host_of
    ]


def _tell_unknown(unknown: Mapping[str, str], known: Mapping[str, Any]) -> list[str]:
    """Hosts that the cluster does not have. So many at once mean another cluster, not that many slips of the pen."""
    if len(unknown) > _SLIPS:
        return [
            f"{len(unknown)} hosts are no nodes of the cluster ({some(list(unknown))}). Is it the right cluster? If so, set "
            "kubegpu_node_name for them to the names that kubectl get nodes shows, or take them out of the group."
        ]
    problems = []
    for host, node in unknown.items():
        hint = (
            did_you_mean(node, known) or " Set kubegpu_node_name for the host to the name that kubectl get nodes shows."
        )
        problems.append(
            f"host {host}: the cluster has no node {node!r}.{hint} If it is no node of this cluster, take it out of the group."
        )
    return problems
