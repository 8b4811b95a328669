# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The program that stays on a node: the same from the same files, and runnable with nothing but Python."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils import _program
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program import (
    COLLECTION,
    build_program,
    digest_of,
    find_pynvml,
    read_version,
)


def run(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """With an interpreter that sees nothing of this checkout."""
    command = [sys.executable, "-I", "-S", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env={"PATH": os.defpath})


def test_build_program_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    first = build_program(find_pynvml())
    copied = tmp_path / "sharing"
    shutil.copytree(COLLECTION / "plugins", copied / "plugins", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(COLLECTION / "galaxy.yml", copied)
    assert digest_of(build_program(find_pynvml(), copied)) == digest_of(first)


def test_build_program_holds_what_it_imports_and_nothing_of_ansible_or_kubernetes(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(build_program(find_pynvml()))
    names = zipfile.ZipFile(path).namelist()
    assert "pynvml.py" in names
    assert any(name.endswith("/_nvml/mig_config.py") for name in names)
    assert not [name for name in names if "/_kube/" in name or name.endswith("/_core/arguments.py")]


def test_program_runs_with_an_interpreter_that_has_nothing_installed(tmp_path: Path) -> None:
    path = tmp_path / "program"
    path.write_bytes(build_program(find_pynvml()))
    assert run(path, "--version").stdout == f"kubegpu.sharing {read_version()}\n"
    done = run(path, "restore", f"--state-dir={tmp_path}", f"--ready-path={tmp_path}/run/ready")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("No MIG layout is recorded in ")


def test_read_version_of_an_installed_collection(tmp_path: Path) -> None:
    (tmp_path / "MANIFEST.json").write_text('{"collection_info": {"version": "1.2.3"}}', encoding="utf-8")
    assert read_version(tmp_path) == "1.2.3"


def test_find_pynvml_without_one_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_program.importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(KubeGpuError, match="the control node has none. Install nvidia-ml-py"):
        find_pynvml()
