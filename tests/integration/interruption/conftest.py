# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where interrupted rollouts take place."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path

import pytest

from . import scenarios
from .ground import SPEED, Ground
from .nursery import Nursery

OpenGround = Callable[..., AbstractContextManager[Ground]]


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    with Nursery(tmp_path_factory.mktemp("nursery") / "log") as nursery:
        yield nursery


@pytest.fixture
def open_foreign(nursery: Nursery, tmp_path: Path) -> OpenGround:
    """A new cluster that plugins of somebody else serve. Called with the names of its GPU nodes; threads may share it."""
    numbers = itertools.count(1)

    @contextmanager
    def start(nodes: tuple[str, ...] = scenarios.GPU_NODES) -> Iterator[Ground]:
        directory = tmp_path / f"ground-{next(numbers)}"
        directory.mkdir()
        planning = {"configs": scenarios.CONFIGS, "wave": "100%", "max_unavailable": "100%"}
        with ExitStack() as stack:
            cluster = stack.enter_context(nursery.cluster(scenarios.foreign(nodes), directory / "cluster", SPEED))
            yield stack.enter_context(Ground(cluster, nursery, directory, nodes, planning))

    return start
