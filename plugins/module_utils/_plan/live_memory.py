# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether what runs on a card now leaves room for the slots that are to be handed out beside it. PRIVATE to the collection.

Time-slicing does not divide memory: a process that uses more than its slot takes it from its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import Card, NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.keys import KeyPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.live_holders import (
    Held,
    read_holders,
    warn_of_untold,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.measured_peaks import (
    AT_PEAK,
    peak_on_top,
    with_peaks,
)
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
    alive = {pod["uid"] for pod in state.gpu_pods}
    refusals, warnings = [], []
    on_top: list[int] = []
    for card, gpu in zip(facts.cards, facts.gpus):
        processes = with_peaks(gpu, gpu.get("processes") or (), alive)
        on_top.append(peak_on_top(processes))
        holders = read_holders(processes, pods, name_processes=True)
        refusals += _check_holders(card, gpu, plan, holders)
        untold = warn_of_untold(f"GPU {gpu.get('index')}", gpu, holders)
        warnings += [untold] if untold else []
    process = plan.config.process_memory_mib
    if process is None:
        return LiveMemory(tuple(refusals), tuple(warnings))
    taken = _slots_taken(state, facts)
    slots_left = replicas * len(facts.cards) - sum(taken)
    for card, gpu, used_slots, more in zip(facts.cards, facts.gpus, taken, on_top):
        used, usable = _in_use(gpu) + more, card.usable_mib or card.total_mib
        free = max(0, replicas - used_slots)
        if used + free * process > usable:
            refusals.append(
                f"GPU {gpu.get('index')} has {used} MiB in use{AT_PEAK if more else ''}, and {free} free slots x {process} MiB on top make "
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


def _in_use(gpu: Mapping[str, Any]) -> int:
    """MiB in use of a card, by its processes where it does not tell itself."""
    if gpu.get("memory_used_mib") is not None:
        return int(gpu["memory_used_mib"])
    return sum(process.get("used_memory_mib") or 0 for process in gpu.get("processes") or ())


def _check_holders(card: Card, gpu: Mapping[str, Any], plan: KeyPlan, holders: Mapping[str, Held]) -> list[str]:
    """Holders of more than a slot."""
    slot = card.total_mib // plan.choice.replicas
    return [
        f"{who} uses {held} of GPU {gpu.get('index')}, more than a slot of {slot} MiB ({card.total_mib} / "
        f"{plan.choice.replicas})"
        for who, held in sorted(holders.items())
        if held.mib > slot
    ]


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
