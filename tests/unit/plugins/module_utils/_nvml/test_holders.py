# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who has NVIDIA's device files open, by a procfs made of links."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.holders import find_holders, show_holders
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.processes import parse_unit

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
CONTAINER = "0123456789abcdef" * 4


def add(proc: Path, pid: int, command: str, cgroup: str, *targets: str) -> None:
    directory = proc / str(pid)
    (directory / "fd").mkdir(parents=True)
    for number, target in enumerate(("/dev/null", "socket:[1]", *targets)):
        os.symlink(target, directory / "fd" / str(number))
    (directory / "comm").write_text(f"{command}\n", encoding="utf-8")
    (directory / "cgroup").write_text(cgroup, encoding="utf-8")


def test_find_holders_tells_pods_and_units(tmp_path: Path) -> None:
    pod = f"0::/kubepods.slice/kubepods-pod{UID.replace('-', '_')}.slice/cri-containerd-{CONTAINER}.scope\n"
    add(tmp_path, 12, "dcgm-exporter", pod, "/dev/nvidiactl", "/dev/nvidia0", "/dev/nvidia0")
    add(tmp_path, 7, "nvidia-persiste", "0::/system.slice/nvidia-persistenced.service\n", "/dev/nvidia1 (deleted)")
    add(tmp_path, 9, "watcher", "0::/\n", "/dev/nvidia-caps/nvidia-cap21")
    add(tmp_path, 3, "bash", "0::/user.slice\n", "/dev/nvidia-uvm", "/home/dev/nvidia0")
    add(tmp_path, os.getpid(), "this", "0::/\n", "/dev/nvidiactl")
    (tmp_path / "2").mkdir()
    holders, reason = find_holders(str(tmp_path))
    assert reason is None
    assert holders == [
        {
            "pid": 7,
            "command": "nvidia-persiste",
            "pod_uid": None,
            "container_id": None,
            "unit": "nvidia-persistenced.service",
            "devices": ["/dev/nvidia1"],
        },
        {
            "pid": 9,
            "command": "watcher",
            "pod_uid": None,
            "container_id": None,
            "unit": None,
            "devices": ["/dev/nvidia-caps/nvidia-cap21"],
        },
        {
            "pid": 12,
            "command": "dcgm-exporter",
            "pod_uid": UID,
            "container_id": CONTAINER,
            "unit": None,
            "devices": ["/dev/nvidia0", "/dev/nvidiactl"],
        },
    ]
    assert show_holders(holders, reason, {UID: "gpu-operator/dcgm-1"}) == (
        "NVIDIA's device files are held open by process 7 (nvidia-persiste) of nvidia-persistenced.service, "
        "process 9 (watcher), process 12 (dcgm-exporter) of pod gpu-operator/dcgm-1."
    )


def test_find_holders_that_cannot_be_read_says_so(tmp_path: Path) -> None:
    holders, reason = find_holders(str(tmp_path / "none"))
    assert holders is None
    assert (
        reason
        == f"{tmp_path / 'none'} cannot be listed: No such file or directory. Set proc_root to the node's procfs."
    )
    assert show_holders(holders, reason, {}) == f"Who holds NVIDIA's device files is not known: {reason}"


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        pytest.param("0::/system.slice/nvsm.service\n", "nvsm.service", id="service"),
        pytest.param("0::/user.slice/user-0.slice/session-3.scope\n", "session-3.scope", id="session"),
        pytest.param(
            "1:name=systemd:/system.slice/dcgm.service\n2:cpu:/system.slice\n", "dcgm.service", id="version-1"
        ),
        pytest.param(
            "0::/user.slice/user-0.slice/user@0.service/app.slice/run-1.scope\n", "user@0.service", id="service-first"
        ),
        pytest.param("0::/\n", None, id="none"),
    ],
)
def test_parse_unit(text: str, unit: str) -> None:
    assert parse_unit(text) == unit
