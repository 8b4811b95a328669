# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The state file's writer, and the build of the library."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from simulator.nvml import build
from simulator.nvml.cards import CARDS
from simulator.nvml.state import NodeGpus, Process, cuda_driver_version, gpu_uuid, install


def test_same_node_has_the_same_gpus_at_every_start() -> None:
    one, again = NodeGpus.of("gpu-a", ["L20", "T4"]), NodeGpus.of("gpu-a", [CARDS["L20"], CARDS["T4"]])
    assert one.text() == again.text()
    uuids = {gpu_uuid(node, index) for node in ("gpu-a", "gpu-b") for index in range(8)}
    assert len(uuids) == 16
    assert all(len(uuid) == 40 and uuid.startswith("GPU-") for uuid in uuids)


@pytest.mark.parametrize(
    ("driver", "cuda"),
    [("450.80.02", 11000), ("535.104.05", 12020), ("570.158.01", 12080), ("572.1", 12080), ("580.65.06", 13000)],
)
def test_cuda_version_follows_from_the_driver(driver: str, cuda: int) -> None:
    assert cuda_driver_version(driver) == cuda


def test_driver_older_than_known_is_refused() -> None:
    with pytest.raises(ValueError, match=r"driver 390\.1 is older than the library knows"):
        NodeGpus.of("a", ["T4"], driver_version="390.1").text()


def test_gpus_out_of_order_are_refused(tmp_path: Path) -> None:
    gpus = NodeGpus.of("a", ["T4", "T4"])
    gpus.gpus.reverse()
    with pytest.raises(ValueError, match="out of order"):
        gpus.write(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_unknown_type_of_process_is_refused() -> None:
    gpus = NodeGpus.of("a", ["T4"])
    gpus.gpus[0].processes.append(Process(7, 1, "video"))
    with pytest.raises(ValueError, match="process 7 on GPU 0: type 'video' is none of compute, graphics, mps"):
        gpus.text()


def test_more_than_the_library_holds_is_refused() -> None:
    gpus = NodeGpus.of("a", ["T4"])
    gpus.gpus[0].processes = [Process(pid, 1) for pid in range(257)]
    with pytest.raises(ValueError, match="holds 32 GPUs with 256 processes each, not more"):
        gpus.text()


def test_node_directory_holds_library_command_and_state_alone(tmp_path: Path) -> None:
    install(tmp_path)
    install(tmp_path)
    NodeGpus.of("a", ["T4"]).write(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["libnvidia-ml.so.1", "nvidia-smi", "nvml.state"]


def test_library_has_the_soname_and_is_built_once() -> None:
    path = build.library()
    before = path.stat().st_mtime_ns
    assert build.library() == path
    assert path.stat().st_mtime_ns == before
    dynamic = subprocess.run(["readelf", "-d", str(path)], capture_output=True, text=True, timeout=30, check=True)
    assert "soname: [libnvidia-ml.so.1]" in dynamic.stdout


@pytest.fixture
def sources(tmp_path: Path) -> Path:
    copy = tmp_path / "sources"
    copy.mkdir()
    (copy / "one.c").write_text("int one(void);\nint one(void) { return 1; }\n")
    return copy


def test_changed_sources_are_built_anew(sources: Path, tmp_path: Path) -> None:
    first = build.library(source=sources, build=tmp_path / "build")
    (sources / "one.c").write_text("int one(void);\nint one(void) { return 2; }\n")
    second = build.library(source=sources, build=tmp_path / "build")
    assert first != second
    assert first.exists()


def test_compiler_error_is_shown(sources: Path, tmp_path: Path) -> None:
    (sources / "one.c").write_text("int one(void) { return unknown; }\n")
    with pytest.raises(RuntimeError, match=r"gcc failed with 1:\n[^$]*unknown"):
        build.library(source=sources, build=tmp_path / "build")
    assert not list((tmp_path / "build").rglob("*.tmp"))


def test_missing_compiler_is_named(sources: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"gcc is not on the PATH\. Install it"):
        build.library(source=sources, build=tmp_path / "build")
