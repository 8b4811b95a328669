"""One node: its kubelet, its GPUs and the pods on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zlib import crc32

from simulator.controllers.context import Context
from simulator.controllers.facts import Facts
from simulator.controllers.kubelet import checkpoint, gfd
from simulator.controllers.kubelet.admission import out_of
from simulator.controllers.kubelet.configured import DISCOVERY_SECONDS
from simulator.controllers.kubelet.containers import Container
from simulator.controllers.kubelet.devices import GRACE_SECONDS, AllocationError, DeviceManager, Endpoint
from simulator.controllers.kubelet.files import LoggedContainer, NodeFiles
from simulator.controllers.kubelet.gpu_use import GpuUse
from simulator.controllers.kubelet.hooks import hook_problem
from simulator.controllers.kubelet.node_mig import NodeMig
from simulator.controllers.kubelet.node_status import first_boot_id, node_object, node_status
from simulator.controllers.kubelet.outage import Outage
from simulator.controllers.kubelet.plugin_config import Settings
from simulator.controllers.kubelet.pods import PodRuntime
from simulator.controllers.kubelet.power import PowerCycle
from simulator.controllers.kubelet.processes import ProcessTable
from simulator.controllers.kubelet.spec import NodeSpec
from simulator.controllers.meta import is_finished, is_terminating, split_key
from simulator.nvml.state import Gpu, NodeGpus, NvmlError

if TYPE_CHECKING:
    from simulator.controllers.kubelet.plugin import DevicePlugin

Object = dict[str, Any]
STATUS_PERIOD_SECONDS = 10.0
#: A mounted ConfigMap follows a change after the kubelet's sync period and its cache's age.
MIN_CONFIG_MAP_LAG_SECONDS, MAX_CONFIG_MAP_LAG_SECONDS = 30.0, 120.0


class NodeAgent:
    """The kubelet of one node of the scenario, with everything below it."""

    def __init__(self, context: Context, spec: NodeSpec, directory: Path | None = None) -> None:
        self.context = context
        self.spec = spec
        self.name = spec.name
        self.address = spec.address
        self.boot_id = first_boot_id(spec.name)
        self.gpus = node_gpus(spec, context.facts)
        self.mig = NodeMig(self.gpus, spec.mig, directory if spec.cards else None)
        self.use = GpuUse(self)
        self.files = NodeFiles(directory, spec) if directory is not None and spec.cards else None
        self.devices = DeviceManager(context.facts, lambda: context.engine.time)
        self.processes = ProcessTable(self.gpus, self.files, context.engine, context.facts)
        self.runtimes: dict[str, PodRuntime] = {}
        self.reports = True
        self.outage = Outage(self)
        self._sockets: dict[str, DevicePlugin] = {}
        self._status_due = False
        self._phase = crc32(spec.name.encode()) % 1000 / 1000 * STATUS_PERIOD_SECONDS
        self._addresses: dict[str, int] = {}
        self._known_checkpoint = ""
        #: Labels that GPU Feature Discovery has put on the node: it takes them off again.
        self._discovered = set(_first_labels(spec, context.facts, self.mig))

    # Registration and status.

    def start(self) -> None:
        """Begin to serve the node, whose object is there already."""
        if self.files is not None:
            self.files.set_up()
            self.files.write_gpus(self.gpus)
            self.mig.set_up()
        self.processes.start_services(self.spec.services)
        self._write_checkpoint()

    def register(self) -> None:
        """Make the node's object if there is none."""
        if self.context.store.get("nodes", None, self.name) is None:
            self.context.store.put("nodes", registered_node(self.spec, self.context.facts, self.context.now()))

    def labels(self) -> dict[str, str]:
        node = self.context.store.get("nodes", None, self.name)
        return dict((node or {"metadata": {}})["metadata"].get("labels") or {})

    def status_changed(self) -> None:
        """Something that the node status tells has changed: it is told with the next periodic status."""
        if not self.context.facts.status_lags:
            self.post_status()
            return
        if self._status_due:
            return
        self._status_due = True
        now = self.context.engine.time
        wait = STATUS_PERIOD_SECONDS - (now - self._phase) % STATUS_PERIOD_SECONDS
        self.context.engine.later(wait, self.post_status)

    def post_status(self, *, rebooted: bool = False, heartbeat: bool = False) -> None:
        self._status_due = False
        node = self.context.store.get("nodes", None, self.name)
        if node is None or not self.reports:
            return
        devices = self.devices.capacity()
        status = node_status(
            node, self.spec, devices, boot_id=self.boot_id, now=self.context.now(), refresh=heartbeat or rebooted
        )
        self.context.put_status("nodes", node, status)
        self._write_checkpoint()

    # Sockets of device plugins.

    def serve_socket(self, socket: str, plugin: DevicePlugin, endpoint: Endpoint) -> None:
        """A plugin listens on the socket file (in place of whoever did before) and registers its resource."""
        self._sockets[socket] = plugin
        self.devices.register(endpoint)
        self.status_changed()

    def remove_socket(self, socket: str, plugin: DevicePlugin) -> None:
        """A plugin removes the file that it believes to be its own."""
        if self._sockets.get(socket) is plugin or self.context.facts.shared_socket:
            self._socket_gone(socket)

    def connection_lost(self, socket: str, plugin: DevicePlugin) -> None:
        """A plugin died without removing its file: only its own connection is affected."""
        if self._sockets.get(socket) is plugin:
            self._socket_gone(socket)

    def _socket_gone(self, socket: str) -> None:
        self._sockets.pop(socket, None)
        for _unused in self.devices.socket_gone(socket):
            self.status_changed()
            self.context.engine.later(GRACE_SECONDS, self.status_changed, settles=False)

    def empty(self) -> None:
        """Nothing runs on the machine any more, and nothing remembers what did."""
        for runtime in self.runtimes.values():
            runtime.power_off()
        self.runtimes.clear()
        self.processes.clear()
        self.devices = DeviceManager(self.context.facts, lambda: self.context.engine.time)
        self._sockets.clear()
        self._write_checkpoint()

    def forget_plugins(self) -> None:
        """A kubelet that starts clears the socket directory; allocations come back from its checkpoint."""
        self._sockets.clear()
        self.devices.restart()

    def discover(self, settings: Settings) -> None:
        """The plugin has looked at the GPUs: GPU Feature Discovery does too, a little later.

        Where a scenario only says that there is one, it runs with the plugin's settings.
        """
        own = [item for runtime in self.runtimes.values() for item in runtime.discoveries()]
        for program in own:
            program.look_again()
        if self.spec.gfd and not own:
            self.context.engine.later(DISCOVERY_SECONDS, self.label, settings)

    def label(self, settings: Settings) -> None:
        """Put on the node what GPU Feature Discovery found, and take off what it found before."""
        node = self.context.store.get("nodes", None, self.name)
        found = gfd.labels(self.gpus, settings, self.context.facts, self.mig.view())
        if node is None or not found:
            return
        kept = {name: value for name, value in self.labels().items() if name not in self._discovered}
        self._discovered = set(found)
        self.context.store.put("nodes", {**node, "metadata": {**node["metadata"], "labels": {**kept, **found}}})

    # Pods.

    def sync(self, key: str) -> None:
        """Bring the pod ``key`` on this node in line with its object."""
        if not self.reports:
            return
        pod = self.context.store.get("pods", *split_key(key))
        runtime = self.runtimes.get(key)
        if runtime is not None and (pod is None or pod["metadata"]["uid"] != runtime.uid):
            self.forget(runtime)
            runtime = None
        if pod is None or pod["spec"].get("nodeName") != self.name:
            return
        if runtime is not None:
            runtime.pod = pod
        if is_terminating(pod):
            self._end(key, pod, runtime)
        elif runtime is None and not is_finished(pod):
            self._admit(pod)
        elif runtime is not None and is_finished(pod) and runtime.started:
            self.forget(runtime, keep=True)

    def _admit(self, pod: Object) -> None:
        runtime = PodRuntime(self, pod)
        self.runtimes[runtime.key] = runtime
        if self.admits(runtime):
            if self.files is not None:
                self.files.add_pod(runtime.uid)
            runtime.set_up()

    def admits(self, runtime: PodRuntime) -> bool:
        """Devices first, as in the real kubelet, then the room on the node."""
        try:
            self.devices.allocate(runtime.pod, self._active_uids())
        except AllocationError as error:
            runtime.reject("UnexpectedAdmissionError", f"Allocate failed due to {error}, which is unexpected")
            return False
        finally:
            self._write_checkpoint()
        node = self.context.store.get("nodes", None, self.name)
        allocatable = ((node or {}).get("status") or {}).get("allocatable") or {}
        known = {name: value for name, value in allocatable.items() if name not in self.devices.endpoints}
        others = [item for item in self.runtimes.values() if item is not runtime and not item.rejected]
        refusal = out_of(runtime.requests, (item.requests for item in others if not is_finished(item.pod)), known)
        if refusal is not None:
            runtime.reject(*refusal)
        return refusal is None

    def _active_uids(self) -> set[str]:
        return {item.uid for item in self.runtimes.values() if not item.rejected}

    def _end(self, key: str, pod: Object, runtime: PodRuntime | None) -> None:
        if runtime is None or runtime.rejected or is_finished(pod):
            self.runtimes.pop(key, None)
            self._delete_object(pod)
            if self.files is not None:
                self.files.remove_pod(pod["metadata"]["uid"])
            return
        runtime.begin_stop(float(pod["metadata"].get("deletionGracePeriodSeconds") or 0))

    def pod_stopped(self, runtime: PodRuntime) -> None:
        """The containers of a pod that is being deleted have ended: the object goes, unless a finalizer holds it.

        A kubelet that nobody hears confirms nothing: the object stays until it is back.
        """
        if not self.reports:
            self.processes.end(runtime.uid)
            return
        self.forget(runtime)
        pod = self.context.store.get("pods", *split_key(runtime.key))
        if pod is not None and pod["metadata"]["uid"] == runtime.uid:
            if pod["metadata"].get("finalizers"):
                runtime.report_end()
            self._delete_object(pod)

    def _delete_object(self, pod: Object) -> None:
        self.context.registry.delete(
            "pods", pod["metadata"]["namespace"], pod["metadata"]["name"], grace_period_seconds=0
        )

    def forget(self, runtime: PodRuntime, *, keep: bool = False) -> None:
        runtime.end()
        self.processes.end(runtime.uid)
        self.devices.forget(runtime.uid)
        if not keep:
            self.runtimes.pop(runtime.key, None)
            if self.files is not None:
                self.files.remove_pod(runtime.uid)
        self._write_checkpoint()

    def pod_address(self, runtime: PodRuntime) -> str:
        if runtime.pod["spec"].get("hostNetwork"):
            return self.address
        number = self._addresses.setdefault(runtime.uid, len(self._addresses) % 250 + 2)
        return f"{self.spec.pod_network}.{number}"

    def mount_problem(self, volume: Object) -> str | None:
        """Why the host cannot give the volume; a node without files has nothing to look at."""
        return self.files.mount_problem(volume) if self.files is not None else None

    def start_problem(self, container: Container) -> str | None:
        """Why the container runtime would not start the container."""
        if not self.spec.cards:
            return None
        return hook_problem(container.spec, container.environment(), self.use.missing(container))

    def keep_log(self, container: Container) -> None:
        """The kubelet opens the log file of a container that starts."""
        if self.files is not None:
            pod = container.pod
            name = f"{pod.namespace}_{pod.name}"
            self.files.add_container(LoggedContainer(name, pod.uid, container.name, container.id, container.restarts))

    # What happens to a node.

    def config_map_changed(self, namespace: str, name: str) -> None:
        lag = 0.0
        if self.context.facts.config_map_lags:
            spread = MAX_CONFIG_MAP_LAG_SECONDS - MIN_CONFIG_MAP_LAG_SECONDS
            lag = MIN_CONFIG_MAP_LAG_SECONDS + crc32(f"{self.name}/{name}".encode()) % 1000 / 1000 * spread
        for runtime in list(self.runtimes.values()):
            if runtime.namespace == namespace and name in runtime.volumes.config_maps():
                self.context.engine.later(lag, runtime.volumes.refresh, name)

    def labels_changed(self) -> None:
        for runtime in list(self.runtimes.values()):
            runtime.labels_changed()

    def restart_kubelet(self) -> None:
        """Containers keep running; plugins notice the new socket and register again."""
        self.forget_plugins()
        self.status_changed()
        for runtime in list(self.runtimes.values()):
            for plugin in runtime.plugins():
                self.context.engine.later(0.5, plugin.kubelet_restarted)

    def reboot(self) -> None:
        """Power off, and on again a little later."""
        PowerCycle(self).begin()

    def crash_plugins(self, code: int = 2) -> int:
        """All plugin programs on the node die; the number that did."""
        count = 0
        for runtime in list(self.runtimes.values()):
            for plugin in runtime.plugins():
                if plugin.running:
                    plugin.die(code)
                    count += 1
        return count

    def report_xid(self, gpu: Gpu, xid: int) -> None:
        """The driver writes it to the kernel's log, and tells clients that wait for events."""
        gpu.xid, gpu.xid_count = xid, gpu.xid_count + 1
        if self.files is not None:
            self.files.log_of_kernel(
                f"NVRM: Xid (PCI:{gpu.kernel_address}): {xid}, pid='<unknown>', name=<unknown>, simulated"
            )

    def gpus_changed(self) -> None:
        """NVML's state was changed from outside (a fault): files and plugins follow."""
        if self.files is not None:
            self.files.write_gpus(self.gpus)
        for endpoint in self.devices.endpoints.values():
            if endpoint.serving:
                sick = {gpu.uuid for gpu in self.gpus.gpus if gpu.sick}
                devices = endpoint.devices.items()
                endpoint.devices = {name: replace(item, healthy=item.card not in sick) for name, item in devices}
        self.status_changed()

    def _write_checkpoint(self) -> None:
        if self.files is None:
            return
        text = checkpoint.render(self.devices)
        if text != self._known_checkpoint:
            self.files.write_checkpoint(text)
            self._known_checkpoint = text


def registered_node(spec: NodeSpec, facts: Facts, now: str) -> Object:
    """The object of a node that its kubelet has just registered."""
    mig = NodeMig(node_gpus(spec, facts), spec.mig, None)
    return node_object(spec, now, _first_labels(spec, facts, mig))


def _first_labels(spec: NodeSpec, facts: Facts, mig: NodeMig) -> dict[str, str]:
    """What GPU Feature Discovery says before any plugin's settings are known."""
    return gfd.labels(mig.gpus, Settings(), facts, mig.view()) if spec.gfd else {}


def node_gpus(spec: NodeSpec, facts: Facts) -> NodeGpus:
    """The GPUs of a node as they are before anything runs on them."""
    gpus = NodeGpus.of(spec.name, spec.cards, spec.driver_version)
    if not facts.total_includes_reserved:
        for gpu in gpus.gpus:
            gpu.card = replace(gpu.card, memory_reserved_mib=0)
    gpus.reset = spec.gpu_reset
    if spec.nvml_fault:
        gpus.fault = NvmlError[spec.nvml_fault]
    return gpus
