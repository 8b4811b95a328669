# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import stat
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.documents import read_document, write_document


def test_write_document_is_read_back_and_private(tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    path.write_text("old")
    write_document(str(path), {"a": [1]}, "cluster")
    assert read_document(str(path), "cluster") == {"a": [1]}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["cluster.json"]


def test_write_document_leaves_nothing_behind_when_it_fails(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        write_document(str(tmp_path / "a.json"), {"a": object()}, "cluster")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(
        KubeGpuError, match=r"Cannot write the cluster file .*: No such file or directory. Create the directory"
    ):
        write_document(str(tmp_path / "missing" / "a.json"), {}, "cluster")


def test_read_document_says_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(KubeGpuError, match=r"Cannot read the plan file .*: No such file"):
        read_document(str(tmp_path / "plan.json"), "plan")
    (tmp_path / "cut.json").write_text('{"a": ')
    with pytest.raises(KubeGpuError, match=r"is no JSON .* have it written again"):
        read_document(str(tmp_path / "cut.json"), "plan")
