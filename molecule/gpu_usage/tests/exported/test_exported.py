# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The exporter runs under systemd and names who uses the GPUs."""

from __future__ import annotations

import pytest

from hosts.verifying import read_properties, wait_until

TARGET = "/var/lib/node_exporter/textfile_collector/kubegpu.prom"
SERVICE, TIMER = "kubegpu-gpu-usage.service", "kubegpu-gpu-usage-5s.timer"
MIB = 1024 * 1024


def container(labels):
    return labels["namespace"], labels["pod"], labels["container"]


@pytest.fixture(autouse=True)
def written(host):
    wait_until(lambda: host.file(TARGET).exists)


def test_memory_and_processes_are_those_of_each_container(metrics, truth):
    found = metrics(TARGET)
    memory = {
        container(labels): (int(labels["gpu_index"]), value / MIB)
        for labels, value in found["kubegpu_container_gpu_memory_used_bytes"]
    }
    count = {container(labels): value for labels, value in found["kubegpu_container_gpu_processes"]}
    assert {name: (*memory[name], count[name]) for name in memory} == truth


def test_program_of_the_host_is_told_as_one(metrics):
    ((labels, value),) = metrics(TARGET)["kubegpu_host_process_gpu_memory_used_bytes"]
    assert (labels["command"], labels["gpu_index"], value) == ("sleep", "1", 64 * MIB)
    assert metrics(TARGET)["kubegpu_exporter_unattributed_processes"] == [({}, 0)]


def test_timer_runs_it_again_and_again(host, metrics):
    assert host.service(TIMER).is_running
    assert host.service(TIMER).is_enabled
    first = metrics(TARGET)["kubegpu_exporter_last_run_timestamp_seconds"]
    wait_until(lambda: metrics(TARGET)["kubegpu_exporter_last_run_timestamp_seconds"] > first)
    assert read_properties(host, SERVICE, "Result", "NeedDaemonReload") == {
        "Result": "success",
        "NeedDaemonReload": "no",
    }


def test_every_reading_leaves_the_journal_alone(host):
    assert host.check_output(f"journalctl --unit={SERVICE} --output=cat --quiet") == ""


def test_directory_of_node_exporter_is_as_it_was(host):
    directory = host.file(TARGET.rpartition("/")[0])
    assert directory.mode == 0o775
    # For a moment there is the file that takes the place of the one before it.
    wait_until(lambda: sorted(directory.listdir()) == ["kubegpu.prom", "others.prom"])
    assert host.file(TARGET).mode == 0o644


def test_nobody_holds_the_lock_of_changes(host):
    assert host.run("flock --exclusive --timeout 60 /run/lock/kubegpu-sharing.lock true").rc == 0
