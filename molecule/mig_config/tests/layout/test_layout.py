# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the first run: the layout stands, services run as before, and the restore is in place."""

from __future__ import annotations

import json

import pytest

READY = "/run/kubegpu-sharing/mig-ready"
UNIT = "kubegpu-mig-restore.service"

BEFORE = (
    "kubelet containerd crio docker k3s k3s-agent rke2-server rke2-agent snap.microk8s.daemon-kubelite "
    "snap.microk8s.daemon-containerd nvidia-cdi-refresh nvidia-dcgm"
)


def test_layout_stands_and_is_recorded_with_its_places(host, devices, layout):
    assert sorted(devices()) == sorted(layout)
    recorded = json.loads(host.file("/var/lib/kubegpu-sharing/mig/layout.json").content_string)
    assert [len(gpu["instances"]) for gpu in recorded["gpus"]] == [5, 2]
    assert host.file(READY).is_file
    assert not host.file("/var/lib/kubegpu-sharing/mig/unfinished.json").exists


@pytest.mark.parametrize("service", ["nvidia-persistenced", "nvidia-dcgm"])
def test_service_that_held_the_gpus_was_stopped_once_and_runs_again(host, service):
    assert host.service(service).is_running
    assert host.file(f"/var/log/{service}").content_string.split() == ["start", "stop", "start"]


def test_service_that_did_not_run_was_not_started(host):
    assert not host.service("dcgm").is_running
    assert not host.file("/var/log/dcgm").exists


@pytest.mark.parametrize("specification", ["/etc/cdi/nvidia.yaml", "/etc/cdi/gpus.json", "/var/run/cdi/nvidia.yaml"])
def test_cdi_specification_names_the_new_devices(host, specification, layout):
    assert host.file(specification).content_string.count("UUID: MIG-") == len(layout)


def test_cdi_specification_of_another_kind_is_left_alone(host):
    assert "UUID: MIG-" not in host.file("/etc/cdi/management.yaml").content_string


def test_unit_is_enabled_and_ordered(host, properties):
    assert host.service(UNIT).is_enabled
    found = properties(UNIT, "After", "Before", "TimeoutStartUSec", "Type", "NeedDaemonReload")
    assert {"systemd-modules-load.service", "nvidia-persistenced.service", "nvidia-fabricmanager.service"} <= set(
        found["After"].split()
    )
    assert {f"{name}.service" for name in BEFORE.split()} <= set(found["Before"].split())
    assert (found["TimeoutStartUSec"], found["Type"], found["NeedDaemonReload"]) == ("2min", "oneshot", "no")


def test_kubelet_starts_without_the_unit(properties):
    needs = properties("kubelet", "Requires", "Requisite", "BindsTo")
    assert not any(UNIT in value for value in needs.values())


def test_unit_is_sound(host):
    assert host.run(f"systemd-analyze verify {UNIT}").stderr == ""


@pytest.mark.parametrize("action", ["add", "remove"])
def test_udev_ends_the_marker_when_the_driver_comes_or_goes_and_starts_the_unit_when_it_comes(host, action):
    """The rule, made one for a module that every kernel has: what udev would do when that module came or went."""
    rule, probe = "/etc/udev/rules.d/90-kubegpu-mig-restore.rules", "/run/udev/rules.d/90-probe.rules"
    assert 'KERNEL=="nvidia"' in host.file(rule).content_string
    host.check_output(f'mkdir -p /run/udev/rules.d && sed \'s/"nvidia"/"kernel"/\' {rule} > {probe}')
    try:
        found = host.run(f"udevadm test --action={action} /sys/module/kernel").stdout
    finally:
        host.check_output(f"rm {probe}")
    assert f"/bin/rm -f {READY}" in found
    # Of a module that goes, udev repeats what it noted when that came, and systemd starts nothing.
    assert action == "remove" or (f"SYSTEMD_WANTS={UNIT}" in found and "TAGS=:systemd:" in found)


def test_program_says_its_version(host):
    program = "/usr/local/lib/kubegpu-sharing/kubegpu-sharing.pyz"
    assert host.check_output(f"/usr/bin/python3 {program} --version").startswith("kubegpu.sharing ")
