# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pod holds which device, from the best source that a node has. Read only. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.checkpoint import PREFIX
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_names import PodNames
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_resources import (
    Given,
    PodResourcesError,
    list_given,
)

Allocation = Dict[str, Any]


def read_allocations(files: NodeFiles) -> Dict[str, Any]:
    """``allocations``, ``allocations_source`` (pod_resources, checkpoint or None) and ``allocations_reason`` of a node.

    Each allocation is a mapping of pod_uid, namespace, pod (None where the node does not know the names), container, resource and
    device_ids.
    """
    names = PodNames(files.log_root)
    found, reason = files.allocations()
    told = _from_pod_resources(files, found or [], names)
    if told is not None:
        return {"allocations": told, "allocations_source": "pod_resources", "allocations_reason": None}
    source = None if found is None else "checkpoint"
    named = None if found is None else [_name(allocation, names) for allocation in found]
    return {"allocations": named, "allocations_source": source, "allocations_reason": reason}


def _name(allocation: Allocation, names: PodNames) -> Allocation:
    name = names.look_up(allocation["pod_uid"])
    return {"pod_uid": allocation["pod_uid"], "namespace": name.namespace, "pod": name.pod, **allocation}


def _from_pod_resources(files: NodeFiles, known: List[Allocation], names: PodNames) -> Optional[List[Allocation]]:
    """Allocations by the kubelet's API; None if it cannot be asked, or names a pod whose UID is not known."""
    try:
        given = [one for one in list_given(files.kubelet_root) if one.resource.startswith(PREFIX)]
    except PodResourcesError:
        return None
    merged: Dict[Tuple[str, str, str, str, str], set[str]] = {}
    for one in given:
        uid = _find_uid(one, known) or names.uid_of(one.namespace, one.pod)
        if uid is None:
            return None
        place = (uid, one.container, one.resource, one.namespace, one.pod)
        merged.setdefault(place, set()).update(one.device_ids)
    return [
        {
            "pod_uid": uid,
            "namespace": namespace,
            "pod": pod,
            "container": container,
            "resource": resource,
            "device_ids": sorted(merged[uid, container, resource, namespace, pod]),
        }
        for uid, container, resource, namespace, pod in sorted(merged)
    ]


def _find_uid(given: Given, known: List[Allocation]) -> Optional[str]:
    """The API does not tell UIDs. The checkpoint does, and a device is one container's at a time."""
    wanted = set(given.device_ids)
    found = {
        allocation["pod_uid"]
        for allocation in known
        if (allocation["container"], allocation["resource"]) == (given.container, given.resource)
        and wanted.intersection(allocation["device_ids"])
    }
    return found.pop() if len(found) == 1 else None
