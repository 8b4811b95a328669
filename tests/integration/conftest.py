# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What integration tests have in common: their marker, and time for playbooks and simulated clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
from kubernetes.config import kube_config

HERE = Path(__file__).resolve().parent
# A playbook run on a loaded machine of two cores; a test that needs more says so itself.
SECONDS = 300


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies below this directory; pytest hands over every test of the run."""
    for item in items:
        if item.path.is_relative_to(HERE):
            item.add_marker(pytest.mark.integration)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(SECONDS))


def pytest_sessionfinish() -> None:
    """Remove the certificates that the client library laid into the temporary directory.

    It does so itself when a process ends as usual; processes that run tests for pytest-xdist do not.
    """
    kube_config._cleanup_temp_files()  # there is no public name for it
