# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pods that hold device ids which the new config does not have. PRIVATE to the collection.

A GPU is the device GPU-<uuid> when whole and GPU-<uuid>::0, ::1, … when shared, and so is a MIG device, MIG-<uuid>. A running pod keeps its old id and goes
on running, but the kubelet no longer knows which card it is on, and after a reboot refuses it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_plan import NodeContext
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import (
    DEVICES_SINCE_ANNOTATION,
    GPU_RESOURCE,
    is_plugin_resource,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import parse_time


def stale_pods(context: NodeContext, changed: bool) -> list[dict[str, Any]]:
    """Pods of a node that are stale-allocated, now or once it has its config: namespace, name, uid.

    Where the kubelet's allocations are known they decide. Else a pod is stale that came to the node before its device ids
    changed last, and on a node that changes it is inferred from what the node advertises.
    """
    state, facts = context.state, context.facts
    pods = [pod for pod in state.gpu_pods if not pod.get("terminating")]
    if not pods:
        return []
    expected = context.expected
    devices = _devices_by_pod(facts)
    ids = _expected_ids(context)
    changing = changed and _slot_ids_change(context)
    since = _devices_since(state)
    stale = []
    for pod in pods:
        if devices is not None and pod["uid"] in devices:
            is_stale = any(resource not in expected or device not in ids for resource, device in devices[pod["uid"]])
        else:
            lost = any(is_plugin_resource(name) and name not in expected for name in pod.get("requests") or ())
            is_stale = changing or (changed and lost) or _came_before(pod, since)
        if is_stale:
            stale.append({"namespace": pod["namespace"], "name": pod["name"], "uid": pod["uid"]})
    return sorted(stale, key=lambda pod: (pod["namespace"], pod["name"]))


def ids_change(context: NodeContext) -> bool:
    """Whether a node that gets another config may lose device ids which its pods hold."""
    state = context.state
    gone = any(resource not in context.expected for resource in {*state.resources, *state.noted_resources})
    return gone or bool(context.mig and context.mig.lost_devices) or _slot_ids_change(context)


def pods_from_before(state: NodeState) -> list[dict[str, Any]]:
    """Pods of a node that came before its device ids changed last: namespace, name, uid."""
    since = _devices_since(state)
    pods = [pod for pod in state.gpu_pods if not pod.get("terminating") and _came_before(pod, since)]
    named = [{"namespace": pod["namespace"], "name": pod["name"], "uid": pod["uid"]} for pod in pods]
    return sorted(named, key=lambda pod: (pod["namespace"], pod["name"]))


def _devices_since(state: NodeState) -> datetime | None:
    """From when on pods of the node were given ids that it still has. Pods tell their time in whole seconds."""
    moment = parse_time((state.entry.get("annotations") or {}).get(DEVICES_SINCE_ANNOTATION))
    return moment.replace(microsecond=0) if moment else None


def _came_before(pod: Mapping[str, Any], since: datetime | None) -> bool:
    bound = parse_time(pod.get("bound")) if since else None
    return bound is not None and since is not None and bound < since


def _devices_by_pod(facts: NodeFacts) -> Mapping[str, list[tuple[str, str]]] | None:
    if facts.allocations is None or not facts.gpus:
        return None
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for entry in facts.allocations:
        if is_plugin_resource(entry["resource"]):
            found[entry["pod_uid"]] += [(entry["resource"], device) for device in entry["device_ids"]]
    return found


def _expected_ids(context: NodeContext) -> set[str]:
    """Ids that there will be. Those of MIG devices that are created nobody can hold yet."""
    if context.mig is None:
        devices = {str(gpu.get("uuid")): GPU_RESOURCE for gpu in context.facts.gpus}
    else:
        devices = {**dict.fromkeys(context.mig.whole_gpus, GPU_RESOURCE), **context.mig.kept_devices}
    return {one for uuid, resource in devices.items() for one in _slots_of(uuid, context.replicas_of(resource))}


def _slots_of(device: str, replicas: int) -> Iterator[str]:
    if replicas == 1:
        yield device
    else:
        yield from (f"{device}::{number}" for number in range(replicas))


def _slot_ids_change(context: NodeContext) -> bool:
    """Whether ids in use may vanish, judged by the number of slots: now, and as an interrupted run found the node.

    From shared to shared with more replicas the old ids stay; with fewer, some go, and which pod has them is not known. With MIG
    devices of which some have other slots than before, it is known no better.
    """
    state, gpus, replicas = context.state, len(context.facts.cards), context.plan.choice.replicas
    if context.mig and context.plan.config_file.serves_mig:
        return bool(state.resources) and state.resources != context.expected
    now = sum(state.resources.values()) or state.capacity()
    found = sum(state.noted_resources.values())
    return any(replicas > 1 if slots == gpus else replicas * gpus < slots for slots in (now, found) if slots)
