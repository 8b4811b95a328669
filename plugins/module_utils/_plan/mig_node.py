# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The MIG devices of one node: what its GPUs are to become, and what it advertises then. PRIVATE to the collection.

Everything is taken for idle: who holds what goes is evicted by the rollout, and told by the plan.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, List, Mapping, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.facts import read_gpu, read_in_use
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import parse_name, resource_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import Rules, plan_gpus
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.tables import find_profiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.wishes import Wishes, read_wishes, wish_absent
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.config_words import WHERE, SharingConfig
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.facts import NVML, NodeFacts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import NONE, SINGLE, MigWords
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, pod_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE

_ENABLED = "enabled"


class MigProblemsError(Exception):
    """:param problems: sentences without the node."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = list(problems)


@dataclass(frozen=True)
class NodeMig:
    """A node under a config that says what becomes of MIG.

    :param facts: gpu_info's of each GPU.
    :param gpus: the same in the terms of MIG plans.
    :param plans: for the GPUs that something is wished of.
    :param devices: what the node has in the end, by the resource that it is when nothing is shared.
    :param memory: MiB of the smallest device by resource; None if that is not known.
    """

    words: MigWords
    facts: Sequence[Mapping[str, Any]]
    gpus: Tuple[Gpu, ...]
    plans: Tuple[GpuPlan, ...]
    devices: Mapping[str, int]
    memory: Mapping[str, int | None] = field(default_factory=dict)

    @property
    def mig_devices(self) -> dict[str, int]:
        """MIG devices alone, without GPUs that stand beside them whole."""
        counts: Counter[str] = Counter()
        for plan in self.plans:
            for instance in plan.after().instances:
                counts[self._resource(instance.profile)] += len(instance.compute)
        return {resource: counts[resource] for resource in sorted(counts)}

    def _resource(self, profile: str) -> str:
        return GPU_RESOURCE if self.words.strategy == SINGLE else resource_name(profile)

    @cached_property
    def changing(self) -> Tuple[GpuPlan, ...]:
        """The plans that do something."""
        return tuple(plan for plan in self.plans if not plan.is_empty)

    @cached_property
    def lost_devices(self) -> Tuple[str, ...]:
        """Ids by which the device plugin and the kubelet know the devices that go."""
        lost: List[str] = []
        for plan in self.changing:
            change = plan.mode_change
            if change and (change.current != change.wanted):
                lost.append(plan.gpu.uuid)
            lost += [uuid for key, uuid in self._uuids(plan.gpu).items() if key in _destroyed(plan)]
        lost += [uuid for gpu in self.reset_along for uuid in (gpu.uuid, *self._uuids(gpu).values())]
        return tuple(sorted(set(lost)))

    @property
    def kept_devices(self) -> Mapping[str, str]:
        """Ids of the MIG devices that stay, each with its resource."""
        kept = {}
        for gpu in self.gpus:
            profile_of = {
                (instance.id, compute.id): instance.profile
                for instance in gpu.instances
                for compute in instance.compute
            }
            for key, uuid in self._uuids(gpu).items():
                if key in profile_of and uuid not in self.lost_devices:
                    kept[uuid] = self._resource(profile_of[key])
        return kept

    @property
    def whole_gpus(self) -> Tuple[str, ...]:
        """UUIDs of the GPUs that are one device in the end."""
        with_mig = {plan.gpu.uuid for plan in self.plans if plan.after().mode == _ENABLED}
        return tuple(gpu.uuid for gpu in self.gpus if gpu.uuid not in with_mig)

    @cached_property
    def reset(self) -> Tuple[str, ...]:
        """UUIDs of the GPUs that have to be reset, with those that can only be reset together with them."""
        named = [plan.gpu.uuid for plan in self.changing if plan.mode_change and plan.mode_change.needs_reset]
        return tuple(sorted({*named, *(gpu.uuid for gpu in self.reset_along)}))

    @property
    def reset_coupled(self) -> bool:
        """The GPUs that have to be reset can only be so together."""
        of_uuid = {gpu.get("uuid"): gpu for gpu in self.facts}
        return any(len(_coupled(of_uuid[uuid], self.facts)) > 1 for uuid in self.reset)

    @cached_property
    def reset_along(self) -> Tuple[Gpu, ...]:
        """GPUs that do not change, coupled by NVLink to one that is reset: a reset of one alone is refused."""
        named = {plan.gpu.uuid for plan in self.changing if plan.mode_change and plan.mode_change.needs_reset}
        coupled = {one for gpu in self.facts if gpu.get("uuid") in named for one in _coupled(gpu, self.facts)}
        return tuple(gpu for gpu in self.gpus if gpu.uuid in coupled - named)

    def _uuids(self, gpu: Gpu) -> dict[tuple[int, int], str]:
        """MIG devices of a GPU by ids of GPU and compute instance."""
        mig = next((one.get("mig") or {} for one in self.facts if one.get("uuid") == gpu.uuid), {})
        return {
            (int(one["gpu_instance_id"]), int(one["compute_instance_id"])): str(one["uuid"])
            for one in mig.get("devices") or ()
        }


def _coupled(gpu: Mapping[str, Any], others: Sequence[Mapping[str, Any]]) -> List[str]:
    """UUIDs of the GPUs that are reset together with one. Boards of the form SXM are all coupled, by switches or directly."""
    if "sxm" in str(gpu.get("product")).lower() or "hgx" in str(gpu.get("product")).lower():
        return [str(other.get("uuid")) for other in others if other.get("product") == gpu.get("product")]
    return []


def _destroyed(plan: GpuPlan) -> set[tuple[int, int]]:
    gone = {(instance.id, one.id) for instance in plan.destroy for one in instance.compute}
    return gone | {(instance.id, one.id) for instance, change in plan.keep for one in change.destroy}


def plan_mig(config: SharingConfig, facts: NodeFacts, state: NodeState) -> NodeMig:
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
    problems = unread_gpus(facts.gpus, where)
    plans: Tuple[GpuPlan, ...] = ()
    try:
        plans = plan_gpus(where, gpus, wishes, Rules(assume_idle=True))
    except InputError as error:
        problems += error.problems
    problems += _check_rest(where, words, gpus, wishes)
    if problems:
        raise MigProblemsError(problems)
    devices, memory = _count(words, gpus, wishes)
    return NodeMig(words, facts.gpus, gpus, plans, devices, memory)


def read_gpus(
    gpus: Sequence[Mapping[str, Any]], allocations: Sequence[Mapping[str, Any]] | None, state: NodeState
) -> Tuple[Gpu, ...]:
    """The GPUs, with those who hold them. The kubelet also remembers pods that are gone.

    :param gpus: gpu_info's facts of each, and ``allocations`` those of the kubelet.
    """
    pods = {pod["uid"]: pod_name(pod) for pod in state.entry.get("pods") or ()}
    alive = {pod["uid"] for pod in state.gpu_pods}
    held = [entry for entry in allocations or () if entry["pod_uid"] in alive]
    return tuple(read_gpu(gpu, read_in_use(gpu, held, pods)) for gpu in gpus)


def unread_gpus(gpus: Sequence[Mapping[str, Any]], where: str) -> List[str]:
    """GPUs with MIG on whose instances NVML does not tell: what would be destroyed is not known."""
    problems = []
    for gpu in gpus:
        mig = gpu.get("mig") or {}
        if mig.get("mode") == _ENABLED and mig.get("instances", ()) is None:
            reason = mig.get("instances_reason") or "no reason given"
            problems.append(
                f"{where}: the MIG instances of GPU {gpu.get('index')} could not be read ({reason}), so that nobody knows what would "
                "go. Read the facts as root (become)."
            )
    return problems


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
    with_mig = [gpu for gpu in rest if _ENABLED in (gpu.mode, gpu.pending)]
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
