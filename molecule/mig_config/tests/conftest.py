# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host, and what is asked of it in every state."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any, Callable

import pytest
import testinfra

DIRECTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build/molecule/mig-node"
UNIT = "kubegpu-mig-restore.service"


@pytest.fixture(scope="session")
def host() -> Any:
    """The host, by ssh: its address is known only once it runs."""
    known = json.loads((DIRECTORY / "host.json").read_text(encoding="utf-8"))
    options = "-o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    address = f"ssh://{known['user']}@{known['address']}?controlpersist=60"
    return testinfra.get_host(address, ssh_identity_file=known["key"], ssh_extra_args=options)


@pytest.fixture
def properties(host: Any) -> Any:
    """Properties of a unit as systemd knows it."""

    def read(unit: str, *names: str) -> dict[str, str]:
        lines = host.check_output(f"systemctl show {unit} --property={','.join(names)}").splitlines()
        return {name: value for name, _equals, value in (line.partition("=") for line in lines)}

    return read


@pytest.fixture
def devices(host: Any) -> Any:
    """MIG devices as nvidia-smi lists them."""

    def read() -> list[str]:
        lines = host.check_output("/opt/simulated-gpus/nvidia-smi -L").splitlines()
        return [line.split()[1] for line in lines if line.strip().startswith("MIG")]

    return read


@pytest.fixture
def unit_log(host: Any) -> Any:
    """What the unit has said since the host started."""
    return lambda: host.check_output(f"journalctl --boot --unit={UNIT} --output=cat")


@pytest.fixture
def wait_for() -> Any:
    """Wait until something holds, and fail if it does not come to."""

    def wait(holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.2)

    return wait


@pytest.fixture(scope="session")
def layout() -> list[str]:
    """What the scenario asks for, in nvidia-smi's order."""
    return ["3g.48gb", "1g.12gb", "1g.12gb", "1g.12gb", "1g.12gb", "2g.12gb", "2g.12gb"]
