# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of an error of an action plugin that works on a node."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._node_action import NodeAction


@pytest.fixture(autouse=True)
def begun(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ansible's own part, which has begun the result."""
    monkeypatch.setattr(ActionBase, "run", lambda *_given: {"begun": True})


def action(outcome: Any) -> NodeAction:
    class Action(NodeAction):
        def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
            if isinstance(outcome, Exception):
                raise outcome
            return {**outcome, "host": task_vars.get("inventory_hostname")}

    made = object.__new__(Action)
    made._task = SimpleNamespace(check_mode=False)
    return made


def test_result_is_what_the_work_returns() -> None:
    assert action({"changed": True}).run(None, {"inventory_hostname": "gpu-1"}) == {
        "begun": True,
        "changed": True,
        "host": "gpu-1",
    }
    assert action({}).run()["host"] is None


def test_error_of_the_collection_fails_the_task_with_its_facts_and_another_one_is_not_hidden() -> None:
    failed = action(KubeGpuError("It is not there.", path="/x")).run(None, {})
    assert failed == {"begun": True, "failed": True, "msg": "It is not there.", "path": "/x"}
    with pytest.raises(ZeroDivisionError):
        action(ZeroDivisionError()).run(None, {})
