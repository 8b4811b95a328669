# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story that the tests of the report tell."""

from __future__ import annotations

import pytest
from unit.plugins.module_utils._report.story import Story


@pytest.fixture
def story() -> Story:
    return Story()
