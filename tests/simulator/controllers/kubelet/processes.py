"""The processes that GPU pods run, as NVML and /proc show them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulator.controllers.engine import Engine
from simulator.controllers.facts import ALL, Facts
from simulator.controllers.kubelet.containers import Container
from simulator.controllers.kubelet.devices import Allocation, Device
from simulator.controllers.kubelet.files import NodeFiles, NodeProcess
from simulator.controllers.kubelet.memory_course import Course, course_of
from simulator.controllers.kubelet.mig import MigDevice, MigView
from simulator.controllers.meta import annotation
from simulator.nvml.state import Gpu, NodeGpus, Process

Object = dict[str, Any]
FIRST_PID = 21_000
#: Of programs that keep NVML open without a context on a GPU.
FIRST_HOLDER_PID = 11_000
PID_STEP = 37
DEFAULT_COMMAND = ("python3", "-m", "serve")
#: Of the kernel: hundredths of a second since the machine's start, in /proc/PID/stat.
TICKS_A_SECOND = 100
#: Of the time, in which a card computes that has a process on it.
BUSY_PERCENT = 35
NO_GPU = "RuntimeError: No CUDA GPUs are available"


@dataclass(frozen=True)
class _Place:
    """A card or a MIG device of one that a container was given; ``usable``: a program finds it."""

    gpu: Gpu
    mig: MigDevice | None
    usable: bool

    @property
    def paths(self) -> tuple[str, ...]:
        return (f"/dev/nvidia{self.gpu.index}", *(self.mig.cap_paths if self.mig else ()))

    def process(self, pid: int, used_mib: int) -> Process:
        if self.mig is None:
            return Process(pid, used_mib)
        return Process(pid, used_mib, gpu_instance=self.mig.gpu_instance, compute_instance=self.mig.compute_instance)


@dataclass(frozen=True)
class _Load:
    """What a process of a container takes of a card or MIG device over time, since the simulated second ``begun``."""

    container: Container
    pid: int
    place: _Place
    course: Course
    begun: float


@dataclass
class ProcessTable:
    """Who runs on which card of one node, and who has NVML open.

    Memory changes over time in a cluster that is live, see ``follow``: nobody looks at it in a history that is replayed.
    """

    gpus: NodeGpus
    files: NodeFiles | None
    engine: Engine
    facts: Facts = ALL
    #: Pids of those who have NVML open, by container id or service.
    holders: dict[str, int] = field(default_factory=dict)
    _next_pid: int = FIRST_PID
    _next_holder: int = FIRST_HOLDER_PID
    _of_pod: dict[str, list[int]] = field(default_factory=dict)
    _loads: list[_Load] = field(default_factory=list)
    _follows: bool = False

    def start(
        self, pod: Object, containers: list[Container], allocations: list[Allocation], mig: MigView
    ) -> list[tuple[Container, str]]:
        """A process in every container that holds devices, on every card or MIG device that it holds.

        Returns the containers whose program ends at once, with its last words: it found no GPU, as a MIG device was
        destroyed, or a card is cut though it was given away whole; or not enough memory is left on it.
        """
        uid, failed = pod["metadata"]["uid"], []
        self.end(uid)
        for container in containers:
            held = [device for item in allocations if item.container == container.name for device in item.devices]
            places = self._places(held, mig)
            loads = [(place, course_of(pod, place.gpu.card.product)) for place in places]
            wanted = [(place, course) for place, course in loads if course is not None]
            usable = [(place, course) for place, course in wanted if place.usable]
            full = next((place for place, course in usable if not self._has_room(place, course.at(0))), None)
            if full is not None:
                failed.append((container, _out_of_memory(full.gpu)))
            elif usable:
                self._run(pod, container, usable)
            elif wanted:
                failed.append((container, NO_GPU))
        self._write()
        return failed

    def _has_room(self, place: _Place, used_mib: int, pid: int = 0) -> bool:
        """Whether a process finds so much memory; of a MIG device it is not reckoned."""
        return place.mig is not None or not self.facts.memory_is_finite or used_mib <= free_mib(place.gpu, but=pid)

    def _places(self, held: list[Device], mig: MigView) -> list[_Place]:
        """Cards by index, each once, and MIG devices."""
        found = []
        for gpu in self.gpus.gpus:
            for name in sorted({device.shared for device in held if device.card == gpu.uuid}):
                device = mig.find(name)
                cut = mig.is_enabled(gpu)
                found.append(_Place(gpu, device, usable=device is not None or (name == gpu.uuid and not cut)))
        return found

    def end(self, uid: str) -> None:
        self._end_pids(set(self._of_pod.pop(uid, ())))

    def end_container(self, uid: str, container: str) -> None:
        """The program in one container of a pod ended, and its processes with it."""
        pids = {load.pid for load in self._loads if load.container.name == container and load.container.pod.uid == uid}
        self._of_pod[uid] = [pid for pid in self._of_pod.get(uid, ()) if pid not in pids]
        self._end_pids(pids)

    def _end_pids(self, pids: set[int]) -> None:
        if not pids:
            return
        for gpu in self.gpus.gpus:
            gpu.processes = [item for item in gpu.processes if item.pid not in pids]
        self._loads = [item for item in self._loads if item.pid not in pids]
        for pid in pids:
            if self.files is not None:
                self.files.remove_process(pid)
        self._write()

    def hold(self, pod: Object, container: Container) -> None:
        """A container's program opens NVML."""
        qos = (pod.get("status") or {}).get("qosClass", "BestEffort")
        self._hold(
            container.id, _command(container), pod_uid=pod["metadata"]["uid"], container_id=container.id, qos=qos
        )

    def start_services(self, units: tuple[str, ...]) -> None:
        """Services of the host open NVML, such as nvidia-dcgm.service."""
        for unit in units:
            self._hold(unit, (f"/usr/bin/{unit.removesuffix('.service')}",), unit=unit)

    def release(self, holder: str) -> None:
        """A program ended or closed NVML."""
        pid = self.holders.pop(holder, None)
        if pid is None:
            return
        if self.files is not None:
            self.files.remove_process(pid)
        self._write()

    def _hold(self, holder: str, command: tuple[str, ...], **owner: str) -> None:
        if holder in self.holders or not self.gpus.gpus:
            return
        pid = self.holders[holder] = self._next_holder
        self._next_holder += PID_STEP
        if self.files is not None:
            devices = ("/dev/nvidiactl", *(f"/dev/nvidia{gpu.index}" for gpu in self.gpus.gpus))
            self.files.add_process(NodeProcess(pid, command, devices=devices, started=self._ticks(), **owner))
        self._write()

    def clear(self) -> None:
        """The machine went down."""
        self._of_pod.clear()
        self._loads.clear()
        self.holders.clear()
        for gpu in self.gpus.gpus:
            gpu.processes = []
        if self.files is not None:
            self.files.clear_processes()
        self._write()

    def follow(self) -> None:
        """From now on the memory of processes changes as time passes."""
        self._follows = True
        for load in list(self._loads):
            if not load.course.constant:
                self._change(load)

    def _run(self, pod: Object, container: Container, loads: list[tuple[_Place, Course]]) -> None:
        """As many processes as the annotation ``gpu-processes`` says, one unless it says so; each takes the memory."""
        for _unused in range(int(annotation(pod, "gpu-processes") or 1)):
            self._run_one(pod, container, loads)

    def _run_one(self, pod: Object, container: Container, loads: list[tuple[_Place, Course]]) -> None:
        pid = self._next_pid
        self._next_pid += PID_STEP
        uid = pod["metadata"]["uid"]
        self._of_pod.setdefault(uid, []).append(pid)
        devices = ["/dev/nvidiactl", "/dev/nvidia-uvm"]
        for place, course in loads:
            load = _Load(container, pid, place, course, self.engine.time)
            self._show(load)
            self._loads.append(load)
            if not course.constant:
                self._plan_change(load)
            devices += [path for path in place.paths if path not in devices]
        words = [*(container.spec.get("command") or []), *(container.spec.get("args") or [])]
        command = tuple(words) or DEFAULT_COMMAND
        qos = (pod.get("status") or {}).get("qosClass", "BestEffort")
        if self.files is not None:
            process = NodeProcess(pid, command, uid, container.id, qos, tuple(devices), started=self._ticks())
            self.files.add_process(process)

    def _show(self, load: _Load) -> None:
        """The process with the memory of this moment among those of its GPU, or none of it."""
        used = load.course.at(self.engine.time - load.begun)
        shown = load.place.process(load.pid, used)
        others = [
            item
            for item in load.place.gpu.processes
            if (item.pid, item.gpu_instance, item.compute_instance)
            != (shown.pid, shown.gpu_instance, shown.compute_instance)
        ]
        load.place.gpu.processes = [*others, shown] if used else others

    def _change(self, load: _Load) -> None:
        if load not in self._loads:
            return
        if not self._has_room(load.place, load.course.at(self.engine.time - load.begun), load.pid):
            load.container.log(_out_of_memory(load.place.gpu))
            load.container.crash(1)
            return
        self._show(load)
        self._write()
        self._plan_change(load)

    def _plan_change(self, load: _Load) -> None:
        wait = load.course.until_next(self.engine.time - load.begun) if self._follows else None
        if wait is not None:
            self.engine.later(wait, self._change, load, settles=False)

    def _ticks(self) -> int:
        return int(self.engine.time * TICKS_A_SECOND)

    def _write(self) -> None:
        self.gpus.holders = sorted(self.holders.values())
        for gpu in self.gpus.gpus:
            gpu.utilization_percent = BUSY_PERCENT if gpu.processes else 0
        if self.files is not None:
            self.files.write_gpus(self.gpus)


def free_mib(gpu: Gpu, but: int = 0) -> int:
    """What a process may still take of a card, ``but`` one whose own memory does not count."""
    taken = sum(item.used_mib or 0 for item in gpu.processes if item.pid != but)
    return gpu.card.memory_total_mib - gpu.card.memory_reserved_mib - gpu.other_used_mib - taken


def _out_of_memory(gpu: Gpu) -> str:
    total, free = gpu.card.memory_total_mib / 1024, max(0, free_mib(gpu)) / 1024
    return f"RuntimeError: CUDA out of memory. GPU {gpu.index} has {total:.2f} GiB, of which {free:.2f} GiB are free."


def _command(container: Container) -> tuple[str, ...]:
    """What runs in the container: an image's own program bears the image's name here."""
    words = [*(container.spec.get("command") or []), *(container.spec.get("args") or [])]
    if words and not words[0].startswith("-"):
        return tuple(words)
    image = container.spec.get("image", "").partition("@")[0].rpartition("/")[2].partition(":")[0]
    program = "nvidia-device-plugin" if image == "k8s-device-plugin" else image
    return (program or container.name, *words)
