# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The documentation of the action plugin against the plugin."""

from __future__ import annotations

import json
from typing import Any

import yaml

from ansible_collections.kubegpu.sharing.plugins.action import report as action
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.outcome import Rollout, summarise
from ansible_collections.kubegpu.sharing.plugins.modules import report


def test_argument_spec_is_what_the_documentation_says() -> None:
    def shape(option: dict[str, Any]) -> tuple[Any, ...]:
        return (option["type"], option.get("default"), option.get("required", False), option.get("choices"))

    documented = yaml.safe_load(report.DOCUMENTATION)["options"]
    assert {name: shape(option) for name, option in action.ARGUMENT_SPEC.items()} == {
        name: shape(option) for name, option in documented.items()
    }


def test_documented_keys_of_the_report_are_there() -> None:
    documented = set(yaml.safe_load(report.RETURN)["report"]["contains"])
    nothing: dict[str, Any] = {"nodes": {}, "pending": [], "failed": []}
    assert documented <= set(summarise(Rollout({"plan_id": "x"}, nothing, nothing), "2026-03-01T12:00:00Z"))


def test_same_report_looks_past_the_time(tmp_path: Any) -> None:
    path = str(tmp_path / "report.json")
    figures = {"created": "now", "slots_after": 11, "pair": (1, 2)}
    assert action._same_report(path, figures) is False
    (tmp_path / "report.json").write_text(json.dumps({**figures, "created": "then"}), encoding="utf-8")
    assert action._same_report(path, figures) is True
    assert action._same_report(path, {**figures, "slots_after": 12}) is False
    (tmp_path / "report.json").write_text("{", encoding="utf-8")
    assert action._same_report(path, figures) is False


def test_result_leaves_the_cards_of_a_large_fleet_to_the_file() -> None:
    small: dict[str, Any] = {"cards": [{}] * 100, "courses": [{}]}
    assert action._shorten(small) is small
    large = {**small, "cards": [{}] * 101, "slots_after": 11}
    assert action._shorten(large) == {"cards": [], "courses": [], "slots_after": 11}
    assert len(large["cards"]) == 101
