# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After another directory and another interval: they hold at once, and nothing is left of the former ones."""

from __future__ import annotations

from hosts.verifying import wait_until

TARGET = "/var/lib/another/kubegpu.prom"


def test_file_is_written_to_the_new_place_and_gone_from_the_old_one(host):
    wait_until(lambda: host.file(TARGET).exists)
    assert host.file("/var/lib/node_exporter/textfile_collector").listdir() == ["others.prom"]


def test_one_timer_is_left_with_the_new_interval(host):
    units = host.check_output("systemctl list-units --plain --no-legend --all 'kubegpu-gpu-usage*.timer'").splitlines()
    assert [unit.split()[0] for unit in units] == ["kubegpu-gpu-usage-7s.timer"]
    shown = host.check_output("systemctl show kubegpu-gpu-usage-7s.timer --property=TimersMonotonic,NeedDaemonReload")
    assert "OnUnitActiveUSec=7s" in shown
    assert "NeedDaemonReload=no" in shown
    assert not host.file("/etc/systemd/system/timers.target.wants/kubegpu-gpu-usage-5s.timer").exists
