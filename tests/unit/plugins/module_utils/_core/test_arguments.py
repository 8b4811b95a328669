# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Argument specs that are merged."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible.module_utils import basic

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec
from ansible_collections.kubegpu.sharing.plugins.modules.runtime_files import argument_spec


@pytest.mark.parametrize("logged", [True, False])
def test_options_are_logged_on_the_host_unless_told_otherwise(logged: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[Any] = []
    monkeypatch.setattr(basic.AnsibleModule, "log", lambda self, line, log_args=None: lines.append(line))
    monkeypatch.setattr(
        basic, "_ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": {"plan": {"secret": "hunter2"}}}).encode()
    )
    monkeypatch.setattr(basic, "_ANSIBLE_PROFILE", "legacy", raising=False)
    ArgumentSpec({"plan": {"type": "dict"}}).merge(ArgumentSpec(logged=logged)).create_module()
    assert ("hunter2" in "".join(lines)) is logged


def test_plan_of_a_runtime_is_not_logged() -> None:
    assert not argument_spec().logged
