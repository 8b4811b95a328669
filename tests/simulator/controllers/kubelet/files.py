"""A node's directory: NVML's library and state, the processes under proc, the kubelet's checkpoint."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from simulator.controllers.kubelet.cgroups import cgroup_file, cgroup_path
from simulator.controllers.kubelet.spec import NodeSpec
from simulator.nvml.state import NodeGpus, install

CHECKPOINT = Path("kubelet/device-plugins/kubelet_internal_checkpoint")


@dataclass(frozen=True)
class NodeProcess:
    """A process of a container, as the host sees it."""

    pid: int
    command: tuple[str, ...]
    pod_uid: str
    container_id: str
    qos: str


class NodeFiles:
    """Written as things happen; a change is in place when the write returns."""

    def __init__(self, directory: Path, spec: NodeSpec) -> None:
        self.directory = directory
        self._spec = spec

    def set_up(self) -> None:
        install(self.directory)
        (self.directory / "proc").mkdir(parents=True, exist_ok=True)
        (self.directory / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)

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
        runtime = {"containerd": "cri-containerd", "cri-o": "crio", "docker": "docker"}[self._spec.container_runtime]
        path = cgroup_path(process.pod_uid, process.container_id, process.qos, self._spec.cgroup_driver, runtime)
        name = Path(process.command[0]).name[:15]
        (directory / "cgroup").write_text(cgroup_file(path, self._spec.cgroup_version), encoding="utf-8")
        (directory / "comm").write_text(f"{name}\n", encoding="utf-8")
        (directory / "cmdline").write_bytes(b"".join(word.encode() + b"\0" for word in process.command))

    def remove_process(self, pid: int) -> None:
        shutil.rmtree(self.directory / "proc" / str(pid), ignore_errors=True)

    def clear_processes(self) -> None:
        shutil.rmtree(self.directory / "proc", ignore_errors=True)
        (self.directory / "proc").mkdir(parents=True, exist_ok=True)
