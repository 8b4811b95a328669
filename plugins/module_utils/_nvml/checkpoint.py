# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which container was given which devices, by the kubelet's checkpoint. Pure. PRIVATE to the collection.

The kubelet keeps ``device-plugins/kubelet_internal_checkpoint`` to survive its own restart. It is no API: entries of pods that
are gone stay until the kubelet needs their devices, so compare with the pod list before drawing conclusions. Read only, ever.
"""

from __future__ import annotations

import json
from typing import Any

NAME = "kubelet_internal_checkpoint"
PATH = f"device-plugins/{NAME}"
PREFIX = "nvidia.com/"


class CheckpointError(Exception):
    """The file is not a checkpoint of a known format. The message says where it differs."""


def parse_checkpoint(text: str, prefix: str = PREFIX) -> list[dict[str, Any]]:
    """Allocations in a stable order.

    :param text: the file's content. Known are both formats: ``DeviceIDs`` as a list (before Kubernetes 1.20), and as a
        mapping of NUMA node to list.
    :param prefix: resources to return.
    :returns: mappings of pod_uid, container, resource, device_ids (sorted).
    """
    entries = _entries(text)
    allocations = [_allocation(number, entry) for number, entry in enumerate(entries)]
    wanted = [allocation for allocation in allocations if allocation["resource"].startswith(prefix)]
    return sorted(wanted, key=lambda a: (a["pod_uid"], a["container"], a["resource"]))


def _entries(text: str) -> list[Any]:
    try:
        document = json.loads(text)
    except ValueError as error:
        raise CheckpointError(f"it is not JSON: {error}") from error
    data = document.get("Data") if isinstance(document, dict) else None
    if not isinstance(data, dict):
        raise CheckpointError("it has no mapping Data")
    # Go writes null for an empty slice
    entries = data.get("PodDeviceEntries") or []
    if not isinstance(entries, list):
        raise CheckpointError(f"Data.PodDeviceEntries is a {type(entries).__name__}, not a list")
    return entries


def _allocation(number: int, entry: Any) -> dict[str, Any]:
    if not isinstance(entry, dict):
        raise CheckpointError(f"Data.PodDeviceEntries[{number}] is a {type(entry).__name__}, not a mapping")
    return {
        "pod_uid": str(entry.get("PodUID", "")),
        "container": str(entry.get("ContainerName", "")),
        "resource": str(entry.get("ResourceName", "")),
        "device_ids": sorted(_device_ids(number, entry.get("DeviceIDs"))),
    }


def _device_ids(number: int, value: Any) -> list[str]:
    if value is None:
        return []
    per_numa_node = list(value.values()) if isinstance(value, dict) else [value]
    ids: set[str] = set()
    for part in per_numa_node:
        if part is None:
            continue
        if not isinstance(part, list):
            raise CheckpointError(
                f"Data.PodDeviceEntries[{number}].DeviceIDs holds a {type(part).__name__}, not a list"
            )
        ids.update(str(item) for item in part)
    return sorted(ids)
