# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole role, asked to harden out of order: the host objects and nothing of it is touched, while its neighbour goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from unit.plugins.fakes.runtime_node import CONFIG, RuntimeNode

from .test_role import BIN

TOOLKIT = "/etc/nvidia-container-runtime/config.toml"
OLD = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'
EMPTY = "# as the package has it\n"
HOSTS = {"hardened": "volume_mounts", "neighbour": "both"}


def make_host(directory: Path) -> RuntimeNode:
    """A host that is a folder, with a Python that finds its programs first."""
    node = RuntimeNode(directory)
    node.write(TOOLKIT, EMPTY)
    node.write(CONFIG, OLD)
    node.load()
    python = directory / "python"
    python.write_text(f'#!/bin/sh\nPATH={node.programs}:$PATH exec {sys.executable} "$@"\n', encoding="utf-8")
    python.chmod(0o755)
    return node


# The whole role, from its entry to its end: what it is with the oldest ansible-core, no part of it shows.
@pytest.mark.oldest
@pytest.mark.timeout(240)
def test_role_that_is_to_harden_out_of_order_touches_nothing(tmp_path: Path) -> None:
    nodes = {name: make_host(tmp_path / name) for name in HOSTS}
    nowhere = tmp_path / "kubeconfig"
    cluster = {"name": "a", "cluster": {"server": "http://127.0.0.1:9"}}
    context = {"name": "a", "context": {"cluster": "a", "user": "a"}}
    document = {"kind": "Config", "clusters": [cluster], "contexts": [context], "current-context": "a"}
    nowhere.write_text(yaml.safe_dump({**document, "users": [{"name": "a", "user": {}}]}), encoding="utf-8")
    hosts = {
        name: {
            "ansible_python_interpreter": str(tmp_path / name / "python"),
            "kubegpu_runtime_root": str(nodes[name].root),
            "kubegpu_runtime_visible_devices": wish,
        }
        for name, wish in HOSTS.items()
    }
    shared = {
        "ansible_connection": "local",
        "kubegpu_kubeconfig": str(nowhere),
        "kubegpu_runtime_class": False,
        "kubegpu_runtime_engine": "containerd",
        "kubegpu_runtime_allow_missing_binary": True,
    }
    role = {"ansible.builtin.include_role": {"name": "kubegpu.sharing.nvidia_container_runtime"}}
    play = [{"hosts": "all", "gather_facts": False, "tasks": [role]}]
    (tmp_path / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts, "vars": shared}}), encoding="utf-8")
    (tmp_path / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
    command = [str(BIN / "ansible-playbook"), "-i", "inventory.yml", "play.yml"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
    )
    said = done.stdout + done.stderr
    assert "Whether the environment variable may be refused could not be found out: " in said
    recap = {line.split()[0]: line for line in said.partition("PLAY RECAP")[2].splitlines() if line.strip()}
    assert ("failed=1" in recap["hardened"], "failed=0" in recap["neighbour"]) == (True, True), said
    assert (nodes["hardened"].read(TOOLKIT), nodes["hardened"].read(CONFIG)) == (EMPTY, OLD)
    assert not nodes["hardened"].calls
    assert "accept-nvidia-visible-devices-as-volume-mounts = true" in (nodes["neighbour"].read(TOOLKIT) or "")
    assert "runtimes.nvidia" in nodes["neighbour"].loaded
