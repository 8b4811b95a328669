# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a runtime is asked for, where its main file is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.dumping import run_dump

pytestmark = pytest.mark.node_side


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
