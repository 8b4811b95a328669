# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that restores MIG layouts, as a node runs it: a file of its own, with the simulated NVML library."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from integration.mig_config.node import Node

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program import build_program, find_pynvml
from setup import staging
from simulator.nvml.mig_state import MigState
from simulator.nvml.state import NvmlError

LAYOUT = (("1g.12gb", 0), ("3g.48gb", 4))
LOADED = "nvidia_uvm 4956160 0 - Live 0x0\nnvidia 11546624 1 nvidia_uvm, Loading 0x0\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("program") / "kubegpu-sharing.pyz"
    path.write_bytes(build_program(find_pynvml()))
    return path


@pytest.fixture
def node(tmp_path: Path) -> Node:
    """An H20 whose layout was recorded, just after a reboot; what the boot before has said is still there."""
    node = Node.make(tmp_path / "node", "H20")
    node.lay_out(LAYOUT)
    layout = {"mode": "enabled", "instances": [_instance("1g.12gb", 0, 1, 1), _instance("3g.48gb", 4, 4, 3)]}
    gpu = {"uuid": node.uuid(), "pci_bus_id": "", "product": "NVIDIA H20", **layout}
    node.state_dir.mkdir()
    document = json.dumps({"schema_version": 1, "gpus": [gpu]})
    (node.state_dir / "layout.json").write_text(document, encoding="utf-8")
    node.ready.parent.mkdir()
    node.ready.write_text("of before", encoding="utf-8")
    boot(node)
    return node


def _instance(profile: str, start: int, size: int, slices: int) -> dict[str, object]:
    return {"profile": profile, "start": start, "size": size, "compute": [{"slices": slices, "start": 0}]}


def boot(node: Node) -> None:
    subprocess.run([str(node.directory / "nvidia-smi"), "--simulate-boot"], check=True, timeout=30)
    assert node.places() == ()


def restore(
    program: Path, node: Node, *options: str, wait: float = 0, python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    paths = [f"--state-dir={node.state_dir}", f"--ready-path={node.ready}", f"--proc-root={node.directory}/proc"]
    paths += [f"--kubelet-root={node.directory}/kubelet", f"--lock-path={node.directory}/lock"]
    library = (
        []
        if any(one.startswith("--nvml") for one in options)
        else [f"--nvml-library={node.directory}/libnvidia-ml.so.1"]
    )
    command = [
        sys.executable,
        "-I",
        "-S",
        str(program),
        "restore",
        *paths,
        *library,
        f"--wait-seconds={wait}",
        *options,
    ]
    environment = {"PATH": os.defpath}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def failure(node: Node) -> Path:
    return node.ready.parent / "mig-restore-failed"


def load_driver(node: Node) -> None:
    (node.directory / "proc/modules").write_text(LOADED, encoding="utf-8")


def test_restore_puts_every_instance_back_at_its_place(program: Path, node: Node) -> None:
    done = restore(program, node)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("The recorded MIG layout was restored:\n  GPU 0: enable MIG mode\n")
    assert node.places() == LAYOUT
    assert node.ready.read_text(encoding="utf-8") != "of before"


def test_restore_works_with_the_oldest_python_of_nodes(program: Path, node: Node) -> None:
    version = staging.node_floor()
    python = staging.find_interpreter(version)
    if python is None:
        pytest.skip(f"this machine has no Python {version}")
    done = restore(program, node, python=str(python))
    assert (done.returncode, done.stderr) == (0, "")
    assert node.places() == LAYOUT


def test_restore_of_what_stands_changes_nothing_and_marks_it(program: Path, node: Node) -> None:
    restore(program, node)
    devices, said = node.devices(), node.ready.read_text(encoding="utf-8")
    done = restore(program, node)
    assert done.stdout == "The recorded MIG layout stands; nothing had to be restored.\n"
    assert (node.devices(), node.ready.read_text(encoding="utf-8")) == (devices, said)


def test_restore_that_fails_leaves_no_marker_and_says_why_in_a_file(program: Path, node: Node) -> None:
    node.gpus.faults = {"nvmlDeviceCreateGpuInstanceWithPlacement": NvmlError.INSUFFICIENT_RESOURCES}
    node.write()
    done = restore(program, node)
    assert done.returncode == 1
    assert "GPU 0" in done.stderr
    assert failure(node).read_text(encoding="utf-8") == done.stderr
    assert not node.ready.exists()
    node.gpus.faults = {}
    node.write()
    assert restore(program, node).returncode == 0
    assert not failure(node).exists()


def test_restore_without_a_driver_on_the_node_ends_well_and_names_the_other_way(program: Path, node: Node) -> None:
    done = restore(program, node, "--nvml-library=/nowhere/libnvidia-ml.so.1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "run the playbook kubegpu.sharing.rollout" in done.stdout
    assert not node.ready.exists()


def test_restore_with_a_driver_that_does_not_serve_fails(program: Path, node: Node) -> None:
    node.gpus.fault = NvmlError.LIB_RM_VERSION_MISMATCH
    node.write()
    done = restore(program, node)
    assert done.returncode == 1
    assert done.stderr.startswith("The MIG layout was not restored. ")
    assert not node.ready.exists()


def test_restore_waits_for_a_driver_that_is_being_loaded(program: Path, node: Node) -> None:
    load_driver(node)
    node.gpus.fault = NvmlError.DRIVER_NOT_LOADED
    node.write()
    served = node.directory / "served"
    node.gpus.fault = None
    served.write_text(node.gpus.text(), encoding="utf-8")
    later = subprocess.Popen(["sh", "-c", f"sleep 1.5; mv {served} {node.directory}/nvml.state"])
    done = restore(program, node, wait=20)
    assert later.wait(timeout=20) == 0
    assert (done.returncode, done.stderr) == (0, "")
    assert node.places() == LAYOUT


def test_restore_does_not_wait_for_a_driver_that_nobody_loads(program: Path, node: Node) -> None:
    (node.directory / "proc/modules").write_text("nvidia_vgpu_vfio 90112 0 - Live 0x0\n", encoding="utf-8")
    node.gpus.fault = NvmlError.DRIVER_NOT_LOADED
    node.write()
    started = time.monotonic()
    assert restore(program, node, wait=30).returncode == 1
    assert time.monotonic() - started < 30


def test_restore_finishes_a_change_that_waited_for_this_boot(program: Path, tmp_path: Path) -> None:
    node = Node.make(tmp_path / "node", "A30", reset="reboot")
    waiting = node.configure(mig_devices={"2g.12gb": 2})
    assert (waiting["reset_required"], node.ready.exists()) == ([node.uuid()], False)
    boot(node)
    done = restore(program, node)
    assert (done.returncode, done.stderr) == (0, "")
    assert [profile for profile, _start in node.places()] == ["2g.12gb", "2g.12gb"]
    assert node.ready.exists()
    assert not (node.state_dir / "change.json").exists()


@pytest.mark.parametrize("text", ["{", '{"schema_version": 1, "gpus": [{"uuid": "GPU-other"}]}'])
def test_restore_of_a_record_that_is_of_no_use_fails_before_the_first_change(
    program: Path, node: Node, text: str
) -> None:
    (node.state_dir / "layout.json").write_text(text, encoding="utf-8")
    done = restore(program, node)
    assert done.returncode == 1
    assert failure(node).exists()
    assert (node.mode(), node.ready.exists()) == ((False, False), False)


def test_restore_without_a_record_has_nothing_to_do(program: Path, node: Node) -> None:
    (node.state_dir / "layout.json").unlink()
    done = restore(program, node)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No MIG layout is recorded in ")
    assert MigState.read(node.directory).gpus[node.uuid()].instances == []
