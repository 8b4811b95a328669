# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The rollout's step on a host, where the GPUs of the plan come to stand and another one does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from integration.mig_config.node import Node
from integration.mig_config.role_play import play

from simulator.nvml.mig_state import changing

pytestmark = pytest.mark.integration

STEP = {"name": "kubegpu.sharing.rollout", "tasks_from": "mig_host.yml"}


def step(request: dict[str, Any]) -> dict[str, Any]:
    """Variables that a wave has when it comes to a host, for this request of the plan."""
    entry = {"request": request, "node_emptied": "none", "reset_with": [], "pods": {}, "finished_pods": []}
    return {"__rollout_node": "node", "__rollout_mig_steps": {"node": entry}}


def test_host_step_says_at_once_that_the_device_plugin_could_not_start(tmp_path: Path) -> None:
    node = Node.make(tmp_path, "H20", "H20")
    assert node.configure(mig_devices={"1g.12gb": 7})["changed"]
    with changing(node.directory) as mig:
        mig.lay_out(node.uuid(1), {"7g.96gb": 1})
    run = {"name": "Say which run it is", "set_fact": {"__rollout_run": {"id": "test"}}}
    tasks = [{**run, "delegate_to": "localhost", "delegate_facts": True}, {"include_role": STEP}]
    result = play(node, {"tasks": tasks}, **step({"mig_devices": {"7g.96gb": 1}, "gpus": 0}))
    assert result.returncode != 0
    assert "GPU 1 (NVIDIA H20) is not as it is recorded" in result.stdout
    assert "the new device plugin does not start without it" in " ".join(result.stdout.split())
    # The module's own words come as Ansible wants warnings.
    assert "[WARNING]: GPU 1 (NVIDIA H20) is not as it is recorded" in result.stderr
    assert "DEPRECATION" not in result.stderr
    assert (node.places(0), node.ready.exists()) == ((("7g.96gb", 0),), False)

    # What goes back may serve by a plugin that knows no marker.
    gone = play(node, {"tasks": tasks}, **step({"state": "absent", "gpus": 0}))
    assert gone.returncode == 0, gone.stdout
    assert node.places(0) == ()
