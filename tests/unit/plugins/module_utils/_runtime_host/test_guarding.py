# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Servers of a cluster: one is restarted only while all others are there."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import CONFIG, RuntimeNode, change, make_plan

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.guarding import problems_before

from .conftest import Step

pytestmark = pytest.mark.node_side

NEW = "version = 2\n# ours\n"


def guard(directory: Path, ready: dict[str, bool], node: str = "s1") -> dict[str, Any]:
    """A guard whose command tells these members."""
    answer = directory / "nodes.json"
    items = [
        {
            "metadata": {"name": name},
            "status": {"conditions": [{"type": "Ready", "status": "True" if is_ready else "Unknown"}]},
        }
        for name, is_ready in ready.items()
    ]
    answer.write_text(json.dumps({"items": items}), encoding="utf-8")
    return {"kind": "quorum", "argv": ["cat", str(answer)], "node": node}


@pytest.mark.parametrize(
    "ready",
    [{"s1": True, "s2": True, "s3": True}, {"s1": False, "s2": True, "s3": True}, {"s1": True}, {}],
    ids=["all there", "this one away", "a single one", "a database elsewhere"],
)
def test_server_may_be_restarted_while_all_others_are_there(tmp_path: Path, ready: dict[str, bool]) -> None:
    assert problems_before([guard(tmp_path, ready)]) == []


@pytest.mark.parametrize("node", ["s1", "a name that nobody has"])
def test_server_stays_while_another_one_is_away(tmp_path: Path, node: str) -> None:
    problems = problems_before([guard(tmp_path, {"s1": True, "s2": False, "s3": True}, node)])
    assert len(problems) == 1
    assert "s2 is not ready" in problems[0]


def test_cluster_that_does_not_answer_lets_nothing_be_restarted() -> None:
    [problem] = problems_before([{"kind": "quorum", "argv": ["sh", "-c", "echo connection refused >&2; exit 1"]}])
    assert "is not known" in problem
    assert "connection refused" in problem
    assert "answered no list of nodes" in problems_before([{"kind": "quorum", "argv": ["echo", "[]"]}])[0]
    assert "does not know" in problems_before([{"kind": "another"}])[0]


def test_server_is_asked_before_anything_is_written(node: RuntimeNode, step: Step, tmp_path: Path) -> None:
    guards = [guard(tmp_path, {"s1": True, "s2": False})]
    for check_mode in (True, False):
        with pytest.raises(KubeGpuError, match="s2 is not ready"):
            step(make_plan(change(node, CONFIG, NEW), guards=guards), check_mode=check_mode)
    assert node.read(CONFIG) == "version = 2\n"
    assert not node.calls
    assert not node.leftovers()


def test_server_is_asked_again_right_before_its_restart(node: RuntimeNode, step: Step, tmp_path: Path) -> None:
    guards = [guard(tmp_path, {"s1": True, "s2": True})]
    # The second question finds another one away.
    gone = json.dumps({"items": [{"metadata": {"name": "s2"}, "status": {}}]})
    first = f"cat {tmp_path}/nodes.json; printf %s '{gone}' > {tmp_path}/nodes.json"
    guards[0]["argv"] = ["sh", "-c", first]
    with pytest.raises(KubeGpuError, match=r"s2 is not ready(?s:.*)was not restarted"):
        step(make_plan(change(node, CONFIG, NEW), guards=guards))
    assert node.read(CONFIG) == "version = 2\n"
    assert not node.calls
    assert not node.leftovers()


def test_server_that_does_not_run_is_started_though_it_cannot_be_asked(
    node: RuntimeNode, step: Step, tmp_path: Path
) -> None:
    """As after a run that was killed while it restarted the server: it answers once it runs again."""
    node.set_unit("containerd.service", "failed")
    guards = [guard(tmp_path, {"s1": True, "s2": True})]
    guards[0]["argv"] = ["sh", "-c", f"test -e {tmp_path}/runs && cat {tmp_path}/nodes.json || ! touch {tmp_path}/runs"]
    step(make_plan(change(node, CONFIG, NEW), guards=guards))
    assert node.loaded == NEW


def test_server_that_does_not_become_ready_again_gets_its_old_files_back(
    node: RuntimeNode, step: Step, tmp_path: Path
) -> None:
    guards = [guard(tmp_path, {"s1": False, "s2": True})]
    # The restart has to end within them, also where it stands still for a while.
    probe = {"kind": "cri", "seconds": 4.0}
    with pytest.raises(KubeGpuError, match="The node s1 is not ready yet"):
        step(make_plan(change(node, CONFIG, NEW), guards=guards, probe=probe))
    assert node.loaded == "version = 2\n"
