# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What else a change of plugin changes."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.settings_change import settings_changes

from . import fleet

OURS = {"version": "v1", "flags": {"migStrategy": "none", "plugin": {"passDeviceSpecs": True}}}


def told(settings: dict[str, Any], document: dict[str, Any] | None = None) -> list[tuple[str, str]]:
    plugin = fleet.foreign_plugin(["n1", "n2"], settings=settings)
    release = {"method": "label", "daemonset": f"kube-system/{fleet.FOREIGN}"}
    nodes: dict[str, dict[str, Any]] = {name: {"key": "t4", "release": release} for name in ("n1", "n2")}
    nodes["n3"] = {"key": "t4", "release": None}
    return [
        (entry["severity"], entry["message"].split(" To ")[0].split(" GPUs under")[0])
        for entry in settings_changes([plugin], nodes, {"t4": document or OURS})
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        pytest.param({"passDeviceSpecs": True, "migStrategy": "none"}, [], id="the same"),
        pytest.param({}, [], id="not known"),
        pytest.param(
            {"passDeviceSpecs": False},
            [("warning", f"passDeviceSpecs is false in DaemonSet kube-system/{fleet.FOREIGN} and becomes true.")],
            id="a switch, once for all nodes of a config",
        ),
        pytest.param(
            {"deviceListStrategy": ["volume-mounts"]},
            [
                (
                    "warning",
                    f"deviceListStrategy is volume-mounts in DaemonSet kube-system/{fleet.FOREIGN} and becomes envvar.",
                )
            ],
            id="a list",
        ),
        pytest.param(
            {"migStrategy": "single"},
            [("info", f"migStrategy is single in DaemonSet kube-system/{fleet.FOREIGN} and becomes none.")],
            id="one that has nothing to choose",
        ),
    ],
)
def test_settings_changes_names_what_a_new_pod_notices(
    settings: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert told(settings) == expected


def test_settings_changes_is_silent_if_the_config_keeps_the_setting() -> None:
    document = {"flags": {"migStrategy": "single", "plugin": {"deviceListStrategy": "volume-mounts"}}}
    assert told({"migStrategy": "single", "deviceListStrategy": ["volume-mounts"]}, document) == []


def test_strategy_that_the_config_says_itself_is_no_news() -> None:
    document = {"flags": {"migStrategy": "mixed", "plugin": {"passDeviceSpecs": True}}}
    assert told({"migStrategy": "single"}, document) == []
