# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.plugin_settings import parse_flags, read_settings

FILE = {"flags": {"migStrategy": "mixed", "failOnInitError": True, "plugin": {"deviceListStrategy": ["volume-mounts"]}}}


@pytest.mark.parametrize(
    ("args", "env", "value", "source"),
    [
        (["--mig-strategy=single"], {"MIG_STRATEGY": "none"}, "single", "command line"),
        (["nvidia-device-plugin", "--mig-strategy", "single"], {}, "single", "command line"),
        (["-mig-strategy=single"], {}, "single", "command line"),
        ([], {"MIG_STRATEGY": "single"}, "single", "environment"),
        ([], {"MIG_STRATEGY": ""}, "mixed", "file"),
        ([], {}, "mixed", "file"),
    ],
)
def test_read_settings_command_line_beats_environment_beats_file(args: Any, env: Any, value: str, source: str) -> None:
    assert read_settings(args, env, FILE)["migStrategy"] == {"value": value, "source": source}


def test_read_settings_without_anything_are_the_defaults() -> None:
    settings = read_settings([], {}, None)
    assert settings["failOnInitError"] == {"value": True, "source": "default"}
    assert settings["migStrategy"]["value"] == "none"
    assert settings["configFile"]["value"] == ""


@pytest.mark.parametrize(
    ("args", "value"),
    [
        (["--fail-on-init-error=false"], False),
        (["--fail-on-init-error", "false"], True),  # a switch takes no word after it
        (["--fail-on-init-error"], True),
        (["--fail-on-init-error=T"], True),
        (["--fail-on-init-error=0"], False),
    ],
)
def test_read_settings_reads_switches_as_the_plugin_does(args: list[str], value: bool) -> None:
    assert read_settings(args, {}, None)["failOnInitError"]["value"] is value


@pytest.mark.parametrize(
    ("env", "value"), [({"DEVICE_LIST_STRATEGY": "envvar,cdi-cri"}, ["envvar", "cdi-cri"]), ({}, ["volume-mounts"])]
)
def test_read_settings_reads_lists(env: dict[str, str], value: list[str]) -> None:
    assert read_settings([], env, FILE)["deviceListStrategy"]["value"] == value


def test_read_settings_survives_a_file_of_another_shape() -> None:
    for config in ({"flags": "none"}, {"flags": {"plugin": 3}}, {"flags": None}, {}):
        assert read_settings([], {}, config)["deviceListStrategy"]["source"] == "default"


def test_parse_flags_passes_over_what_it_does_not_know() -> None:
    assert parse_flags(["--verbose", "--v=3", "x", "--config-file=/a/b", "--config-file"]) == {"configFile": ""}
