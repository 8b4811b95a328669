# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test hosts: they boot, reboot, and leave nothing behind, in whatever way they end."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hosts.fixture import skipped_where_unavailable
from hosts.host import LOG, PID, Host, cgroup_name, execute, start, stop
from hosts.packages import install_packages

SECONDS = 30
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


def processes(directory: Path) -> list[str]:
    """Ids of what runs in a host."""
    groups = list(Path("/sys/fs/cgroup").rglob(cgroup_name(directory)))
    files = [file for group in groups for file in group.rglob("cgroup.procs")]
    return [pid for file in files for pid in file.read_text(encoding="utf-8").split()]


def leftovers(directory: Path) -> list[str]:
    """What a host that has ended may have left on this machine."""
    cgroups = [str(path) for path in Path("/sys/fs/cgroup").rglob(cgroup_name(directory))]
    mounts = [
        line for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines() if "host/disk" in line
    ]
    programs = [line for line in output("ps", "-eo", "args").splitlines() if str(directory) in line]
    links = output("ip", "-o", "link")
    cables = [line for line in links.splitlines() if f"kg{cgroup_name(directory)[-8:]}" in line]
    return [*cgroups, *mounts, *programs, *cables, *map(str, directory.parent.glob("host"))]


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def test_host_has_a_systemd_that_runs_and_keeps_its_disk_over_a_reboot(directory: Path) -> None:
    host = start(directory, "one")
    before = execute(host, f"systemctl is-system-running; {BOOT_ID}; touch /var/lib/kept /run/lost", SECONDS)
    assert before.startswith("running\n")
    execute(host, "systemctl reboot", SECONDS)
    assert wait_for(lambda: execute(host, BOOT_ID, SECONDS) not in ("", before.splitlines()[1]))
    assert execute(host, "ls /var/lib/kept /run/lost 2>/dev/null", SECONDS) == "/var/lib/kept"
    stop(directory)
    assert leftovers(directory) == []


def test_cgroups_that_a_host_makes_are_below_its_own_and_end_with_it(directory: Path) -> None:
    """A container runtime makes some in every hierarchy that it may write to."""
    host = start(directory, "one")
    made = execute(
        host,
        "mount -o remount,rw /sys/fs/cgroup; cd /sys/fs/cgroup; for one in *; do mount -o remount,bind,rw $one && "
        "mkdir -p $one/kubepods/pod && echo $one; done 2>/dev/null",
        SECONDS,
    ).split()
    assert made
    there = [path for path in Path("/sys/fs/cgroup").rglob("kubepods/pod") if cgroup_name(directory) in path.parts]
    assert len(there) == len(made)
    stop(directory)
    assert leftovers(directory) == []


def test_two_hosts_have_addresses_of_their_own(directory: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    try:
        hosts: list[Host] = [start(directory, "one"), start(other, "two")]
        assert [execute(host, "cat /proc/sys/kernel/hostname", SECONDS) for host in hosts] == ["one", "two"]
    finally:
        stop(other)


def test_host_ends_with_its_supervisor_and_what_is_left_is_cleared_up(directory: Path) -> None:
    start(directory, "one")
    assert processes(directory)
    os.kill(int((directory / PID).read_text(encoding="utf-8")), signal.SIGKILL)
    assert wait_for(lambda: not processes(directory))
    stop(directory)
    assert leftovers(directory) == []


def test_host_that_does_not_boot_says_why_and_leaves_nothing(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hosts.host.base", lambda: directory.parent / "no-root")
    with pytest.raises(Exception, match=r"the test host one did not start: .*(?s:.*)no-root"):
        start(directory, "one")
    assert leftovers(directory) == []
    assert not (directory / LOG).exists()
