# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a reboot that the role made: the mode of one GPU is off, the other's layout is back, and its restore stays."""

from __future__ import annotations

READY = "/run/kubegpu-sharing/mig-ready"
UNIT = "kubegpu-mig-restore.service"


def test_host_was_rebooted(host):
    before = host.file("/var/lib/boot-id-before").content_string
    assert host.file("/proc/sys/kernel/random/boot_id").content_string not in ("", before)


def test_only_the_gpu_that_was_named_lost_its_devices(devices, layout):
    assert sorted(devices()) == sorted(layout[:5])


def test_restore_stays_for_the_other_gpu(host):
    assert host.service(UNIT).is_enabled
    assert host.file(READY).is_file
    assert not host.file("/var/lib/kubegpu-sharing/mig/unfinished.json").exists
    assert not host.file("/var/lib/kubegpu-sharing/mig/change.json").exists


def test_services_run(host):
    assert host.service("nvidia-dcgm").is_running
    assert host.service("nvidia-persistenced").is_running
