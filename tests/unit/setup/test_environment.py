# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Set-up says what a machine lacks, makes nothing twice, and starts afresh after an interruption."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from setup import environment

PREPARE = Path(environment.__file__).with_name("prepare.sh")


def prepare(path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run prepare.sh on a machine that has only the programs in ``path``."""
    shell = shutil.which("sh")
    assert shell
    return subprocess.run(
        [shell, str(PREPARE), *arguments], env={"PATH": str(path)}, capture_output=True, text=True, check=False
    )


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A directory of programs, with nothing but what every system has."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for program in ("dirname",):
        (directory / program).symlink_to(str(shutil.which(program)))
    return directory


def test_prepare_bare_machine_names_everything_at_once(bare: Path) -> None:
    result = prepare(bare, "runtime")
    assert result.returncode == 1
    for package in ("python3-venv", "gcc", "git", "make"):
        assert package in result.stderr
    assert result.stdout == ""


def test_prepare_packages_are_one_a_line(bare: Path) -> None:
    result = prepare(bare, "--packages")
    assert result.returncode == 0
    assert result.stdout.split("\n")[:-1] == ["python3", "python3-venv", "gcc", "libc6-dev", "git", "make"]


def test_prepare_shim_without_interpreter_is_no_python(bare: Path) -> None:
    shim = bare / "python3"
    shim.write_text("#!/bin/sh\necho 'python3: command not found' >&2\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)
    assert "Python 3.11 or newer" in prepare(bare, "runtime").stderr


def link_interpreter(directory: Path) -> None:
    """What a virtual environment is at the least."""
    (directory / "bin").mkdir(parents=True)
    (directory / "bin/python").symlink_to(sys.executable)


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> environment.Environment:
    """An environment in a checkout of its own, made of the running interpreter and nothing else."""
    requirements = tmp_path / "requirements"
    requirements.mkdir()
    (requirements / "oldest.txt").write_text("a==1\n", encoding="utf-8")
    (requirements / "collections.json").write_text("{}", encoding="utf-8")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "REQUIREMENTS", requirements)
    monkeypatch.setattr(environment, "COLLECTIONS", requirements / "collections.json")
    monkeypatch.setattr(environment, "install", lambda _environment: None)
    monkeypatch.setattr(environment, "add_import_paths", lambda _environment: None)
    monkeypatch.setattr(environment, "make_empty", link_interpreter)
    result = environment.Environment("oldest", tmp_path / ".venv-oldest")
    environment.prepare(result)
    return result


def test_prepared_environment_is_ready(made: environment.Environment) -> None:
    assert environment.is_ready(made)


def test_changed_lock_file_is_not_ready(made: environment.Environment) -> None:
    made.lock.write_text("a==2\n", encoding="utf-8")
    assert not environment.is_ready(made)


def test_lost_interpreter_is_not_ready(made: environment.Environment) -> None:
    made.python.unlink()
    made.python.symlink_to("/nowhere/python")
    assert not environment.is_ready(made)


def test_interrupted_installation_is_not_ready_and_starts_afresh(made: environment.Environment) -> None:
    (made.directory / "half-installed").touch()
    made.begun.touch()
    assert not environment.is_ready(made)
    environment.prepare(made)
    assert environment.is_ready(made)
    assert not (made.directory / "half-installed").exists()


def test_moved_checkout_starts_afresh(made: environment.Environment) -> None:
    made.home.write_text("/where/it/was", encoding="utf-8")
    (made.directory / "old-script").touch()
    environment.create(made)
    assert not (made.directory / "old-script").exists()
