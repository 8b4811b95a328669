# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reference cluster, as the tests of the playbooks need it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Iterator

import pytest
import yaml

from simulator.cluster import SimulatedCluster

from .operator import REPOSITORY, Operator

REFERENCE_SCENARIO = REPOSITORY / "tests/simulator/scenarios/reference.yml"
#: Where the requests for a node are counted: a report of its kubelet amid one would have it refused and sent again.
REFERENCE_AT_REST: dict[str, Any] = {
    **yaml.safe_load(REFERENCE_SCENARIO.read_text(encoding="utf-8")),
    "heartbeats": False,
}
REFERENCE_HOSTS = ["gpu-l20", "gpu-t4"]
REFERENCE_VARIABLES: dict[str, Any] = {
    "kubegpu_sharing_configs": {
        "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "process_memory_mib": 4621},
        "t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "process_memory_mib": 4401},
    },
}


@pytest.fixture(scope="module")
def reference_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SimulatedCluster]:
    """The reference cluster before anything was rolled out."""
    with SimulatedCluster.start(REFERENCE_SCENARIO, tmp_path_factory.mktemp("cluster"), speed=20) as cluster:
        yield cluster


@pytest.fixture
def operator(reference_cluster: SimulatedCluster, tmp_path: Path) -> Operator:
    """An operator with the inventory of the reference cluster."""
    person = Operator(reference_cluster, tmp_path)
    person.write_inventory(REFERENCE_HOSTS, REFERENCE_VARIABLES)
    return person
