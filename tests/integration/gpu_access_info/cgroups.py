# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Processes in real cgroups of this machine that allow and refuse devices, in either version, as a container's do."""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import struct
import subprocess
import sys
import time
from pathlib import Path

_SECONDS = 60
# Less than a look waits for an answer: one that leaves somebody behind until then is found out.
_ALONE_SECONDS = 20
# bpf(2) and the two of its commands that are needed, with the kinds of program and of attachment.
_CALL = {"x86_64": 321, "aarch64": 280}
_LOAD, _ATTACH = 5, 8
_PROGRAM_KIND, _DEVICES, _ALLOW_MULTI = 15, 6, 2
# r0 = 0 (refused); exit
_REFUSE_ALL = struct.pack("<BBhi", 0xB7, 0, 0, 0) + struct.pack("<BBhi", 0x95, 0, 0, 0)
# Joins its cgroup, goes into its root, and waits until it is told to end.
_PROCESS = """
import os, sys
procs, root = sys.argv[1:]
with open(procs, "w") as file:
    file.write("0")
os.chroot(root)
os.chdir("/")
print("ready", flush=True)
sys.stdin.read()
"""


def mounted(version: int) -> Path | None:
    """Where this machine has the hierarchy that decides about devices in that version."""
    for line in Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines():
        _source, where, kind, options, *_rest = line.split()
        if (version, kind) == (2, "cgroup2") or ((version, kind) == (1, "cgroup") and "devices" in options.split(",")):
            return Path(where)
    return None


class Container:
    """A process as a container's: in a cgroup that is spelled as the kubelet's, and in a root of its own.

    :param root: has ``dev``.
    """

    def __init__(self, group: Path, root: Path) -> None:
        self.group = group
        group.mkdir(parents=True)
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROCESS, str(group / "cgroup.procs"), str(root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def refuse_devices(self, allowed: str = "c 5:* rwm") -> None:
        """Take all devices but those from it, as systemd does when it writes the rules of a cgroup anew."""
        if (self.group / "devices.deny").exists():
            (self.group / "devices.deny").write_text("a", encoding="ascii")
            (self.group / "devices.allow").write_text(allowed, encoding="ascii")
            return
        code = ctypes.create_string_buffer(_REFUSE_ALL)
        licence = ctypes.create_string_buffer(b"GPL")
        program = _bpf(_LOAD, struct.pack("<IIQQ", _PROGRAM_KIND, 2, ctypes.addressof(code), ctypes.addressof(licence)))
        group = os.open(self.group, os.O_RDONLY)
        try:
            _bpf(_ATTACH, struct.pack("<IIII", group, program, _DEVICES, _ALLOW_MULTI))
        finally:
            os.close(group)
            os.close(program)

    def wait_until_alone(self, *pids: int) -> None:
        """Nobody but those stays in the cgroup. Another test's look, which joins all of this machine, is gone in milliseconds."""
        deadline = time.monotonic() + _ALONE_SECONDS
        wanted = sorted(map(str, pids))
        while (found := sorted((self.group / "cgroup.procs").read_text(encoding="ascii").split())) != wanted:
            assert time.monotonic() < deadline, f"{found} stayed in the cgroup, and not {wanted}"
            time.sleep(0.02)

    def end(self) -> None:
        """It and its cgroup are gone."""
        self.process.communicate(timeout=_SECONDS)
        deadline = time.monotonic() + _SECONDS
        while self.group.exists():
            self.wait_until_alone()
            # Somebody may come at this very moment.
            with contextlib.suppress(OSError):
                self.group.rmdir()
            assert time.monotonic() < deadline, f"{self.group} cannot be removed"


def _bpf(command: int, attributes: bytes) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    told = ctypes.create_string_buffer(attributes, 128)
    answer: int = libc.syscall(_CALL[platform.machine()], command, told, 128)
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
