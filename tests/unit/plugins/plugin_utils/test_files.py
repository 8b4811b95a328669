# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Files that are written in one step, and read with their schema."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import read_json, write_json, write_text


def test_write_text_makes_directories_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "report.html"
    write_text(str(path), "first")
    write_text(str(path), "second →")
    assert path.read_text(encoding="utf-8") == "second →"
    assert os.listdir(path.parent) == ["report.html"]


def test_write_text_obeys_the_mask(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        write_text(str(tmp_path / "file"), "")
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_write_text_that_fails_names_the_file_and_keeps_the_old_one(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way", encoding="utf-8")
    with pytest.raises(KubeGpuError, match=r"Writing .*/file/report.json on the control node failed: "):
        write_text(str(tmp_path / "file" / "report.json"), "")
    with pytest.raises(KubeGpuError):
        write_text(str(tmp_path), "a directory cannot be replaced by a file")
    assert os.listdir(tmp_path) == ["file"]


def test_read_json_returns_what_write_json_wrote(tmp_path: Path) -> None:
    path = str(tmp_path / "plan.json")
    write_json(path, {"schema_version": 1, "name": "Größe"})
    assert read_json(path, 1) == {"schema_version": 1, "name": "Größe"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "Reading {path} failed: No such file or directory. It is written by an earlier step: run that first."),
        ("{", "Reading {path} failed: it is not JSON ("),
        ("[]", "{path} has schema_version None, this version of the collection reads 1."),
        (json.dumps({"schema_version": 2}), "{path} has schema_version 2, this version of the collection reads 1."),
    ],
)
def test_read_json_says_what_is_wrong_and_what_to_do(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "plan.json"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(KubeGpuError) as caught:
        read_json(str(path), 1)
    assert caught.value.msg.startswith(message.format(path=path))
