# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A node that has just booted, and the restore that runs there."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from integration.mig_config.node import Node

LAYOUT = (("1g.12gb", 0), ("3g.48gb", 4))
LOADED = "nvidia_uvm 4956160 0 - Live 0x0\nnvidia 11546624 1 nvidia_uvm, Loading 0x0\n"


def instance(profile: str, start: int, size: int, slices: int) -> dict[str, object]:
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
        python,
        "-I",
        "-S",
        str(program),
        "restore",
        *paths,
        *library,
        f"--wait-seconds={wait}",
        *options,
    ]
    environment = {"PATH": search_path(node)}
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)


def search_path(node: Node) -> str:
    """Commands that a test puts into the node's bin come first."""
    return f"{node.directory}/bin{os.pathsep}{os.defpath}"


def failure(node: Node) -> Path:
    return node.ready.parent / "mig-restore-failed"


def load_driver(node: Node) -> None:
    (node.directory / "proc/modules").write_text(LOADED, encoding="utf-8")
