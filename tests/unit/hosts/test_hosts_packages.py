# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a machine can have test hosts, what is installed for them, and how a machine that cannot says so."""

from __future__ import annotations

import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from hosts import __main__ as command_line
from hosts import base, packages
from hosts.packages import UNAVAILABLE, HostsUnavailableError, are_required, install_packages


@pytest.fixture
def apt(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A Debian machine with root and without the programs; records what is run, and nothing is."""
    commands: list[list[str]] = []

    def run(command: list[str], **_options: Any) -> SimpleNamespace:
        commands.append(command)
        return SimpleNamespace(returncode=100 if len(commands) == 1 else 0, stdout="", stderr="E: no index")

    monkeypatch.setattr(packages, "_release", lambda: {"ID": "debian", "VERSION_CODENAME": "bookworm"})
    monkeypatch.setattr(packages.os, "geteuid", lambda: 0)
    monkeypatch.setattr(packages.shutil, "which", lambda _program: None)
    monkeypatch.setattr(packages.subprocess, "run", run)
    return commands


def test_install_packages_fetches_the_index_only_where_the_first_try_fails(apt: list[list[str]]) -> None:
    install_packages()
    assert [command[1] for command in apt] == ["install", "update", "install"]
    assert set(packages.PROGRAMS.values()) <= set(apt[0])


def test_install_packages_with_all_there_runs_nothing(apt: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packages.shutil, "which", lambda program: f"/usr/bin/{program}")
    install_packages()
    assert apt == []


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (("_release", lambda: {"ID": "fedora"}), "test hosts need a Debian machine"),
        (("os.geteuid", lambda: 1000), "test hosts need root"),
    ],
)
def test_machine_that_cannot_have_hosts_says_so_in_one_line(
    apt: list[list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], change: Any, reason: str
) -> None:
    monkeypatch.setattr(f"hosts.packages.{change[0]}", change[1])
    assert command_line.main(["prepare"]) == UNAVAILABLE
    assert capsys.readouterr().err == f"{reason}\n"
    assert apt == []


@pytest.mark.parametrize(("value", "required"), [("1", True), ("", False), ("0", False), (None, False)])
def test_hosts_are_required_where_the_caller_says_so(
    monkeypatch: pytest.MonkeyPatch, value: str | None, required: bool
) -> None:
    monkeypatch.delenv(packages.REQUIRED, raising=False)
    if value is not None:
        monkeypatch.setenv(packages.REQUIRED, value)
    assert are_required() is required


def test_mirror_is_the_one_of_apt(monkeypatch: pytest.MonkeyPatch) -> None:
    listed = (
        "bookworm-updates main http://other/\nbookworm contrib http://contrib/\nbookworm main http://mirror/debian/\n"
    )
    answer = subprocess.CompletedProcess([], 0, listed, "")
    monkeypatch.setattr(packages.subprocess, "run", lambda *_command, **_options: answer)
    assert packages.mirror("bookworm") == "http://mirror/debian/"
    with pytest.raises(HostsUnavailableError, match="apt of this machine names no mirror for trixie"):
        packages.mirror("trixie")


def test_root_that_cannot_be_built_leaves_no_half_of_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(base, "CACHE", tmp_path / "cache")
    monkeypatch.setattr(base, "codename", lambda: "bookworm")
    monkeypatch.setattr(base, "mirror", lambda _suite: "http://mirror/")
    answer = subprocess.CompletedProcess([], 1, "E: Failed getting release file\n", "")
    monkeypatch.setattr(base.subprocess, "run", lambda *_command, **_options: answer)
    with pytest.raises(HostsUnavailableError, match="debootstrap failed with 1: E: Failed getting release file"):
        base.base()
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["lock"]
