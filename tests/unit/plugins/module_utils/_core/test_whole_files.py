# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are the old or the new ones, on the disk."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core import whole_files

pytestmark = pytest.mark.node_side

NO_SPACE = OSError(28, "No space left on device")


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Calls that have the disk know something, by the name of what they are for."""
    found: list[str] = []

    def watched(name: str, named: Any) -> None:
        genuine = getattr(os, name)

        def call(*arguments: Any) -> None:
            found.append(f"{name} {named(*arguments)}")
            genuine(*arguments)

        monkeypatch.setattr(os, name, call)

    watched("fsync", lambda opened: os.path.basename(os.readlink(f"/proc/self/fd/{opened}")))
    watched("replace", lambda _source, target: os.path.basename(target))
    watched("unlink", os.path.basename)
    return found


@pytest.fixture
def strict_mask() -> Iterator[None]:
    before = os.umask(0o077)
    yield
    os.umask(before)


def mode_of(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_replace_file_has_its_content_on_the_disk_before_it_takes_the_place(tmp_path: Path, events: list[str]) -> None:
    path = tmp_path / "one"
    whole_files.replace_file(str(path), b"new", 0o644)
    assert path.read_bytes() == b"new"
    assert events == ["unlink one.new", "fsync one.new", "replace one"]


def test_replace_durably_has_the_disk_know_the_name_as_well(tmp_path: Path, events: list[str]) -> None:
    whole_files.replace_durably(str(tmp_path / "one"), b"new", 0o644)
    assert events[-2:] == ["replace one", f"fsync {tmp_path.name}"]


def test_remove_durably_has_the_disk_know_that_it_is_gone_and_takes_none_for_gone(
    tmp_path: Path, events: list[str]
) -> None:
    path = tmp_path / "one"
    path.touch()
    whole_files.remove_durably(str(path))
    assert not path.exists()
    assert events == ["unlink one", f"fsync {tmp_path.name}"]
    whole_files.remove_durably(str(path))
    assert events[2:] == ["unlink one"]


@pytest.mark.parametrize("mode", [0o600, 0o644, 0o755], ids=oct)
def test_replace_file_has_the_mode_that_was_asked_for_whatever_the_mask(
    tmp_path: Path, strict_mask: None, mode: int
) -> None:
    path = tmp_path / "one"
    path.touch(0o666)
    whole_files.replace_file(str(path), b"new", mode)
    assert mode_of(path) == mode


def test_new_file_lets_nobody_else_read_it_before_its_mode_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []
    genuine = os.fchmod

    def watched(opened: int, mode: int) -> None:
        seen.append(os.fstat(opened).st_mode & 0o7777)
        genuine(opened, mode)

    monkeypatch.setattr(os, "fchmod", watched)
    with whole_files.new_file(str(tmp_path / "one"), 0o644):
        pass
    assert seen == [0o600]


@pytest.mark.parametrize("left", ["file", "link"])
def test_replace_file_writes_through_nothing_that_lies_there(tmp_path: Path, left: str) -> None:
    precious, path = tmp_path / "precious", tmp_path / "one"
    precious.write_text("old", encoding="utf-8")
    there = tmp_path / "one.new"
    there.symlink_to(precious) if left == "link" else there.write_text("half", encoding="utf-8")
    whole_files.replace_file(str(path), b"new", 0o644)
    assert precious.read_text(encoding="utf-8") == "old"
    assert path.read_bytes() == b"new"
    assert not path.is_symlink()
    assert not os.path.lexists(there)


@pytest.mark.parametrize("failing", ["fchmod", "fsync", "replace"])
def test_replace_file_that_fails_leaves_the_old_one_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    path = tmp_path / "one"
    path.write_text("old", encoding="utf-8")

    def fail(*_arguments: Any) -> None:
        raise NO_SPACE

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(OSError, match="No space left"):
        whole_files.replace_file(str(path), b"new", 0o644)
    assert [one.name for one in tmp_path.iterdir()] == ["one"]
    assert path.read_text(encoding="utf-8") == "old"
