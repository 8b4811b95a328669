# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The options of container_runtime: the documentation and what the action plugin takes are one."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.action.container_runtime import ARGUMENT_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish
from ansible_collections.kubegpu.sharing.plugins.modules.container_runtime import DOCUMENTATION

DOCUMENTED = yaml.safe_load(DOCUMENTATION)["options"]
ROLE = Path(__file__).resolve().parents[4] / "roles/nvidia_container_runtime/tasks/runtime.yml"


def test_options_are_the_documented_ones() -> None:
    assert set(DOCUMENTED) == set(ARGUMENT_SPEC)


@pytest.mark.parametrize("option", sorted(ARGUMENT_SPEC))
def test_option_has_the_documented_default_and_choices(option: str) -> None:
    documented, taken = DOCUMENTED[option], ARGUMENT_SPEC[option]
    assert documented.get("default") == taken.get("default")
    assert documented.get("choices") == taken.get("choices")
    assert {documented["type"], taken["type"]} in ({"str", "path"}, {taken["type"]})


@pytest.mark.parametrize("field", fields(Wish), ids=lambda field: str(field.name))
def test_wish_of_a_task_without_options_is_the_plain_wish(field: object) -> None:
    name = field.name  # type: ignore[attr-defined]  # of dataclasses' own, which has no public name
    assert ARGUMENT_SPEC[name]["default"] == getattr(Wish(), name)


def test_role_hands_on_every_option_that_a_user_may_set() -> None:
    (task,) = yaml.safe_load(ROLE.read_text(encoding="utf-8"))
    assert set(ARGUMENT_SPEC) - set(task["kubegpu.sharing.container_runtime"]) == {"lock_wait_seconds"}
