# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What testinfra asks of a test host."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import testinfra

_SECONDS = 90


def reach(directory: Path) -> Any:
    """The host of that directory, by ssh: its address is known only once it runs."""
    known = json.loads((directory / "host.json").read_text(encoding="utf-8"))
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    address = f"ssh://{known['user']}@{known['address']}?controlpersist=60"
    return testinfra.get_host(address, ssh_identity_file=known["key"], ssh_extra_args=options)


def read_properties(host: Any, unit: str, *names: str) -> dict[str, str]:
    """Properties of a unit as systemd knows it."""
    lines = host.check_output(f"systemctl show {unit} --property={','.join(names)}").splitlines()
    return {name: value for name, _equals, value in (line.partition("=") for line in lines)}


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait until something holds, and fail if it does not come to."""
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)
