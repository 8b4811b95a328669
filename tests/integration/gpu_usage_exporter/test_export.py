# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that tells node_exporter who uses GPUs, as a node runs it, read by Prometheus' own parser."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import threading
import time
import zipfile
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program import build_program, find_pynvml
from setup import staging
from simulator.nvml.mig_state import changing
from simulator.nvml.state import NodeGpus, NvmlError, Process, install

MIB = 1024 * 1024
UID, STATIC = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f", "0123456789abcdef0123456789abcdef"
Samples = dict[str, list[tuple[dict[str, str], float]]]


class Node:
    """Files of a node, its GPUs, and where node_exporter would look."""

    def __init__(self, directory: Path, *cards: str) -> None:
        self.directory = directory
        self.gpus = NodeGpus.of("node", cards)
        self.collector = directory / "collector"
        self.target = self.collector / "kubegpu.prom"
        self.collector.mkdir(parents=True)
        install(directory)
        self.write()

    def write(self) -> None:
        self.gpus.write(self.directory)

    def add(self, process: Process, cgroup: str, command: str = "python3", gpu: int = 0) -> None:
        """A process that holds a GPU."""
        files = {
            "cgroup": f"0::{cgroup}\n",
            "comm": f"{command}\n",
            "stat": f"{process.pid} ({command}) S {'0 ' * 18}4711 0\n",
        }
        folder = self.directory / "proc" / str(process.pid)
        folder.mkdir(parents=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        self.gpus.gpus[gpu].processes.append(process)
        self.write()

    def add_pod(self, process: Process, uid: str, namespace: str, pod: str, container: str, gpu: int = 0) -> None:
        container_id = uid.replace("-", "") * 2
        self.add(process, f"/kubepods/burstable/pod{uid}/{container_id}", gpu=gpu)
        (self.directory / f"log/pods/{namespace}_{pod}_{uid}/{container}").mkdir(parents=True)
        links = self.directory / "log/containers"
        links.mkdir(exist_ok=True)
        log = f"../pods/{namespace}_{pod}_{uid}/{container}/0.log"
        (links / f"{pod}_{namespace}_{container}-{container_id}.log").symlink_to(log)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "program.pyz"
    path.write_bytes(build_program(find_pynvml()))
    return path


def export(program: Path, node: Node, *options: str, python: str = sys.executable) -> subprocess.CompletedProcess[str]:
    paths = {"path": node.target, "proc-root": node.directory / "proc", "kubelet-root": node.directory / "kubelet"}
    paths |= {"log-root": node.directory / "log", "lock-path": node.directory / "lock"}
    paths |= {"nvml-library": node.directory / "libnvidia-ml.so.1"}
    given = [f"--{name}={value}" for name, value in paths.items()]
    command = [python, "-I", "-S", str(program), "export-usage", *given, *options]
    environment = {"PATH": os.defpath}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def read(node: Node) -> Samples:
    families = parse(node.target.read_text(encoding="utf-8"))
    return {family.name: [(sample.labels, sample.value) for sample in family.samples] for family in families}


def test_export_names_the_pods_that_use_each_device_and_the_programs_of_the_host(program: Path, tmp_path: Path) -> None:
    node = Node(tmp_path, "L20", "H20")
    node.gpus.gpus[0].utilization_percent = 37
    node.add_pod(Process(11, 4621), UID, "team", "llm-0", "main")
    node.add(Process(12, 300), "/system.slice/nvidia-persistenced.service", "nvidia-persiste")
    with changing(tmp_path) as mig:
        mig.switch(node.gpus.gpus[1].uuid, True)
        mig.create(node.gpus.gpus[1].uuid, "1g.12gb", 0)
        (device,) = mig.devices(node.gpus.gpus[1].uuid)
    node.add_pod(
        Process(13, 900, gpu_instance=device.gpu_instance, compute_instance=device.compute_instance),
        STATIC,
        "sys",
        "b",
        "x",
        1,
    )
    before = time.time()
    done = export(program, node)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = read(node)
    cards = [{"gpu_uuid": gpu.uuid, "gpu_index": str(gpu.index), "product": gpu.card.product} for gpu in node.gpus.gpus]
    whole = {
        "mig_device": "",
        "mig_profile": "",
        "namespace": "team",
        "pod": "llm-0",
        "pod_uid": UID,
        "container": "main",
    }
    cut = {
        "mig_device": device.uuid,
        "mig_profile": "1g.12gb",
        "namespace": "sys",
        "pod": "b",
        "pod_uid": STATIC,
        "container": "x",
    }
    memory = found["kubegpu_container_gpu_memory_used_bytes"]
    assert sorted(memory, key=str) == sorted(
        [({**cards[0], **whole}, 4621 * MIB), ({**cards[1], **cut}, 900 * MIB)], key=str
    )
    assert found["kubegpu_host_process_gpu_memory_used_bytes"] == [
        ({**cards[0], "command": "nvidia-persiste"}, 300 * MIB)
    ]
    assert ({**cards[0]}, 0.37) in found["kubegpu_gpu_utilization_ratio"]
    assert found["kubegpu_gpu_up"] == [(card, 1) for card in cards]
    assert found["kubegpu_exporter_nvml_available"] == [({}, 1)]
    assert before - 1 <= found["kubegpu_exporter_last_run_timestamp_seconds"][0][1] <= time.time()


def test_export_writes_a_file_that_everybody_may_read_and_leaves_nothing_else(program: Path, tmp_path: Path) -> None:
    node = Node(tmp_path, "L20")
    # As a run leaves it that was killed, or as somebody else lays it.
    (tmp_path / "precious").write_text("precious", encoding="utf-8")
    node.target.with_name("kubegpu.prom.new").symlink_to(tmp_path / "precious")
    assert export(program, node).returncode == 0
    assert [path.name for path in node.collector.iterdir()] == ["kubegpu.prom"]
    assert stat.S_IMODE(node.target.stat().st_mode) == 0o644
    assert (tmp_path / "precious").read_text(encoding="utf-8") == "precious"


def test_export_works_with_the_oldest_python_of_nodes(program: Path, tmp_path: Path) -> None:
    python = staging.find_interpreter(staging.node_floor())
    if python is None:
        pytest.skip(f"this machine has no Python {staging.node_floor()}")
    node = Node(tmp_path, "L20")
    assert export(program, node, python=str(python)).stderr == ""
    assert read(node)["kubegpu_gpu_up"][0][1] == 1


def test_export_without_a_driver_says_so_in_the_file_in_place_of_what_was_there(program: Path, tmp_path: Path) -> None:
    node = Node(tmp_path, "L20")
    export(program, node)
    node.gpus.fault = NvmlError.DRIVER_NOT_LOADED
    node.write()
    done = export(program, node)
    assert (done.returncode, done.stderr) == (0, "")
    assert "driver" in done.stdout
    found = read(node)
    assert found["kubegpu_exporter_nvml_available"] == [({}, 0)]
    assert "kubegpu_gpu_up" not in found


def test_export_leaves_out_memory_that_nvml_does_not_tell(program: Path, tmp_path: Path) -> None:
    node = Node(tmp_path, "L20")
    node.add_pod(Process(11, None), UID, "team", "llm-0", "main")
    export(program, node)
    found = read(node)
    assert "kubegpu_container_gpu_memory_used_bytes" not in found
    assert [value for _labels, value in found["kubegpu_container_gpu_processes"]] == [1]


def test_export_keeps_away_from_gpus_that_are_being_changed(program: Path, tmp_path: Path) -> None:
    node = Node(tmp_path, "L20")
    with HostLock("run-1", "repartition GPU 0", str(tmp_path / "lock")):
        done = export(program, node)
    assert (done.returncode, done.stderr) == (0, "")
    assert "are being changed" in done.stdout
    assert not node.target.exists()


def test_export_to_a_full_disk_fails_and_keeps_the_file_that_is_there(program: Path, tmp_path: Path) -> None:
    node = Node(tmp_path, "L20")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(node.collector)],
        capture_output=True,
        timeout=30,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("this test mounts a small file system, which takes root")
    try:
        node.target.write_text("# before\n", encoding="utf-8")
        done = export(program, node)
        assert done.returncode == 1
        assert "No space left on device" in done.stderr
        assert node.target.read_text(encoding="utf-8") == "# before\n"
        assert list(node.collector.iterdir()) == [node.target]
    finally:
        subprocess.run(["umount", str(node.collector)], timeout=30, check=True)


def test_export_into_a_directory_that_is_not_there_says_what_to_do(program: Path, tmp_path: Path) -> None:
    node = Node(tmp_path, "L20")
    done = export(program, node, f"--path={tmp_path}/nowhere/kubegpu.prom")
    assert done.returncode == 1
    assert done.stderr.startswith(
        f"Writing {tmp_path}/nowhere/kubegpu.prom failed: No such file or directory. See that "
    )


def test_program_that_is_replaced_while_it_starts_runs_as_the_new_one(tmp_path: Path) -> None:
    node = Node(tmp_path / "node", "L20")
    place, other = tmp_path / "program.pyz", tmp_path / "other.pyz"
    first = build_program(find_pynvml())
    with zipfile.ZipFile(io.BytesIO(first)) as old, zipfile.ZipFile(other, "w") as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
            # Both begin with this file: Python may have noted its place and not read it yet. A program that is replaced in that
            # moment by one with a longer such file cannot mend that.
            if name == "__main__.py":
                new.writestr("a longer one", "x" * 5000)
    second = other.read_bytes()
    for number in range(6):
        place.write_bytes(first)
        other.write_bytes(second)
        # after some of what it imports
        replacing = threading.Timer(0.06 * (number + 1), os.replace, (other, place))
        replacing.start()
        result = export(place, node)
        replacing.join()
        assert (result.returncode, result.stderr) == (0, "")
