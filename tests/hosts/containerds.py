# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""containerd in the versions that Debian has: they differ in how they read their configuration.

Its programs are of little demand (a C library of 2021), so that they all run on this machine and in a host of its release, with the
runc that is there.
"""

from __future__ import annotations

from pathlib import Path

from hosts.debian import Packages, unpacked

#: The release of Debian that has it. The newest moves on, so that its series is named by the first number alone.
SUITES = {"1.6": "bookworm", "1.7": "trixie", "2": "sid"}
#: Nothing of ours starts it; each program is 30 MB.
_UNWANTED = (
    "usr/bin/containerd-shim",
    "usr/bin/containerd-shim-runc-v1",
    "usr/bin/containerd-stress",
    "usr/lib/cni",
    "usr/lib/containerd",
)


def layer(series: str) -> Path:
    """The directory of a containerd's files, with its unit and the configuration that its package brings.

    :param series: one of :data:`SUITES`.
    :raises HostsUnavailableError: this machine has no apt of Debian that could bring it.
    """
    return unpacked(Packages(SUITES[series], ("containerd",), unwanted=_UNWANTED))


def program(series: str) -> Path:
    """Its daemon, which ``config dump`` on this machine takes no root and no daemon that runs."""
    return layer(series) / "usr/bin/containerd"
