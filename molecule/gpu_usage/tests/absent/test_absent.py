# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After state absent: nothing of the role, and all of others."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    "path",
    [
        "/etc/systemd/system/kubegpu-gpu-usage*",
        "/etc/systemd/system/timers.target.wants/kubegpu*",
        "/etc/kubegpu-sharing",
        "/usr/local/lib/kubegpu-sharing",
        "/var/lib/another/*",
    ],
)
def test_nothing_of_the_role_is_left(host, path):
    assert host.run(f"ls -d {path}").stdout == ""


def test_no_unit_runs_or_waits(host):
    assert host.check_output("systemctl list-units --plain --no-legend 'kubegpu*'") == ""
    assert host.check_output("systemctl list-timers --no-legend 'kubegpu*'") == ""
    assert host.check_output("systemctl is-system-running") == "running"


def test_directory_of_node_exporter_is_as_it_was(host):
    directory = host.file("/var/lib/node_exporter/textfile_collector")
    assert (directory.mode, directory.listdir()) == (0o775, ["others.prom"])


def test_pods_run_on(host):
    tasks = host.check_output("ctr --namespace k8s.io task ls").splitlines()[1:]
    assert [line.split()[2] for line in tasks] == ["RUNNING"] * 4
