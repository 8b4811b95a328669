# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.flags import check_flags

NEW, OLD = (0, 20, 0), (0, 14, 5)


@pytest.mark.parametrize(
    "flags",
    [
        {},
        {"plugin": {"deviceIDStrategy": "index", "passDeviceSpecs": False}},
        {"plugin": {"deviceListStrategy": ["envvar", "volume-mounts"]}},
        {"nvidiaDriverRoot": "/run/nvidia/driver", "gdsEnabled": True},
        {"migStrategy": "none"},
    ],
)
def test_check_flags_known_flags_pass(flags: dict[str, Any]) -> None:
    assert check_flags("here", flags, OLD) == []


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        ({"passDeviceSpecs": True}, "here: unknown flag 'passDeviceSpecs'. It belongs at plugin.passDeviceSpecs."),
        ({"plugin": {"gdsEnabled": True}}, "here: unknown flag 'plugin.gdsEnabled'. It belongs at gdsEnabled."),
        (
            {"plugin": {"deviceIdStrategi": "uuid"}},
            "unknown flag 'plugin.deviceIdStrategi'. Did you mean plugin.deviceIDStrategy?",
        ),
        ({"plugin": {"deviceIDStrategy": "name"}}, "here: plugin.deviceIDStrategy is 'name'; give one of uuid, index."),
        ({"plugin": {"deviceListStrategy": ["cdi-cri"]}}, "give one or a list of envvar, volume-mounts."),
        ({"failOnInitError": "false"}, "here: failOnInitError is 'false'; give true or false."),
        ({"nvidiaDriverRoot": ""}, "here: nvidiaDriverRoot is ''; give a string."),
        ({"migStrategy": "mixed"}, "say it with the config's word mig ({strategy: mixed, devices: …})"),
        ({"migStrategy": "both"}, "here: migStrategy is 'both'; say it with the config's word mig, which lays out"),
        ({"gfd": {"oneshot": True}}, "here: gfd configures GPU Feature Discovery"),
        ({"mpsRoot": "/run/mps"}, "here: mpsRoot belongs to sharing: mps, which is not supported yet."),
        ({"plugin": "all"}, "here: unknown flag 'plugin'."),
        (["a"], "here is a list; give a mapping such as"),
    ],
)
def test_check_flags_problem_says_where_what_and_the_cure(flags: Any, problem: str) -> None:
    problems = check_flags("here", flags, NEW)
    assert len(problems) == 1
    assert problem in problems[0]


def test_check_flags_too_new_for_the_version_is_told() -> None:
    problems = check_flags("here", {"plugin": {"sharedDevicesAllocationPolicy": "packed"}}, OLD)
    assert problems == [
        "here: plugin.sharedDevicesAllocationPolicy is known to the device plugin from v0.20.0 on, and v0.14.5 would ignore it. "
        "Choose a newer version, or leave the flag out."
    ]
    assert check_flags("here", {"plugin": {"sharedDevicesAllocationPolicy": "packed"}}, NEW) == []
