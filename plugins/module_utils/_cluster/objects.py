# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Quotas, our own ConfigMaps, snapshots, and nodes that hand out GPUs by DRA. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.quantities import parse_count
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import MANAGED_BY, MANAGED_BY_LABEL
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import read_snapshots

DRA_DRIVER = "gpu.nvidia.com"
_QUOTA = "requests."


def read_quotas(quota: Mapping[str, Any], prefix: str) -> Iterator[dict[str, Any]]:
    """The limits that a ResourceQuota sets on GPU resources."""
    status = quota.get("status") or {}
    hard = (quota.get("spec") or {}).get("hard") or status.get("hard") or {}
    for name in sorted(hard):
        if name.startswith(_QUOTA + prefix):
            yield {
                "namespace": quota["metadata"].get("namespace") or "",
                "name": quota["metadata"].get("name") or "",
                "resource": name,
                "hard": parse_count(hard[name]),
                "used": parse_count((status.get("used") or {}).get(name) or 0),
            }


def read_config_map(config_map: Mapping[str, Any]) -> dict[str, Any]:
    """A ConfigMap beside our plugins: whether it is ours, and whether it can be changed."""
    return {**_whose(config_map), "immutable": bool(config_map.get("immutable"))}


def read_daemon_set(daemon_set: Mapping[str, Any]) -> dict[str, Any]:
    """A DaemonSet beside our plugins, whatever it runs: whether it is ours."""
    return _whose(daemon_set)


def _whose(obj: Mapping[str, Any]) -> dict[str, Any]:
    metadata = obj["metadata"]
    return {
        "name": metadata.get("name") or "",
        "managed": (metadata.get("labels") or {}).get(MANAGED_BY_LABEL) == MANAGED_BY,
    }


def list_snapshots(config_maps: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Complete snapshots, oldest first, by the metadata of their ConfigMaps."""
    return [
        {"name": snapshot.name, "run": snapshot.run, "plan_id": snapshot.plan_id, "created": snapshot.created}
        for snapshot in read_snapshots(config_maps)
        if snapshot.name
    ]


def dra_nodes(slices: Iterable[Mapping[str, Any]]) -> list[str]:
    """Nodes whose GPUs NVIDIA's DRA driver hands out."""
    specs = [resource_slice.get("spec") or {} for resource_slice in slices]
    return sorted({spec["nodeName"] for spec in specs if spec.get("driver") == DRA_DRIVER and spec.get("nodeName")})
