# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that others wrote against NVML run on the simulated library as they are."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Iterator

import pytest

from simulator.nvml.mig_state import changing
from simulator.nvml.state import NodeGpus, NvmlError, Process, install

# Both programs ask the operating system about the processes, so these have to exist: a child of the test's own.
MEMORY = {"L20": 4621, "T4": 4401}


@pytest.fixture
def child() -> Iterator[int]:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process.pid
    process.kill()
    process.communicate(timeout=10)


@pytest.fixture
def node(tmp_path: Path) -> NodeGpus:
    install(tmp_path)
    gpus = NodeGpus.of("gpu-node", ["L20", "T4", "H20"])
    gpus.write(tmp_path)
    return gpus


def run(directory: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "LD_LIBRARY_PATH": str(directory), "COLUMNS": "100", "TERM": "dumb"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def occupy(node: NodeGpus, pid: int, directory: Path) -> None:
    for gpu in node.gpus:
        if gpu.card.key in MEMORY:
            gpu.processes.append(Process(pid, MEMORY[gpu.card.key]))
    node.write(directory)


def test_gpustat_shows_products_memory_and_processes(node: NodeGpus, child: int, tmp_path: Path) -> None:
    occupy(node, child, tmp_path)
    done = run(tmp_path, sys.executable, "-m", "gpustat", "--json")
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["driver_version"] == "570.158.01"
    assert [
        (gpu["name"], gpu["uuid"], gpu["memory.total"], gpu["memory.used"], gpu["fan.speed"]) for gpu in shown["gpus"]
    ] == [
        ("NVIDIA L20", node.gpus[0].uuid, 46068, 4621, None),
        ("Tesla T4", node.gpus[1].uuid, 15360, 4401, None),
        ("NVIDIA H20", node.gpus[2].uuid, 97871, 0, None),
    ]
    assert [[(p["pid"], p["gpu_memory_usage"]) for p in gpu["processes"]] for gpu in shown["gpus"]] == [
        [(child, 4621)],
        [(child, 4401)],
        [],
    ]


def test_nvitop_shows_products_memory_and_processes(node: NodeGpus, child: int, tmp_path: Path) -> None:
    occupy(node, child, tmp_path)
    done = run(tmp_path, sys.executable, "-m", "nvitop", "--once", "--ascii")
    assert done.returncode == 0, done.stderr
    assert "ERROR" not in done.stderr, "nvitop logs functions that the driver lacks"
    for words in ("Driver Version: 570.158.01", "CUDA Driver Version: 12.8", "Tesla T4", "4401MiB / 15360MiB"):
        assert words in done.stdout, done.stdout
    l20, h20 = (next(line for line in done.stdout.splitlines() if f" {name} " in line) for name in ("L20", "H20"))
    assert "N/A" in l20, "an L20 has no MIG"
    assert "Disabled" in h20, "an H20 has MIG, and it is off"
    processes = [line.split() for line in done.stdout.splitlines() if f" {child} " in line]
    assert [(row[1], row[3], row[5]) for row in processes] == [("0", "C", "4621MiB"), ("1", "C", "4401MiB")]


def test_nvitops_api_reads_a_whole_snapshot(node: NodeGpus, child: int, tmp_path: Path) -> None:
    occupy(node, child, tmp_path)
    program = (
        "import json, nvitop\n"
        "shots = [device.as_snapshot() for device in nvitop.Device.all()]\n"
        "print(json.dumps([[s.name, s.memory_total, s.memory_used, str(s.mig_mode), s.performance_state, "
        "s.max_sm_clock, s.cuda_compute_capability, s.fan_speed] for s in shots]))\n"
    )
    done = run(tmp_path, sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    mib = 1024**2
    assert json.loads(done.stdout) == [
        ["NVIDIA L20", 46068 * mib, 4621 * mib, "N/A", "P0", 2520, [8, 9], "N/A"],
        ["Tesla T4", 15360 * mib, 4401 * mib, "N/A", "P0", 1590, [7, 5], "N/A"],
        ["NVIDIA H20", 97871 * mib, 0, "Disabled", "P8", 1980, [9, 0], "N/A"],
    ]


def test_nvitop_shows_mig_devices_and_who_runs_on_them(node: NodeGpus, child: int, tmp_path: Path) -> None:
    h20 = node.gpus[2]
    with changing(tmp_path) as mig:
        mig.switch(h20.uuid, True)
        mig.lay_out(h20.uuid, {"3g.48gb": 1, "1g.12gb": 2})
        devices = mig.devices(h20.uuid)
    h20.processes.append(Process(child, 300, gpu_instance=devices[0].gpu_instance, compute_instance=0))
    node.write(tmp_path)
    program = (
        "import json, nvitop\n"
        "migs = nvitop.Device(2).mig_devices()\n"
        "print(json.dumps([[m.name(), m.uuid(), m.memory_used(), [p for p in m.processes()]] for m in migs]))\n"
    )
    done = run(tmp_path, sys.executable, "-c", program)
    assert done.returncode == 0, done.stderr
    used = [300 * 1024**2, 0, 0]
    assert json.loads(done.stdout) == [
        [f"NVIDIA H20 MIG {device.name}", device.uuid, memory, [child] if memory else []]
        for device, memory in zip(devices, used)
    ]
    shown = run(tmp_path, sys.executable, "-m", "nvitop", "--once", "--ascii")
    assert shown.returncode == 0, shown.stderr
    assert "ERROR" not in shown.stderr, "nvitop logs functions that the driver lacks"
    rows = [line.split() for line in shown.stdout.splitlines() if f" {child} " in line]
    assert [(row[1], row[5]) for row in rows] == [("2:0", "300.0MiB")], shown.stdout


def test_gpustat_goes_on_beside_a_lost_gpu(node: NodeGpus, tmp_path: Path) -> None:
    node.gpus[1].lost = True
    node.write(tmp_path)
    done = run(tmp_path, sys.executable, "-m", "gpustat", "--json")
    assert done.returncode == 0, done.stderr
    names = [gpu["name"] for gpu in json.loads(done.stdout)["gpus"]]
    assert names[0] == "NVIDIA L20"
    assert names[2] == "NVIDIA H20"
    assert "lost" in names[1]


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (NvmlError.DRIVER_NOT_LOADED, "Driver Not Loaded"),
        (NvmlError.LIB_RM_VERSION_MISMATCH, "RM has detected an NVML/RM version mismatch"),
    ],
)
def test_gpustat_tells_why_there_is_no_nvml(fault: NvmlError, words: str, node: NodeGpus, tmp_path: Path) -> None:
    node.fault = fault
    node.write(tmp_path)
    done = run(tmp_path, sys.executable, "-m", "gpustat", "--debug")
    assert done.returncode != 0
    assert words in done.stdout + done.stderr
