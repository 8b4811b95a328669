# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A directory that looks like a GPU node: the simulated library, procfs, the kubelet's directory and its logs."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from simulator.nvml.state import Gpu, NodeGpus, Process, install


def uid_of(number: int) -> str:
    """The UID of a pod."""
    return f"8c6f1d2e-3b4a-4f5e-9d6c-{number:012x}"


def container_of(number: int) -> str:
    """The id of its container."""
    return f"{number:064x}"


@dataclass
class UsageNode:
    """Its GPUs, and who runs on them."""

    directory: Path
    gpus: NodeGpus
    entries: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def make(cls, directory: Path, *cards: str) -> UsageNode:
        install(directory)
        for name in ("proc", "kubelet/device-plugins", "log/pods", "log/containers"):
            (directory / name).mkdir(parents=True)
        node = cls(directory, NodeGpus.of(directory.name, cards))
        node.gpus.write(directory)
        return node

    @property
    def library(self) -> Path:
        return self.directory / "libnvidia-ml.so.1"

    def options(self) -> dict[str, Any]:
        """Options of modules that read this node."""
        return {
            "nvml_library": str(self.library),
            "proc_root": str(self.directory / "proc"),
            "kubelet_root": str(self.directory / "kubelet"),
            "log_root": str(self.directory / "log"),
        }

    def write(self) -> None:
        """Show what was changed in ``gpus``."""
        self.gpus.write(self.directory)

    def run(self, pid: int, used: dict[int, int | None], pod: int | None = None, **more: Any) -> None:
        """A process.

        :param used: MiB by index of the GPU, None if NVML shall not tell.
        :param pod: number of the pod it is in, None for the host's.
        :param more: ``start`` in ticks, ``command``, and what a Process of the simulated library has besides.
        """
        start, command = more.pop("start", pid * 10), more.pop("command", "python3")
        for index, mib in used.items():
            self.gpus.gpus[index].processes.append(Process(pid, mib, **more))
        self.write()
        self.begin(pid, start, command, pod)

    def begin(self, pid: int, start: int, command: str = "python3", pod: int | None = None) -> None:
        """A process in procfs."""
        proc = self.directory / "proc" / str(pid)
        proc.mkdir(exist_ok=True)
        fields = f"{pid} ({command}) S 1 1 1 0 -1 4194560 1 0 0 0 1 1 0 0 20 0 1 0 {start} 1 1 184"
        (proc / "stat").write_text(f"{fields}\n", encoding="utf-8")
        (proc / "comm").write_text(f"{command}\n", encoding="utf-8")
        cgroup = "/system.slice/persist.service"
        if pod is not None:
            name = f"kubepods-burstable-pod{uid_of(pod).replace('-', '_')}.slice"
            scope = f"cri-containerd-{container_of(pod)}.scope"
            cgroup = f"/kubepods.slice/kubepods-burstable.slice/{name}/{scope}"
        (proc / "cgroup").write_text(f"0::{cgroup}\n", encoding="utf-8")

    def end(self, pid: int) -> None:
        """The process is gone, from NVML too."""
        for gpu in self.gpus.gpus:
            gpu.processes[:] = [process for process in gpu.processes if process.pid != pid]
        self.write()
        self.vanish(pid)

    def vanish(self, pid: int) -> None:
        """The process is gone from procfs."""
        proc = self.directory / "proc" / str(pid)
        for path in proc.iterdir():
            path.unlink()
        proc.rmdir()

    def name_pod(self, pod: int, namespace: str, name: str, container: str, devices: list[str]) -> None:
        """What the kubelet keeps of a pod: its logs, and the devices that it was given."""
        logs = self.directory / "log" / "pods" / f"{namespace}_{name}_{uid_of(pod)}" / container
        logs.mkdir(parents=True)
        link = self.directory / "log" / "containers" / f"{name}_{namespace}_{container}-{container_of(pod)}.log"
        link.symlink_to(logs / "0.log")
        resource = {"PodUID": uid_of(pod), "ContainerName": container, "ResourceName": "nvidia.com/gpu"}
        self.entries.append({**resource, "DeviceIDs": {"-1": devices}})
        checkpoint = self.directory / "kubelet/device-plugins/kubelet_internal_checkpoint"
        document = {"Data": {"PodDeviceEntries": self.entries}, "Checksum": 1}
        checkpoint.write_text(json.dumps(document), encoding="utf-8")

    def gpu(self, index: int = 0) -> Gpu:
        return self.gpus.gpus[index]
