# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After a reboot: the layout is back, before anything that hands out GPUs."""

from __future__ import annotations

FAILED = "/run/kubegpu-sharing/mig-restore-failed"
READY = "/run/kubegpu-sharing/mig-ready"
UNIT = "kubegpu-mig-restore.service"


def test_layout_is_back(devices, layout, unit_log):
    assert sorted(devices()) == sorted(layout), unit_log()


def test_layout_stood_when_the_kubelet_started(host):
    assert host.file("/run/kubelet-found").content_string == "ready\n"
    assert host.file(READY).is_file
    assert not host.file(FAILED).exists


def test_unit_says_what_it_did(properties, unit_log):
    assert properties(UNIT, "Result", "ExecMainStatus") == {"Result": "success", "ExecMainStatus": "0"}
    assert "The recorded MIG layout was restored:\n  GPU 0: enable MIG mode" in unit_log()


def test_no_dependency_turned_in_a_circle(host):
    journal = host.check_output("journalctl --boot --output=cat _PID=1")
    assert "ordering cycle" not in journal
    assert host.check_output("systemctl is-system-running") == "running"


def test_specification_of_the_unit_names_the_devices(host, layout):
    assert host.file("/var/run/cdi/nvidia.yaml").content_string.count("UUID: MIG-") == len(layout)


def test_second_start_restores_nothing(host, unit_log, layout, devices):
    host.check_output(f"systemctl start {UNIT}")
    assert (
        unit_log().rstrip().splitlines()[-3:].count("The recorded MIG layout stands; nothing had to be restored.") == 1
    )
    assert host.file(READY).is_file
    assert len(devices()) == len(layout)
