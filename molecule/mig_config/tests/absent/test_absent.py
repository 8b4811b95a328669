# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After state absent: no MIG device, and nothing of the role."""

from __future__ import annotations

import pytest

READY = "/run/kubegpu-sharing/mig-ready"
UNIT = "kubegpu-mig-restore.service"


def test_no_device_is_left(devices):
    assert devices() == []


@pytest.mark.parametrize(
    "path",
    [
        READY,
        f"/etc/systemd/system/{UNIT}",
        f"/etc/systemd/system/multi-user.target.wants/{UNIT}",
        "/etc/udev/rules.d/90-kubegpu-mig-restore.rules",
        "/usr/local/lib/kubegpu-sharing",
        "/var/lib/kubegpu-sharing/mig",
    ],
)
def test_nothing_of_the_role_is_left(host, path):
    found = host.run(f"test -e {path} -o -L {path}")
    assert found.rc == 1


@pytest.mark.parametrize("service", ["nvidia-persistenced", "nvidia-dcgm", "kubelet"])
def test_service_runs(host, service):
    assert host.service(service).is_running
