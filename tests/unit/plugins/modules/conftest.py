# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small cluster in memory and a rollout to drive on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Iterator

import pytest
from unit.plugins.fakes.driver import Driver
from unit.plugins.fakes.fake_clock import HastyClock
from unit.plugins.fakes.fake_cluster import FakeCluster

#: Soaks are short, and still long enough to be broken. The timeout leaves room for a process that stands still for
#: seconds: waits end long before it. A test that waits for its timeout sets one of its own.
OPTIONS = {"timeout_seconds": 30.0, "soak_seconds": 0.02, "settle_seconds": 0.002, "parallel": 4}

Start = Callable[..., "tuple[FakeCluster, Driver]"]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Make a cluster and the driver of a rollout of all its nodes."""
    clusters: list[FakeCluster] = []

    def make(nodes: dict[str, str] | None = None, method: str = "label", **options: Any) -> tuple[FakeCluster, Driver]:
        cluster = FakeCluster(nodes or {"gpu-1": "l20", "gpu-2": "t4"}, method)
        cluster.settle()
        clusters.append(cluster)
        driver = Driver(
            api=cluster.api,
            clock=HastyClock(),
            plan_path=cluster.plan(tmp_path / f"plan-{len(clusters)}.json"),
            nodes=tuple(cluster.keys),
            journal=tmp_path / f"journal-{len(clusters)}.jsonl",
            options={**OPTIONS, **options},
        )
        return cluster, driver

    yield make
    for cluster in clusters:
        cluster.settle()
        assert cluster.violations == []
