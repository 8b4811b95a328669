# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A detached change: it is confirmed over whatever connection is there after the restart, and what became of it is told."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest
from ansible.errors import AnsibleConnectionFailure

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import check_run
from ansible_collections.kubegpu.sharing.plugins.plugin_utils import _runtime_host_calls as calls
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_host_calls import NodeError, RuntimeHost

PARAMS = {
    "engine": "auto",
    "run": "r1",
    "state_dir": "/state",
    "root": "/",
    "lock_path": "/lock",
    "lock_wait_seconds": 0.0,
    "restart_seconds": 60,
    "confirm_seconds": 120,
    "detached": True,
}


@dataclass
class ScriptedAction:
    """An action plugin whose host gives these answers, one a call; an exception stands for a connection that breaks."""

    answers: list[dict[str, Any] | Exception]
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    resets: int = 0
    check_mode: bool = False

    def __post_init__(self) -> None:
        self._task = SimpleNamespace(check_mode=self.check_mode)
        self._connection = SimpleNamespace(reset=self._reset)

    def _reset(self) -> None:
        self.resets += 1

    def _execute_module(self, module_name: str, module_args: dict[str, Any], task_vars: Any) -> dict[str, Any]:
        self.asked.append((module_name.rpartition(".")[2], module_args))
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def steps(self) -> list[str]:
        return [options.get("step", module) for module, options in self.asked]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits, and the program is on the host."""
    monkeypatch.setattr(calls, "_POLL_SECONDS", 0.0)
    monkeypatch.setattr(calls, "install_program", lambda action, options, variables: {"changed": False})


def host(action: ScriptedAction, **params: Any) -> RuntimeHost:
    return RuntimeHost(action, {**PARAMS, **params}, {"inventory_hostname": "gpu-1"})


def test_detached_change_is_confirmed_after_a_connection_that_broke() -> None:
    broken = AnsibleConnectionFailure("gone")
    action = ScriptedAction(
        [
            {"started": True},
            {"phase": "running"},
            broken,
            {"unreachable": True, "msg": "gone"},
            {"phase": "waiting"},
            {"phase": "waiting"},
            {"phase": "confirmed", "result": {"restarted": True}},
        ]
    )
    assert host(action).apply({"files": []}) == {"restarted": True}
    assert action.steps() == ["applied", "result", "result", "result", "result", "confirmed", "result"]
    assert action.resets == 2
    begun, *later = [options for _module, options in action.asked]
    assert begun["plan"] == {"files": []}
    assert begun["detached"] is True
    assert begun["run"].startswith("r1-")
    assert {options["run"] for options in later} == {begun["run"]}
    assert not any("plan" in options for options in later)


def test_change_whose_unit_ends_the_connection_before_it_was_heard_of_is_confirmed_all_the_same() -> None:
    gone = {"unreachable": True, "msg": "gone"}
    action = ScriptedAction([gone, {"phase": "waiting"}, {}, {"phase": "confirmed", "result": {"restarted": True}}])
    assert host(action).apply({"files": []}) == {"restarted": True}
    assert action.steps() == ["applied", "result", "confirmed", "result"]
    assert action.resets == 1


def test_change_that_never_began_over_a_connection_that_broke_is_an_error() -> None:
    unknown = {"failed": True, "msg": "This node knows of no detached change for run r1."}
    action = ScriptedAction([AnsibleConnectionFailure("gone"), unknown])
    with pytest.raises(NodeError, match="knows of no detached change"):
        host(action).apply({"files": []})


def test_change_for_which_no_unit_was_started_is_done() -> None:
    action = ScriptedAction([{"restarted": False, "backups": []}])
    assert host(action).apply({"files": []}) == {"restarted": False, "backups": []}
    assert action.steps() == ["applied"]


@pytest.mark.parametrize("phase", ["rolled_back", "failed", "lost"])
def test_detached_change_that_was_taken_back_fails_with_what_the_host_says(phase: str) -> None:
    answer = {"phase": phase, "result": {"msg": "containerd did not answer.", "log_lines": ["boom"]}}
    action = ScriptedAction([{"started": True}, answer])
    with pytest.raises(NodeError) as caught:
        host(action).apply({})
    assert caught.value.msg == "containerd did not answer."
    assert caught.value.facts["log_lines"] == ["boom"]
    assert caught.value.facts.get("restored", True) is (phase != "lost")


def test_word_that_comes_too_late_ends_in_what_became_of_the_change() -> None:
    taken_back = {"phase": "rolled_back", "result": {"msg": "It was not confirmed in time. The old files are back."}}
    action = ScriptedAction([{"started": True}, {"phase": "waiting"}, {"failed": True, "msg": "Too late."}, taken_back])
    with pytest.raises(NodeError, match="The old files are back"):
        host(action).apply({})


def test_detached_change_of_which_nothing_is_heard_says_where_to_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_SPARE_SECONDS", 0)
    monkeypatch.setattr(calls, "_LEAST_SECONDS", 0)
    action = ScriptedAction([{"started": True}])
    with pytest.raises(KubeGpuError, match="journalctl -u kubegpu-runtime-r1-") as caught:
        host(action, restart_seconds=0, confirm_seconds=0).apply({})
    assert caught.value.facts["restored"] is False


def test_detached_change_that_waits_for_the_lock_of_the_host_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(calls, "_SPARE_SECONDS", 0)
    monkeypatch.setattr(calls, "_LEAST_SECONDS", 0)
    action = ScriptedAction([{"started": True}, {"phase": "running"}, {"phase": "confirmed", "result": {}}])
    assert host(action, restart_seconds=0, confirm_seconds=0, lock_wait_seconds=30.0).apply({}) == {}


@pytest.mark.parametrize("run", ["r1", "20260301-120000-a1b2c3", "a" * 40, "a" * 32 + "-" + "b" * 7])
def test_detached_change_of_any_run_has_a_name_that_the_host_takes(run: str) -> None:
    action = ScriptedAction([{"started": True}, {"phase": "confirmed", "result": {}}])
    host(action, run=run).apply({})
    assert not check_run(action.asked[0][1]["run"])


def test_check_mode_starts_no_unit() -> None:
    action = ScriptedAction([{"changed": True}], check_mode=True)
    host(action).apply({})
    assert "detached" not in action.asked[0][1]


def test_failure_of_a_module_keeps_its_message_and_facts() -> None:
    answer = {"failed": True, "msg": "Full.", "log_lines": ["x"], "invocation": {"module_args": {"plan": "secret"}}}
    with pytest.raises(NodeError) as caught:
        host(ScriptedAction([answer]), detached=False).apply({})
    assert caught.value.msg == "Full."
    assert caught.value.facts == {"log_lines": ["x"]}


def test_module_that_was_killed_leaves_a_runtime_that_nobody_vouches_for() -> None:
    killed = {
        "failed": True,
        "msg": "MODULE FAILURE: Killed",
        "module_stdout": "",
        "module_stderr": "Killed",
        "rc": 137,
    }
    for answer, vouched in ((killed, False), ({"failed": True, "msg": "Full."}, True)):
        with pytest.raises(NodeError) as caught:
            host(ScriptedAction([answer]), detached=False).apply({})
        assert caught.value.facts.get("restored", True) is vouched


def test_module_that_was_killed_is_told_with_what_comes_next() -> None:
    answer = {
        "failed": True,
        "msg": "No start of json char found",
        "module_stdout": "",
        "module_stderr": "Killed",
        "rc": 137,
    }
    with pytest.raises(
        NodeError, match=r"without a result \(status 137: Killed\)\. .* run again, which finishes that or takes it back"
    ):
        host(ScriptedAction([answer]), detached=False).apply({})


def test_host_that_cannot_be_reached_is_unreachable_and_not_failed() -> None:
    with pytest.raises(AnsibleConnectionFailure):
        host(ScriptedAction([{"unreachable": True, "msg": "gone"}])).read()
