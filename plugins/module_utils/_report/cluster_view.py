# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Questions that every view asks of a cluster file. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import is_plugin_resource
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import in_order

Cluster = Mapping[str, Any]


def gpu_nodes(cluster: Cluster) -> list[str]:
    """Nodes that have, or by their labels should have, GPUs; as people count."""
    nodes = cluster.get("nodes") or {}
    return in_order(name for name, node in nodes.items() if node.get("gpu", bool(node.get("resources"))))


def allocatable(node: Mapping[str, Any]) -> dict[str, int]:
    """What a node advertises of the GPU plugin's resources. 0 equals absent, so it is left out."""
    resources = node.get("resources") or {}
    amounts = {name: entry.get("allocatable") or 0 for name, entry in resources.items() if is_plugin_resource(name)}
    return {name: amount for name, amount in sorted(amounts.items()) if amount}


def count_slots(cluster: Cluster) -> int:
    """Slots of a cluster: allocatable of the GPU plugin's resources, summed over resources and nodes."""
    return sum(sum(allocatable(node).values()) for node in (cluster.get("nodes") or {}).values())


def resource_rows(cluster: Cluster) -> Iterator[tuple[str, str, Mapping[str, int]]]:
    """Node, resource and amounts, for each GPU resource of each GPU node."""
    for name in gpu_nodes(cluster):
        for resource, entry in sorted((cluster["nodes"][name].get("resources") or {}).items()):
            if is_plugin_resource(resource):
                yield name, resource, entry


def plugin_pod_uids(cluster: Cluster) -> set[str]:
    """UIDs of the pods that belong to device plugins."""
    return {pod["uid"] for plugin in cluster.get("plugins") or [] for pod in plugin.get("pods") or []}


def plugin_owner_uids(cluster: Cluster) -> set[str]:
    """UIDs of the device plugins' DaemonSets."""
    return {plugin["uid"] for plugin in cluster.get("plugins") or []}


def object_name(entry: Mapping[str, Any]) -> str:
    """namespace/name of anything that has both."""
    return f"{entry.get('namespace')}/{entry.get('name')}"
