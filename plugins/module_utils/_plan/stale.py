# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that hold device ids which the new config does not have. PRIVATE to the collection.

A GPU is the device GPU-<uuid> when whole and GPU-<uuid>::0, ::1, … when shared. A running pod keeps its old id and goes
on running, but the kubelet no longer knows which card it is on, and after a reboot refuses it.
"""

from __future__ import annotations

from collections import defaultdict
from typing import Any, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import KeyPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import is_plugin_resource


def stale_pods(state: NodeState, facts: NodeFacts, plan: KeyPlan, changed: bool) -> list[dict[str, Any]]:
    """Pods of a node that are stale-allocated once it has its config: namespace, name, uid.

    Where the kubelet's allocations are known they decide; else it is inferred from what the node advertises, and only
    for a node that changes.
    """
    pods = [pod for pod in state.gpu_pods if not pod.get("terminating")]
    if not pods:
        return []
    expected = plan.config_file.resources_of(len(facts.cards))
    devices = _devices_by_pod(facts)
    ids = _expected_ids(facts, plan.choice.replicas)
    changing = changed and _ids_change(state, len(facts.cards), plan.choice.replicas)
    stale = []
    for pod in pods:
        if devices is not None and pod["uid"] in devices:
            is_stale = any(resource not in expected or device not in ids for resource, device in devices[pod["uid"]])
        else:
            lost = any(is_plugin_resource(name) and name not in expected for name in pod.get("requests") or ())
            is_stale = changing or (changed and lost)
        if is_stale:
            stale.append({"namespace": pod["namespace"], "name": pod["name"], "uid": pod["uid"]})
    return sorted(stale, key=lambda pod: (pod["namespace"], pod["name"]))


def _devices_by_pod(facts: NodeFacts) -> Mapping[str, list[tuple[str, str]]] | None:
    if facts.allocations is None or not facts.gpus:
        return None
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in facts.allocations:
        if is_plugin_resource(entry["resource"]):
            found[entry["pod_uid"]] += [(entry["resource"], device) for device in entry["device_ids"]]
    return found


def _expected_ids(facts: NodeFacts, replicas: int) -> set[str]:
    def ids() -> Iterator[str]:
        for gpu in facts.gpus:
            uuid = str(gpu.get("uuid"))
            if replicas == 1:
                yield uuid
            else:
                yield from (f"{uuid}::{number}" for number in range(replicas))

    return set(ids())


def _ids_change(state: NodeState, gpus: int, replicas: int) -> bool:
    """Whether ids in use may vanish, judged by the number of slots.

    From shared to shared with more replicas the old ids stay; with fewer, some go, and which pod has them is not known.
    """
    slots = sum(state.resources.values()) or state.capacity()
    if slots == gpus:
        return replicas > 1
    return replicas * gpus < slots
