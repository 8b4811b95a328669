# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The process that a test host lives in: it mounts the disk, boots the host, and boots it again when it reboots.

    python -m hosts.supervisor DIR NAME LAYER...

It is the first process of a namespace of its own, as well as in mount and network namespaces: whatever runs in the host, what is
mounted for it, and its network, end with this process.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from hosts import cgroups
from hosts.host import KEY, MOUNTED, cgroup_name

#: systemd-nspawn says so of a host that wants to be started again.
REBOOT = 133
_DISK_SIZE = "1g"


def main(directory: Path, name: str, layers: Sequence[str]) -> int:
    """Until the host powers off, or this process is told to end.

    :param layers: what its disk lies over, the topmost first.
    """
    cgroups.enter(cgroup_name(directory))
    root = _mount(directory, layers)
    authorized = root / "root/.ssh/authorized_keys"
    shutil.copy(directory / f"{KEY}.pub", authorized)
    (directory / MOUNTED).touch()
    # Whoever starts it lays the cable first.
    if not sys.stdin.readline():
        return 1
    return _boot(root, name)


def _mount(directory: Path, below: Sequence[str]) -> Path:
    disk = directory / "disk"
    disk.mkdir()
    # In memory: a layer over a root needs a file system that is no layer itself.
    _run("mount", "-t", "tmpfs", "-o", f"size={_DISK_SIZE},mode=0755", "tmpfs", str(disk))
    upper, work, root = (disk / part for part in ("upper", "work", "root"))
    for path in (upper, work, root):
        path.mkdir()
    layers = f"lowerdir={':'.join(below)},upperdir={upper},workdir={work}"
    _run("mount", "-t", "overlay", "-o", layers, "overlay", str(root))
    return root


def _boot(root: Path, name: str) -> int:
    # When this process is killed, the kernel kills systemd-nspawn, and with it the host.
    command = [
        "setpriv",
        "--pdeathsig",
        "KILL",
        "systemd-nspawn",
        "--quiet",
        f"--directory={root}",
        "--boot",
        f"--machine={name}",
        "--register=no",
    ]
    command += ["--keep-unit", f"--network-namespace-path=/proc/{os.getpid()}/ns/net", "--capability=all"]
    command += ["--system-call-filter=@keyring bpf perf_event_open", "--console=passive"]
    code = REBOOT
    while code == REBOOT:
        code = subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode
    return code


def _run(*command: str) -> None:
    subprocess.run(command, check=True, timeout=60)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3:]))
