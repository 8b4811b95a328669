# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What container_runtime asks of a host, in which order, and when it asks nothing more."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.action.container_runtime import ARGUMENT_SPEC, ActionModule
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError

CONFIG = "/etc/containerd/config.toml"
CRI = 'plugins."io.containerd.grpc.v1.cri".containerd'
PLAIN = f"""\
version = 2
[{CRI}]
  default_runtime_name = "runc"
  [{CRI}.runtimes.runc]
    runtime_type = "io.containerd.runc.v2"
"""


@dataclass
class Node:
    """A node with containerd 1.6, which makes of its main file what the file says.

    :param hidden: what it makes of any file, where a drop-in hides it.
    """

    text: str = PLAIN
    hidden: str | None = None
    record: Any = None
    pending: Any = None
    active: str = "active"
    asked: list[str] = field(default_factory=list)
    check_mode: bool = False

    def read(self) -> dict[str, Any]:
        self.asked.append("read")
        unit = {"name": "containerd.service", "load": "loaded", "active": self.active, "sub": "running"}
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return {
            "engine": "containerd",
            "candidates": [{"engine": "containerd", "evidence": ["It runs."], "units": [unit], "active": True}],
            "version": "1.6.20",
            "program": "/usr/bin/containerd",
            "config_path": CONFIG,
            "files": {CONFIG: {"type": "file", "sha256": digest, "content": self.text, "mode": "0644"}},
            "binaries": {"/usr/bin/nvidia-container-runtime": {"exists": True, "executable": True}},
            "dump": self._dump(CONFIG, self.text),
            "record": self.record,
            "pending": self.pending,
        }

    def stage(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        self.asked.append("stage")
        (file,) = plan["staging"]["files"]
        return self._dump(file["path"], file["content"])

    def apply(self, plan: Mapping[str, Any], dump: Mapping[str, Any] | None) -> dict[str, Any]:
        self.asked.append("apply")
        if not self.check_mode:
            (file,) = plan["files"] or [{"content": self.text}]
            if plan["files"]:
                assert dump == self._dump(CONFIG, file["content"], rc=None)
            self.text, self.record, self.pending = file["content"], plan["record"], None
        return {"backups": [], "restarted": True}

    def forget(self) -> None:
        self.asked.append("forget")

    def _dump(self, path: str, text: str, rc: int | None = 0) -> dict[str, Any]:
        argv = ["/usr/bin/containerd", "--config", path, "config", "dump"]
        found = {"argv": argv, "stdout": self.hidden or text}
        return found if rc is None else {**found, "rc": rc, "stderr": ""}


def work(node: Node, **options: Any) -> dict[str, Any]:
    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(check_mode=node.check_mode, diff=True)
    params = {name: spec.get("default") for name, spec in ARGUMENT_SPEC.items()}
    node.asked.clear()
    return action._make_ready({**params, **options}, "gpu-1", node)  # type: ignore[arg-type]  # a node without a connection


def test_change_is_tried_before_it_is_done_and_a_second_run_only_reads() -> None:
    node = Node()
    done = work(node)
    assert (done["changed"], node.asked) == (True, ["read", "stage", "apply"])
    assert [one["before_header"] for one in done["diff"]] == [CONFIG]
    again = work(node)
    assert (again["changed"], again["diff"], node.asked) == (False, [], ["read"])
    gone = work(node, state="absent")
    assert (gone["changed"], node.text, node.asked[-1]) == (True, PLAIN, "forget")


def test_check_mode_tells_what_a_real_run_does() -> None:
    node = Node(check_mode=True)
    looked = work(node)
    assert (looked["changed"], node.text) == (True, PLAIN)
    done = work(Node())
    names = ("changed", "actions", "diff", "digest", "units", "restart")
    assert {name: looked[name] for name in names} == {name: done[name] for name in names}
    # What was done is told of what was done.
    assert ("told" in looked, "told" in done) == (False, True)


def test_candidate_that_loses_a_table_is_refused_before_anything_is_written() -> None:
    node = Node(hidden=PLAIN)
    with pytest.raises(InputError) as caught:
        work(node)
    assert node.asked == ["read", "stage"]
    assert "runtimes" in caught.value.msg


def test_handler_that_another_file_hides_is_no_success() -> None:
    node = Node()
    work(node)
    node.hidden = PLAIN
    with pytest.raises(InputError, match="does not take effect"):
        work(node)
    assert node.asked == ["read"]


def test_objections_of_the_caller_stand_beside_the_problems_of_the_host() -> None:
    node = Node(text="version = 2\n[plugins\n")
    with pytest.raises(InputError) as caught:
        work(node, objections=["Not yet."])
    assert len(caught.value.problems) == 2
    assert node.asked == ["read"]


def test_runtime_that_somebody_has_stopped_and_numbers_of_no_use_are_refused_before_anything_is_tried() -> None:
    node = Node(active="inactive")
    with pytest.raises(InputError) as caught:
        work(node, restart_seconds=0, keep_backups=0)
    assert [text for text in caught.value.problems if "it is stopped, and has not failed" in text]
    assert [text for text in caught.value.problems if text.startswith(("restart_seconds is 0.", "keep_backups is 0."))]
    assert len(caught.value.problems) == 3
    assert (node.asked, node.text) == (["read"], PLAIN)
    assert work(Node(active="failed"))["changed"]


def test_other_change_than_the_planned_one_is_refused_and_one_that_was_begun_is_still_the_planned_one() -> None:
    node = Node()
    planned = work(Node(check_mode=True))["digest"]
    with pytest.raises(KubeGpuError, match="differs from what was planned"):
        work(node, expected_digest=planned, default=True)
    assert "apply" not in node.asked
    assert work(node, expected_digest=planned)["changed"]
    assert not work(node, expected_digest=planned)["changed"]
    written = {
        "before": hashlib.sha256(PLAIN.encode()).hexdigest(),
        "after": hashlib.sha256(node.text.encode()).hexdigest(),
    }
    node.pending = {"run": "r1", "since": "2026-03-01T12:00:00Z", "phase": "restarting", "files": {CONFIG: written}}
    with pytest.raises(KubeGpuError, match="differs from what was planned"):
        work(node, expected_digest=planned, default=True)
    assert work(node, expected_digest=planned)["changed"]
    assert not work(node)["changed"]


def test_problems_are_data_for_a_rollout_that_looks(tmp_path: Any) -> None:
    node = Node(text="version = 2\n[plugins\n", check_mode=True)
    looked = work(node, dest_dir=str(tmp_path))
    assert (looked["changed"], looked["would_change"], len(looked["problems"])) == (False, False, 1)
    written = json.loads((tmp_path / "gpu-1.json").read_text(encoding="utf-8"))
    assert written["problems"] == looked["problems"]
    node.check_mode = False
    with pytest.raises(InputError):
        work(node, dest_dir=str(tmp_path))
