# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Numbers that operators mistype, and which are looked at."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.filter.wrong_numbers import wrong_numbers

ROLE = Path(__file__).resolve().parents[4] / "roles/rollout"
INTERVAL = {"least": "0.1", "most": 60, "wanted": "0.1 to 60 seconds"}


@pytest.mark.parametrize("value", [0, 600, "600", " 5 ", 600.0, "600.0"])
def test_whole_numbers_are_right(value: Any) -> None:
    assert wrong_numbers({"kubegpu_soak_seconds": {"value": value}}) == []


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (-1, "-1"),
        ("-5", "'-5'"),
        ("abc", "'abc'"),
        (0.5, "0.5"),
        ("0.5", "'0.5'"),
        (True, "True"),
        ("true", "'true'"),
        ("", "''"),
        ("10%", "'10%'"),
        (None, "None"),
        ("1e3", "'1e3'"),
        ("nan", "'nan'"),
        ([5], "[5]"),
    ],
)
def test_what_is_no_whole_number_is_told_by_the_name_of_its_variable(value: Any, shown: str) -> None:
    assert wrong_numbers({"kubegpu_soak_seconds": {"value": value}}) == [
        f"kubegpu_soak_seconds is {shown}; give a whole number, 0 or more."
    ]


@pytest.mark.parametrize(("value", "right"), [(0.1, True), ("60", True), (0, False), ("0.09", False), (60.1, False)])
def test_number_within_bounds_need_not_be_whole(value: Any, right: bool) -> None:
    told = wrong_numbers({"kubegpu_measure_interval_seconds": {"value": value, **INTERVAL}})
    assert told == ([] if right else [f"kubegpu_measure_interval_seconds is {value!r}; give 0.1 to 60 seconds."])


def test_all_are_told_at_once() -> None:
    told = wrong_numbers({"kubegpu_b": {"value": "x"}, "kubegpu_c": {"value": 1}, "kubegpu_a": {"value": -1}})
    assert [sentence.split()[0] for sentence in told] == ["kubegpu_b", "kubegpu_a"]


def test_every_number_of_the_role_is_looked_at_by_the_name_that_is_typed() -> None:
    (task,) = yaml.safe_load((ROLE / "tasks/values.yml").read_text(encoding="utf-8"))
    looked_at = task["vars"]["__rollout_numbers"]
    options = yaml.safe_load((ROLE / "meta/argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["start"][
        "options"
    ]
    defaults = yaml.safe_load((ROLE / "defaults/main.yml").read_text(encoding="utf-8"))
    numbers = {name: spec for name, spec in options.items() if spec["type"] in ("int", "float")}
    typed = {name: re.findall(r"kubegpu_[a-z_]+", defaults[name])[0] for name in numbers}
    assert {name: looked_at[typed[name]]["value"] for name in numbers} == {
        name: f"{{{{ {name} }}}}" for name in numbers
    }
    defaults_given = {
        name: {**entry, "value": numbers[option]["default"]}
        for option, name in typed.items()
        for entry in [looked_at[name]]
    }
    assert wrong_numbers(defaults_given) == []
