# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""mig_config by ansible-playbook: check mode, the real thing, and again; a file of mig-parted; a node without pynvml."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from integration.mig_config.node import Node
from integration.mig_config.role_play import paths, run
from integration.mig_config.sequences import SEVEN

from setup.staging import find_interpreter, node_floor
from simulator.nvml.state import NvmlError

pytestmark = pytest.mark.integration

MIG_PARTED = """\
version: v1
mig-configs:
  balanced:
    - device-filter: ["0x20B710DE"]
      devices: all
      mig-enabled: true
      mig-devices: {1g.6gb: 2, 2g.12gb: 1}
    - device-filter: "0x232910DE"
      devices: all
      mig-enabled: true
      mig-devices:
        1g.12gb: 4
        3g.48gb: 1
"""


def play(node: Node, *tasks: dict[str, Any], python: str = sys.executable) -> list[dict[str, Any]]:
    """Results of mig_config with these options, one task each; ``check_mode`` among them is the task's."""
    written = []
    for number, options in enumerate(tasks):
        check_mode = options.pop("check_mode", False)
        written += [
            {
                "name": f"Configure {number}",
                "kubegpu.sharing.mig_config": {**paths(node), **options},
                "check_mode": check_mode,
                "register": "result",
                "ignore_errors": True,
            },
            {
                "name": f"Keep {number}",
                "ansible.builtin.copy": {
                    "content": "{{ result | to_json }}",
                    "dest": str(node.directory / f"result{number}.json"),
                    "mode": "0600",
                },
            },
        ]
    done = run(node, {"tasks": written}, {}, python)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads((node.directory / f"result{number}.json").read_text()) for number in range(len(tasks))]


def bare_python(directory: Path) -> str:
    """A Python that has only the standard library."""
    path = directory / "python-bare"
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" -S "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return str(path)


@pytest.mark.oldest
def test_playbook_forecasts_makes_and_then_changes_nothing_on_a_node_without_pynvml(tmp_path: Path) -> None:
    node = Node.make(tmp_path, "H20")
    (tmp_path / "mig.yaml").write_text(MIG_PARTED, encoding="utf-8")
    forecast, made, again, other, wrong = play(
        node,
        {"mig_devices": {"1g.12gb": 7}, "check_mode": True},
        {"mig_devices": {"1g.12gb": 7}},
        {"mig_devices": {"1g.12gb": 7}},
        {"mig_parted_config": str(tmp_path / "mig.yaml"), "selected": "balanced"},
        {"mig_parted_config": str(tmp_path / "none.yaml"), "selected": "balanced"},
        python=bare_python(tmp_path),
    )
    assert (forecast["changed"], forecast["actions"], forecast["diff"]) == (True, made["actions"], made["diff"])
    assert made["changed"]
    assert (again["changed"], again["actions"]) == (False, [])
    assert again["before"] == made["after"]
    assert [(one["profile"], one["start"]) for one in other["kept"]] == list(SEVEN[:4])
    assert node.places() == (*SEVEN[:4], ("3g.48gb", 4))
    assert wrong["failed"]
    assert f"Reading mig_parted_config {tmp_path}/none.yaml on the control node failed" in wrong["msg"]


def test_playbook_changes_layouts_with_the_oldest_python_of_nodes(tmp_path: Path) -> None:
    oldest = find_interpreter(node_floor())
    if oldest is None:
        pytest.skip(f"this machine has no Python {node_floor()}")
    node = Node.make(tmp_path, "H20")
    first, second, third = play(
        node,
        {"mig_devices": {"1g.12gb": 7}},
        {"mig_devices": {"3g.48gb": 1, "1g.12gb": 4}},
        {"state": "absent"},
        python=str(oldest),
    )
    assert [one.get("failed", False) for one in (first, second, third)] == [False] * 3
    assert len(second["kept"]) == 4
    assert (node.places(), node.mode()) == ((), (False, False))
    # a step that fails goes another way
    node.gpus.gpus[0].faults = {"nvmlDeviceCreateGpuInstanceWithPlacement@3": NvmlError.INSUFFICIENT_RESOURCES}
    node.write()
    (broken,) = play(node, {"mig_devices": {"1g.12gb": 7}}, python=str(oldest))
    assert (broken["failed"], broken["restored"]) == (True, True)
    assert (node.places(), node.mode()) == ((), (False, False))
