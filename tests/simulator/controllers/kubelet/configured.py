"""NVIDIA's programs that take their settings from command line, environment and file."""

from __future__ import annotations

from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from simulator.controllers.kubelet.containers import Container
from simulator.controllers.kubelet.hooks import may_monitor_mig
from simulator.controllers.kubelet.plugin_config import (
    DISCOVERY_FLAGS,
    FLAGS,
    Flag,
    PluginError,
    Settings,
    parse_version,
    read_settings,
)
from simulator.nvml.state import NodeGpus

if TYPE_CHECKING:
    from simulator.controllers.kubelet.pods import PodRuntime

Object = dict[str, Any]
#: From the start of GPU Feature Discovery to its labels.
DISCOVERY_SECONDS = 5.0


class ConfiguredProgram(Container):
    """One of the programs in the device plugin's image."""

    flags: tuple[Flag, ...] = FLAGS

    def __init__(self, pod: PodRuntime, spec: Object) -> None:
        super().__init__(pod, spec)
        self.version = parse_version(spec.get("image", ""))

    @property
    def may_monitor_mig(self) -> bool:
        """Whether NVML tells it of MIG devices."""
        return may_monitor_mig(self.spec, self.environment()) or not self.pod.facts.mig_needs_sys_admin

    def read_settings(self) -> Settings:
        """Raises PluginError where the program would end."""
        words = [*(self.spec.get("command") or []), *(self.spec.get("args") or [])]
        return read_settings(
            list(dropwhile(lambda word: not word.startswith("-"), words)),
            self.environment(),
            self.version,
            self._read,
            command_line_first=self.pod.facts.command_line_first,
            flags=self.flags,
        )

    def _read(self, path: str) -> str:
        try:
            return self.pod.volumes.read(self.spec, path)
        except IsADirectoryError:
            if self.pod.facts.directory_crashes:
                raise
            return ""


class FeatureDiscovery(ConfiguredProgram):
    """GPU Feature Discovery: looks at the GPUs with settings of its own, and again whenever the plugin does."""

    flags = DISCOVERY_FLAGS

    def on_start(self) -> None:
        super().on_start()
        self.look_again()

    def look_again(self) -> None:
        self.pod.engine.later(DISCOVERY_SECONDS, self._look, self.id)

    def _look(self, instance: str) -> None:
        if not self.running or self.id != instance:
            return
        try:
            settings = self.read_settings()
            problem = init_problem(self.pod.node.gpus)
            if problem and not settings.fail_on_init_error:
                return
            self._check(problem)
        except PluginError as error:
            self.log(f"E main.go:110] {error}")
            self.crash(1)
            return
        self.open_nvml()
        self.pod.node.label(settings)

    def _check(self, problem: str) -> None:
        """Whatever the strategy, it asks every GPU for the size of its memory, which NVML tells few of where MIG is on."""
        if problem:
            raise PluginError(f"failed to create resource manager: {problem}")
        node = self.pod.node
        view = node.mig.view()
        if any(view.is_enabled(gpu) for gpu in node.gpus.gpus) and not self.may_monitor_mig:
            raise PluginError(
                "error creating NVML labeler: error creating resource labeler: failed to construct GPU labeler: "
                "failed to construct labeler: failed to get memory info for device: Insufficient Permissions"
            )


def init_problem(gpus: NodeGpus) -> str:
    """Why NVML cannot be initialized, or nothing."""
    if gpus.fault is not None:
        return f"Failed to initialize NVML: ERROR_{gpus.fault.name}"
    return "" if gpus.gpus else "Failed to initialize NVML: ERROR_LIBRARY_NOT_FOUND"
