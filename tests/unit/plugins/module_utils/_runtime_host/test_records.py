# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The record as a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.records import RecordFile

pytestmark = pytest.mark.node_side


@pytest.mark.parametrize("content", [b'{"schema_version": 1}\r\n', b'{"damaged": "\xff"}'], ids=["text", "no UTF-8"])
def test_put_back_brings_the_record_to_the_byte(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.json"
    path.write_bytes(content)
    record = RecordFile(str(path))
    text = record.text()
    record.write({"engine": "containerd"})
    assert record.put_back(text) is None
    assert path.read_bytes() == content


def test_record_that_says_the_same_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    record = RecordFile(str(path))
    record.write({"engine": "containerd"})
    before = path.stat().st_ino
    record.write({"engine": "containerd"})
    assert path.stat().st_ino == before
    record.write({"engine": "docker"})
    assert '"docker"' in path.read_text(encoding="utf-8")


def test_put_back_of_none_removes_it(tmp_path: Path) -> None:
    record = RecordFile(str(tmp_path / "record.json"))
    assert record.text() is None
    record.write({"engine": "containerd"})
    assert record.put_back(None) is None
    assert not (tmp_path / "record.json").exists()


def test_record_that_cannot_be_read_is_not_taken_for_none(tmp_path: Path) -> None:
    path = tmp_path / "record.json"
    path.mkdir()
    with pytest.raises(KubeGpuError, match=f"Reading {path} failed: Is a directory"):
        RecordFile(str(path)).text()
    problem = RecordFile(str(path)).put_back("{}")
    assert problem is not None
    assert problem.startswith(f"The record {path} could not be put back: Reading {path} failed")
