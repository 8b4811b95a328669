# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters on which rollouts are taken back, with somebody who watches the law all the time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from integration.rollout_modules.stage import opening

from .road import Road

OpenRoad = Callable[..., Road]


@pytest.fixture
def open_road(tmp_path: Path) -> Iterator[OpenRoad]:
    yield from opening(Road, tmp_path)
