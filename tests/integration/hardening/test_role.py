# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the role nvidia_container_runtime that keeps the order of hardening, on hosts of the reference cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from simulator.cluster import SimulatedCluster

from .test_toolkit_hardening_info import MOUNTS, NODES, PLUGIN, REFUSED

BIN = Path(sys.executable).parent
PLAY = """
- hosts: gpu
  gather_facts: false
  tasks:
    - name: Ask
      ansible.builtin.include_role:
        name: kubegpu.sharing.nvidia_container_runtime
        tasks_from: hardening
      vars: {kubegpu_runtime_visible_devices: volume_mounts}
      when: hardens | default(true)
    - name: Write the answer down
      ansible.builtin.copy:
        content: "{{ __nvidia_container_runtime_objections | to_json }}"
        dest: "{{ kubegpu_runtime_root }}/objections.json"
        mode: "0600"
      check_mode: false
      when: hardens | default(true)
"""


class Fleet:
    """Hosts of the reference cluster's nodes, all of them this machine with a root of their own, after one that is not to be hardened."""

    def __init__(self, directory: Path, kubeconfig: Path) -> None:
        self.directory = directory
        hosts: dict[str, dict[str, Any]] = {"first": {"hardens": False}}
        for node in NODES:
            hosts[f"host-{node}"] = {"kubegpu_node_name": node, "kubegpu_runtime_root": str(directory / node)}
        variables = {"ansible_connection": "local", "ansible_python_interpreter": sys.executable}
        inventory = {"gpu": {"hosts": hosts, "vars": {**variables, "kubegpu_kubeconfig": str(kubeconfig)}}}
        (directory / "inventory.yml").write_text(yaml.safe_dump(inventory), encoding="utf-8")
        (directory / "play.yml").write_text(PLAY, encoding="utf-8")
        for node in NODES:
            (directory / node).mkdir()

    def write(self, node: str, text: str) -> None:
        """The toolkit's config of a node."""
        path = self.directory / node / "etc/nvidia-container-runtime/config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def ask(self, *options: str, **environment: str) -> dict[str, Any]:
        """Objections by node."""
        for node in NODES:
            (self.directory / node / "objections.json").unlink(missing_ok=True)
        command = [str(BIN / "ansible-playbook"), "-i", "inventory.yml", "play.yml", *options]
        env = {**os.environ, "ANSIBLE_NOCOLOR": "1", **environment}
        done = subprocess.run(
            command, cwd=self.directory, capture_output=True, text=True, timeout=120, check=False, env=env
        )
        found = {node: self.directory / node / "objections.json" for node in NODES}
        there = {node: json.loads(path.read_text(encoding="utf-8")) for node, path in found.items() if path.exists()}
        assert there, done.stdout + done.stderr
        return there


@pytest.mark.timeout(240)
def test_every_host_objects_until_all_are_ready_and_those_that_refuse_already_never_do(tmp_path: Path) -> None:
    with SimulatedCluster.start("reference", tmp_path / "cluster", speed=50) as cluster:
        (tmp_path / "fleet").mkdir()
        fleet = Fleet(tmp_path / "fleet", cluster.kubeconfig)
        fleet.write("gpu-l20", MOUNTS)
        position = cluster.position()
        found = fleet.ask("--check")
        assert set(found) == set(NODES)
        for (message,) in found.values():
            assert "node gpu-t4 does not accept volume mounts." in message
            assert "gpu-l20 does not accept" not in message
            assert "the device list strategy of kube-system/nvidia-device-plugin" in message
        # One host has asked for both.
        asked = [one for one in cluster.audit(position) if one["resource"] == "nodes"]
        assert len(asked) == 1
        assert cluster.writes(position) == []

        # The plugin does as it should, and its pods run already: what is left of the order is told, and no more.
        template = cluster.client().get(PLUGIN)["spec"]["template"]
        template["spec"]["containers"][0]["env"] = [{"name": "DEVICE_LIST_STRATEGY", "value": "volume-mounts"}]
        cluster.client().patch(PLUGIN, {"spec": {"template": template}})
        cluster.wait_until(lambda: _is_rolled(cluster), 120, "the plugin's new pods")
        cluster.settle()
        # A node that refuses already goes on; the other may not follow it yet.
        fleet.write("gpu-t4", REFUSED)
        found = fleet.ask()
        assert found["gpu-t4"] == []
        (message,) = found["gpu-l20"]
        assert "Recreate these pods" in message
        assert "on node gpu-l20 came at" in message
        assert "on node gpu-t4" not in message

        # Asked of one host alone, nothing is known of the other; without an answer nobody is let through.
        (message,) = fleet.ask("--limit", "host-gpu-l20")["gpu-l20"]
        assert "node gpu-t4 has GPUs, and its toolkit's config.toml was not read" in message


def _is_rolled(cluster: SimulatedCluster) -> bool:
    status = cluster.client().get(PLUGIN)["status"]
    return bool(status.get("updatedNumberScheduled") == status.get("numberReady") == len(NODES))


@pytest.mark.timeout(120)
def test_without_an_answer_of_the_cluster_nobody_is_let_through(tmp_path: Path, nowhere: Path) -> None:
    (tmp_path / "fleet").mkdir()
    fleet = Fleet(tmp_path / "fleet", nowhere)
    found = fleet.ask()
    assert set(found) == set(NODES)
    for (message,) in found.values():
        assert message.startswith("Whether the environment variable may be refused could not be found out: ")
        assert "127.0.0.1:9" in message
        assert "kubegpu_kubeconfig" in message
