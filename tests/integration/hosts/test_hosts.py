# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts: they boot, reboot, and leave nothing behind, in whatever way they end."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts.fixture import skipped_where_unavailable
from hosts.host import LOG, PID, Host, ask, cable_name, cgroup_name, execute, start, stop
from hosts.packages import install_packages

SECONDS = 120
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"


@pytest.fixture(scope="module", autouse=True)
def machine() -> None:
    with skipped_where_unavailable():
        install_packages()


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "host"
    stop(tmp_path / "host")


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout


def groups(directory: Path) -> list[Path]:
    """Cgroups of a host, and all below them. Those of others come and go meanwhile, which os.walk() does not mind."""
    paths = [Path(path) for path, _below, _files in os.walk("/sys/fs/cgroup")]
    return [path for path in paths if cgroup_name(directory) in path.parts]


def processes(directory: Path) -> list[str]:
    """Ids of what runs in a host."""
    found: list[str] = []
    for group in groups(directory):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            found += (group / "cgroup.procs").read_text(encoding="utf-8").split()
    return found


def leftovers(directory: Path) -> list[str]:
    """What a host that has ended may have left on this machine."""
    cgroups = map(str, groups(directory))
    mounts = [
        line for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines() if "host/disk" in line
    ]
    programs = [line for line in output("ps", "-eo", "args").splitlines() if str(directory) in line]
    links = output("ip", "-o", "link")
    cables = [line for line in links.splitlines() if cable_name(directory) in line]
    return [*cgroups, *mounts, *programs, *cables, *map(str, directory.parent.glob("host"))]


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def wait_until_nothing_is_left(directory: Path) -> None:
    assert wait_for(lambda: not leftovers(directory)), leftovers(directory)


def test_host_has_a_systemd_that_runs_and_keeps_its_disk_over_a_reboot(directory: Path) -> None:
    host = start(directory, "one")
    state = ask(host, "systemctl is-system-running", SECONDS)
    assert state == "running", ask(host, "systemctl --failed --no-legend", SECONDS)
    before = ask(host, f"touch /var/lib/kept /run/lost; {BOOT_ID}", SECONDS)
    execute(host, "systemctl reboot", SECONDS)
    assert wait_for(lambda: execute(host, BOOT_ID, SECONDS) not in ("", before))
    assert ask(host, "ls /var/lib/kept /run/lost 2>/dev/null", SECONDS) == "/var/lib/kept"
    stop(directory)
    wait_until_nothing_is_left(directory)


def test_cgroups_that_a_host_makes_are_below_its_own_and_end_with_it(directory: Path) -> None:
    """A container runtime makes some in every hierarchy that it may write to."""
    host = start(directory, "one")
    made = ask(
        host,
        "mount -o remount,rw /sys/fs/cgroup; cd /sys/fs/cgroup; for one in *; do mount -o remount,bind,rw $one && "
        "mkdir -p $one/kubepods/pod && echo $one; done 2>/dev/null",
        SECONDS,
    ).split()
    assert made
    there = [path for path in groups(directory) if path.match("kubepods/pod")]
    assert len(there) == len(made)
    stop(directory)
    wait_until_nothing_is_left(directory)


def test_two_hosts_have_addresses_of_their_own(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        hosts: list[Host] = [start(directory, "one"), start(other, "two")]
        assert [ask(host, "cat /proc/sys/kernel/hostname", SECONDS) for host in hosts] == ["one", "two"]
    finally:
        stop(other)


def test_host_ends_with_its_supervisor_and_what_is_left_is_cleared_up(directory: Path) -> None:
    start(directory, "one")
    assert processes(directory)
    os.kill(int((directory / PID).read_text(encoding="utf-8")), signal.SIGKILL)
    assert wait_for(lambda: not processes(directory))
    stop(directory)
    wait_until_nothing_is_left(directory)


def test_host_that_does_not_boot_says_why_and_leaves_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hosts.host.base", lambda: directory.parent / "no-root")
    with pytest.raises(Exception, match=r"the test host one did not start: .*(?s:.*)no-root"):
        start(directory, "one")
    wait_until_nothing_is_left(directory)
    assert not (directory / LOG).exists()
