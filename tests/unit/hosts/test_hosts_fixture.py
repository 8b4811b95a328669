# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A test that can have no host is skipped with its reason, and fails where hosts are required."""

from __future__ import annotations

import pytest

from hosts.fixture import skipped_where_unavailable
from hosts.packages import REQUIRED, HostsUnavailableError


def look_for_a_host() -> None:
    with skipped_where_unavailable():
        raise HostsUnavailableError("No nspawn here.")


def test_test_without_a_host_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(REQUIRED, raising=False)
    with pytest.raises(pytest.skip.Exception, match="No nspawn here"):
        look_for_a_host()


def test_test_without_a_host_fails_where_hosts_are_required(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(HostsUnavailableError, match="No nspawn here"):
        look_for_a_host()
