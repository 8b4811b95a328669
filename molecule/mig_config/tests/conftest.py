# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host, and what is asked of it in every state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from hosts.verifying import reach, read_properties, wait_until

DIRECTORY = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build/molecule/mig-node"
UNIT = "kubegpu-mig-restore.service"


@pytest.fixture(scope="session")
def host() -> Any:
    """The host, by ssh."""
    return reach(DIRECTORY)


@pytest.fixture
def properties(host: Any) -> Any:
    """Properties of a unit as systemd knows it."""
    return lambda unit, *names: read_properties(host, unit, *names)


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
    return lambda: host.check_output(f"journalctl --sync && journalctl --boot --unit={UNIT} --output=cat")


@pytest.fixture
def wait_for() -> Any:
    """Wait until something holds, and fail if it does not come to."""
    return wait_until


@pytest.fixture(scope="session")
def layout() -> list[str]:
    """What the scenario asks for, in nvidia-smi's order."""
    return ["3g.48gb", "1g.12gb", "1g.12gb", "1g.12gb", "1g.12gb", "2g.12gb", "2g.12gb"]
