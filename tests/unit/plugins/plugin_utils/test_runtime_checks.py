# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers of no use, and runtimes that somebody has stopped."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.action.container_runtime import ActionModule
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Candidate, Observation, Unit
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.plugin_utils import _runtime_checks
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._runtime_checks import (
    choice_problems,
    number_problems,
    stopped_problems,
)

NUMBERS = {"restart_seconds": 60, "confirm_seconds": 120, "keep_backups": 5}
PLAN = RuntimePlan("containerd", restart=True, units=("containerd.service",))


def observed(*units: Unit, **more: Any) -> Observation:
    return Observation(engine="containerd", candidates=(Candidate("containerd", units=units),), **more)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("restart_seconds", -5),
        ("restart_seconds", 0),
        ("restart_seconds", 3601),
        ("confirm_seconds", 0),
        ("keep_backups", 0),
    ],
)
def test_number_of_no_use_is_refused_by_the_name_of_the_variable_with_its_range(name: str, value: int) -> None:
    assert number_problems(NUMBERS) == []
    (problem,) = number_problems({**NUMBERS, name: value, "caller": "role"})
    assert problem.startswith(f"kubegpu_runtime_{name} is {value}. Give a whole number from ")
    assert number_problems({**NUMBERS, name: value})[0].startswith(f"{name} is ")


def test_runtime_that_somebody_has_stopped_is_not_started() -> None:
    stopped = Unit("containerd.service", active="inactive", sub="dead", enabled="disabled")
    (problem,) = stopped_problems(PLAN, observed(stopped))
    assert "containerd.service (disabled)" in problem
    assert "systemctl start containerd.service" in problem
    # With all else that stands against it, in one message.
    assert stopped_problems(PLAN.refused("Its executable is missing."), observed(stopped)) == [problem]
    # Nothing is to be restarted.
    assert stopped_problems(replace(PLAN, restart=False), observed(stopped)) == []
    # A change that was begun may be what stopped it.
    assert stopped_problems(PLAN, observed(stopped, pending={"run": "r"})) == []


def test_value_that_is_no_choice_is_refused_by_the_name_of_the_variable() -> None:
    spec: dict[str, Any] = {
        "state": {"choices": ["present", "absent"]},
        "cdi": {"choices": ["inherit", "true", "false"]},
        "name": {},
        "engine": {"choices": ["auto"]},
    }
    assert choice_problems({"caller": "role", "state": "gone", "cdi": True, "name": "x"}, spec) == [
        "kubegpu_runtime_state is 'gone'. Give one of present, absent."
    ]
    # Ansible tells of a module's own options.
    assert choice_problems({"state": "gone"}, spec) == []


def test_control_node_that_cannot_edit_is_told_so_before_a_host_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    action = object.__new__(ActionModule)
    action._task = SimpleNamespace(args={})
    monkeypatch.setattr(_runtime_checks, "find_spec", lambda name: None)
    with pytest.raises(
        InputError, match="The Python that runs Ansible has no tomlkit. Install it there: .* -m pip install tomlkit"
    ):
        action.work({"inventory_hostname": "gpu-1"})


@pytest.mark.parametrize("active", ["active", "activating", "failed", "deactivating"])
def test_runtime_that_runs_or_has_failed_is_restarted(active: str) -> None:
    assert stopped_problems(PLAN, observed(Unit("containerd.service", active=active))) == []
