# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays on a simulated node of this machine, whose services are left alone: the role mig_config, or tasks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml
from integration.mig_config.node import Node

ANSIBLE_PLAYBOOK = Path(sys.executable).parent / "ansible-playbook"


def play_role(node: Node, **settings: Any) -> subprocess.CompletedProcess[str]:
    """The role itself. :param settings: variables of it."""
    return play(node, {"roles": ["kubegpu.sharing.mig_config"]}, **settings)


def play(node: Node, content: dict[str, Any], **settings: Any) -> subprocess.CompletedProcess[str]:
    """A play for the node. :param content: its roles or tasks."""
    variables = {
        "mig_config_host_services": [],
        "mig_config_boot_restore": False,
        "mig_config_cdi": "never",
        "mig_config_nvidia_smi": str(node.directory / "nvidia-smi"),
        **{f"mig_config_{option}": path for option, path in paths(node).items()},
        **settings,
    }
    return run(node, content, variables)


def paths(node: Node) -> dict[str, str]:
    """Options of the module that tell where the node's files are."""
    return {
        "nvml_library": str(node.directory / "libnvidia-ml.so.1"),
        "proc_root": str(node.directory / "proc"),
        "kubelet_root": str(node.directory / "kubelet"),
        "lock_path": str(node.directory / "lock"),
        "state_dir": str(node.state_dir),
        "ready_path": str(node.ready),
    }


def run(
    node: Node, content: dict[str, Any], variables: dict[str, Any], python: str = sys.executable
) -> subprocess.CompletedProcess[str]:
    """A play with these variables alone. :param python: the node's."""
    playbook = node.directory / "play.yml"
    host = {"ansible_connection": "local", "ansible_python_interpreter": python}
    play = {"hosts": "all", "gather_facts": False, "vars": {**host, **variables}, **content}
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    return subprocess.run(
        [str(ANSIBLE_PLAYBOOK), "-i", "node,", str(playbook)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"},
    )
