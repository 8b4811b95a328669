# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a run that failed and one that was killed: what they had stopped runs, and the layout stands."""

from __future__ import annotations

import pytest

FAILED = "/run/kubegpu-sharing/mig-restore-failed"
READY = "/run/kubegpu-sharing/mig-ready"


@pytest.mark.parametrize("service", ["nvidia-persistenced", "nvidia-dcgm"])
def test_service_runs_again(host, service):
    assert host.service(service).is_running


def test_service_that_nobody_ran_does_not_run(host):
    assert not host.service("dcgm").is_running


def test_layout_stands_and_nothing_is_left_to_do(host, devices, layout):
    assert sorted(devices()) == sorted(layout)
    assert host.file(READY).is_file
    assert not host.file(FAILED).exists
    assert not host.file("/var/lib/kubegpu-sharing/mig/unfinished.json").exists


def test_specification_names_the_devices_again(host, layout):
    assert host.file("/etc/cdi/nvidia.yaml").content_string.count("UUID: MIG-") == len(layout)
