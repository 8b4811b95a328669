# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what runs on MIG devices that stay leaves room for the slots beside it. PRIVATE to the collection.

NVML tells of each process which MIG device it is on, so that memory in use is the sum over processes; what a device that goes
holds does not matter, for its pods leave.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Iterator, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.eviction import without_pods
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.live_holders import (
    Held,
    read_holders,
    warn_of_untold,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.live_memory import LiveMemory
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.measured_peaks import with_peaks
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_plan import NodeContext
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, pod_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import MIG_PREFIX, is_plugin_resource


def whole_gpus(context: NodeContext) -> tuple[NodeState, NodeFacts]:
    """The node as far as it has whole GPUs that stay such: without MIG devices, and without GPUs that their pods leave."""
    mig, facts, state = context.mig, context.facts, context.state
    if mig is None:
        return state, facts
    stay = set(mig.whole_gpus) - set(mig.lost_devices)
    pairs = [(card, gpu) for card, gpu in zip(facts.cards, facts.gpus) if gpu.get("uuid") in stay]
    left = replace(facts, cards=tuple(card for card, _gpu in pairs), gpus=tuple(gpu for _card, gpu in pairs))
    elsewhere = [pod for pod in state.gpu_pods if all(name.startswith(MIG_PREFIX) for name in _gpus_of(pod))]
    return without_pods(state, elsewhere), left


def _gpus_of(pod: Mapping[str, Any]) -> list[str]:
    return [name for name in pod.get("requests") or {} if is_plugin_resource(name)]


def check_mig_memory(context: NodeContext) -> LiveMemory:
    """Compare what runs with the planned slots."""
    refusals: list[str] = []
    warnings: list[str] = []
    if context.mig is None:
        return LiveMemory()
    kept = context.mig.kept_devices
    for gpu in context.facts.gpus:
        for device in (gpu.get("mig") or {}).get("devices") or ():
            resource = kept.get(str(device["uuid"]))
            if resource is not None and context.replicas_of(resource) > 1:
                holders = _read_holders(context, gpu, device)
                refusals += _check_device(context, _name(gpu, device), device, resource, holders)
                untold = warn_of_untold(_name(gpu, device), gpu, holders)
                warnings += [untold] if untold else []
    # of a card that tells nothing, the same is said for each of its devices
    return LiveMemory(tuple(refusals), tuple(dict.fromkeys(warnings)))


def _name(gpu: Mapping[str, Any], device: Mapping[str, Any]) -> str:
    return f"MIG device {device.get('profile') or device['uuid']} ({device['uuid']}) of GPU {gpu.get('index')}"


def _check_device(
    context: NodeContext, what: str, device: Mapping[str, Any], resource: str, used: Mapping[str, Held]
) -> Iterator[str]:
    """Holders of more than a slot, and a device that would be too full."""
    part, replicas = context.plan.parts[resource], context.replicas_of(resource)
    total = device.get("memory_total_mib") or part.total_mib
    if not total:
        return
    for who, held in sorted(used.items()):
        if held.mib > total // replicas:
            yield f"{who} uses {held} of {what}, more than a slot of {total // replicas} MiB ({total} / {replicas})"
    free, in_use = max(0, replicas - len(used)), sum(held.mib for held in used.values())
    if part.process_mib is not None and in_use + free * part.process_mib > total:
        yield (
            f"{what} has {in_use} MiB in use, and {free} free slots x {part.process_mib} MiB on top make "
            f"{in_use + free * part.process_mib} MiB, more than its {total} MiB"
        )


def _read_holders(context: NodeContext, gpu: Mapping[str, Any], device: Mapping[str, Any]) -> Mapping[str, Held]:
    pods = {pod["uid"]: pod_name(pod) for pod in context.state.entry.get("pods") or ()}
    instance, compute = device["gpu_instance_id"], (None, device["compute_instance_id"])
    processes = [
        process
        for process in gpu.get("processes") or ()
        if process.get("gpu_instance_id") == instance and process.get("compute_instance_id") in compute
    ]
    alive = {pod["uid"] for pod in context.state.gpu_pods}
    return read_holders(with_peaks(gpu, processes, alive, str(device["uuid"])), pods)
