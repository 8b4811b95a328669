"""A node's directory: NVML's library and state, the processes under proc, the kubelet's files, the host's tmpfs."""

from __future__ import annotations

import os
import shutil
import time
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
#: What is /var/log on a real node.
POD_LOGS, CONTAINER_LOGS = Path("log/pods"), Path("log/containers")
#: What is /dev/kmsg on a real node.
KERNEL_LOG = Path("kmsg")
STANDARD_STREAMS = ("/dev/null",) * 3


@dataclass(frozen=True)
class NodeProcess:
    """A process as the host sees it: of a container, or of the systemd service ``unit``. ``devices`` it has open.

    ``started``: hundredths of a second after the machine's start, by which a pid that is used again tells itself apart.
    """

    pid: int
    command: tuple[str, ...]
    pod_uid: str = ""
    container_id: str = ""
    qos: str = ""
    devices: tuple[str, ...] = ()
    unit: str = ""
    started: int = 0


@dataclass(frozen=True)
class LoggedContainer:
    """A container as its logs name it; ``pod`` is namespace_name."""

    pod: str
    pod_uid: str
    name: str
    id: str
    restarts: int


class NodeFiles:
    """Written as things happen; a change is in place when the write returns."""

    def __init__(self, directory: Path, spec: NodeSpec) -> None:
        self.directory = directory
        self._spec = spec

    def set_up(self) -> None:
        install(self.directory)
        (self.directory / "proc").mkdir(parents=True, exist_ok=True)
        (self.directory / CHECKPOINT).parent.mkdir(parents=True, exist_ok=True)
        for directory in (PODS, POD_LOGS, CONTAINER_LOGS):
            (self.directory / directory).mkdir(parents=True, exist_ok=True)
        (self.root / "run").mkdir(parents=True, exist_ok=True)
        (self.directory / KERNEL_LOG).touch()

    @property
    def root(self) -> Path:
        """The host's root directory, as far as anybody here writes to it."""
        return self.directory / "root"

    def lose_tmpfs(self) -> None:
        """The machine went down: what lay in memory is gone."""
        shutil.rmtree(self.root / "run", ignore_errors=True)
        # A program of the host may write there meanwhile.
        (self.root / "run").mkdir(parents=True, exist_ok=True)

    def mount_problem(self, volume: Object) -> str | None:
        """Why the host cannot give the hostPath volume, in the kubelet's words."""
        return host_paths.problem(self.root, volume)

    def add_pod(self, uid: str) -> None:
        """The kubelet's directory of a pod that it runs."""
        (self.directory / PODS / uid).mkdir(parents=True, exist_ok=True)

    def remove_pod(self, uid: str) -> None:
        shutil.rmtree(self.directory / PODS / uid, ignore_errors=True)
        self._remove_logs(uid)

    def write_gpus(self, gpus: NodeGpus) -> None:
        gpus.write(self.directory)

    def log_of_kernel(self, text: str) -> None:
        """The kernel prints a line, in the format of /dev/kmsg, by this machine's own clock since its boot."""
        path = self.directory / KERNEL_LOG
        number = len(path.read_text(encoding="utf-8").splitlines())
        microseconds = int(time.clock_gettime(time.CLOCK_MONOTONIC) * 1e6)
        with path.open("a", encoding="utf-8") as stream:
            stream.write(f"4,{number},{microseconds},-;{text}\n")

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
        (directory / "stat").write_text(_stat(process, name), encoding="utf-8")
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

    def add_container(self, container: LoggedContainer) -> None:
        """The kubelet's log of a container that starts, and the link by which others find it, as below /var/log."""
        pod = container.pod
        log = self.directory / POD_LOGS / f"{pod}_{container.pod_uid}" / container.name / f"{container.restarts}.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
        namespace, _unused, name = pod.partition("_")
        link = self.directory / CONTAINER_LOGS / f"{name}_{namespace}_{container.name}-{container.id}.log"
        link.unlink(missing_ok=True)
        link.symlink_to(log)

    def _remove_logs(self, uid: str) -> None:
        for pod in (self.directory / POD_LOGS).glob(f"*_{uid}"):
            shutil.rmtree(pod, ignore_errors=True)
            namespace, name, _unused = pod.name.split("_")
            for link in (self.directory / CONTAINER_LOGS).glob(f"{name}_{namespace}_*.log"):
                if not link.exists():
                    link.unlink()

    def remove_process(self, pid: int) -> None:
        shutil.rmtree(self.directory / "proc" / str(pid), ignore_errors=True)

    def clear_processes(self) -> None:
        shutil.rmtree(self.directory / "proc", ignore_errors=True)
        (self.directory / "proc").mkdir(parents=True, exist_ok=True)


def _stat(process: NodeProcess, name: str) -> str:
    """/proc/PID/stat: field 2 is the name in parentheses, field 22 the start; see proc_pid_stat(5)."""
    head = f"{process.pid} ({name}) S 1 {process.pid} {process.pid} 0 -1 4194560"
    faults_times_and_priority = "0 0 0 0 0 0 0 0 20 0 1 0"
    return f"{head} {faults_times_and_priority} {process.started} " + " ".join(["0"] * 30) + "\n"
