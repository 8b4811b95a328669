# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What fixtures of pytest make test hosts with, and the one place that says what becomes of a test where there can be none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from hosts.host import Host, start, stop
from hosts.packages import HostsUnavailableError, are_required, install_packages


@contextmanager
def skipped_where_unavailable() -> Iterator[None]:
    """Skip a test that cannot have what is asked for in the block, with the reason. Where hosts are required it fails."""
    try:
        yield
    except HostsUnavailableError as error:
        if are_required():
            raise
        pytest.skip(str(error))


@contextmanager
def running(directory: Path, name: str, layers: Sequence[Path] = ()) -> Iterator[Host]:
    """A test host for the time of the block.

    :param directory: for what is known of the host on this machine. It is not there before and after.
    :param layers: as :func:`hosts.host.start` takes them.
    """
    with skipped_where_unavailable():
        install_packages()
        host = start(directory, name, layers)
    try:
        yield host
    finally:
        stop(directory)
