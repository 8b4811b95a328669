# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hosts have measured, on the control node."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.module_utils._usage.samples import NOON, measure, process

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._measurements import Kept, keep_measurements


def measured(name: str, samples: int = 3) -> dict[str, Any]:
    return measure(*([process(4001, 700)] for _unused in range(samples)), id=name)


def keep(directory: Path, *documents: dict[str, Any], running: str = "no-run", host: str = "gpu-1") -> Kept:
    runs = [{"id": document["id"], "running": document["id"] == running} for document in documents]
    collected = {"runs": runs, "measurements": list(documents)}
    now = NOON + timedelta(hours=1)
    return keep_measurements(str(directory), collected, host=host, node=f"node-of-{host}", now=now)


def test_measurement_is_kept_with_its_host_and_node(tmp_path: Path) -> None:
    assert keep(tmp_path, measured("run-1"), measured("run-2"), host="a/b") == Kept(["run-1", "run-2"])
    kept = json.loads((tmp_path / "run-1/a%2Fb.json").read_text(encoding="utf-8"))
    assert (kept["host"], kept["node"], kept["samples"]) == ("a/b", "node-of-a/b", 3)
    assert (tmp_path / "run-2/a%2Fb.json").is_file()


def test_measurement_that_runs_is_not_kept_yet(tmp_path: Path) -> None:
    assert keep(tmp_path, measured("run-1"), measured("run-2"), running="run-2") == Kept(["run-1"])
    assert not (tmp_path / "run-2").exists()


@pytest.mark.parametrize(("there", "comes", "stays"), [(5, 3, 5), (3, 5, 5)])
def test_longer_one_of_the_same_measurement_stays(tmp_path: Path, there: int, comes: int, stays: int) -> None:
    keep(tmp_path, measured("run-1", there))
    assert keep(tmp_path, measured("run-1", comes)).written == ["run-1"]
    assert json.loads((tmp_path / "run-1/gpu-1.json").read_text(encoding="utf-8"))["samples"] == stays


@pytest.mark.parametrize("content", ['{"samples"', '{"samples": 99}', "[]"])
def test_file_that_is_no_measurement_is_replaced(tmp_path: Path, content: str) -> None:
    (tmp_path / "run-1").mkdir()
    (tmp_path / "run-1/gpu-1.json").write_text(content, encoding="utf-8")
    keep(tmp_path, measured("run-1"))
    assert json.loads((tmp_path / "run-1/gpu-1.json").read_text(encoding="utf-8"))["samples"] == 3


@pytest.mark.parametrize("name", ["../../etc/cron.d/x", "..", "", "a/b"])
def test_name_that_a_node_makes_up_names_no_file(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "a/b/c"
    kept = keep(inside, {**measured("run-1"), "id": name})
    assert (kept.written, kept.removable, list(kept.refused)) == ([], [], [name])
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_document_that_is_none_is_refused_and_the_others_are_kept(tmp_path: Path) -> None:
    kept = keep(tmp_path, {**measured("run-1"), "samples": "many"}, measured("run-2"))
    assert kept.written == ["run-2"]
    assert "Measurement run-1 of gpu-1" in kept.refused["run-1"]


def test_host_may_forget_what_was_begun_here_or_by_nobody_who_still_comes(tmp_path: Path) -> None:
    for name in ("begun-here", "elsewhere"):
        (tmp_path / name).mkdir()
    (tmp_path / "begun-here/run.json").touch()
    old = {**measured("old"), "ended": "2026-02-28T12:59:59Z", "started": "2026-02-28T12:00:00Z"}
    kept = keep(tmp_path, measured("begun-here"), measured("elsewhere"), old)
    assert (kept.written, kept.removable) == (["begun-here", "elsewhere", "old"], ["begun-here", "old"])


def test_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(KubeGpuError, match="Name a directory that may be written"):
        keep(tmp_path / "file", measured("run-1"))
