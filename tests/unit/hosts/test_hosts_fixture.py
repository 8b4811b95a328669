# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What becomes of a test on a machine that cannot have test hosts, and of a host whose test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from hosts import fixture
from hosts.host import Host
from hosts.packages import REQUIRED, HostsUnavailableError

HOST = Host("one", "192.0.2.1", "key")


def refuse(*_arguments: Any) -> None:
    raise HostsUnavailableError("test hosts need root")


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Directories whose host was ended; nothing is started."""
    directories: list[Path] = []
    monkeypatch.setattr(fixture, "install_packages", lambda: None)
    monkeypatch.setattr(fixture, "start", lambda _directory, _name, _layers: HOST)
    monkeypatch.setattr(fixture, "stop", directories.append)
    return directories


@pytest.fixture(params=["install_packages", "start"])
def without_hosts(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, ended: list[Path]) -> Iterator[None]:
    """A machine that cannot have them, which shows at the one step or at the other."""
    monkeypatch.setattr(fixture, request.param, refuse)
    monkeypatch.delenv(REQUIRED, raising=False)
    yield
    assert ended == []


@pytest.mark.usefixtures("without_hosts")
def test_test_is_skipped_with_the_reason(tmp_path: Path) -> None:
    with pytest.raises(pytest.skip.Exception, match="^test hosts need root$"), fixture.running(tmp_path, "one"):
        pytest.fail("there is no host")


@pytest.mark.usefixtures("without_hosts")
def test_test_fails_where_hosts_are_required(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(REQUIRED, "1")
    with pytest.raises(HostsUnavailableError, match="test hosts need root"), fixture.running(tmp_path, "one"):
        pytest.fail("there is no host")


@pytest.mark.parametrize("error", [ValueError, pytest.skip.Exception])
def test_host_is_ended_however_its_test_ends(tmp_path: Path, ended: list[Path], error: type[BaseException]) -> None:
    with fixture.running(tmp_path, "one") as found:
        assert (found, ended) == (HOST, [])
    assert ended == [tmp_path]
    with pytest.raises(error), fixture.running(tmp_path, "two"):
        raise error
    assert ended == [tmp_path] * 2
