# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process that is killed by signal 9 at any moment: what it leaves starts, and the next run finishes.

Each call by which names in the file system change is such a moment. A process of its own counts them and kills itself before the one that is
its turn, so that all of them come up, whatever the code becomes.
"""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import BREAK, CONFIG, DROP_IN, RuntimeNode, change, make_plan, params
from unit.plugins.fakes.runtime_node import pending as marker

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.steps import take_step

pytestmark = pytest.mark.node_side

OLD, NEW, DROPPED = "version = 2\n", "version = 2\n# ours\n", "# a drop-in of ours\n"
RECORD = {"schema_version": 1, "engine": "containerd", "files": {}}
CALLS = ("rename", "replace", "link", "unlink", "mkdir", "rmdir")
KILLED = -signal.SIGKILL
# More than there are; a loop that never comes to an end would not say what is wrong.
MOST = 400


def die_before(turn: int) -> None:
    """Have this process killed before the change of the file system whose turn it is."""
    count = 0

    def watch(call: Callable[..., Any]) -> Callable[..., Any]:
        def watched(*arguments: Any, **options: Any) -> Any:
            nonlocal count
            count += 1
            if count == turn:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*arguments, **options)

        return watched

    for name in CALLS:
        setattr(os, name, watch(getattr(os, name)))


def run_until(turn: int, node: RuntimeNode, plan: dict[str, Any]) -> int:
    """The step in a process of its own; its exit status, negative for the signal that ended it."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            die_before(turn)
            take_step(params(node, plan), False)
            code = 0
        finally:
            os._exit(code)
    status = os.waitpid(pid, 0)[1]
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


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
        if run_until(turn, node, plan_for(node, new)) != KILLED:
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
        assert node.loaded == OLD
        assert node.is_active
        assert not node.leftovers()
        assert node.read("/var/lib/kubegpu-sharing/runtime/record.json") is None
