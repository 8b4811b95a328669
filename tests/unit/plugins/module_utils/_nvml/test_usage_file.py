# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files of measurements on a node."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path
from typing import Any, Dict, List

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml import usage_file
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import UsageFiles, check_id

pytestmark = pytest.mark.node_side

DOCUMENT: Dict[str, Any] = {"kind": "measurement", "nvml_available": True, "complete": True, "samples": 3}


@pytest.fixture
def files(tmp_path: Path) -> UsageFiles:
    return UsageFiles(str(tmp_path / "deep" / "measurements"))


def put(files: UsageFiles, name: str, text: str) -> Path:
    os.makedirs(files.directory, exist_ok=True)
    path = Path(files.directory) / name
    path.write_text(text, encoding="utf-8")
    return path


def state_of(files: UsageFiles, wanted: str) -> Any:
    found = files.find(wanted)
    return found and found.state


def test_write_is_read_by_others_while_it_runs(files: UsageFiles) -> None:
    with files.open("a") as file:
        assert state_of(files, "a") == "running"
        file.write(DOCUMENT)
        found = files.find("a")
        assert found is not None
        assert (found.state, found.document, file.path) == (
            "running",
            DOCUMENT,
            os.path.join(files.directory, "a.json"),
        )
    assert (state_of(files, "a"), files.ids()) == ("complete", ["a"])


@pytest.mark.parametrize(
    ("document", "state"),
    [
        ({**DOCUMENT, "complete": False}, "interrupted"),
        ({**DOCUMENT, "nvml_available": False, "complete": False}, "unavailable"),
    ],
)
def test_find_tells_how_it_ended(files: UsageFiles, document: Dict[str, Any], state: str) -> None:
    with files.open("a") as file:
        file.write(document)
    assert state_of(files, "a") == state


def test_find_sampling_that_died_before_its_first_sample_is_interrupted(files: UsageFiles) -> None:
    with files.open("a"):
        pass
    found = files.find("a")
    assert found is not None
    assert (found.state, found.document, found.problem) == ("interrupted", None, None)
    assert files.find("b") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"kind": "plan"}', "\x00", '{"kind": "measurement"'])
def test_find_file_that_is_no_measurement_is_told(files: UsageFiles, text: str) -> None:
    put(files, "a.json", text)
    found = files.find("a")
    assert found is not None
    assert (found.state, found.document) == ("unreadable", None)
    assert "Remove it with state=absent" in (found.problem or "")


def test_find_never_follows_a_link(files: UsageFiles, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(json.dumps(DOCUMENT), encoding="utf-8")
    os.makedirs(files.directory)
    os.symlink(secret, os.path.join(files.directory, "a.json"))
    assert state_of(files, "a") == "unreadable"


def test_find_waits_for_no_pipe(files: UsageFiles) -> None:
    os.makedirs(files.directory)
    os.mkfifo(os.path.join(files.directory, "a.json"))
    assert state_of(files, "a") == "unreadable"


def test_write_replaces_a_link_and_what_was_left_half_written(files: UsageFiles, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("kept", encoding="utf-8")
    os.makedirs(files.directory)
    os.symlink(victim, os.path.join(files.directory, "a.json"))
    os.symlink(victim, os.path.join(files.directory, "a.json.new"))
    with files.open("a") as file:
        file.write(DOCUMENT)
    assert (state_of(files, "a"), victim.read_text(encoding="utf-8")) == ("complete", "kept")


def test_lock_that_is_a_link_is_not_taken(files: UsageFiles, tmp_path: Path) -> None:
    os.makedirs(files.directory)
    os.symlink(tmp_path / "elsewhere", os.path.join(files.directory, "a.lock"))
    with files.open("a") as file:
        assert "cannot be written to" in (file.problem or "")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="nobody but root can give files away")
def test_directory_by_a_link_of_somebody_else_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "victim").mkdir()
    link = tmp_path / "measurements"
    link.symlink_to(tmp_path / "victim")
    with UsageFiles(str(link)).open("a") as file:
        assert file.problem is None
    os.lchown(link, 65534, 65534)
    with UsageFiles(str(link)).open("b") as file:
        file.write(DOCUMENT)
        assert "cannot be written to" in (file.problem or "")
    assert os.listdir(tmp_path / "victim") == ["a.lock"]


def test_directory_that_everybody_may_write_to_is_not_used(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with UsageFiles(str(tmp_path)).open("a") as file:
        file.write(DOCUMENT)
        assert (file.path, "cannot be written to" in (file.problem or "")) == (None, True)
    assert os.listdir(tmp_path) == []


def test_open_lock_that_is_removed_before_it_is_held_is_taken_anew(
    files: UsageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = fcntl.flock
    removed: List[str] = []

    def remove_first(opened: int, how: int) -> None:
        if how & fcntl.LOCK_EX and not removed:
            removed.append("a")
            assert files.remove("a", check_mode=False)
        lock(opened, how)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with files.open("a"):
        assert (removed, state_of(files, "a")) == (["a"], "running")


def test_write_is_on_the_disk_before_it_replaces_what_was_there(
    files: UsageFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: List[int] = []

    def note(opened: int) -> None:
        synced.append(os.fstat(opened).st_ino)

    monkeypatch.setattr(os, "fsync", note)
    with files.open("a") as file:
        file.write(DOCUMENT)
    assert synced == [os.stat(os.path.join(files.directory, "a.json")).st_ino]


def test_open_second_of_one_id_is_refused(files: UsageFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_file, "_LOCK_SECONDS", 0.1)
    with files.open("a"), pytest.raises(KubeGpuError, match="samples under that id"), files.open("a"):
        pass
    with files.open("a"):
        pass


def test_write_goes_on_when_there_is_room_again(files: UsageFiles, tmp_path: Path) -> None:
    # a file where a directory has to be
    (tmp_path / "deep").write_text("", encoding="utf-8")
    with files.open("a") as file:
        assert "cannot be written to" in (file.problem or "")
        file.write(DOCUMENT)
        assert (file.path, bool(file.problem)) == (None, True)
        (tmp_path / "deep").unlink()
        (tmp_path / "deep").mkdir()
        file.write(DOCUMENT)
        assert file.problem is None
        assert state_of(files, "a") == "running"
    assert state_of(files, "a") == "complete"


def test_ids_are_of_measurements_alone(files: UsageFiles) -> None:
    for name in ("b.json", "b.lock", "a.lock", "c.json.new", "notes.txt", ".hidden.json"):
        put(files, name, "")
    assert files.ids() == ["a", "b"]


def test_remove_takes_all_files_of_one(files: UsageFiles) -> None:
    with files.open("a") as file:
        file.write(DOCUMENT)
        assert files.remove("a", check_mode=False) is None
    put(files, "a.json.new", "")
    put(files, "ab.json", "")
    assert (files.remove("a", check_mode=True), files.ids()) == (True, ["a", "ab"])
    assert (files.remove("a", check_mode=False), files.remove("a", check_mode=False)) == (True, False)
    assert os.listdir(files.directory) == ["ab.json"]


@pytest.mark.parametrize("given", ["a", "20260301-120000-a1b2c3", "A.b_c-1", "7"])
def test_check_id_takes_names_of_files(given: str) -> None:
    assert check_id(given) == given


@pytest.mark.parametrize("given", ["", ".", "..", "a/b", "-a", "a b", "a\n", "ä", "a" * 129])
def test_check_id_refuses_all_else(given: str) -> None:
    with pytest.raises(KubeGpuError, match="cannot be the name of a file"):
        check_id(given)


def test_files_are_their_users_alone(files: UsageFiles) -> None:
    before = os.umask(0)
    try:
        with files.open("a") as file:
            file.write(DOCUMENT)
    finally:
        os.umask(before)
    paths = [Path(files.directory), *Path(files.directory).iterdir()]
    assert sorted((path.name, path.stat().st_mode & 0o777) for path in paths) == [
        ("a.json", 0o600),
        ("a.lock", 0o600),
        ("measurements", 0o700),
    ]
