# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The test host, and what is asked of it in every state."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from hosts.verifying import reach

BUILD = Path(os.environ["MOLECULE_PROJECT_DIRECTORY"]) / "build/molecule"


@pytest.fixture(scope="session")
def host() -> Any:
    """The host, by ssh."""
    return reach(BUILD / "usage-node")


@pytest.fixture(scope="session")
def results() -> Path:
    """What modules have returned."""
    return BUILD / "usage-node-results"


@pytest.fixture
def metrics(host: Any) -> Any:
    """Samples of a file by metric, as Prometheus understands it: (labels, value) each."""

    def read(path: str) -> dict[str, list[tuple[dict[str, str], float]]]:
        families = text_string_to_metric_families(host.file(path).content_string)
        return {family.name: [(sample.labels, sample.value) for sample in family.samples] for family in families}

    return read


@pytest.fixture(scope="session")
def truth() -> dict[tuple[str, str, str], tuple[int, int, int]]:
    """What runs in the containers: index of the GPU, MiB in all, processes."""
    return {
        ("team-a", "llm-0", "server"): (0, 4621, 1),
        ("team-a", "llm-0", "sidecar"): (0, 128, 1),
        ("team-b", "lab-7c9d", "jupyter"): (0, 4400, 2),
        ("team-b", "batch-x1", "train"): (1, 4401, 1),
    }
