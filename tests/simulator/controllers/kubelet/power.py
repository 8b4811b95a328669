"""A node's reboot: containers gone, the kubelet starting, pods admitted again one by one."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from simulator.controllers.kubelet.pods import PodRuntime
from simulator.controllers.meta import is_finished, is_terminating, key_of

if TYPE_CHECKING:
    from simulator.controllers.kubelet.node import NodeAgent

BOOT_SECONDS = 20.0
#: After a boot GPU pods wait this long for a plugin before they are admitted without one, which fails.
PLUGIN_WAIT_SECONDS, PLUGIN_POLL_SECONDS = 60.0, 0.5


class PowerCycle:
    """One reboot of one node."""

    def __init__(self, node: NodeAgent) -> None:
        self._node = node

    def begin(self) -> None:
        """Power off: nothing reports, nothing runs, nothing is cleaned up."""
        self._node.reports = False
        for runtime in self._node.runtimes.values():
            runtime.power_off()
        self._node.processes.clear()
        if self._node.files is not None:
            self._node.files.lose_tmpfs()
        self._node.mig.reboot()
        self._node.context.engine.later(BOOT_SECONDS, self._boot)

    def _boot(self) -> None:
        node = self._node
        node.boot_id = str(uuid.uuid4())
        node.processes.start_services(node.spec.services)
        node.outage.answer()
        node.forget_plugins()
        node.post_status(rebooted=True)
        self._announce()
        # First: a pod that has come under the name of one that is gone is seen only where that one is forgotten.
        node.outage.forget_gone()
        self._finish_deletions()
        waiting = []
        for runtime in sorted(node.runtimes.values(), key=lambda item: item.pod["metadata"]["creationTimestamp"]):
            if runtime.rejected or is_finished(runtime.pod):
                continue
            if node.devices.held_by(runtime.uid):
                waiting.append(runtime)
            else:
                self._boot_pod(runtime)
        self._boot_gpu_pods(waiting, node.context.engine.time + PLUGIN_WAIT_SECONDS)

    def _announce(self) -> None:
        node = self._node
        stored = node.context.store.get("nodes", None, node.name)
        if stored is not None:
            message = f"Node {node.name} has been rebooted, boot id: {node.boot_id}"
            node.context.event(stored, "Rebooted", message, "kubelet", warning=True)

    def _finish_deletions(self) -> None:
        """Pods that were ending have ended with the machine; pods that came meanwhile are seen now."""
        for pod in self._node.context.pods.on_node(self._node.name):
            runtime = self._node.runtimes.get(key_of(pod))
            if runtime is not None and runtime.stopping:
                self._node.pod_stopped(runtime)
            elif runtime is None or is_terminating(pod):
                self._node.sync(key_of(pod))

    def _boot_gpu_pods(self, waiting: list[PodRuntime], until: float) -> None:
        """Pods with devices are admitted again once a plugin has registered them, or when patience ends."""
        node = self._node
        endpoints = node.devices.endpoints
        held = [item for runtime in waiting for item in node.devices.held_by(runtime.uid)]
        served = all(endpoints[item.resource].serving for item in held if item.resource in endpoints)
        if not served and node.context.engine.time < until:
            node.context.engine.later(PLUGIN_POLL_SECONDS, self._boot_gpu_pods, waiting, until)
            return
        for runtime in waiting:
            self._boot_pod(runtime)

    def _boot_pod(self, runtime: PodRuntime) -> None:
        gone = self._node.runtimes.get(runtime.key) is not runtime
        if not gone and not is_terminating(runtime.pod) and self._node.admits(runtime):
            runtime.boot()
