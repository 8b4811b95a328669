# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plays the role mig_config on a simulated node of this machine, whose services are left alone."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import yaml
from integration.mig_config.node import Node
from integration.mig_config.test_playbook import ANSIBLE_PLAYBOOK


def play_role(node: Node, **settings: Any) -> subprocess.CompletedProcess[str]:
    """The role itself. :param settings: variables of it."""
    return play(node, {"roles": ["kubegpu.sharing.mig_config"]}, **settings)


def play(node: Node, content: dict[str, Any], **settings: Any) -> subprocess.CompletedProcess[str]:
    """A play for the node. :param content: its roles or tasks."""
    variables = {
        "ansible_connection": "local",
        "ansible_python_interpreter": sys.executable,
        "mig_config_host_services": [],
        "mig_config_boot_restore": False,
        "mig_config_cdi": "never",
        "mig_config_nvidia_smi": str(node.directory / "nvidia-smi"),
        "mig_config_nvml_library": str(node.directory / "libnvidia-ml.so.1"),
        "mig_config_proc_root": str(node.directory / "proc"),
        "mig_config_kubelet_root": str(node.directory / "kubelet"),
        "mig_config_lock_path": str(node.directory / "lock"),
        "mig_config_state_dir": str(node.state_dir),
        "mig_config_ready_path": str(node.ready),
        **settings,
    }
    playbook = node.directory / "play.yml"
    play = {"hosts": "all", "gather_facts": False, "vars": variables, **content}
    playbook.write_text(yaml.safe_dump([play]), encoding="utf-8")
    return subprocess.run(
        [str(ANSIBLE_PLAYBOOK), "-i", "node,", str(playbook)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={**os.environ, "ANSIBLE_LOCALHOST_WARNING": "false"},
    )
