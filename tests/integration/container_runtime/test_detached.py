# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change over a connection that ends with the container runtime: it is confirmed when the host is found again, or taken back."""

from __future__ import annotations

import pytest

from .real_host import CONFIG, RealHost, wait_for

pytestmark = pytest.mark.timeout(420)

CUT = """\
[Service]
ExecStop=/usr/local/sbin/cut-connections
"""
# What a connection through a pod goes through when its runtime is restarted: it breaks, and is back some time later.
PROGRAM = """\
#!/bin/sh
systemctl stop --no-block ssh.service ssh.socket
pkill -KILL '^sshd'
systemd-run --quiet --on-active={seconds} --timer-property=AccuracySec=100ms systemctl start ssh.service
"""


def hang_connections_on_the_runtime(node: RealHost, seconds: int) -> None:
    """From now on, a restart of containerd ends all connections, for so many seconds."""
    node.write("/usr/local/sbin/cut-connections", PROGRAM.format(seconds=seconds), "755")
    node.write("/etc/systemd/system/containerd.service.d/cut.conf", CUT)
    node.sh("systemctl daemon-reload")


def test_detached_change_is_confirmed_when_the_connection_is_back(node: RealHost) -> None:
    hang_connections_on_the_runtime(node, 3)
    done = node.play(kubegpu_runtime_detached=True, kubegpu_runtime_confirm_seconds=200)
    assert done.code == 0, done.said
    assert done.changed == 1
    assert node.handlers() == "kata nvidia runc"
    assert node.sh("systemctl is-active containerd") == "active"
    # It says that all is well before it ends.
    units = "systemctl list-units --all --no-legend 'kubegpu-runtime-*'"
    assert wait_for(lambda: node.sh(units) == ""), node.sh(units)
    journal = node.sh("journalctl --sync; journalctl -o cat -u 'kubegpu-runtime-*'")
    for done_so_far in (
        f"Wrote {CONFIG}.",
        "Restarting containerd.service.",
        "containerd serves with it, ",
        "Confirmed: ",
    ):
        assert f"\n{done_so_far}" in journal


def test_detached_change_is_taken_back_when_nobody_confirms(node: RealHost) -> None:
    before = node.digest(CONFIG)
    # Far longer than it waits, also on a busy machine.
    hang_connections_on_the_runtime(node, 30)
    done = node.play(kubegpu_runtime_detached=True, kubegpu_runtime_confirm_seconds=3)
    assert done.code != 0
    assert "which is 3 s (kubegpu_runtime_confirm_seconds)" in done.words
    assert "The old files are back, and containerd serves with them." in done.words
    assert node.digest(CONFIG) == before
    assert node.handlers() == "kata runc"
    assert node.sh("systemctl is-active containerd") == "active"
