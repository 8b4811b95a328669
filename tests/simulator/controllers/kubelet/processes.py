"""The processes that GPU pods run, as NVML and /proc show them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from simulator.controllers.kubelet.containers import Container
from simulator.controllers.kubelet.devices import Allocation
from simulator.controllers.kubelet.files import NodeFiles, NodeProcess
from simulator.controllers.meta import ANNOTATION_PREFIX
from simulator.nvml.state import Gpu, NodeGpus, Process

Object = dict[str, Any]
FIRST_PID = 21_000
PID_STEP = 37
DEFAULT_COMMAND = ("python3", "-m", "serve")
MEMORY_ANNOTATION = ANNOTATION_PREFIX + "gpu-memory-mib"


def process_memory_mib(pod: Object, product: str) -> int | None:
    """The memory that the pod's process takes on a card of that product; None: it runs nothing on the GPU."""
    text = (pod["metadata"].get("annotations") or {}).get(MEMORY_ANNOTATION)
    if text is None:
        return None
    value = json.loads(text)
    if isinstance(value, dict):
        value = value.get(product)
    return None if value is None else int(value)


@dataclass
class ProcessTable:
    """Who runs on which card of one node."""

    gpus: NodeGpus
    files: NodeFiles | None
    _next_pid: int = FIRST_PID
    _of_pod: dict[str, list[int]] = field(default_factory=dict)

    def start(self, pod: Object, containers: list[Container], allocations: list[Allocation]) -> None:
        """A process in every container that holds devices, on every card that it holds."""
        uid = pod["metadata"]["uid"]
        self.end(uid)
        for container in containers:
            held = [device for item in allocations if item.container == container.name for device in item.devices]
            cards = [gpu for gpu in self.gpus.gpus if gpu.uuid in {device.card for device in held}]
            loads = [(gpu, process_memory_mib(pod, gpu.card.product)) for gpu in cards]
            if any(used for _unused, used in loads):
                self._run(pod, container, [(gpu, used) for gpu, used in loads if used])
        self._write()

    def end(self, uid: str) -> None:
        pids = set(self._of_pod.pop(uid, ()))
        if not pids:
            return
        for gpu in self.gpus.gpus:
            gpu.processes = [item for item in gpu.processes if item.pid not in pids]
        for pid in pids:
            if self.files is not None:
                self.files.remove_process(pid)
        self._write()

    def clear(self) -> None:
        """The machine went down."""
        self._of_pod.clear()
        for gpu in self.gpus.gpus:
            gpu.processes = []
        if self.files is not None:
            self.files.clear_processes()
        self._write()

    def _run(self, pod: Object, container: Container, loads: list[tuple[Gpu, int]]) -> None:
        pid = self._next_pid
        self._next_pid += PID_STEP
        uid = pod["metadata"]["uid"]
        self._of_pod.setdefault(uid, []).append(pid)
        for gpu, used in loads:
            gpu.processes = [*gpu.processes, Process(pid, used)]
        words = [*(container.spec.get("command") or []), *(container.spec.get("args") or [])]
        command = tuple(words) or DEFAULT_COMMAND
        qos = (pod.get("status") or {}).get("qosClass", "BestEffort")
        if self.files is not None:
            self.files.add_process(NodeProcess(pid, command, uid, container.id, qos))

    def _write(self) -> None:
        if self.files is not None:
            self.files.write_gpus(self.gpus)
