# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What holds for the plan of any engine."""

from __future__ import annotations

from typing import Any, Dict

import pytest
from unit.plugins.fakes.seen_runtime import after, seen_file, seen_runtime

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.planning import plan_runtime
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

CRIO = "/etc/crio/crio.conf.d/80-kubegpu-sharing.conf"
DOCKER = "/etc/docker/daemon.json"
MAIN = "/etc/containerd/config.toml"
DROP_IN = "/etc/containerd/conf.d/80-kubegpu-sharing.toml"


FILES: Dict[str, Dict[str, Any]] = {
    "containerd": {MAIN: "version = 3\n"},
    "crio": {CRIO: None},
    "docker": {DOCKER: "{}\n"},
}
FIELDS: Dict[str, Dict[str, Any]] = {
    "containerd": {"version": "2.1.9", "program": "/usr/bin/containerd", "config_path": MAIN},
    "crio": {"version": "1.30.0"},
    "docker": {"version": "27.0.0", "live": {"live_restore": True, "swarm": False, "containers": []}},
}


def node(engine: str, files: Any = None, **fields: Any) -> Dict[str, Any]:
    """A node on which nothing of ours is."""
    return seen_runtime(engine, {**FILES[engine], **(files or {})}, **{**FIELDS[engine], **fields})


def plan(told: Dict[str, Any], **options: Any) -> RuntimePlan:
    return plan_runtime(Wish(**options), Observation.from_dict(told))


ENGINES = ("containerd", "crio", "docker")
OURS = {"containerd": DROP_IN, "crio": CRIO, "docker": DOCKER}


@pytest.mark.parametrize("engine", ENGINES)
def test_place_of_a_file_that_something_else_takes_is_refused(engine: str) -> None:
    taken = {**seen_file(None), "type": "directory"}
    assert [text for text in plan(node(engine, {OURS[engine]: taken})).problems if "is a directory" in text]


@pytest.mark.parametrize("engine", ["containerd", "crio"])
@pytest.mark.parametrize("state", ["present", "absent"])
def test_file_of_ours_that_cannot_be_read_is_not_written_over(engine: str, state: str) -> None:
    told = plan(node(engine, {OURS[engine]: b"\xff\n"}), state=state).problems
    assert [text for text in told if OURS[engine] in text and "it is not UTF-8 at byte 0" in text]


@pytest.mark.parametrize("engine", ENGINES)
def test_record_that_could_not_be_read_on_the_node_is_refused(engine: str) -> None:
    assert plan(node(engine, record_problem="record.json is no JSON.")).problems == ("record.json is no JSON.",)


@pytest.mark.parametrize("engine", ENGINES)
def test_record_of_another_schema_is_refused_though_the_rest_of_it_can_be_read(engine: str) -> None:
    start = node(engine)
    there = after(start, plan(start).to_dict())
    there["record"] = {**there["record"], "schema_version": 2}
    assert [text for text in plan(there, state="absent").problems if "schema_version is 2, not 1" in text]


@pytest.mark.parametrize("engine", ENGINES)
def test_engine_without_a_service_gets_no_files_that_nobody_would_read(engine: str) -> None:
    told = node(engine)
    told["candidates"][0]["units"] = []
    made = plan(told)
    assert [text for text in made.problems if "no unit of it is loaded on this node" in text and engine in text]


def test_relative_directory_for_what_is_noted_is_refused_with_all_else_that_is_wrong() -> None:
    told = plan(node("containerd"), state_dir="var/lib/x", caller="role", name="Big").problems
    assert len(told) == 2
    assert "kubegpu_runtime_state_dir is 'var/lib/x', which is relative" in told[1]
    assert "absolute path on the node, such as /var/lib/kubegpu-sharing/runtime" in told[1]


def test_path_with_a_control_character_is_refused() -> None:
    assert "there is a control character" in plan(node("crio"), binary="/usr/bin/nvidia\nruntime").problems[0]


@pytest.mark.parametrize("engine", ENGINES)
def test_what_was_approved_has_the_same_digest_once_it_was_begun(engine: str) -> None:
    start = node(engine)
    made = plan(start)
    before = {change.path: change.before for change in made.files}
    written = after(start, made.to_dict())
    for reached in ([], list(before)[:1], list(before)):
        files = {**start["files"], **{path: written["files"][path] for path in reached}}
        noted = {path: {"before": before[path], "after": written["files"][path]["sha256"]} for path in before}
        marker = {"run": "r", "since": "x", "phase": "writing", "owed": True, "files": noted, "record": None}
        begun = {**start, "files": files, "record": made.record, "pending": marker}
        again = plan(begun)
        assert again.restart
        assert again.digest == made.digest
        assert plan(begun, default=True).digest != made.digest
