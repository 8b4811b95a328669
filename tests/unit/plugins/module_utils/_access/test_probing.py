# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The child that asks: what it answers, and that nothing is left of it."""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path
from typing import Iterator

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._access.cgroups import CgroupError, Group
from ansible_collections.kubegpu.sharing.plugins.module_utils._access.probing import ask

pytestmark = pytest.mark.node_side


@pytest.fixture
def dev() -> Iterator[int]:
    opened = os.open("/dev", os.O_RDONLY | os.O_DIRECTORY)
    yield opened
    os.close(opened)


@pytest.fixture(autouse=True)
def no_child_is_left() -> Iterator[None]:
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def group(directory: Path) -> Group:
    return Group(str(directory), str(directory), 1)


def test_answers_are_the_errors_of_opening(dev: int) -> None:
    answers = ask([], dev, ["null", "nvidia-none", "null/x"], 5)
    assert answers == {"null": 0, "nvidia-none": errno.ENOENT, "null/x": errno.ENOTDIR}


def test_every_cgroup_is_joined_by_the_child_and_by_nobody_else(dev: int, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cgroup.procs").touch()
    ask([group(tmp_path / "one"), group(tmp_path / "two")], dev, ["null"], 5)
    # "0" is whoever writes it
    assert [(tmp_path / name / "cgroup.procs").read_text() for name in ("one", "two")] == ["0", "0"]


def test_cgroup_that_takes_nobody_is_told(dev: int, tmp_path: Path) -> None:
    (tmp_path / "cgroup.procs").symlink_to("/dev/full")
    with pytest.raises(CgroupError, match="cannot be joined.*No space left"):
        ask([group(tmp_path)], dev, ["null"], 5)


def test_cgroup_that_is_gone_is_told(dev: int, tmp_path: Path) -> None:
    with pytest.raises(CgroupError, match="may not be written to.*No such file"):
        ask([group(tmp_path)], dev, ["null"], 5)


def test_node_that_can_start_no_process_is_told(dev: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(os, "fork", refuse)
    before = os.listdir("/proc/self/fd")
    with pytest.raises(CgroupError, match="could not start a process that asks .Resource temporarily unavailable"):
        ask([], dev, ["null"], 5)
    assert os.listdir("/proc/self/fd") == before


def test_child_that_stands_still_is_ended(dev: int, tmp_path: Path) -> None:
    # Whoever writes to a pipe that is full waits, as whoever joins a cgroup that is frozen does.
    os.mkfifo(tmp_path / "cgroup.procs")
    reading = os.open(tmp_path / "cgroup.procs", os.O_RDONLY | os.O_NONBLOCK)
    writing = os.open(tmp_path / "cgroup.procs", os.O_WRONLY | os.O_NONBLOCK)
    try:
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(writing, b"x" * 4096)
        with pytest.raises(CgroupError, match="no answer came from within its cgroup within 0.2 s"):
            ask([group(tmp_path)], dev, ["null"], 0.2)
    finally:
        os.close(reading)
        os.close(writing)
