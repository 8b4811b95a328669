# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the role says of a wave with nodes that failed, made by Ansible from the role's own variables, with no cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
PLAN = {
    "plan_id": "0123456789abcdef",
    "kind": "sharing",
    "empty": False,
    "waves": [["a", "b"]],
    "hosts": [],
    "snapshot_run": "",
    "mig_nodes": ["b"],
}
WAVE = {
    "__rollout_wave": 1,
    "__rollout_obstacle": "",
    "__rollout_gate": {"matches": True},
    "__rollout_serving": {"nodes": {"a": {"failed": True, "reason": "allocatable is 0"}, "b": {"failed": False}}},
    "rollout_on_failure": "restore",
    "rollout_plan_id": "",
    "rollout_host_steps": [],
}
OURS = {"run": "run-1"}

pytestmark = pytest.mark.oldest


def tell(directory: Path, *arguments: str, **variables: Any) -> dict[str, Any]:
    """The verdict on node a, its lines, what to do next, and which nodes are to be restored."""
    out = directory / "told.json"
    told = {
        "verdict": "{{ __rollout_verdict }}",
        "lines": "{{ __rollout_told.lines }}",
        "next": "{{ __rollout_next }}",
        "to_restore": "{{ __rollout_to_restore }}",
    }
    facts = {
        "__rollout_plan_summary": PLAN,
        "__rollout_run": {"id": "run-1", "work_dir": str(directory)},
        "__rollout_snapshot_run": "run-1",
    }
    play = {
        "hosts": "localhost",
        "gather_facts": False,
        "vars_files": [str(ROOT / "roles/rollout/vars/main.yml")],
        "vars": {**WAVE, **variables, "told": told, "ansible_python_interpreter": sys.executable},
        "tasks": [
            {"name": "Know the run", "ansible.builtin.set_fact": facts},
            {
                "name": "Tell",
                "ansible.builtin.copy": {"content": "{{ told | to_json }}", "dest": str(out), "mode": "0600"},
            },
        ],
    }
    playbook = directory / "tell.yml"
    playbook.write_text(json.dumps([play]), encoding="utf-8")
    command = [
        str(Path(sys.executable).with_name("ansible-playbook")),
        "-i",
        "localhost,",
        "-c",
        "local",
        str(playbook),
        *arguments,
    ]
    environment = {**os.environ, "ANSIBLE_CONFIG": str(ROOT / "ansible.cfg")}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return found


def seen(**node: Any) -> dict[str, Any]:
    return {"nodes": {"a": {"unschedulable": True, "ready": True, "maintenance": OURS, **node}}}


def test_next_commands_keep_the_limit_that_the_plan_was_made_for(tmp_path: Path) -> None:
    told = tell(tmp_path, "--limit", "localhost", __rollout_seen=seen(), rollout_on_failure="keep")
    assert [step["commands"][0] for step in told["next"][1:]] == [
        "ansible-playbook kubegpu.sharing.rollout -e kubegpu_plan_id=0123456789abcdef --limit localhost",
        "ansible-playbook kubegpu.sharing.rollback -e kubegpu_rollback_run=run-1 --limit localhost",
    ]


def test_nodes_that_cannot_be_looked_at_are_said_not_to_be_restored(tmp_path: Path) -> None:
    told = tell(tmp_path, __rollout_seen={"msg": "Cannot list pods: 500."})
    assert told["to_restore"] == []
    (line,) = told["lines"]
    assert line.startswith("a: allocatable is 0 (it was not restored and stays out of service: how the nodes are now")
    assert "Cannot list pods: 500." in line


def test_node_without_mig_is_well_where_a_step_on_mig_says_nothing_of_it(tmp_path: Path) -> None:
    both = {"nodes": {"a": {"failed": False}, "b": {"failed": False}}}
    only_b = {"nodes": {"b": {"failed": False}}}
    steps = {"__rollout_taken": only_b, "__rollout_paused": only_b, "__rollout_going_on": only_b}
    told = tell(tmp_path, **steps, __rollout_serving=both, __rollout_seen=seen())
    assert told["lines"] == []


def test_node_that_is_not_well_is_to_be_restored_though_it_is_in_service(tmp_path: Path) -> None:
    both = {"nodes": {"a": {"failed": False}, "b": {"failed": False}}}
    unwell = {"nodes": {"a": {"failed": True, "reason": "2 restarts."}, "b": {"failed": False}}}
    free = seen(unschedulable=False, maintenance=None)
    told = tell(tmp_path, __rollout_serving=both, __rollout_health=unwell, __rollout_seen=free)
    assert told["to_restore"] == ["a"]
    kept = tell(
        tmp_path, __rollout_serving=both, __rollout_health=unwell, __rollout_seen=free, rollout_on_failure="keep"
    )
    assert kept["verdict"] == (
        "1 of 2 nodes of this wave failed, and is in service all the same, so no further wave is begun."
    )
    assert kept["lines"] == ["a: 2 restarts."]


def test_node_that_was_uncordoned_in_the_middle_is_not_called_in_service(tmp_path: Path) -> None:
    uncordoned = tell(tmp_path, __rollout_seen=seen(unschedulable=False), rollout_on_failure="keep")
    assert uncordoned["verdict"].startswith("1 of 2 nodes of this wave is not in service")
    finished = tell(tmp_path, __rollout_seen=seen(unschedulable=False, maintenance=None), rollout_on_failure="keep")
    assert finished["verdict"].startswith("1 of 2 nodes of this wave failed, and is in service all the same")
