# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated clusters on which rollouts are driven by their modules, over HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Callable, Iterator

import pytest

from simulator.cluster import SimulatedCluster

from .stage import Stage, fleet

SPEED = 100.0
Open = Callable[..., Stage]


@pytest.fixture
def open_stage(tmp_path: Path) -> Iterator[Open]:
    """Start a cluster of a scenario, the law watched from the start. It must not be broken, whatever the test does."""
    with ExitStack() as stack:
        stages: list[Stage] = []

        def start(scenario: str = "reference", speed: float = SPEED) -> Stage:
            directory = tmp_path / f"stage-{len(stages)}"
            directory.mkdir()
            source = fleet() if scenario == "fleet" else scenario
            cluster = stack.enter_context(SimulatedCluster.start(source, directory / "cluster", speed=speed))
            stage = Stage(cluster, scenario, directory)
            stage.watch_the_law()
            stages.append(stage)
            return stage

        yield start
        for stage in stages:
            assert stage.law is not None
            assert stage.law.end() == []
            assert stage.law.seen > 0
