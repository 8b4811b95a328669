# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One host with a real containerd for all tests that need one; each begins with the administrator's file."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import yaml

from hosts.containerds import layer
from hosts.fixture import running, skipped_where_unavailable
from hosts.packages import install_packages
from simulator.cluster import SimulatedCluster

from .real_host import CONFIG, ORIGINAL, STATE, RealHost

SCENARIO = {"name": "small", "nodes": [{"name": "gpu-1", "gpus": [{"card": "T4", "count": 1}]}]}


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealHost]:
    """A host whose containerd runs."""
    directory = tmp_path_factory.mktemp("machine")
    with skipped_where_unavailable():
        install_packages()
        # Whatever release of Debian this machine has.
        layers = [layer("1.6")]
    with running(directory / "host", "runtime-node", layers) as host:
        found = RealHost(host, directory)
        found.prepare()
        yield found


@pytest.fixture
def node(machine: RealHost) -> Iterator[RealHost]:
    """The host as its administrator has left it."""
    yield machine
    machine.sh(f"rm -rf {STATE}; rm -f /etc/systemd/system/containerd.service.d/cut.conf; systemctl daemon-reload")
    machine.write(CONFIG, ORIGINAL)
    machine.sh("systemctl reset-failed; systemctl restart containerd")


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedCluster]:
    """A cluster of one node, gpu-1."""
    directory = tmp_path_factory.mktemp("cluster")
    scenario = directory / "small.yml"
    scenario.write_text(yaml.safe_dump(SCENARIO), encoding="utf-8")
    with SimulatedCluster.start(scenario, directory, speed=50) as started:
        yield started
