# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what runs on a card now leaves room for the slots that are to be handed out beside it. PRIVATE to the collection.

Time-slicing does not divide memory: a process that uses more than its slot takes it from its neighbours.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import Card, NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import KeyPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, pod_name


@dataclass(frozen=True)
class LiveMemory:
    """Findings on one node, as sentences without the node."""

    refusals: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def check_live_memory(state: NodeState, facts: NodeFacts, plan: KeyPlan, ids_change: bool) -> LiveMemory:
    """Compare what runs with the planned slots. Without NVML nothing is known, and nothing is found.

    :param ids_change: pods keep device ids that the kubelet will not know.
    """
    replicas = plan.choice.replicas
    if replicas < 2 or not facts.gpus:
        return LiveMemory()
    pods = {pod["uid"]: pod_name(pod) for pod in state.entry.get("pods") or ()}
    refusals = []
    for card, gpu in zip(facts.cards, facts.gpus):
        refusals += _check_processes(card, gpu, plan, pods)
    process = plan.config.process_memory_mib
    if process is None:
        return LiveMemory(tuple(refusals))
    taken = _slots_taken(state, facts)
    warnings = []
    slots_left = replicas * len(facts.cards) - sum(taken)
    for card, gpu, used_slots in zip(facts.cards, facts.gpus, taken):
        used, usable = gpu.get("memory_used_mib") or 0, card.usable_mib or card.total_mib
        free = max(0, replicas - used_slots)
        if used + free * process > usable:
            refusals.append(
                f"GPU {gpu.get('index')} has {used} MiB in use, and {free} free slots x {process} MiB on top make "
                f"{used + free * process} MiB, more than the {usable} MiB that are usable"
            )
        elif ids_change and used_slots and used + min(replicas, slots_left) * process > usable:
            # The kubelet no longer knows on which card a pod with an old device id runs.
            warnings.append(
                f"GPU {gpu.get('index')}: the kubelet may put {min(replicas, slots_left)} new processes beside the one that "
                f"keeps its old device id, {used + min(replicas, slots_left) * process} MiB of {usable} usable; recreate the "
                "stale-allocated pods soon after the rollout"
            )
    return LiveMemory(tuple(refusals), tuple(warnings))


def _check_processes(card: Card, gpu: Mapping[str, Any], plan: KeyPlan, pods: Mapping[str, str]) -> list[str]:
    """Holders of more than a slot: the processes of a pod together, for a slot is a pod's."""
    slot = card.total_mib // plan.choice.replicas
    holders: dict[str, int] = defaultdict(int)
    for process in gpu.get("processes") or ():
        uid = process.get("pod_uid")
        who = f"pod {pods.get(uid, uid)}" if uid else f"process {process.get('pid')} outside of pods"
        if uid and process.get("pid"):
            who += f" (process {process['pid']})" if uid not in _several(gpu) else " (several processes)"
        holders[who] += process.get("used_memory_mib") or 0
    return [
        f"{who} uses {used} MiB of GPU {gpu.get('index')}, more than a slot of {slot} MiB ({card.total_mib} / "
        f"{plan.choice.replicas})"
        for who, used in sorted(holders.items())
        if used > slot
    ]


def _several(gpu: Mapping[str, Any]) -> set[str]:
    uids = [process.get("pod_uid") for process in gpu.get("processes") or ()]
    return {uid for uid in uids if uid and uids.count(uid) > 1}


def _slots_taken(state: NodeState, facts: NodeFacts) -> Sequence[int]:
    """Pods on each card, by the kubelet's allocations, else by processes, else as evenly as the plugin hands out."""
    alive = {pod["uid"]: pod for pod in state.gpu_pods}
    by_card = [0] * len(facts.cards)
    position = {gpu.get("uuid"): number for number, gpu in enumerate(facts.gpus)}
    placed: set[str] = set()
    for entry in facts.allocations or ():
        if entry["pod_uid"] in alive:
            for device in entry["device_ids"]:
                number = position.get(device.partition("::")[0])
                if number is not None:
                    by_card[number] += 1
                    placed.add(entry["pod_uid"])
    for number, gpu in enumerate(facts.gpus):
        for uid in sorted({process.get("pod_uid") for process in gpu.get("processes") or ()} & (alive.keys() - placed)):
            by_card[number] += 1
            placed.add(uid)
    for _uid in sorted(alive.keys() - placed):
        by_card[by_card.index(min(by_card))] += 1
    return by_card
