# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module kubegpu.sharing.gpu_access_info on processes in real cgroups of this machine, whose kernel answers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.modules import gpu_access_info
from hosts import packages

from .cgroups import Container, mounted

# A device that every machine has: what is asked is whether it may be opened, and not what it is.
NULL = (1, 3)
# Nobody drives these here, so that opening one fails with ENXIO where it is allowed: access() does not care.
NVIDIA = 195
Start = Callable[..., Container]


@pytest.fixture(params=[1, 2], ids=["v1", "v2"])
def version(request: pytest.FixtureRequest) -> int:
    return int(request.param)


@pytest.fixture
def hierarchy(version: int, tmp_path: Path) -> Iterator[Path]:
    """A cgroup of this test alone."""
    mount = mounted(version)
    try:
        if mount is None or os.geteuid():
            raise PermissionError("no root, or no such hierarchy")
        os.mknod(tmp_path / "try", 0o020600, os.makedev(*NULL))
        directory = mount / f"kubegpu-{uuid.uuid4().hex[:8]}"
        directory.mkdir()
    except OSError as error:
        # One of the two every machine has where hosts are required.
        if packages.are_required() and not mounted(3 - version):
            raise
        pytest.skip(f"cgroups of version {version} are not this machine's to make: {error}")
    yield directory
    for path, _below, _files in os.walk(directory, topdown=False):
        os.rmdir(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A container's root with the files of one GPU."""
    dev = tmp_path / "root" / "dev"
    (dev / "nvidia-caps").mkdir(parents=True)
    for name, number in {"nvidiactl": 255, "nvidia0": 0, "nvidia-modeset": 254, "nvidia-caps/nvidia-cap1": 1}.items():
        os.mknod(dev / name, 0o020000, os.makedev(NVIDIA, number))
    os.mknod(dev / "nvidia-uvm", 0o020666, os.makedev(*NULL))
    (dev / "nvidia7").write_text("no device", encoding="utf-8")
    (dev / "nvidia8").symlink_to("/dev/null")
    return tmp_path / "root"


@pytest.fixture
def start(hierarchy: Path, root: Path) -> Iterator[Start]:
    started: list[Container] = []

    def begin(pod: str, container: str, at: Path = root) -> Container:
        started.append(Container(hierarchy / "kubepods" / f"pod{pod}" / container, at))
        return started[-1]

    yield begin
    for one in started:
        if one.group.exists():
            one.end()


@pytest.fixture
def node(tmp_path: Path) -> Path:
    """What a kubelet keeps on a node."""
    for name in ("kubelet/device-plugins", "kubelet/pods", "log/pods", "log/containers"):
        (tmp_path / name).mkdir(parents=True)
    return tmp_path


def remember(node: Path, uid: str, container: str, allocated: bool = True) -> None:
    """Let the kubelet know a pod nlp/worker with the container main."""
    (node / "kubelet/pods" / uid).mkdir(exist_ok=True)
    (node / "log/pods" / f"nlp_worker_{uid}" / "main").mkdir(parents=True, exist_ok=True)
    (node / "log/containers" / f"worker_nlp_main-{container}.log").touch()
    entry = {"PodUID": uid, "ContainerName": "main", "ResourceName": "nvidia.com/gpu", "DeviceIDs": {"-1": ["GPU-1"]}}
    checkpoint = {"Data": {"PodDeviceEntries": [entry] if allocated else [], "RegisteredDevices": {}}, "Checksum": 1}
    path = node / "kubelet/device-plugins/kubelet_internal_checkpoint"
    path.write_text(json.dumps(checkpoint), encoding="utf-8")


def look(node: Path, before: Any = None, **options: Any) -> dict[str, Any]:
    params = {
        "before": before,
        "timeout_seconds": 60.0,
        "proc_root": "/proc",
        "dev_root": str(node / "root/dev"),
        "kubelet_root": str(node / "kubelet"),
        "log_root": str(node / "log"),
        **options,
    }
    found = gpu_access_info.run(params).to_result()
    assert not found["changed"]
    return found


def own(found: dict[str, Any], *containers: str) -> list[dict[str, Any]]:
    """This machine may have others."""
    return [one for one in found["containers"] if one["container_id"] in containers]


def names() -> tuple[str, str]:
    return str(uuid.uuid4()), uuid.uuid4().hex * 2


def test_container_that_is_refused_its_devices_has_lost_them(start: Start, node: Path) -> None:
    pod, container = names()
    remember(node, pod, container)
    running = start(pod, container)
    before = look(node)
    (entry,) = own(before, container)
    assert (entry["namespace"], entry["pod"], entry["container"], entry["pod_uid"]) == ("nlp", "worker", "main", pod)
    assert (entry["allocated"], entry["lost"], entry["reason"], entry["pid"]) == (
        True,
        False,
        None,
        running.process.pid,
    )
    paths = ["/dev/nvidia0", "/dev/nvidiactl", "/dev/nvidia-caps/nvidia-cap1", "/dev/nvidia-modeset", "/dev/nvidia-uvm"]
    assert sorted(device["path"] for device in entry["devices"]) == sorted(paths)
    assert {device["accessible"] for device in entry["devices"]} == {True}
    running.refuse_devices()
    after = look(node, before["containers"])
    (entry,) = own(after, container)
    assert {device["errno"] for device in entry["devices"]} == {"EPERM"}
    assert sorted(entry["lost_devices"]) == sorted(paths)
    (lost,) = own({"containers": after["lost"]}, container)
    assert (lost["namespace"], lost["pod"], lost["container_id"]) == ("nlp", "worker", container)
    assert "may not open their devices any more: " in after["message"]
    assert "nlp/worker (container main): /dev/nvidia" in after["message"]
    assert "create-dev-char-symlinks" in after["message"]
    # Whoever looks for the first time sees it as well: the kubelet gave that container a GPU.
    (alone,) = own(look(node), container)
    assert sorted(alone["lost_devices"]) == ["/dev/nvidia-uvm", "/dev/nvidia0", "/dev/nvidiactl"]


def test_nobody_stays_in_the_cgroup(start: Start, node: Path) -> None:
    pod, container = names()
    running = start(pod, container)
    mine = Path("/proc/self/cgroup").read_text(encoding="ascii")
    assert own(look(node), container)
    running.wait_until_alone(running.process.pid)
    assert Path("/proc/self/cgroup").read_text(encoding="ascii") == mine


def test_container_that_never_was_allowed_has_lost_nothing(start: Start, node: Path) -> None:
    pod, container = names()
    remember(node, pod, container, allocated=False)
    running = start(pod, container)
    running.refuse_devices()
    first = look(node)
    (entry,) = own(first, container)
    assert {device["accessible"] for device in entry["devices"]} == {False}
    assert not entry["lost"]
    assert not own({"containers": look(node, first["containers"])["lost"]}, container)


def test_container_without_such_files_is_not_told_of(start: Start, node: Path, tmp_path: Path) -> None:
    pod, container = names()
    (tmp_path / "empty/dev").mkdir(parents=True)
    start(pod, container, at=tmp_path / "empty")
    assert own(look(node), container) == []
    remember(node, pod, container)
    (entry,) = own(look(node), container)
    assert (entry["devices"], entry["lost"], entry["reason"]) == ([], False, "it has none of NVIDIA's device files")


def test_container_that_has_ended_between_two_looks_is_gone_and_has_lost_nothing(start: Start, node: Path) -> None:
    (pod, container), (other_pod, other) = names(), names()
    ending, staying = start(pod, container), start(other_pod, other)
    before = look(node)
    ending.end()
    staying.refuse_devices()
    after = look(node, before["containers"])
    assert container in [one["container_id"] for one in after["gone"]]
    assert [one["container_id"] for one in after["lost"] if one["container_id"] in (container, other)] == [other]


def test_module_runs_as_ansible_runs_it(start: Start, node: Path) -> None:
    pod, container = names()
    remember(node, pod, container)
    running = start(pod, container)
    running.refuse_devices()
    arguments = {
        "kubelet_root": str(node / "kubelet"),
        "log_root": str(node / "log"),
        "before": [],
        "timeout_seconds": 60,
    }
    command = [str(Path(sys.executable).parent / "ansible"), "localhost", "-i", "localhost,", "-c", "local"]
    command += ["-e", f"ansible_python_interpreter={sys.executable}", "-m", "kubegpu.sharing.gpu_access_info"]
    command += ["--check", "--one-line", "-a", json.dumps(arguments)]
    environment = {**os.environ, "ANSIBLE_NOCOLOR": "1", "ANSIBLE_CALLBACK_RESULT_FORMAT": "json"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
    found = json.loads(done.stdout.partition("=>")[2])
    assert [one["lost"] for one in own(found, container)] == [True]
