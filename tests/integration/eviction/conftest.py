# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated clusters with nodes to be emptied over HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterator

import pytest

from simulator.cluster import SimulatedCluster

from .stage import Stage, scenario

SPEED = 20.0
Open = Callable[..., Stage]


@pytest.fixture
def open_stage(tmp_path: Path) -> Iterator[Open]:
    """Start a cluster."""
    with ExitStack() as stack:

        def start(speed: float = SPEED, nodes: int = 2) -> Stage:
            cluster = stack.enter_context(SimulatedCluster.start(scenario(nodes), tmp_path / "cluster", speed=speed))
            return Stage(cluster, tmp_path)

        yield start
