# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How files of Debian packages become a layer for test hosts."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from hosts import debian
from hosts.debian import Packages, unpacked
from hosts.packages import HostsUnavailableError

PACKAGES = Packages("trixie", ("containerd",), unwanted=("usr/bin/not-needed", "usr/lib/not-needed"))


class Apt:
    """Answers commands, and keeps them; dpkg-deb brings the files."""

    def __init__(self, files: tuple[str, ...] = (), failing: str = "") -> None:
        self.commands: list[list[str]] = []
        self.sources: set[str] = set()
        self._files = files
        self._failing = failing

    def __call__(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.commands.append(command)
        for argument in command:
            if argument.startswith("-oDir::Etc::SourceList="):
                self.sources.add(Path(argument.partition("=")[2]).read_text(encoding="utf-8"))
        if self._failing in command:
            return subprocess.CompletedProcess(command, 100, "", "E: first\nE: Unable to fetch some archives\n")
        if "download" in command:
            (options["cwd"] / "containerd.deb").touch()
        if "--extract" in command:
            for name in self._files:
                path = Path(command[-1], name)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
        return subprocess.CompletedProcess(command, 0, "", "")


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setattr(debian, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(debian, "codename", lambda: "bookworm")
    monkeypatch.setattr(debian, "mirror", lambda suite: f"http://mirror/{suite}/")
    return tmp_path / "cache"


def test_packages_of_another_release_come_from_this_machines_mirror_once(monkeypatch: pytest.MonkeyPatch) -> None:
    apt = Apt(
        ("lib/systemd/system/a.service", "usr/bin/a", "usr/bin/not-needed", "usr/lib/not-needed/b", "usr/share/doc/a")
    )
    monkeypatch.setattr(debian.subprocess, "run", apt)
    directory = unpacked(PACKAGES)
    assert apt.sources == {"deb http://mirror/bookworm/ trixie main\n"}
    there = {str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file()}
    # A directory /lib would hide the link of that name in the root below it.
    assert there == {"usr/lib/systemd/system/a.service", "usr/bin/a"}
    assert not (directory / "lib").exists()
    before = len(apt.commands)
    assert unpacked(PACKAGES) == directory
    assert len(apt.commands) == before


def test_packages_for_a_root_bring_what_it_has_not(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    apt = Apt()
    monkeypatch.setattr(debian.subprocess, "run", apt)
    unpacked(Packages("bookworm", ("docker.io",), root=tmp_path))
    install = next(command for command in apt.commands if "install" in command)
    assert f"-oDir::State::Status={tmp_path}/var/lib/dpkg/status" in install
    assert {"--download-only", "--no-install-recommends", "docker.io"} <= set(install)


@pytest.mark.parametrize("failing", ["update", "download"])
def test_packages_that_cannot_be_had_say_why_and_leave_nothing(
    monkeypatch: pytest.MonkeyPatch, cache: Path, failing: str
) -> None:
    monkeypatch.setattr(debian.subprocess, "run", Apt(failing=failing))
    with pytest.raises(HostsUnavailableError, match="apt-get failed with 100: E: Unable to fetch some archives"):
        unpacked(PACKAGES)
    assert [path.name for path in cache.iterdir()] == ["lock-packages"]
