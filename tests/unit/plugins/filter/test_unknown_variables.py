# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Misspelt variables are told, and nothing else is."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubegpu.sharing.plugins.filter.unknown_variables import unknown_variables
from contract.repository import ROOT, text

KNOWN = sorted(set(re.findall(r"\bkubegpu_[a-z0-9_]+", text(ROOT / "roles/rollout/defaults/main.yml"))))


def test_known_variables_and_those_of_others_are_not_told() -> None:
    assert unknown_variables([*KNOWN, "ansible_host", "rollout_wave", "my_kubegpu_thing"], KNOWN) == []


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("kubegpu_on_overcomit", "kubegpu_on_overcommit"),
        ("kubegpu_waves", "kubegpu_wave"),
        ("kubegpu_sharing_config", "kubegpu_sharing_configs"),
        ("kubegpu_max_unavailible", "kubegpu_max_unavailable"),
        ("kubegpu_lock_wait_seconds", "kubegpu_lock_wait"),
        ("kubegpu_nod_name", "kubegpu_node_name"),
        ("kubegpu_planid", "kubegpu_plan_id"),
    ],
)
def test_misspelt_variable_is_told_with_what_was_meant(written: str, meant: str) -> None:
    assert unknown_variables([written, meant], KNOWN) == [
        f"The variable {written} is unknown and has no effect. Did you mean {meant}?"
    ]


def test_variable_like_no_other_is_told_without_a_guess() -> None:
    (said,) = unknown_variables(["kubegpu_rack_position"], KNOWN)
    assert said == (
        "The variable kubegpu_rack_position is unknown and has no effect. Variables of your own had better not begin with kubegpu_."
    )
