# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""procfs and the kubelet's directory, as files in a temporary one."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.checkpoint import PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import (
    NodeFiles,
    count_pci_devices,
    parse_driver_version,
)

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
CONTAINER = "0123456789abcdef" * 4

CLOSED = """NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.158.01  Wed Jun  4 03:46:20 UTC 2025
GCC version:  gcc version 11.4.0 (Ubuntu 11.4.0-1ubuntu1~22.04)
"""
OPEN = """NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build  (dvs-builder@U22)  Sun Jul 27 06:54:38 UTC 2025
GCC version:  gcc version 12.3.0 (Ubuntu 12.3.0-1ubuntu1~22.04)
"""


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(CLOSED, "570.158.01", id="closed"),
        pytest.param(OPEN, "580.65.06", id="open"),
        pytest.param("NVRM version: NVIDIA UNIX x86_64 Kernel Module  470.82  Wed\n", "470.82", id="two-parts"),
        pytest.param("", None, id="not-loaded"),
    ],
)
def test_parse_driver_version(text: str, expected: str) -> None:
    assert parse_driver_version(text) == expected


def test_count_pci_devices_counts_nvidia_functions_only() -> None:
    text = "0000\t80861237\t0\n0020\t10de27b8\t1c\tffff\tnvidia\n0028\t10DE1EB8\t1c\n0030\t1af41000\t0\n"
    assert count_pci_devices(text) == 2


def test_node_files_read_pod_and_command_of_a_process(tmp_path: Path) -> None:
    write(tmp_path / "42" / "cgroup", f"0::/kubepods/pod{UID}/{CONTAINER}\n")
    write(tmp_path / "42" / "comm", "python3\n")
    files = NodeFiles(str(tmp_path))
    assert files.pod_of(42).pod_uid == UID
    assert files.pod_of(42).container_id == CONTAINER
    assert files.command_of(42) == "python3"


def test_node_files_command_without_comm_is_the_program_without_arguments(tmp_path: Path) -> None:
    write(tmp_path / "42" / "cmdline", "/usr/bin/python3\0--token=secret\0")
    assert NodeFiles(str(tmp_path)).command_of(42) == "python3"


def test_node_files_of_an_ended_process_tell_nothing(tmp_path: Path) -> None:
    files = NodeFiles(str(tmp_path))
    assert files.pod_of(42).pod_uid is None
    assert files.command_of(42) is None
    assert files.kernel_driver_version() is None
    assert files.pci_devices() is None


def test_allocations_come_from_the_checkpoint(tmp_path: Path) -> None:
    write(tmp_path / PATH, '{"Data": {"PodDeviceEntries": null}}')
    assert NodeFiles(kubelet_root=str(tmp_path)).allocations() == ([], None)


def test_allocations_without_checkpoint_are_null_with_a_reason(tmp_path: Path) -> None:
    allocations, reason = NodeFiles(kubelet_root=str(tmp_path)).allocations()
    assert allocations is None
    assert reason is not None
    assert reason.startswith(f"{tmp_path / PATH} does not exist:")
    assert "Set kubelet_root" in reason


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read every file")
def test_allocations_without_permission_are_null_with_a_reason(tmp_path: Path) -> None:
    write(tmp_path / PATH, "{}")
    (tmp_path / PATH).chmod(0)
    allocations, reason = NodeFiles(kubelet_root=str(tmp_path)).allocations()
    assert allocations is None
    assert reason is not None
    assert "Run with become" in reason


def test_allocations_of_an_unknown_format_are_null_with_a_reason(tmp_path: Path) -> None:
    write(tmp_path / PATH, "{}")
    allocations, reason = NodeFiles(kubelet_root=str(tmp_path)).allocations()
    assert allocations is None
    assert reason is not None
    assert "is not understood: it has no mapping Data" in reason


def test_allocations_of_something_that_is_no_file_are_null_with_a_reason(tmp_path: Path) -> None:
    (tmp_path / PATH).mkdir(parents=True)
    allocations, reason = NodeFiles(kubelet_root=str(tmp_path)).allocations()
    assert allocations is None
    assert reason is not None
    assert "failed" in reason


@pytest.mark.parametrize(
    ("kept", "checkpoint", "expected"),
    [
        pytest.param(True, True, ([UID], None), id="pod-that-lives"),
        pytest.param(False, True, ([], None), id="pod-that-is-gone"),
        pytest.param(True, False, ([], None), id="nothing-was-ever-allocated"),
    ],
)
def test_live_allocations_are_those_of_pods_that_the_kubelet_keeps(
    tmp_path: Path, kept: bool, checkpoint: bool, expected: object
) -> None:
    if checkpoint:
        entry = {"PodUID": UID, "ContainerName": "c", "ResourceName": "nvidia.com/gpu", "DeviceIDs": ["GPU-1"]}
        write(tmp_path / PATH, json.dumps({"Data": {"PodDeviceEntries": [entry]}, "Checksum": 0}))
    (tmp_path / "pods" / (UID if kept else "another")).mkdir(parents=True)
    found, reason = NodeFiles(str(tmp_path), str(tmp_path)).live_allocations()
    assert ([one["pod_uid"] for one in found], reason) == expected


def test_live_allocations_are_all_where_the_directories_of_pods_are_not_seen(tmp_path: Path) -> None:
    entry = {"PodUID": UID, "ContainerName": "c", "ResourceName": "nvidia.com/gpu", "DeviceIDs": ["GPU-1"]}
    write(tmp_path / PATH, json.dumps({"Data": {"PodDeviceEntries": [entry]}, "Checksum": 0}))
    found, _reason = NodeFiles(str(tmp_path), str(tmp_path)).live_allocations()
    assert [one["pod_uid"] for one in found] == [UID]


def test_live_allocations_that_cannot_be_read_say_so(tmp_path: Path) -> None:
    write(tmp_path / PATH, "rubbish")
    reason = NodeFiles(str(tmp_path), str(tmp_path)).live_allocations()[1]
    assert str(reason).startswith(f"{tmp_path / PATH} is not understood")


@pytest.mark.parametrize(
    ("proc", "own", "expected"),
    [
        pytest.param("/proc", False, [UID], id="of-a-kubelet-with-another-root"),
        pytest.param("/proc", True, [], id="not-where-the-root-has-one"),
        pytest.param("/host/proc", False, [], id="not-of-another-machine"),
    ],
)
def test_allocations_are_found_where_kubelets_keep_them_whatever_their_root(
    tmp_path: Path, proc: str, own: bool, expected: object
) -> None:
    """Upstream's kubelet writes to /var/lib/kubelet/device-plugins also with --root-dir, which k0s sets."""
    entry = {"PodUID": UID, "ContainerName": "c", "ResourceName": "nvidia.com/gpu", "DeviceIDs": ["GPU-1"]}
    fixed = tmp_path / "var/lib/kubelet/device-plugins"
    write(fixed / "kubelet_internal_checkpoint", json.dumps({"Data": {"PodDeviceEntries": [entry]}}))
    root = tmp_path / "var/lib/k0s/kubelet"
    (root / "pods" / UID).mkdir(parents=True)
    if own:
        (root / "device-plugins").mkdir()
    files = NodeFiles(proc, str(root), device_plugins=str(fixed))
    assert [one["pod_uid"] for one in files.live_allocations()[0]] == expected
    assert [one["pod_uid"] for one in files.allocations()[0] or []] == expected


@pytest.mark.parametrize("command", ["kubelet", "kubelite", "k3s-agent", "k0s"])
def test_checkpoint_that_is_missing_says_nothing_while_a_kubelet_runs_that_is_elsewhere(
    tmp_path: Path, command: str
) -> None:
    kubelet = tmp_path / "kubelet"
    # a device plugin's mount makes it where it is not there
    (kubelet / PATH).parent.mkdir(parents=True)
    write(tmp_path / "proc/42/comm", "kubelet-exporter\n")
    files = NodeFiles(str(tmp_path / "proc"), str(kubelet))
    assert files.live_allocations() == ([], None)
    write(tmp_path / "proc/4312/comm", f"{command}\n")
    found, reason = files.live_allocations()
    assert found == []
    assert str(reason).startswith(f"{kubelet}/device-plugins/kubelet.sock does not exist, and process 4312 ({command})")
    assert "Set kubelet_root" in str(reason)
    write(kubelet / "device-plugins/kubelet.sock", "")
    assert files.live_allocations() == ([], None)
