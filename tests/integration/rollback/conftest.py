# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters on which rollouts are taken back, with somebody who watches the law all the time."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterator

import pytest

from simulator.cluster import SimulatedCluster

from .road import Road

SPEED = 100.0
OpenRoad = Callable[..., Road]


@pytest.fixture
def open_road(tmp_path: Path) -> Iterator[OpenRoad]:
    """Start a cluster of a scenario. The law must not be broken, whatever the test does."""
    with ExitStack() as stack:
        roads: list[Road] = []

        def start(scenario: str = "reference") -> Road:
            cluster = stack.enter_context(SimulatedCluster.start(scenario, tmp_path / "cluster", speed=SPEED))
            road = Road(cluster, scenario, tmp_path)
            road.watch_the_law()
            roads.append(road)
            return road

        yield start
        for road in roads:
            assert road.law is not None
            assert road.law.end() == []
            assert road.law.seen > 0
