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


def test_service_that_held_the_gpus_made_way_and_runs_again(host):
    """The first run stopped it, then the reboot did, and then the restore, which is after it."""
    runs = host.file("/var/log/nvidia-persistenced").content_string.split()
    assert runs == ["start", "stop", "start", "stop", "start", "stop", "start"]
    assert host.service("nvidia-persistenced").is_running


def test_service_that_starts_after_the_restore_had_to_make_way_to_nobody(host):
    runs = host.file("/var/log/nvidia-dcgm").content_string.split()
    assert runs == ["start", "stop", "start", "stop", "start"]
    assert host.service("nvidia-dcgm").is_running


def test_service_that_does_not_run_is_not_started(host):
    assert not host.service("dcgm").is_running


def test_second_start_restores_nothing(host, unit_log, layout, devices):
    host.check_output(f"systemctl start {UNIT}")
    assert (
        unit_log().rstrip().splitlines()[-3:].count("The recorded MIG layout stands; nothing had to be restored.") == 1
    )
    assert host.file(READY).is_file
    assert len(devices()) == len(layout)


def test_layout_comes_back_when_the_driver_is_loaded_anew(host, layout, devices, properties, wait_for):
    """Meanwhile everything runs, and holds the GPUs; the unit that makes specifications counts as running since the boot."""
    refreshed = properties("nvidia-cdi-refresh", "InvocationID")
    host.check_output("/opt/simulated-gpus/nvidia-smi --simulate-boot")
    assert devices() == []
    host.check_output(f"systemctl start {UNIT}")
    assert sorted(devices()) == sorted(layout)
    wait_for(lambda: all(host.service(name).is_running for name in ("nvidia-persistenced", "nvidia-dcgm")))
    wait_for(lambda: properties("nvidia-cdi-refresh", "InvocationID") != refreshed)
    assert not host.service("dcgm").is_running
    assert not host.file("/run/kubegpu-sharing/mig-restore-stopped").exists
