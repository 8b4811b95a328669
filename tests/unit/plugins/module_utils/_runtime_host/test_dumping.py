# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a runtime is asked for where its main file is missing, and what is told of dumps that differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.dumping import find_difference, run_dump

pytestmark = pytest.mark.node_side

PRINTS = ("printf", "%s")


def test_defaults_stand_for_a_main_file_that_is_missing(tmp_path: Path) -> None:
    """Asked to dump one that is missing, containerd before 2.0 fails; started with it, it takes its defaults."""
    program, config = tmp_path / "containerd", tmp_path / "config.toml"
    program.write_text('#!/bin/sh\necho "$*"\n', encoding="utf-8")
    program.chmod(0o755)
    argv = [str(program), "--config", str(config), "config", "dump"]
    missing = run_dump(argv)
    assert (missing.stdout, missing.rc, list(missing.argv)) == ("config default\n", 0, argv)
    config.touch()
    assert run_dump(argv).stdout == f"--config {config} config dump\n"


@pytest.mark.parametrize(
    ("candidate", "written"),
    [("version = 2\n", "version = 2\n"), ('imports = ["a"]\nversion = 2\n', 'imports = [\n  "b",\n]\nversion = 2\n')],
)
def test_same_dump_but_for_imports_is_no_difference(candidate: str, written: str) -> None:
    assert find_difference({"argv": [*PRINTS, written], "stdout": candidate}) is None


def test_difference_is_told_by_its_lines() -> None:
    problem = find_difference({"argv": [*PRINTS, "version = 2\nb = 1\n"], "stdout": "version = 2\n  a = 1\n"})
    assert problem is not None
    assert problem.endswith("shows something else than it did of the candidate: - a = 1; + b = 1.")


def test_passwords_in_a_difference_are_not_told() -> None:
    written = 'version = 2\n[auth]\n  password = "hush"\n'
    problem = find_difference({"argv": [*PRINTS, written], "stdout": "version = 2\n"})
    assert problem is not None
    # The command that is named before has the text as an argument here.
    told = problem.partition(" of the candidate: ")[2]
    assert "password" in told
    assert "hush" not in told


def test_dump_that_fails_is_told() -> None:
    problem = find_difference({"argv": ["false"], "stdout": ""})
    assert problem is not None
    assert "false" in problem
