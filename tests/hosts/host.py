# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Start and end a test host."""

from __future__ import annotations

import contextlib
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hosts import cgroups
from hosts.base import base

#: Bounds of a start and of an end; both usually take two seconds, and many times that on a busy machine.
START_SECONDS = 120
STOP_SECONDS = 60
#: Each host gets four addresses of it: its own, and this machine's beside it.
NETWORK = ipaddress.IPv4Network("10.231.0.0/16")
_POLL_SECONDS = 0.05
_NO_CONNECTION = 255  # ssh ends so, unless the command does
SPEC, PID, LOG, KEY, MOUNTED = "host.json", "pid", "console.log", "key", "mounted"


class HostError(Exception):
    """A host could not be started, where the message has the end of its console, or does not answer though it should."""


@dataclass(frozen=True)
class Host:
    """How to reach a host: ``user`` at ``address``, with the key in the file ``key``."""

    name: str
    address: str
    key: str
    user: str = "root"


def start(directory: Path, name: str, layers: Sequence[Path] = ()) -> Host:
    """A host that runs, has booted, and answers by ssh.

    :param directory: for what is known of the host on this machine. One that is left of an earlier host is cleared up.
    :param layers: directories over the shared root, the topmost first; they stay as they are.
    :raises HostsUnavailableError: this machine cannot have one.
    :raises HostError: it did not start in time; nothing of it is left.
    """
    disk = [*layers, base() / "root"]
    stop(directory)
    directory.mkdir(parents=True)
    key = directory / KEY
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True, timeout=30)
    try:
        supervisor = _start_supervisor(directory, name, disk)
        (directory / PID).write_text(str(supervisor.pid), encoding="utf-8")
        _wait_for_namespaces(supervisor, directory)
        host = Host(name, _connect(supervisor.pid, directory), str(key))
        (directory / SPEC).write_text(json.dumps(asdict(host)), encoding="utf-8")
        _say_go(supervisor)
        _wait_until_reached(host, supervisor)
    except (HostError, subprocess.SubprocessError, OSError) as error:
        console = _end_of(directory / LOG)
        stop(directory)
        raise HostError(f"the test host {name} did not start: {error}{console}") from error
    return host


def stop(directory: Path) -> None:
    """End the host of a directory, if there is one, and remove the directory.

    Its cgroups go too: no process is left in them. So does its cable.
    """
    pid = _read_pid(directory)
    if pid and _is_supervisor(pid, directory):
        # The disk ends with the host, so there is nothing to shut down in order.
        os.kill(pid, signal.SIGKILL)
        _wait_until(lambda: _has_ended(pid), STOP_SECONDS)
    cgroups.remove(cgroup_name(directory))
    # The kernel takes its time over a network namespace that nobody is in any more.
    _wait_until(lambda: not _is_laid(cable_name(directory)), STOP_SECONDS)
    shutil.rmtree(directory, ignore_errors=True)


def cgroup_name(directory: Path) -> str:
    """Of this host alone, whatever others have the same name."""
    return f"kubegpu-host-{zlib.crc32(str(directory.resolve()).encode()):08x}"


def cable_name(directory: Path) -> str:
    """This machine's end of the cable to the host."""
    return f"kg{zlib.crc32(str(directory.resolve()).encode()):08x}"


def _is_laid(cable: str) -> bool:
    try:
        socket.if_nametoindex(cable)
    except OSError:
        return False
    return True


def _start_supervisor(directory: Path, name: str, disk: Sequence[Path]) -> subprocess.Popen[bytes]:
    """A process in namespaces of its own, which waits for a word before it boots the host."""
    command = [
        "unshare",
        "--mount",
        "--net",
        "--pid",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]
    command += ["--", sys.executable, "-m", "hosts.supervisor", str(directory), name, *map(str, disk)]
    with open(directory / LOG, "wb") as log:
        return subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, env=_environment()
        )


def _say_go(supervisor: subprocess.Popen[bytes]) -> None:
    assert supervisor.stdin is not None
    with supervisor.stdin as pipe:
        pipe.write(b"go\n")


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}


def _wait_for_namespaces(supervisor: subprocess.Popen[bytes], directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and supervisor.poll() is None:
        if (directory / MOUNTED).exists():
            return
        time.sleep(_POLL_SECONDS)
    raise HostError("its supervisor did not come up")


def _connect(pid: int, directory: Path) -> str:
    """Lay a cable between this machine and the network namespace of a process; its address. It goes with the namespace."""
    outside = cable_name(directory)
    here, there = _free_addresses(directory)
    for command in (
        f"ip link add {outside} type veth peer name host0 netns {pid}",
        f"ip addr add {here}/30 dev {outside}",
        f"ip link set {outside} up",
        f"nsenter -t {pid} --net ip addr add {there}/30 dev host0",
        f"nsenter -t {pid} --net ip link set host0 up",
        f"nsenter -t {pid} --net ip link set lo up",
    ):
        done = subprocess.run(command.split(), capture_output=True, text=True, timeout=30, check=False)
        if done.returncode != 0:
            raise HostError(f"{command}: {done.stderr.strip()}")
    return there


def _free_addresses(directory: Path) -> tuple[str, str]:
    listed = subprocess.run(["ip", "-json", "addr"], capture_output=True, text=True, timeout=30, check=True)
    used = {
        ipaddress.IPv4Interface(f"{address['local']}/{address['prefixlen']}").network
        for link in json.loads(listed.stdout)
        for address in link.get("addr_info", ())
        if address["family"] == "inet"
    }
    subnets = list(NETWORK.subnets(new_prefix=30))
    first = zlib.crc32(str(directory.resolve()).encode()) % len(subnets)
    for subnet in subnets[first:] + subnets[:first]:
        if not any(subnet.overlaps(other) for other in used):
            here, there = map(str, subnet.hosts())
            return here, there
    raise HostError(f"all of {NETWORK} is in use on this machine")


def _wait_until_reached(host: Host, supervisor: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if supervisor.poll() is not None:
            raise HostError("its supervisor ended")
        if _answers(host) and execute(host, "systemctl is-system-running --wait", deadline - time.monotonic()):
            return
        time.sleep(_POLL_SECONDS)
    raise HostError(f"it was not up within {START_SECONDS} s")


def _answers(host: Host) -> bool:
    try:
        with socket.create_connection((host.address, 22), timeout=2) as connection:
            return connection.recv(4) == b"SSH-"
    except OSError:
        return False


def execute(host: Host, command: str, seconds: float) -> str:
    """What a command says on a host; "" if it cannot be reached, for those that wait until it can be."""
    with contextlib.suppress(subprocess.TimeoutExpired):
        return _ssh(host, command, seconds).stdout.strip()
    return ""


def ask(host: Host, command: str, seconds: float) -> str:
    """The same of a host that runs: what could not be asked is no answer.

    :raises HostError: it could not be reached, the connection was lost, or the command did not end in time. It may have done its work.
    """
    try:
        # Only before the command begins may it be tried again.
        done = _ssh(host, command, seconds, "-o", "ConnectionAttempts=3")
    except subprocess.TimeoutExpired as error:
        raise HostError(f"on the test host {host.name}, this did not end within {seconds:g} s: {command}") from error
    if done.returncode == _NO_CONNECTION:
        raise HostError(f"the test host {host.name} could not be asked: {done.stderr.strip()}; this was: {command}")
    return done.stdout.strip()


def _ssh(host: Host, command: str, seconds: float, *more: str) -> subprocess.CompletedProcess[str]:
    """:raises subprocess.TimeoutExpired: it did not end in time."""
    options = ["-o", "BatchMode=yes", "-o", "ConnectTimeout=20", "-o", "StrictHostKeyChecking=no", *more]
    options += ["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR", "-i", host.key]
    # A host that reboots takes no leave. One that is busy may say nothing for some seconds.
    options += ["-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=15"]
    return subprocess.run(
        ["ssh", *options, f"{host.user}@{host.address}", command],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=max(1.0, seconds),
        check=False,
    )


def _read_pid(directory: Path) -> int:
    try:
        return int((directory / PID).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return 0


def _is_supervisor(pid: int, directory: Path) -> bool:
    """Whether the number is still that of the process which wrote it."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"hosts.supervisor" in words and str(directory).encode() in words


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def _has_ended(pid: int) -> bool:
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, os.WNOHANG)
    return not _is_alive(pid)


def _wait_until(holds: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not holds() and time.monotonic() < deadline:
        time.sleep(_POLL_SECONDS)


def _end_of(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-20:]
    except OSError:
        return ""
    return "".join(f"\n  {line}" for line in lines)
