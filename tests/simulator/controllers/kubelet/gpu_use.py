"""What pods make of the devices that they were given, and which of them lost a MIG device under their hands."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.controllers.kubelet.containers import Container
from simulator.controllers.kubelet.devices import Allocation, Device
from simulator.controllers.kubelet.mig import MIG_PREFIX
from simulator.controllers.meta import seconds_annotation

if TYPE_CHECKING:
    from simulator.controllers.kubelet.node import NodeAgent
    from simulator.controllers.kubelet.pods import PodRuntime

Object = dict[str, Any]


class GpuUse:
    """Of one node's pods."""

    def __init__(self, node: NodeAgent) -> None:
        self._node = node
        #: Pods by uid whose MIG device was destroyed while they ran, also those that are gone since.
        self._broken: dict[str, Object] = {}

    def begin(self, runtime: PodRuntime) -> None:
        """The pod's containers have started: they use their GPUs at once, or when their annotation says."""
        if not self._node.devices.held_by(runtime.uid):
            return
        seconds = seconds_annotation(runtime.pod, "gpu-use-after-seconds", 0.0)
        if seconds:
            self._node.context.engine.later(
                seconds, self._use, runtime, [item.id for item in runtime.containers], settles=False
            )
        else:
            self._use(runtime, [item.id for item in runtime.containers])

    def _use(self, runtime: PodRuntime, containers: list[str]) -> None:
        """A program that finds no GPU, or no memory on it, ends with an error."""
        running = [item for item in runtime.containers if item.running and item.id in containers]
        if not runtime.started or not running:
            return
        self.note(runtime)
        held = self._node.devices.held_by(runtime.uid)
        for container, last_words in self._node.processes.start(runtime.pod, running, held, self._node.mig.view()):
            container.log(last_words)
            container.crash(1)

    def missing(self, container: Container) -> tuple[str, ...]:
        """MIG devices of a container's allocation that do not exist any more."""
        held = self._node.devices.held_by(container.pod.uid)
        return self._gone([item for item in held if item.container == container.name])

    def note(self, runtime: PodRuntime) -> None:
        """Before a running pod ends: had it lost a device?"""
        gone = self._gone(self._node.devices.held_by(runtime.uid))
        if gone and any(item.running for item in runtime.containers):
            self._broken[runtime.uid] = {"node": self._node.name, "pod": runtime.key, "devices": list(gone)}

    def broken(self) -> list[Object]:
        """Pods that lost a MIG device while they ran: ``node``, ``pod`` and ``devices`` of each."""
        for runtime in self._node.runtimes.values():
            if runtime.started:
                self.note(runtime)
        return list(self._broken.values())

    def _gone(self, held: list[Allocation]) -> tuple[str, ...]:
        devices: list[Device] = [device for item in held for device in item.devices]
        mig = sorted({device.shared for device in devices if device.shared.startswith(MIG_PREFIX)})
        if not mig:
            return ()
        view = self._node.mig.view()
        return tuple(uuid for uuid in mig if view.find(uuid) is None)
