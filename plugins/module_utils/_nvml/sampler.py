# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is in use of the GPUs of a node at one moment: by card, and by process with its container. PRIVATE to the collection.

It is asked again and again, so that what does not change is asked once: the cards, their MIG devices, the container of a process.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Dict, List, Optional, Protocol, Set, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.attribution import RUNTIME_UNKNOWN, Attributed
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlError, describe_gpu_failure
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_reader import ask, read_mig_devices
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import MIB, Gpu, Nvml, Process
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import GpuUse, ProcessUse, Sample

# NVML's lists and the type each gives
_PROCESS_LISTS = (("Compute", "compute"), ("Graphics", "graphics"), ("MPSCompute", "mps"))
# A process on a MIG device that is in no list is looked for again after so many samples, not at each.
_LOOK_AGAIN_AFTER = 30


class Attribution(Protocol):
    """Tells whose a process is."""

    def look_up(self, pid: int) -> Attributed: ...


class Sampler:
    """Samples of all GPUs that the driver counts, also of those that do not answer.

    :raises NvmlError: NVML does not even tell how many there are.
    """

    def __init__(self, nvml: Nvml, attribution: Attribution) -> None:
        self._attribution = attribution
        self._cards = [_Card(nvml, index) for index in range(nvml.gpu_count())]

    def reopen(self, nvml: Nvml) -> None:
        """Go on with another session: GPUs may have been changed since the one before."""
        self._cards = [_Card(nvml, card.index).follow(card) for card in self._cards]

    def take(self, at: float) -> Sample:
        """A sample.

        :param at: seconds on a monotonic clock.
        """
        gpus: List[GpuUse] = []
        processes: List[ProcessUse] = []
        for card in self._cards:
            use, seen = card.read()
            # a card that never said which one it is has no place in a sample; describe() tells of it
            if use.uuid:
                gpus.append(use)
            for kind, process in seen:
                processes.append(self._attribute(card, kind, process))
        return Sample(at, tuple(gpus), tuple(processes))

    def describe(self) -> List[Dict[str, Any]]:
        """What is known of the cards besides their use, in NVML's order."""
        return [card.describe() for card in self._cards]

    def notes(self) -> List[str]:
        """What could not be told, in sentences."""
        return [note for card in self._cards for note in card.notes]

    def _attribute(self, card: _Card, kind: str, process: Process) -> ProcessUse:
        owner = self._attribution.look_up(process.pid)
        return ProcessUse(
            process.pid,
            owner.start,
            card.uuid or "",
            card.mig_device_of(process),
            kind,
            None if process.used is None else -(-process.used // MIB),
            owner.pod_uid,
            owner.container_id,
            owner.command,
            owner.attribution == RUNTIME_UNKNOWN,
        )


class _Card:
    """One GPU. What it does not answer is no error of the sampling."""

    def __init__(self, nvml: Nvml, index: int) -> None:
        self.index = index
        self._gpu: Optional[Gpu] = None
        self._failure: Optional[NvmlError] = None
        self._facts: Dict[str, Any] = dict.fromkeys(("product", "memory_total_mib", "memory_reserved_mib"))
        # by UUID, also those that are gone meanwhile: what was seen on them is still to be told
        self._mig_devices: Dict[str, Dict[str, Any]] = {}
        self._mig_by_instance: Dict[Tuple[Optional[int], Optional[int]], Optional[str]] = {}
        self._unknown = 0
        self._on_instances: Optional[Set[Tuple[int, Optional[int], Optional[int]]]] = None
        self.uuid: Optional[str] = None
        self.notes: List[str] = []
        try:
            self._gpu = nvml.gpu(index)
            self._identify(self._gpu)
        except NvmlError as error:
            self._failure = error

    def _identify(self, gpu: Gpu) -> None:
        self.uuid = gpu.uuid()
        self._facts["product"] = gpu.product()
        memory = ask(gpu.memory)
        if memory:
            self._facts["memory_total_mib"] = memory.total // MIB
            self._facts["memory_reserved_mib"] = None if memory.reserved is None else -(-memory.reserved // MIB)
        self._read_mig_devices(gpu)

    def follow(self, before: _Card) -> _Card:
        """The same card, with what was known of it before; NVML does not count another one in its place while the node runs."""
        self.uuid = self.uuid or before.uuid
        if self._facts["product"] is None:
            self._facts = before._facts
        self.notes = list(dict.fromkeys([*before.notes, *self.notes]))
        self._mig_devices = {**before._mig_devices, **self._mig_devices}
        return self

    def read(self) -> Tuple[GpuUse, List[Tuple[str, Process]]]:
        """What is in use of it, and the processes by the type of their list."""
        gpu, uuid = self._gpu, self.uuid or ""
        if gpu is None or not uuid:
            return self._unanswered(self._failure), []
        try:
            memory = ask(gpu.memory)
            seen = self._processes(gpu)
            self._follow_instances(gpu, seen)
            utilization = ask(gpu.utilization)
        except NvmlError as error:
            return self._unanswered(error), []
        if memory is None:
            self._note(f"NVML does not tell the memory in use of GPU {self.index}.")
            return GpuUse(uuid, None, None, utilization), seen
        return GpuUse(uuid, -(-memory.used // MIB), memory.free // MIB, utilization), seen

    def describe(self) -> Dict[str, Any]:
        """Its facts; ``state`` says why there are none, if so."""
        state, reason = ("ok", None) if self._failure is None else describe_gpu_failure(self.index, self._failure)
        facts = {"index": self.index, "uuid": self.uuid, **self._facts, "state": state, "reason": reason}
        return {**facts, "mig_devices": list(self._mig_devices.values())}

    def mig_device_of(self, process: Process) -> Optional[str]:
        """UUID of the MIG device that a process is on, None without MIG."""
        if process.gpu_instance is None:
            return None
        place = (process.gpu_instance, process.compute_instance)
        if place not in self._mig_by_instance and self._unknown <= 0 and self._gpu is not None:
            # made since the sampling began
            self._unknown = _LOOK_AGAIN_AFTER
            self._read_mig_devices_again(self._gpu)
        if place not in self._mig_by_instance:
            self._unknown -= 1
            self._note(f"GPU {self.index} has processes on a MIG device that NVML does not list.")
        return self._mig_by_instance.get(place)

    def _processes(self, gpu: Gpu) -> List[Tuple[str, Process]]:
        seen: List[Tuple[str, Process]] = []
        for name, kind in _PROCESS_LISTS:
            found = ask(partial(gpu.processes, name))
            if found is None and kind == "compute":
                self._note(
                    f"NVML does not tell the processes of GPU {self.index} (it does not on vGPU guests): who uses its memory "
                    "is not known."
                )
            seen += [(kind, process) for process in found or ()]
        return seen

    def _follow_instances(self, gpu: Gpu, seen: List[Tuple[str, Process]]) -> None:
        """Look at MIG devices again when a process comes to one. Ids of instances are given anew, to another profile even; but no
        instance is removed while a process is on it.
        """
        before = self._on_instances
        self._on_instances = {
            (process.pid, process.gpu_instance, process.compute_instance)
            for _kind, process in seen
            if process.gpu_instance is not None
        }
        if before is not None and self._on_instances - before:
            self._read_mig_devices_again(gpu)

    def _read_mig_devices_again(self, gpu: Gpu) -> None:
        try:
            self._read_mig_devices(gpu)
        except NvmlError as error:
            self._note(f"The MIG devices of GPU {self.index} cannot be read: {error}.")

    def _read_mig_devices(self, gpu: Gpu) -> None:
        devices = read_mig_devices(gpu)
        self._mig_devices.update((device["uuid"], device) for device in devices)
        self._mig_by_instance = {
            (device["gpu_instance_id"], device["compute_instance_id"]): device["uuid"] for device in devices
        }

    def _unanswered(self, error: Optional[NvmlError]) -> GpuUse:
        state, reason = ("unknown", None) if error is None else describe_gpu_failure(self.index, error)
        return GpuUse(self.uuid or "", state=state, reason=reason)

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
