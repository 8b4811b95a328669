# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The playbook of the guide about a rollout's pods, as it is printed there."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from simulator.cluster import SimulatedCluster

ROOT = Path(__file__).resolve().parents[3]
GUIDE = ROOT / "docs/docsite/rst/guide_what_a_rollout_does_to_my_pods.rst"
FIRST_LINE = "    - name: Replace a fan\n"


def printed_play() -> list[dict[str, Any]]:
    """Nobody is there to press enter, or to wait for a long soak."""
    text = GUIDE.read_text(encoding="utf-8")
    play = yaml.safe_load(textwrap.dedent("".join(block(text[text.index(FIRST_LINE) :]))))
    (pause,) = [task for task in play[0]["tasks"] if "ansible.builtin.pause" in task]
    pause["ansible.builtin.pause"] = {"seconds": 1}
    (back,) = [task for task in play[0]["tasks"] if "soak_seconds" in task.get("kubegpu.sharing.node_maintenance", {})]
    back["kubegpu.sharing.node_maintenance"]["soak_seconds"] = 1
    return play


def block(text: str) -> Iterator[str]:
    """The lines of a code block from its first one on: up to the first that is not indented."""
    return itertools.takewhile(lambda line: not line.strip() or line.startswith(" "), text.splitlines(keepends=True))


def test_guide_playbook_empties_a_node_and_puts_it_back(tmp_path: Path) -> None:
    playbook = tmp_path / "fan.yml"
    playbook.write_text(yaml.safe_dump(printed_play(), sort_keys=False), encoding="utf-8")
    with SimulatedCluster.start("reference", tmp_path / "cluster", speed=20) as cluster:
        last = cluster.position()
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg"),
            "K8S_AUTH_KUBECONFIG": str(cluster.kubeconfig),
        }
        command = [str(Path(sys.executable).with_name("ansible-playbook")), str(playbook)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        evictions = [entry for entry in cluster.writes(last) if entry["subresource"] == "eviction"]
        assert [entry["namespace"] for entry in evictions] == ["nlp"]
        node = cluster.client().get("/api/v1/nodes/gpu-l20")
        assert not node["spec"].get("unschedulable")
        assert "kubegpu.sharing/maintenance" not in node["metadata"]["annotations"]
