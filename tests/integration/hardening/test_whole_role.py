# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The whole role, asked to harden: out of order the host objects and nothing of it is touched; in order it is hardened, once."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from unit.plugins.fakes.runtime_node import CONFIG, RuntimeNode

from simulator.cluster import SimulatedCluster

from .test_role import BIN
from .test_toolkit_hardening_info import NODES, gpu_pods, name_devices_by_mounts, recreate

TOOLKIT = "/etc/nvidia-container-runtime/config.toml"
OLD = 'version = 2\n[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]\nruntime_type = "io.containerd.runc.v2"\n'
EMPTY = "# as the package has it\n"
MOUNTS = "accept-nvidia-visible-devices-as-volume-mounts = true"
REFUSED = "accept-nvidia-visible-devices-envvar-when-unprivileged = false"


@dataclass(frozen=True)
class Played:
    """What the role has said, and how it went with each host."""

    said: str

    def count(self, host: str, word: str) -> int:
        """A number of the recap."""
        found = re.search(rf"^{host} .*\b{word}=(\d+)", self.said.partition("PLAY RECAP")[2], re.MULTILINE)
        assert found, self.said
        return int(found[1])


class Hosts:
    """Hosts that are folders, with Pythons that find their programs first."""

    def __init__(self, directory: Path, kubeconfig: Path, names: tuple[str, ...]) -> None:
        self.directory, self.kubeconfig = directory, kubeconfig
        self.nodes = {name: self._make(name) for name in names}

    def _make(self, name: str) -> RuntimeNode:
        directory = self.directory / name
        node = RuntimeNode(directory)
        node.write(TOOLKIT, EMPTY)
        node.write(CONFIG, OLD)
        node.load()
        python = directory / "python"
        python.write_text(f'#!/bin/sh\nPATH={node.programs}:$PATH exec {sys.executable} "$@"\n', encoding="utf-8")
        python.chmod(0o755)
        return node

    def play(self, **wishes: str) -> Played:
        """The role, from its entry to its end. :param wishes: for kubegpu_runtime_visible_devices, by host with underscores."""
        hosts = {
            name: {
                "ansible_python_interpreter": str(self.directory / name / "python"),
                "kubegpu_runtime_root": str(node.root),
                "kubegpu_runtime_visible_devices": wishes[name.replace("-", "_")],
            }
            for name, node in self.nodes.items()
        }
        shared = {
            "ansible_connection": "local",
            "kubegpu_kubeconfig": str(self.kubeconfig),
            "kubegpu_runtime_class": False,
            "kubegpu_runtime_engine": "containerd",
            "kubegpu_runtime_allow_missing_binary": True,
        }
        role = {"ansible.builtin.include_role": {"name": "kubegpu.sharing.nvidia_container_runtime"}}
        play = [{"hosts": "all", "gather_facts": False, "tasks": [role]}]
        inventory = {"all": {"hosts": hosts, "vars": shared}}
        (self.directory / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        (self.directory / "play.yml").write_text(yaml.safe_dump(play), encoding="utf-8")
        done = subprocess.run(
            [str(BIN / "ansible-playbook"), "-i", "inventory.yml", "play.yml"],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
            env={**os.environ, "ANSIBLE_NOCOLOR": "1"},
        )
        return Played(done.stdout + done.stderr)

    def is_untouched(self, name: str) -> bool:
        """Neither its files nor its service."""
        node = self.nodes[name]
        return (node.read(TOOLKIT), node.read(CONFIG), node.calls) == (EMPTY, OLD, [])


@pytest.mark.timeout(300)
def test_role_hardens_what_it_has_refused_before_once_everything_has_come_in_order(tmp_path: Path) -> None:
    with SimulatedCluster.start("reference", tmp_path / "cluster", speed=50) as cluster:
        (tmp_path / "hosts").mkdir()
        hosts = Hosts(tmp_path / "hosts", cluster.kubeconfig, NODES)
        early = hosts.play(gpu_l20="volume_mounts", gpu_t4="volume_mounts")
        words = " ".join(early.said.split())
        for name in NODES:
            assert (early.count(name, "failed"), hosts.is_untouched(name)) == (1, True), early.said
            assert f"node {name} does not accept volume mounts." in words
        assert "the device list strategy of kube-system/nvidia-device-plugin" in words

        both = hosts.play(gpu_l20="both", gpu_t4="both")
        for name, node in hosts.nodes.items():
            assert both.count(name, "failed") == 0, both.said
            assert MOUNTS in (node.read(TOOLKIT) or "")
            assert REFUSED not in (node.read(TOOLKIT) or "")
        name_devices_by_mounts(cluster)
        recreate(cluster, gpu_pods(cluster))

        done = hosts.play(gpu_l20="volume_mounts", gpu_t4="volume_mounts")
        for name, node in hosts.nodes.items():
            assert (done.count(name, "failed"), done.count(name, "changed")) == (0, 1), done.said
            written = (node.read(TOOLKIT) or "").splitlines()
            assert (EMPTY.strip() in written, MOUNTS in written, REFUSED in written) == (True, True, True), written
        files = {name: (node.read(TOOLKIT), node.read(CONFIG), node.calls) for name, node in hosts.nodes.items()}
        again = hosts.play(gpu_l20="volume_mounts", gpu_t4="volume_mounts")
        for name, node in hosts.nodes.items():
            assert (again.count(name, "failed"), again.count(name, "changed")) == (0, 0), again.said
            assert (node.read(TOOLKIT), node.read(CONFIG), node.calls) == files[name]
        assert again.said.count("nothing is to be done.") == len(NODES), again.said


# What the whole role is with the oldest ansible-core, no part of it shows.
@pytest.mark.oldest
@pytest.mark.timeout(240)
def test_role_that_is_to_harden_and_gets_no_answer_touches_nothing_while_its_neighbour_goes_on(
    tmp_path: Path, nowhere: Path
) -> None:
    hosts = Hosts(tmp_path, nowhere, ("hardened", "neighbour"))
    played = hosts.play(hardened="volume_mounts", neighbour="both")
    assert "Whether the environment variable may be refused could not be found out: " in played.said
    assert (played.count("hardened", "failed"), played.count("neighbour", "failed")) == (1, 0), played.said
    assert hosts.is_untouched("hardened")
    assert MOUNTS in (hosts.nodes["neighbour"].read(TOOLKIT) or "")
    assert "runtimes.nvidia" in hosts.nodes["neighbour"].loaded
