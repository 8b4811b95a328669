# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether this machine can have test hosts, and the packages that they take."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

#: What is needed to be there, by the Debian package that brings it.
PROGRAMS = {
    "systemd-nspawn": "systemd-container",
    "debootstrap": "debootstrap",
    "gpg": "gnupg",
    "ssh-keygen": "openssh-client",
    "ip": "iproute2",
    "unshare": "util-linux",
}
#: Set where a machine has to have them, as in continuous integration: then a test that is skipped is a failure.
REQUIRED = "KUBEGPU_REQUIRE_HOSTS"
#: Exit status of "python -m hosts" on a machine that cannot have them.
UNAVAILABLE = 3
_INSTALL_SECONDS = 300


class HostsUnavailableError(Exception):
    """This machine cannot have test hosts; the message says why, in one line."""


def are_required() -> bool:
    """Whether the caller takes a machine without test hosts for broken."""
    return os.environ.get(REQUIRED, "") not in ("", "0")


def install_packages() -> None:
    """Install what is missing, as root on Debian.

    :raises HostsUnavailableError: here is no root, no Debian, or the packages cannot be had.
    """
    if os.geteuid() != 0:
        raise HostsUnavailableError("test hosts need root")
    codename()
    if not Path("/proc/self/ns/net").exists():
        raise HostsUnavailableError("test hosts need a kernel with network namespaces")
    missing = [package for program, package in PROGRAMS.items() if shutil.which(program) is None]
    if missing:
        _install(missing)


def codename() -> str:
    """This machine's release of Debian, such as bookworm: its mirror has it for sure.

    :raises HostsUnavailableError: this is no machine with Debian.
    """
    release = _release()
    if release.get("ID") != "debian":
        raise HostsUnavailableError("test hosts need a Debian machine")
    return release["VERSION_CODENAME"]


def mirror(suite: str) -> str:
    """Where apt of this machine gets a release from that it knows, and all others too; it is written nowhere else.

    :raises HostsUnavailableError: here is no apt, or none that gets Debian from anywhere.
    """
    wanted = "$(CODENAME) $(COMPONENT) $(REPO_URI)"
    command = ["apt-get", "indextargets", "--format", wanted, "Created-By: Packages"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError as error:
        raise HostsUnavailableError(f"this machine has no apt: {error}") from error
    for line in done.stdout.splitlines():
        found, component, address = line.split(" ", 2)
        if (found, component) == (suite, "main"):
            return address
    raise HostsUnavailableError(f"apt of this machine names no mirror for {suite}")


def _release() -> dict[str, str]:
    try:
        lines = Path("/etc/os-release").read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    return {key: value.strip('"') for key, equals, value in (line.partition("=") for line in lines) if equals}


def _install(packages: list[str]) -> None:
    print(f"Installing for test hosts: {' '.join(packages)}", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages]
    for command in (install, ["apt-get", "update", "-qq"], install):
        try:
            done = subprocess.run(
                command, env=environment, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise HostsUnavailableError(f"{' '.join(packages)} could not be installed: {error}") from error
        # An index that is there and young enough saves the update.
        if command is install and done.returncode == 0:
            return
    last = (done.stderr.strip().splitlines() or ["no message"])[-1]
    raise HostsUnavailableError(f"{' '.join(packages)} could not be installed: {last}")
