# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Simulated clusters on which rollouts are driven by their modules, over HTTP."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from .stage import Stage, opening

Open = Callable[..., Stage]


@pytest.fixture
def open_stage(tmp_path: Path) -> Iterator[Open]:
    yield from opening(Stage, tmp_path)
