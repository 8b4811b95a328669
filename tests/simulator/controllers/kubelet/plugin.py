"""NVIDIA's device plugin and its config-manager, as containers of a node."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from simulator.controllers.kubelet.configured import ConfiguredProgram, FeatureDiscovery, init_problem
from simulator.controllers.kubelet.containers import Container
from simulator.controllers.kubelet.devices import SEPARATOR, AllocationError, Device, Endpoint
from simulator.controllers.kubelet.enumeration import Enumeration, Unit
from simulator.controllers.kubelet.plugin_config import PluginError, Settings
from simulator.nvml.state import NodeGpus

if TYPE_CHECKING:
    from simulator.controllers.kubelet.pods import PodRuntime

Object = dict[str, Any]
IMAGE = "k8s-device-plugin"
#: From the start of the program to its registration.
REGISTRATION_SECONDS = 0.05
CONFIG_LABEL = "nvidia.com/device-plugin.config"


def is_plugin_image(image: str) -> bool:
    """By the last part of the path, whatever the registry."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0] == IMAGE


def make_container(pod: PodRuntime, spec: Object) -> Container:
    """The kind of container that an image and its command stand for."""
    if not is_plugin_image(spec.get("image", "")):
        return Container(pod, spec)
    kinds = {
        "config-manager": ConfigManager,
        "nvidia-device-plugin": DevicePlugin,
        "gpu-feature-discovery": FeatureDiscovery,
    }
    return kinds.get(_program(spec), Container)(pod, spec)


def _program(spec: Object) -> str:
    words = [*(spec.get("command") or []), *(spec.get("args") or [])]
    first: str = words[0].rpartition("/")[2] if words and not words[0].startswith("-") else "nvidia-device-plugin"
    return first


class DevicePlugin(ConfiguredProgram):
    """Serves a node's GPUs to its kubelet through socket files named after the resources."""

    def __init__(self, pod: PodRuntime, spec: Object) -> None:
        super().__init__(pod, spec)
        self.serving: list[str] = []
        self.settings: Settings | None = None

    def on_start(self) -> None:
        self.pod.engine.later(REGISTRATION_SECONDS, self._run, self.id)

    def on_stop(self) -> None:
        """Removes its sockets by their *paths*, even if another plugin listens there by now."""
        self.log('Received signal "terminated", shutting down.')
        self._close()

    def hang_up(self) -> None:
        """SIGHUP: read everything again."""
        if self.running:
            self.log("Received SIGHUP, restarting.")
            self._reload()

    def kubelet_restarted(self) -> None:
        """The kubelet's socket was re-created: everything is read and registered again."""
        if not self.running:
            return
        self.log("inotify: /var/lib/kubelet/device-plugins/kubelet.sock created, restarting.")
        self.serving = []
        self.pod.node.processes.release(self.id)
        if self.pod.facts.reread_on_kubelet_restart or self.settings is None:
            self._run(self.id)
        else:
            self._serve(self.settings)

    def die(self, code: int) -> None:
        """The program is gone without any clean-up; its connections break."""
        for socket in self.serving:
            self.pod.node.connection_lost(socket, self)
        self.serving = []
        self.crash(code)

    def power_off(self) -> None:
        self.serving = []
        super().power_off()

    def _reload(self) -> None:
        self._close()
        self._run(self.id)

    def _close(self) -> None:
        for socket in self.serving:
            self.log(
                f"Stopping to serve '{socket.removeprefix('nvidia-').removesuffix('.sock')}' on /var/lib/kubelet/device-plugins/{socket}"
            )
            self.pod.node.remove_socket(socket, self)
        self.serving = []
        self.pod.node.processes.release(self.id)

    def _run(self, instance: str) -> None:
        if not self.running or self.id != instance:
            return
        try:
            self.settings = self._load_settings()
            self._start_plugins(self.settings)
        except PluginError as error:
            self.log(f"E main.go:132] {error}")
            self.crash(1)

    def _load_settings(self) -> Settings:
        self.log("I main.go:154] Starting FS watcher.")
        self.log("I main.go:161] Starting OS watcher.")
        self.log("I main.go:176] Starting Plugins.")
        self.log("I main.go:234] Loading configuration.")
        settings = self.read_settings()
        running: Object = {
            "version": "v1",
            "flags": settings.flags,
            "sharing": {"mechanism": settings.mechanism, "replicas": settings.replicas},
        }
        self.log("I main.go:242] Updating config with default resource matching patterns.")
        self.log(f"I main.go:245] Running with config: {json.dumps(running)}")
        return settings

    def _start_plugins(self, settings: Settings) -> None:
        self.pod.node.discover(settings)
        problem = init_problem(self.pod.node.gpus)
        if problem:
            self.log(f"W factory.go:58] {problem}")
            self.log("E factory.go:113] If this is a GPU node, did you configure the NVIDIA Container Toolkit?")
            if settings.fail_on_init_error or not self.pod.facts.fail_on_init_error_hides:
                raise PluginError(
                    f"error starting plugins: error creating plugin manager: unable to create plugin manager: {problem}"
                )
            self.log("I main.go:287] No devices found. Waiting indefinitely.")
            return
        if settings.mechanism == "mps":
            self.log(
                "E main.go:301] Failed to start plugin: error waiting for MPS daemon: error checking MPS daemon health: failed to send command to MPS daemon"
            )
            return
        self._serve(settings)

    def _serve(self, settings: Settings) -> None:
        """Find the devices as they are now, and serve each resource on a socket of its own."""
        node = self.pod.node
        strategy, view = settings.mig_strategy, node.mig.view()
        found = Enumeration(node.gpus, view, strategy, self.may_monitor_mig, self.version).units()
        if not found:
            self.log("I main.go:287] No devices found. Waiting indefinitely.")
            return
        self.open_nvml()
        for resource, units in sorted(found.items()):
            self._serve_resource(settings, resource, units)

    def _serve_resource(self, settings: Settings, resource: str, units: list[Unit]) -> None:
        replicas = settings.replicas.get(resource, 0)
        if replicas and settings.rename:
            resource = f"{resource}.shared"
        socket = f"nvidia-{resource.partition('/')[2]}.sock"
        devices = advertised(self.pod.node.gpus, units, replicas, keep_ids=not self.pod.facts.ids_change_with_sharing)
        self.log(f"I server.go:195] Starting GRPC server for '{resource}'")
        self.log(f"I server.go:139] Starting to serve '{resource}' on /var/lib/kubelet/device-plugins/{socket}")
        limited = settings.fail_requests_greater_than_one and self.pod.facts.shared_requests_limited

        def allocate(ids: list[str]) -> None:
            if limited and replicas and len(ids) > 1:
                text = f"request for '{resource}: {len(ids)}' too large: maximum request size for shared resources is 1"
                raise AllocationError(f"rpc error: code = Unknown desc = {text}")

        self.serving.append(socket)
        self.pod.node.serve_socket(socket, self, Endpoint(resource, socket, devices, allocate))
        self.log(f"I server.go:146] Registered device plugin for '{resource}' with Kubelet")


def advertised(gpus: NodeGpus, units: list[Unit], replicas: int, *, keep_ids: bool = False) -> dict[str, Device]:
    """Devices by id: a unit's UUID, or that many shares of it. With ``keep_ids`` the first share bears the UUID alone.

    Nothing tells the plugin later that a MIG device is gone: it watches the GPU for critical Xids, and no more.
    """
    devices: dict[str, Device] = {}
    count = len(gpus.gpus)
    for share in range(max(1, replicas)):
        for unit in units:
            gpu = unit.gpu
            numa = -1 if count < 2 else int(gpu.index >= (count + 1) // 2)
            bare = not replicas or (keep_ids and share == 0)
            name = unit.uuid if bare else f"{unit.uuid}{SEPARATOR}{share}"
            devices[name] = Device(name, gpu.uuid, numa, healthy=not gpu.sick, unit=unit.uuid)
    return devices


class ConfigManager(Container):
    """The sidecar that picks the plugin's config by a node label. It watches the label, never the content."""

    def __init__(self, pod: PodRuntime, spec: Object) -> None:
        super().__init__(pod, spec)
        self._env = self.environment()
        self._selected: str | None = None

    @property
    def one_shot(self) -> bool:
        return self._env.get("ONESHOT", "").lower() in ("true", "1")

    def on_start(self) -> None:
        self._selected = None
        if not self.one_shot:
            self.log(f"I main.go:255] Waiting for change to '{self._label}' label")
            self.node_changed()

    def run_once(self) -> str | None:
        """As an init container: the problem, or None."""
        self.log(f"Initialising config from label '{self._label}'")
        return self._update()

    def node_changed(self) -> None:
        """The node's labels may have changed."""
        value = self.pod.node.labels().get(self._label, "")
        if not self.running or value == self._selected:
            return
        self.log(f"I main.go:275] Label change detected: {self._label}={value}")
        before = self.pod.config_link
        problem = self._update()
        if problem:
            self.log(f"E main.go:188] Error: {problem}")
            if self.pod.facts.config_manager_exits:
                self.crash(1)
            return
        self._selected = value
        if self.pod.config_link != before:
            self.log(
                f"I main.go:287] Sending signal 'hangup' to '{self._env.get('PROCESS_TO_SIGNAL', 'nvidia-device-plugin')}'"
            )
            self.pod.signal_plugins()

    @property
    def _label(self) -> str:
        return self._env.get("NODE_LABEL") or CONFIG_LABEL

    def _update(self) -> str | None:
        directory = self._env.get("CONFIG_FILE_SRCDIR") or "/available-configs"
        target = self._env.get("CONFIG_FILE_DST") or "/config/config.yaml"
        names = self.pod.volumes.names(self.spec, directory)
        wanted = (
            self.pod.node.labels().get(self._label, "") or self._env.get("DEFAULT_CONFIG", "") or self._fallback(names)
        )
        if wanted and wanted not in names:
            return f"error updating config: specified config {wanted} does not exist"
        if self.pod.config_link == wanted:
            self.log("I main.go:343] Already configured. Skipping update...")
            return None
        text = self.pod.volumes.read(self.spec, f"{directory}/{wanted}") if wanted else "version: v1\n"
        self.log(f"I main.go:351] Updating to config: {wanted}")
        self.pod.volumes.write(self.spec, target, text)
        self.pod.config_link = wanted
        self.log(f"I main.go:359] Successfully updated to config: {wanted}")
        return None

    def _fallback(self, names: list[str]) -> str:
        for strategy in self._env.get("FALLBACK_STRATEGIES", "").split(","):
            if strategy == "named" and "default" in names:
                return "default"
            if strategy == "single" and len(names) == 1:
                return names[0]
        return ""
