"""A node's directory: NVML's library and state, the processes under proc, the kubelet's files, the host's tmpfs."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from simulator.controllers.kubelet import host_paths
from simulator.controllers.kubelet.cgroups import cgroup_file, cgroup_path, unit_path
from simulator.controllers.kubelet.spec import NodeSpec
from simulator.nvml.state import NodeGpus, install

Object = dict[str, Any]
CHECKPOINT = Path("kubelet/device-plugins/kubelet_internal_checkpoint")
PODS = Path("kubelet/pods")
STANDARD_STREAMS = ("/dev/null",) * 3


@dataclass(frozen=True)
class NodeProcess:
    """A process as the host sees it: of a container, or of the systemd service ``unit``. ``devices`` it has open."""

    pid: int
    command: tuple[str, ...]
    pod_uid: str = ""
    container_id: str = ""
    qos: str = ""
    devices: tuple[str, ...] = ()
    unit: str = ""


class NodeFiles:
    """Written as things happen; a change is in place when the write returns."""

    def __init__(self, directory: Path, spec: NodeSpec) -> None:
        self.directory = directory
        self._spec = spec

    def set_up(self) -> None:
        install(self.directory)
        (self.directory / "proc").mkdir(parents=True, exist_ok=True)
        (self.directory / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
        (self.directory / PODS).mkdir(parents=True, exist_ok=True)
        (self.root / "run").mkdir(parents=True, exist_ok=True)

    @property
    def root(self) -> Path:
        """The host's root directory, as far as anybody here writes to it."""
        return self.directory / "root"

    def lose_tmpfs(self) -> None:
        """The machine went down: what lay in memory is gone."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        (self.root / "run").mkdir(parents=True)

    def mount_problem(self, volume: Object) -> str | None:
        """Why the host cannot give the hostPath volume, in the kubelet's words."""
        return host_paths.problem(self.root, volume)

    def add_pod(self, uid: str) -> None:
        """The kubelet's directory of a pod that it runs."""
        (self.directory / PODS / uid).mkdir(parents=True, exist_ok=True)

    def remove_pod(self, uid: str) -> None:
        shutil.rmtree(self.directory / PODS / uid, ignore_errors=True)

    def write_gpus(self, gpus: NodeGpus) -> None:
        gpus.write(self.directory)

    def write_checkpoint(self, text: str) -> None:
        target = self.directory / CHECKPOINT
        temporary = target.with_name(f".{target.name}")
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, target)

    def add_process(self, process: NodeProcess) -> None:
        directory = self.directory / "proc" / str(process.pid)
        directory.mkdir(parents=True, exist_ok=True)
        name = Path(process.command[0]).name[:15]
        cgroup = cgroup_file(self._cgroup(process), self._spec.cgroup_version)
        (directory / "cgroup").write_text(cgroup, encoding="utf-8")
        (directory / "comm").write_text(f"{name}\n", encoding="utf-8")
        (directory / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in process.command))
        (directory / "fd").mkdir(exist_ok=True)
        for number, device in enumerate((*STANDARD_STREAMS, *process.devices)):
            link = directory / "fd" / str(number)
            link.unlink(missing_ok=True)
            link.symlink_to(device)

    def _cgroup(self, process: NodeProcess) -> str:
        if process.unit:
            return unit_path(process.unit)
        runtime = {"containerd": "cri-containerd", "cri-o": "crio", "docker": "docker"}[self._spec.container_runtime]
        return cgroup_path(process.pod_uid, process.container_id, process.qos, self._spec.cgroup_driver, runtime)

    def remove_process(self, pid: int) -> None:
        shutil.rmtree(self.directory / "proc" / str(pid), ignore_errors=True)

    def clear_processes(self) -> None:
        shutil.rmtree(self.directory / "proc", ignore_errors=True)
        (self.directory / "proc").mkdir(parents=True, exist_ok=True)
