# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host whose GPUs have MIG: reading them as the planner wants them, and the steps of a plan. PRIVATE to the collection."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.facts import read_gpu as understand
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.facts import read_in_use
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.model import Gpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml import reader
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    GPU_IS_LOST,
    IN_USE,
    INSUFFICIENT_RESOURCES,
    NO_PERMISSION,
    NOT_SUPPORTED,
    NvmlError,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.holders import show_holders
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import Gpu as NvmlGpu
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import Nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_process import is_sampled

Step = Mapping[str, Any]

# A sampling looks every second whether it is in the way.
_SAMPLINGS_SECONDS, _POLL_SECONDS = 10.0, 0.1

_CURES = {
    INSUFFICIENT_RESOURCES: "The card has less room than it told; what stands on it may have been made by another tool meanwhile.",
    NOT_SUPPORTED: "The driver does not do this on this card: compare its version with the card's least one for MIG.",
    NO_PERMISSION: "Changing MIG needs root, and in a container the capability SYS_ADMIN: run with become.",
    GPU_IS_LOST: "It has fallen off the bus (Xid 79): cordon the node, then reset the GPU or reboot.",
}


class StepError(KubeGpuError):
    """A step failed. The message says which, and what was observed."""


@dataclass(frozen=True)
class MigHost:
    """One host.

    :param allocations: asks anew what pods were given that live (pod_uid and device_ids each), and why it is not known, if so.
    :param pods: namespace/name by UID.
    """

    nvml: Nvml
    files: NodeFiles
    allocations: Callable[[], Tuple[Sequence[Mapping[str, Any]], Optional[str]]] = lambda: ((), None)
    pods: Optional[Mapping[str, str]] = None

    def read(self) -> Tuple[List[Gpu], Dict[int, str]]:
        """All GPUs, and why nothing can be planned for some, by index.

        :raises StepError: NVML does not even count them.
        """
        gpus: List[Gpu] = []
        unfit: Dict[int, str] = {}
        try:
            count = self.nvml.gpu_count()
        except NvmlError as error:
            raise StepError(f"Counting the GPUs failed: {error}. Nothing was changed.") from error
        allocations, _unknown = self.allocations()
        for index in range(count):
            gpu, reason, use_unknown = self._read(index, allocations)
            gpus.append(gpu)
            if reason or use_unknown:
                unfit[index] = str(reason or use_unknown)
        return gpus, unfit

    def read_again(self, known: Gpu, sees_use: bool = False) -> Gpu:
        """A GPU that has MIG, as it stands now.

        :param sees_use: it has to be known who uses what of it.
        :raises StepError: it does not answer, or another one is in its place.
        """
        allocations, _unknown = self.allocations()
        gpu, reason, use_unknown = self._read(known.index, allocations)
        if sees_use:
            reason = reason or use_unknown
        if not reason and gpu.uuid != known.uuid:
            reason = f"{known}: NVML counts its GPUs in another order now."
        if not reason and not gpu.capable:
            reason = f"{gpu}: it had MIG before, and NVML says now that it has none."
        if reason:
            raise StepError(reason)
        return gpu

    def _read(self, index: int, allocations: Sequence[Mapping[str, Any]]) -> Tuple[Gpu, Optional[str], Optional[str]]:
        """A GPU, why what is told of it cannot be relied on, and why it is not known who uses it."""
        facts = reader.read_gpu(self.nvml, index, self.files)
        reason, use_unknown = facts["reason"], None
        mig = facts["mig"] or {}
        if not reason and mig:
            reason = _doubt(f"GPU {index}", mig)
            use_unknown = None if reason else _doubt_use(f"GPU {index}", mig)
        return understand(facts, read_in_use(facts, allocations, self.pods)), reason, use_unknown

    def perform(self, gpu: Gpu, step: Step) -> int:
        """Carry out one step.

        :returns: the id of what was created; of a change of mode 0, or why it waits, as an NVML error code.
        :raises StepError: it failed.
        """
        try:
            handle = self.nvml.gpu(gpu.index)
            if handle.uuid() != gpu.uuid:
                raise StepError(f"{gpu}: cannot {show_step(step)}: NVML counts its GPUs in another order now.")
            return self._perform(handle, step)
        except NvmlError as error:
            raise self._explain(gpu, step, error) from error

    def _perform(self, handle: NvmlGpu, step: Step) -> int:
        kind = step["step"]
        if kind == "set_mode":
            self._let_samplings_go()
            return handle.set_mig_mode(step["mode"] == "enabled")
        if kind == "create_gpu_instance":
            return handle.create_gpu_instance(step["profile_id"], step["start"], step["size"])
        if kind == "create_compute_instance":
            return handle.create_compute_instance(
                step["gpu_instance_id"], step["compute_slices"], step["compute_start"]
            )
        if kind == "destroy_compute_instance":
            handle.destroy_compute_instance(step["gpu_instance_id"], step["compute_instance_id"])
        else:
            handle.destroy_gpu_instance(step["gpu_instance_id"])
        return 0

    def _let_samplings_go(self) -> None:
        """Wait for those who sample GPUs: they see the host's lock and give way, for the mode does not change while anybody holds them."""
        deadline = time.monotonic() + _SAMPLINGS_SECONDS
        while is_sampled(self.files.holders()[0]) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def refuse_mode(self, gpu: Gpu, step: Step) -> StepError:
        """The error for a mode that was accepted and cannot come, because somebody holds the GPU."""
        return StepError(
            f"{gpu}: {show_step(step)} waits, because the GPU is in use (NVML activation status {IN_USE}). {self._holders()} "
            "Stop them (nvidia-persistenced, DCGM, exporters and the device plugin hold a GPU without running anything on it), "
            "then run again."
        )

    def is_passed_through(self, index: int) -> bool:
        """Whether a GPU belongs to another host that gave it to this virtual machine, so that only a reboot resets it."""
        try:
            return self.nvml.gpu(index).is_passed_through()
        except NvmlError:
            return False

    def _explain(self, gpu: Gpu, step: Step, error: NvmlError) -> StepError:
        cure = self._holders() if error.code == IN_USE else _CURES.get(error.code, "Look for NVRM in the kernel log.")
        return StepError(f"{gpu}: {show_step(step)} failed: {error}. {cure}", nvml_error=error.code)

    def _holders(self) -> str:
        holders, reason = self.files.holders()
        return show_holders(holders, reason, self.pods or {})


def _doubt(where: str, mig: Mapping[str, Any]) -> Optional[str]:
    """Why not to rely on what is told of a GPU's instances: on a compute instance that was overlooked, somebody may work."""
    if mig["instances"] is None:
        return f"{where}: {mig['instances_reason']}"
    told = {key for key, _instance in _told(mig)}
    unseen = [one["uuid"] for one in mig["devices"] if (one["gpu_instance_id"], one["compute_instance_id"]) not in told]
    if not unseen:
        return None
    return f"{where}: NVML contradicts itself: it lists {', '.join(unseen)}, and no compute instance for it. Run again."


def _doubt_use(where: str, mig: Mapping[str, Any]) -> Optional[str]:
    """Why it is not known who uses a GPU's instances: pods are given devices by their UUIDs."""
    devices = {(one["gpu_instance_id"], one["compute_instance_id"]) for one in mig["devices"]}
    unseen = [f"{one['profile']} at {one['start']}" for key, one in _told(mig) if key not in devices]
    if not unseen:
        return None
    return (
        f"{where}: NVML lists no MIG device for what stands as {', '.join(unseen)}, so that it is not known whether pods were "
        "given it. Run again; if that does not help, look for NVRM in the kernel log."
    )


def _told(mig: Mapping[str, Any]) -> List[Tuple[Tuple[int, int], Mapping[str, Any]]]:
    """Compute instances by their ids, each with its GPU instance."""
    return [((one["id"], compute["id"]), one) for one in mig["instances"] for compute in one["compute"]]


def show_step(step: Step) -> str:
    """A step in words: "create 1g.12gb at 3"."""
    kind = step["step"]
    if kind == "set_mode":
        return "enable MIG mode" if step["mode"] == "enabled" else "disable MIG mode"
    where = f"{step['profile']} at {step['start']}"
    if kind == "destroy_compute_instance":
        return f"destroy compute instance {step['compute_instance_id']} of {where}"
    if kind == "create_compute_instance":
        return f"create compute instance {step['device']} in {where}"
    return f"{'destroy' if kind == 'destroy_gpu_instance' else 'create'} {where}"
