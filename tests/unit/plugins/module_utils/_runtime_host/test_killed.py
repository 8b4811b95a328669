# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is killed by signal 9 at any moment: what it leaves starts, and the next run finishes."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import BREAK, CONFIG, DROP_IN, RuntimeNode, change, make_plan, params
from unit.plugins.fakes.runtime_node import pending as marker

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.steps import take_step

from .killing import KILLED, MOST, run_until

pytestmark = pytest.mark.node_side

OLD, NEW, DROPPED = "version = 2\n", "version = 2\n# ours\n", "# a drop-in of ours\n"
RECORD = {"schema_version": 1, "engine": "containerd", "files": {}}


def plan_for(node: RuntimeNode, new: str) -> dict[str, Any]:
    """What the control node plans for what is there now: files that differ, and the restart if one is owed."""
    wanted = {DROP_IN: DROPPED, CONFIG: new}
    files = [change(node, path, text, make_directory=True) for path, text in wanted.items() if node.read(path) != text]
    owed = marker(node) is not None
    return make_plan(*files, restart=bool(files) or owed, record=RECORD)


def each_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new: str, every: int = 1) -> list[RuntimeNode]:
    """Nodes on which the same change was killed, each at another moment; ``every`` so many."""
    killed: list[RuntimeNode] = []
    path = os.environ["PATH"]
    for turn in range(1, MOST, every):
        node = RuntimeNode(tmp_path / f"node-{turn}")
        monkeypatch.setenv("PATH", f"{node.programs}{os.pathsep}{path}")
        if run_until(turn, partial(take_step, params(node, plan_for(node, new)), False)) != KILLED:
            shutil.rmtree(tmp_path / f"node-{turn}")
            return killed
        # Whole files only, and each of them is one of the two.
        assert node.read(CONFIG) in (OLD, new)
        assert node.read(DROP_IN) in (None, DROPPED)
        killed.append(node)
    raise AssertionError(f"{MOST} moments, and still none in which it ends")


@pytest.fixture
def path_of_programs(monkeypatch: pytest.MonkeyPatch) -> Callable[[RuntimeNode], None]:
    path = os.environ["PATH"]
    return lambda node: monkeypatch.setenv("PATH", f"{node.programs}{os.pathsep}{path}")


def test_next_run_finishes_what_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path_of_programs: Callable[[RuntimeNode], None], quick: None
) -> None:
    nodes = each_moment(tmp_path, monkeypatch, NEW)
    # The marker, copies, candidates, second names, records and the files themselves: all were interrupted.
    assert len(nodes) > 20
    assert any(node.settings() != node.loaded for node in nodes)
    for node in nodes:
        path_of_programs(node)
        take_step(params(node, plan_for(node, NEW)), False)
        assert node.loaded == NEW + DROPPED
        assert node.is_active
        assert not node.leftovers()


def test_next_run_goes_back_to_what_stood_before_the_one_that_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path_of_programs: Callable[[RuntimeNode], None], quick: None
) -> None:
    for node in each_moment(tmp_path, monkeypatch, BREAK, every=3):
        path_of_programs(node)
        with pytest.raises(KubeGpuError, match="The old files are back"):
            take_step(params(node, plan_for(node, BREAK)), False)
        assert node.settings() == OLD
        assert not node.path(DROP_IN).parent.exists()
        assert node.loaded == OLD
        assert node.is_active
        assert not node.leftovers()
        assert node.read("/var/lib/kubegpu-sharing/runtime/record.json") is None
