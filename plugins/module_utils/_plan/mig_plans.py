# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From the word mig of a config and the GPUs of a node to what becomes of them. PRIVATE to the collection.

Everything is taken for idle: who holds what goes is evicted by the rollout, and told by the plan.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any, Dict, List, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name, resource_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import Rules, plan_gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import find_profiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import (
    Wish,
    Wishes,
    read_wishes,
    wish_absent,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE, SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import NVML, NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_node import (
    ENABLED,
    NodeMig,
    read_gpus,
    unread_gpus,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import NONE, SINGLE, MigWords
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE

_RULES = Rules(assume_idle=True)


class MigProblemsError(Exception):
    """:param problems: sentences without the node."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


@dataclass
class MigPlanner:
    """Plans nodes, each kind of GPU in each state once: in a fleet, most are alike."""

    _known: Dict[Tuple[Any, ...], GpuPlan] = field(default_factory=dict)

    def plan(self, config: SharingConfig, facts: NodeFacts, state: NodeState) -> NodeMig:
        """What becomes of a node's GPUs.

        :param config: with a word on mig.
        :raises MigProblemsError: with everything that is in the way on this node.
        """
        words = config.mig or MigWords(NONE)
        where = f"{WHERE}.{config.key}.mig"
        if facts.source != NVML:
            raise MigProblemsError(
                [
                    f"{where} lays out the GPUs themselves, which takes facts that NVML reads on the node, and only labels are known. "
                    "Add its host to the inventory, with kubegpu_facts auto or nodes."
                ]
            )
        gpus = read_gpus(facts.gpus, facts.allocations, state)
        if words.strategy == NONE:
            wishes = wish_absent(where, "all", gpus)
        else:
            wishes = read_wishes(f"{where}.devices", words.devices, gpus)
        problems, plans = [*unread_gpus(facts.gpus, where), *wishes.problems], []
        for gpu in gpus:
            try:
                plans += [self._plan_gpu(gpu, wishes.by_gpu[gpu.index])] if gpu.index in wishes.by_gpu else []
            except InputError as error:
                problems += error.problems
        problems += _check_rest(where, words, gpus, wishes)
        if problems:
            raise MigProblemsError(problems)
        devices, memory = _count(words, gpus, wishes)
        return NodeMig(words, facts.gpus, gpus, tuple(plans), devices, memory)

    def _plan_gpu(self, gpu: Gpu, wish: Wish) -> GpuPlan:
        """:raises InputError: it cannot be what is wished."""
        alike = (
            *(gpu.product, gpu.pci_device_id, gpu.compute_capability, gpu.memory_total_mib, gpu.capable),
            *(gpu.mode, gpu.pending, gpu.profiles, gpu.instances, frozenset(gpu.in_use), wish),
        )
        known = self._known.get(alike)
        if known is None:
            self._known[alike] = known = plan_gpu(gpu, wish, _RULES)
        elif known.losses:
            # Who loses a device is somebody else on each GPU.
            return plan_gpu(gpu, wish, _RULES)
        return replace(known, gpu=gpu)


def _check_rest(where: str, words: MigWords, gpus: Sequence[Gpu], wishes: Wishes) -> List[str]:
    """GPUs that the devices do not name."""
    rest = [gpu for gpu in gpus if gpu.index not in wishes.by_gpu]
    if not rest or wishes.problems:
        return []
    listed = " and ".join(map(str, rest))
    if words.strategy == SINGLE:
        return [
            f"{where}: strategy single needs MIG devices on every GPU of a node, and devices names none for {listed}; name them "
            "too, or give strategy: mixed."
        ]
    with_mig = [gpu for gpu in rest if ENABLED in (gpu.mode, gpu.pending)]
    return [
        f"{where}.devices does not name {gpu}, on which MIG is enabled; name it too, or disable MIG there."
        for gpu in with_mig
    ]


def _count(words: MigWords, gpus: Sequence[Gpu], wishes: Wishes) -> tuple[dict[str, int], dict[str, int | None]]:
    """(devices, memory of the smallest) by resource."""
    devices: Counter[str] = Counter()
    sizes: dict[str, List[int | None]] = {}
    for gpu in gpus:
        wish = wishes.by_gpu.get(gpu.index)
        counts = dict(wish.counts) if wish and wish.enabled else {}
        for name, count in counts.items() or [("", 1)]:
            resource = resource_name(name) if name and words.strategy != SINGLE else GPU_RESOURCE
            devices[resource] += count
            sizes.setdefault(resource, []).append(_memory(gpu, name) if name else gpu.memory_total_mib)
    memory = {
        resource: None if None in found else min(one for one in found if one is not None)
        for resource, found in sizes.items()
    }
    return {resource: devices[resource] for resource in sorted(devices)}, memory


def _memory(gpu: Gpu, name: str) -> int | None:
    """MiB of a MIG device; parts of a GPU instance share its memory."""
    parsed = parse_name(name)
    total = next((one.memory_mib for one in find_profiles(gpu).profiles if one.name == parsed.gpu_instance), None)
    return None if total is None else total * parsed.compute // parsed.slices
