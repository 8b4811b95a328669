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

from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.facts import read_gpu, read_in_use
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import resource_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.result import GpuPlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import SINGLE, MigWords
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState, pod_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import GPU_RESOURCE

ENABLED = "enabled"


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
        for gpu in self.after.values():
            for instance in gpu.instances:
                counts[self._resource(instance.profile)] += len(instance.compute)
        return {resource: counts[resource] for resource in sorted(counts)}

    def _resource(self, profile: str) -> str:
        return GPU_RESOURCE if self.words.strategy == SINGLE else resource_name(profile)

    @cached_property
    def after(self) -> Mapping[str, Gpu]:
        """The GPUs that something is wished of, by UUID, as they end."""
        return {plan.gpu.uuid: plan.after() for plan in self.plans}

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
        with_mig = {uuid for uuid, gpu in self.after.items() if gpu.mode == ENABLED}
        return tuple(gpu.uuid for gpu in self.gpus if gpu.uuid not in with_mig)

    @cached_property
    def reset(self) -> Tuple[str, ...]:
        """UUIDs of the GPUs that have to be reset, with those that can only be reset together with them."""
        named = [plan.gpu.uuid for plan in self.changing if plan.mode_change and plan.mode_change.needs_reset]
        return tuple(sorted({*named, *(gpu.uuid for gpu in self.reset_along)}))

    @cached_property
    def may_reboot(self) -> Tuple[int, ...]:
        """Indices of the GPUs whose mode changes by a reset, or perhaps by one: where the host allows none, a reboot is what is left."""
        changes = [(plan.gpu.index, plan.mode_change) for plan in self.changing]
        return tuple(sorted(index for index, change in changes if change and change.needs_reset is not False))

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

    def check_reset(self) -> List[str]:
        """GPUs that a reset of others would take the instances of, and nobody has planned what is to stand on them then."""
        lost = [gpu for gpu in self.reset_along if gpu.instances and gpu.uuid not in self.after]
        return [
            f"{gpu} has MIG instances that nothing says the layout of, and NVLink couples it to GPUs that have to be reset, which would "
            "take them. Destroy them first (mig_config, state absent), or have them recorded."
            for gpu in lost
        ]

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
        if mig.get("mode") == ENABLED and mig.get("instances", ()) is None:
            reason = mig.get("instances_reason") or "no reason given"
            problems.append(
                f"{where}: the MIG instances of GPU {gpu.get('index')} could not be read ({reason}), so that nobody knows what would "
                "go. Read the facts as root (become)."
            )
    return problems
