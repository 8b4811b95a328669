# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that restores MIG layouts, as a node runs it: a file of its own, with the simulated NVML library."""

from __future__ import annotations

import json
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from integration.boot_restore.restoring import LAYOUT, boot, failure, instance, load_driver, restore
from integration.mig_config.node import Node

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from setup import staging
from simulator.nvml.mig_state import MigState
from simulator.nvml.state import NvmlError

POD = "c7f9bd5c-1b0b-4f2a-9d0e-3f6f1c7d2a11"


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
    done = restore(program, node, "--nvml-library=/nowhere/libnvidia-ml.so.1", wait=30)
    assert (done.returncode, done.stderr) == (0, "")
    assert "run the playbook kubegpu.sharing.rollout" in done.stdout
    assert failure(node).read_text(encoding="utf-8") == done.stdout
    assert not node.ready.exists()


def test_restore_waits_for_the_library_of_a_driver_that_is_loaded(program: Path, node: Node) -> None:
    load_driver(node)
    library = node.directory / "libnvidia-ml.so.1"
    library.rename(node.directory / "later")
    failed = restore(program, node)
    assert failed.returncode == 1
    assert failure(node).read_text(encoding="utf-8") == failed.stderr
    later = subprocess.Popen(["sh", "-c", f"sleep 1.5; mv {node.directory}/later {library}"])
    done = restore(program, node, wait=20)
    assert later.wait(timeout=20) == 0
    assert (done.returncode, done.stderr) == (0, "")
    assert node.places() == LAYOUT
    assert not failure(node).exists()


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


def allocate(node: Node, *devices: str) -> None:
    """What the kubelet's record says, which outlives a reboot, of a pod that it still has a directory for."""
    entry = {"PodUID": POD, "ContainerName": "c", "ResourceName": "nvidia.com/gpu", "DeviceIDs": list(devices)}
    checkpoint = node.directory / "kubelet/device-plugins/kubelet_internal_checkpoint"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_text(json.dumps({"Data": {"PodDeviceEntries": [entry]}, "Checksum": 0}), encoding="utf-8")
    (node.directory / "kubelet/pods" / POD).mkdir(parents=True)


def test_restore_heeds_what_was_allocated_only_of_pods_that_run(program: Path, node: Node) -> None:
    allocate(node, node.uuid())
    process = node.directory / "proc" / "4242"
    process.mkdir()
    (process / "cgroup").write_text(f"0::/kubepods.slice/kubepods-pod{POD}.slice/x\n", encoding="utf-8")
    kept = restore(program, node)
    assert (kept.returncode, node.mode()) == (1, (False, False))
    assert POD in kept.stderr
    (process / "cgroup").write_text("0::/system.slice/cron.service\n", encoding="utf-8")
    done = restore(program, node)
    assert (done.returncode, done.stderr) == (0, "")
    assert node.places() == LAYOUT


def test_restore_takes_the_record_that_stands_when_it_has_the_lock(program: Path, node: Node) -> None:
    """Another change of this host is under way, and ends with another layout."""
    document = json.loads((node.state_dir / "layout.json").read_text(encoding="utf-8"))
    document["gpus"][0]["instances"] = [instance("3g.48gb", 0, 4, 3)]
    with ThreadPoolExecutor() as pool:
        with HostLock("r1", "change MIG layouts", str(node.directory / "lock")):
            locked_out = restore(program, node)
            assert locked_out.returncode == 1
            assert node.ready.read_text(encoding="utf-8") == "of before"
            waiting = pool.submit(restore, program, node, wait=20)
            # Time enough for one that reads the record first.
            time.sleep(1.5)
            (node.state_dir / "layout.json").write_text(json.dumps(document), encoding="utf-8")
        assert waiting.result(timeout=60).returncode == 0
    assert node.places() == (("3g.48gb", 0),)


def test_marker_that_became_a_directory_does_not_keep_the_layout_away(program: Path, node: Node) -> None:
    """A container runtime makes one where a file that it is to mount is missing."""
    node.ready.unlink()
    (node.ready / "in-use").mkdir(parents=True)
    failed = restore(program, node)
    assert failed.returncode == 1
    assert "Traceback" not in failed.stderr
    assert f"removing {node.ready} failed" in failure(node).read_text(encoding="utf-8")
    (node.ready / "in-use").rmdir()
    assert restore(program, node).returncode == 0
    assert node.ready.is_file()


def test_restore_puts_back_what_is_there_while_another_gpu_is_gone(program: Path, tmp_path: Path) -> None:
    node = Node.make(tmp_path / "node", "H20", "H20")
    node.configure(mig_devices={"1g.12gb": 7})
    recorded = (node.state_dir / "layout.json").read_text(encoding="utf-8")
    boot(node)
    node.gpus.gpus[1].lost = True
    node.write()
    done = restore(program, node)
    assert done.returncode == 1
    assert node.uuid(1) in done.stderr
    assert len(node.places()) == 7
    assert not node.ready.exists()
    assert (node.state_dir / "layout.json").read_text(encoding="utf-8") == recorded
