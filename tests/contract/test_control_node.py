# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The control node of the tests of interruption calls the modules in the order in which the role calls them, in every situation.

So what those tests prove of every write of a rollout holds for playbooks, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from integration.interruption import control_node
from integration.interruption.control_node import DONE, NOTHING_TO_DO, STOPPED, ControlNode, Orders
from unit.plugins.fakes.driver import Driver

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError

from .role_calls import COUNTED, Call, RoleReader

Object = dict[str, Any]
NODES = ["gpu-1", "gpu-2"]
#: The playbook's order. Without a plan there is no wave.
BEGINNING, WAVE, END = ("plan.yml", "begin.yml"), ("wave.yml",), ("finish.yml",)


@dataclass(frozen=True)
class Situation:
    """What a run comes upon.

    :param ends: how the control node ends.
    :param variables: where the role's variables are others than those of a rollout of one wave in which all goes well.
    :param failing: the call that fails as a whole.
    :param bad_node: of the last step, the node that fails in it.
    """

    ends: str = DONE
    variables: Mapping[str, Any] = field(default_factory=dict)
    failing: Call | None = None
    bad_node: str = ""
    approved: str = ""
    resumable: bool = False
    empty: bool = False
    rollback: bool = False
    missing: tuple[str, ...] = ()
    dead: str | None = None


SITUATIONS = {
    "all goes well": Situation(),
    "the rest of an approved plan": Situation(approved="other", resumable=True),
    "another plan than the approved one": Situation(STOPPED, approved="other"),
    "a permission is missing": Situation(STOPPED, missing=("patch nodes",)),
    "the lock is held": Situation(STOPPED, failing=("maintenance_lock", "present")),
    "the snapshot fails": Situation(STOPPED, failing=("rollout_snapshot", "present")),
    "the objects cannot be made": Situation(STOPPED, failing=("device_plugin", "present")),
    "a node fails": Situation(STOPPED, bad_node="gpu-2"),
    "nothing can be pruned": Situation(STOPPED, failing=("device_plugin", "pruned")),
    "nothing to do": Situation(NOTHING_TO_DO, empty=True),
    "nothing to do after a dead run": Situation(NOTHING_TO_DO, empty=True, dead="run-0"),
    "a rollback": Situation(rollback=True),
    "a rollback that can revert nothing": Situation(STOPPED, rollback=True, failing=("device_plugin", "reverted")),
}


def role_variables(situation: Situation) -> Object:
    """What the role's conditions ask for."""
    failures = {situation.bad_node: "it failed"} if situation.bad_node else {}
    return {
        "ansible_check_mode": False,
        "hostvars": {"localhost": {"__rollout_stopped": "a node failed"} if failures else {}},
        "rollout_plan_id": situation.approved,
        "rollout_on_failure": "keep",
        "__rollout_plan": {
            "plan_id": "this",
            "empty": situation.empty,
            "kind": "rollback" if situation.rollback else "sharing",
        },
        "__rollout_planned": {"plan_id": "this", "empty": situation.empty},
        "__rollout_purpose": "rollout",
        "__rollout_resumed": {"resumable": situation.resumable},
        "__rollout_allowed": {"missing": situation.missing},
        "__rollout_obstacle": "",
        # The control node of the tests has never stopped at nodes that are in service and not well.
        "__rollout_passed_by": [],
        "__rollout_begun": True,
        "__rollout_well": NODES,
        "__rollout_watched": True,
        "__rollout_noted": {"nodes": {}},
        "__rollout_read_hosts": [],
        "__rollout_errors": {},
        "__rollout_mig_nodes": [],
        "__rollout_mig_well": [],
        "__rollout_runtime_well": [],
        "__rollout_node": NODES[0],
        "__rollout_still_paused": [],
        "__rollout_files": [],
        "__rollout_with_hosts": False,
        "__rollout_mig_returning": [],
        "__rollout_failures": failures,
        "__rollout_to_restore": list(failures),
        "__rollout_lock_seen": {"taken_over": situation.dead},
        "__rollout_surplus": {"actions": []},
        "__rollout_clearing": {"taken_over": situation.dead} if situation.dead else {},
        "__rollout_status": {"matches": True},
    }


class Recorder:
    """Stands in for all modules of a control node."""

    def __init__(self, situation: Situation) -> None:
        self.situation = situation
        self.calls: list[Call] = []

    def answer(self, module: str, state: str = "", check_mode: bool = False) -> Object:
        call = (module, state)
        if not check_mode:
            self.calls.append(call)
        if call == self.situation.failing:
            raise KubeGpuError(f"{module} {state} failed")
        bad = self.situation.bad_node if state == "in_service" else ""
        return {
            "taken_over": self.situation.dead,
            "actions": [],
            "missing": self.situation.missing,
            "msg": "",
            "matches": True,
            "resumable": self.situation.resumable,
            "reason": "",
            "nodes": {name: {"failed": name == bad, "reason": "it failed"} for name in NODES},
        }

    def step(self) -> Callable[..., Object]:
        def call(driver: Driver, module: Any, **params: Any) -> Object:
            return self.answer(module.__name__.rpartition(".")[2], params.get("state", ""), driver.check_mode)

        return call

    def run_of(self, name: str) -> Callable[..., Any]:
        class Answer:
            """As a module's outcome."""

            def __init__(self, result: Object) -> None:
                self.to_result = lambda: result

        return lambda _params, _api: Answer(self.answer(name))


def carry_out(situation: Situation, monkeypatch: pytest.MonkeyPatch, directory: Path) -> tuple[str, list[Call]]:
    """How the control node ends, and its calls."""
    recorder = Recorder(situation)
    plan = {"plan_id": "this", "empty": situation.empty, "waves": [] if situation.empty else [NODES]}
    monkeypatch.setattr(Driver, "_call", recorder.step())
    for name in ("access_info", "rollout_snapshot_info", "rollout_status_info"):
        monkeypatch.setattr(getattr(control_node, name), "run", recorder.run_of(name))
    monkeypatch.setattr(ControlNode, "make_plan", lambda _self: plan)
    monkeypatch.setattr(control_node.transport, "connect", lambda *_options: None)
    way_back = "run-0" if situation.rollback else ""
    orders = Orders("", str(directory), {}, "run-1", {}, approved=situation.approved, rollback_of=way_back)
    return ControlNode(orders).roll_out().ended, recorder.calls


@pytest.mark.parametrize("name", SITUATIONS)
def test_control_node_of_the_tests_calls_what_the_role_calls(
    name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    situation = SITUATIONS[name]
    waves = () if situation.empty else WAVE
    expected = RoleReader(role_variables(situation), situation.failing).read(*BEGINNING, *waves, *END)
    assert carry_out(situation, monkeypatch, tmp_path) == (situation.ends, expected)


def test_wave_that_changes_mig_devices_refuses_before_it_evicts_and_undoes_what_it_paused() -> None:
    """What keeps the driver open is paused between cordon and eviction, and goes on before the node is back, or after it has failed."""
    variables = {
        **role_variables(Situation()),
        "__rollout_with_hosts": True,
        "__rollout_mig_nodes": NODES,
        "__rollout_mig_well": NODES,
        "__rollout_item": "",
        "__rollout_extended": {"taken_over": None},
    }
    calls = RoleReader(variables).read(*WAVE)
    assert calls == [
        ("rollout_status_info", ""),
        ("rollout_health_info", ""),
        ("node_maintenance", "in_maintenance"),
        ("nvml_holders", "paused"),
        ("node_maintenance", "in_maintenance"),
        ("device_plugin", "withdrawn"),
        ("maintenance_lock", "present"),
        ("node_maintenance", "failed"),
        ("device_plugin", "serving"),
        ("nvml_holders", "resumed"),
        ("node_maintenance", "in_service"),
        ("rollout_health_info", ""),
    ]
    # Hosts are read once nothing comes to their nodes any more, and before that is judged.
    read = RoleReader(variables, counted=frozenset({*COUNTED, "gpu_info"})).read(*WAVE)
    assert read[2:5] == [("node_maintenance", "in_maintenance"), ("gpu_info", ""), ("nvml_holders", "paused")]
    assert ("gpu_info", "") not in RoleReader(role_variables(Situation()), counted=frozenset({"gpu_info"})).read(*WAVE)
    failed = {**variables, "__rollout_failures": {"gpu-1": "it failed"}, "__rollout_still_paused": ["gpu-1"]}
    after = RoleReader(failed).read(*WAVE)[len(calls) :]
    assert after == [("rollout_status_info", ""), ("nvml_holders", "resumed"), ("maintenance_lock", "absent")]
