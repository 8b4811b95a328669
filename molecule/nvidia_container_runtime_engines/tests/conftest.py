# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test hosts, and what is asked of them in every state."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hosts.cri import connect
from hosts.verifying import reach

DIRECTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build/molecule/engines"
IMAGE = "test.invalid/busybox:1"
SOCKETS = {
    "k3s": "/run/k3s/containerd/containerd.sock",
    "rke2": "/run/k3s/containerd/containerd.sock",
    "microk8s": "/var/snap/microk8s/common/run/containerd.sock",
}
UNITS = {"rke2": "rke2-server", "microk8s": "snap.microk8s.daemon-containerd"}


@pytest.fixture(scope="session")
def hosts() -> Callable[[str], Any]:
    """A host by its name, by ssh."""
    known: dict[str, Any] = {}
    return lambda name: known.setdefault(name, reach(DIRECTORY / name))


@pytest.fixture
def unit() -> Callable[[str], str]:
    """The unit of the runtime of a host."""
    return lambda name: UNITS.get(name, name)


@pytest.fixture
def environment() -> Callable[[str, str], str]:
    """What a pod of a handler has in its environment, on a host by its name."""

    def read(name: str, handler: str) -> str:
        with connect(DIRECTORY / name, SOCKETS[name]) as cri:
            return cri.run(handler, IMAGE, "cat", "/proc/1/environ").output

    return read
