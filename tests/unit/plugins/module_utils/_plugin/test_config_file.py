# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from typing import Any

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.config_file import ConfigFile, TimeSlicing


def test_render_shared_gpu_is_the_file_that_the_plugin_reads() -> None:
    text = ConfigFile(time_slicing=TimeSlicing({"nvidia.com/gpu": 8})).render()
    assert text == (
        "version: v1\nflags:\n  migStrategy: none\n  failOnInitError: true\n  plugin:\n    passDeviceSpecs: true\n"
        "sharing:\n  timeSlicing:\n    renameByDefault: false\n    failRequestsGreaterThanOne: true\n    resources:\n"
        "    - name: nvidia.com/gpu\n      replicas: 8\n"
    )


def test_render_whole_gpu_has_no_sharing_block() -> None:
    # replicas: 1 is refused by the plugin, in every version.
    assert "sharing" not in yaml.safe_load(ConfigFile().render())


def test_render_lays_the_operators_flags_over_its_own() -> None:
    flags = {"plugin": {"deviceIDStrategy": "index"}, "nvidiaDriverRoot": "/run/nvidia/driver"}
    assert yaml.safe_load(ConfigFile(flags).render())["flags"] == {
        "migStrategy": "none",
        "failOnInitError": True,
        "nvidiaDriverRoot": "/run/nvidia/driver",
        "plugin": {"passDeviceSpecs": True, "deviceIDStrategy": "index"},
    }


@pytest.mark.parametrize(
    ("config", "resources"),
    [
        (ConfigFile(), {"nvidia.com/gpu": 4}),
        (ConfigFile(time_slicing=TimeSlicing({"nvidia.com/gpu": 3})), {"nvidia.com/gpu": 12}),
        (ConfigFile(time_slicing=TimeSlicing({"nvidia.com/gpu": 3}, rename=True)), {"nvidia.com/gpu.shared": 12}),
    ],
)
def test_resources_of_four_gpus(config: ConfigFile, resources: dict[str, int]) -> None:
    assert config.resources_of(4) == resources


@pytest.mark.parametrize(
    "replicas",
    [{"nvidia.com/gpu": 1}, {}, {"nvidia.com/gpu.shared": 2}, {"rdma/hca": 2}],
    ids=["one", "none", "shared", "foreign"],
)
def test_time_slicing_refuses_what_the_plugin_would_refuse(replicas: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        TimeSlicing(replicas)


def test_strategy_of_mig_stands_in_the_file_and_devices_of_each_kind_are_advertised() -> None:
    slicing = TimeSlicing({"nvidia.com/mig-1g.12gb": 2}, rename=True)
    config = ConfigFile(time_slicing=slicing, mig_strategy="mixed")
    assert config.to_document()["flags"]["migStrategy"] == "mixed"
    assert config.advertise({"nvidia.com/mig-1g.12gb": 4, "nvidia.com/mig-3g.48gb": 1, "nvidia.com/gpu": 1}) == {
        "nvidia.com/gpu": 1,
        "nvidia.com/mig-1g.12gb.shared": 8,
        "nvidia.com/mig-3g.48gb": 1,
    }
