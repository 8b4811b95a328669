# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans as the control node makes them, carried out by a process that is killed at any moment: planned anew for what it left, they come
to the same end, and taking out what is ours leaves every byte as it was.
"""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import CONFIG, RuntimeNode, params

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observing import Look, observe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.steps import take_step

from .killing import KILLED, MOST, run_until

ORIGINAL = """# by hand
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image   = "pause:3.9" # why not
  [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
    runtime_type = 'io.containerd.runc.v2'"""
TABLE = 'plugins."io.containerd.grpc.v1.cri".containerd.runtimes.nvidia'
STATE = "/var/lib/kubegpu-sharing/runtime"


def plan(node: RuntimeNode, state: str) -> dict[str, Any]:
    seen = Observation.from_dict(observe(Look(root=Root(str(node.root)))))
    made = plan_runtime(Wish(state=state, allow_missing_binary=True), seen)
    assert not made.problems
    return made.to_dict()


def carry_out(node: RuntimeNode, state: str) -> bool:
    """Whether there was anything to do, as the action plugin asks."""
    made = plan(node, state)
    if made["changed"]:
        take_step(params(node, made), False)
    return made["changed"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_plan_made_for_what_a_killed_run_left_comes_to_the_same_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None, state: str
) -> None:
    path = os.environ["PATH"]
    # Every moment would take a minute; those of the file system are all there with plans of less work.
    for turn in range(1, MOST, 4):
        node = RuntimeNode(tmp_path / f"{state}-{turn}")
        monkeypatch.setenv("PATH", f"{node.programs}{os.pathsep}{path}")
        node.write(CONFIG, ORIGINAL)
        node.load()
        if state == "absent":
            carry_out(node, "present")
        ended = run_until(turn, partial(take_step, params(node, plan(node, state)), False)) != KILLED
        carry_out(node, state)
        assert (TABLE in node.loaded) == (state == "present")
        assert node.settings() == node.loaded
        assert not node.leftovers()
        assert not carry_out(node, state)
        carry_out(node, "absent")
        assert node.loaded == ORIGINAL
        assert node.read(f"{STATE}/record.json") is None
        if ended:
            return
    raise AssertionError("no moment in which it ends")
