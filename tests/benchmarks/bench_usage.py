# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What it costs to see who uses how much GPU memory, on a simulated node with real processes. Prints tables and judges nothing.

Run it from the checkout: PYTHONPATH=tests:.venv/collections .venv/bin/python -m benchmarks.bench_usage
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from statistics import mean, median
from typing import Any, Callable, NamedTuple
from unittest.mock import patch

from tabulate import tabulate

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.sampler import Sampler
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import UsageFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_owners import UsageOwners
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_run import UsageRequest, UsageRun
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.recorder import Recorder
from simulator.nvml.state import STATE_FILE, NodeGpus, Process, install

GPUS, PROCESSES = 8, 200
ROUNDS = 30
SECONDS = 30
HOURS, INTERVAL = (0.5, 1.0, 2.0), 10.0
Work = Callable[[], Any]


class Cost(NamedTuple):
    """Of one look at the node: milliseconds by the clock, the most of them, and of the processor."""

    wall: float
    worst: float
    cpu: float


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory(prefix="kubegpu-bench-") as scratch, crowded(Path(scratch)) as node:
        print(f"one look at {GPUS} GPUs with {PROCESSES} processes, in ms\n")
        looks = {
            "gpu_usage, a sample": _sample,
            "the same calls of NVML alone": _call_nvml,
            "gpustat, a query": _query_gpustat,
            "nvitop, a snapshot": _query_nvitop,
        }
        rows = []
        for name, make in looks.items():
            cost = _apart(_time, make, node)
            rows.append([name, f"{cost.wall:.1f}", f"{cost.worst:.1f}", f"{cost.cpu:.1f}"])
        print(_table(rows, ["", "median", "worst", "CPU"]))
        share, samples, missed = _apart(_run_for_real, node)
        print(
            f"\ngpu_usage at one sample a second for {SECONDS} s, its file written meanwhile: {share:.2f} % of a core"
        )
        print(f"({samples} samples, {missed} missed)\n")
        grown = _apart(_run_for_hours, node)
        print("memory of gpu_usage's process, while every other process uses something else at each sample\n")
        print(
            _table(
                [[f"{hours:g}", f"{mib:.0f}", f"{size:.0f}"] for hours, mib, size in grown],
                ["hours", "MiB", "file in kB"],
            )
        )


def _table(rows: list[list[str]], headers: list[str]) -> str:
    return tabulate(rows, headers=headers, disable_numparse=True, colalign=("left", *["right"] * (len(headers) - 1)))


@contextmanager
def crowded(node: Path) -> Iterator[Path]:
    """A node of which every GPU is used by real processes that do nothing, each of a program of its own."""
    running = []
    for number in range(PROCESSES):
        program = node / f"program-{number}"
        program.symlink_to(str(shutil.which("sleep")))
        running.append(subprocess.Popen([str(program), "3600"]))
    try:
        install(node)
        write_use(node, [process.pid for process in running])
        # where the loader of those that are started from here looks first
        with patch.dict(os.environ, LD_LIBRARY_PATH=str(node)):
            yield node
    finally:
        for process in running:
            process.kill()
            process.wait()


def write_use(node: Path, pids: list[int]) -> None:
    """Each process uses something."""
    gpus = NodeGpus.of("node", ["L20"] * GPUS)
    for number, pid in enumerate(pids):
        gpus.gpus[number % GPUS].processes.append(Process(pid, random.randrange(200, 1500)))
    gpus.write(node)


def _apart(work: Callable[..., Any], *arguments: Any) -> Any:
    """Work in a process of its own, which loads the node's library."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(work, arguments)


def _time(make: Callable[[Path], Iterator[Work]], node: Path) -> Cost:
    """A look's cost, once all that is needed but once is there."""
    walls, cpus = [], []
    with contextmanager(make)(node) as look:
        look()
        for _round in range(ROUNDS):
            began = (time.perf_counter(), time.process_time())
            look()
            walls.append(1000 * (time.perf_counter() - began[0]))
            cpus.append(1000 * (time.process_time() - began[1]))
    return Cost(median(walls), max(walls), mean(cpus))


def _sample(node: Path) -> Iterator[Work]:
    """What the module does at each sample."""
    files = NodeFiles()
    owners, recorder = UsageOwners(files), Recorder(1.0)
    with open_nvml(None, None, files) as nvml:
        sampler = Sampler(nvml, owners)

        def look() -> None:
            sample = sampler.take(time.monotonic())
            assert len(sample.processes) == PROCESSES
            recorder.add(sample)
            owners.follow(sample)

        yield look


def _call_nvml(node: Path) -> Iterator[Work]:
    """Nothing but the calls, without a look at whose the processes are."""
    with open_nvml(None, None, NodeFiles()) as nvml:
        gpus = [nvml.gpu(index) for index in range(nvml.gpu_count())]

        def look() -> None:
            for gpu in gpus:
                gpu.memory()
                gpu.utilization()
                for kind in ("Compute", "Graphics", "MPSCompute"):
                    gpu.processes(kind)

        yield look


def _query_gpustat(node: Path) -> Iterator[Work]:
    import gpustat

    def look() -> None:
        assert sum(len(gpu.processes) for gpu in gpustat.new_query()) == PROCESSES

    yield look


def _query_nvitop(node: Path) -> Iterator[Work]:
    import nvitop

    def look() -> None:
        assert len(nvitop.take_snapshots().gpu_processes) == PROCESSES

    yield look


def _run_for_real(node: Path) -> tuple[float, int, int]:
    """Percent of a core, samples, and those that were missed."""
    began = time.process_time()
    with SystemClock() as clock, UsageFiles(str(node / "measurements")).open("real") as file:
        measurement = UsageRun(UsageRequest("real", SECONDS, 1.0), NodeFiles(), clock, file).measure()
    spent = time.process_time() - began
    return 100 * spent / measurement["duration_seconds"], measurement["samples"], measurement["missed"]


@dataclass
class _QuickClock:
    """Time passes where it is waited for, and where something takes time; what processes use is another at each time."""

    change: Callable[[], None]
    look: Callable[[float], None]
    waited: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def monotonic(self) -> float:
        return self.waited + time.monotonic()

    def now(self) -> datetime:
        return datetime.now(timezone.utc)

    def wait(self, seconds: float) -> bool:
        self.change()
        self.waited += max(0.0, seconds)
        self.look((self.monotonic() - self.began) / 3600)
        return False


def _run_for_hours(node: Path) -> list[tuple[float, float, float]]:
    """Hours, MiB of this process and kB of its file."""
    lines = (node / STATE_FILE).read_text(encoding="utf-8").splitlines()
    pids = [int(line.split()[1]) for line in lines if line.startswith("process=")]
    assert len(pids) == PROCESSES
    waiting, seen = list(HOURS), []
    files = UsageFiles(str(node / "measurements"))

    def look(hours: float) -> None:
        if waiting and hours >= waiting[0]:
            used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
            seen.append((waiting.pop(0), used, os.path.getsize(node / "measurements/hours.json") / 1000))

    clock = _QuickClock(functools.partial(write_use, node, pids), look)
    with files.open("hours") as file:
        UsageRun(UsageRequest("hours", 3600 * HOURS[-1] + 2 * INTERVAL, INTERVAL), NodeFiles(), clock, file).measure()
    return seen


if __name__ == "__main__":
    main()
