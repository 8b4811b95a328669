# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose a process is, from sample to sample."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.attribution import Attributed, AttributionCache
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles

pytestmark = pytest.mark.node_side

UID = "8c6f1d2e-3b4a-4f5e-9d6c-7a8b9c0d1e2f"
OTHER = "1d2e3f4a-5b6c-4d7e-8f90-a1b2c3d4e5f6"
ID = "3f2a1b0c9d8e7f6a5b4c3d2e1f0a9b8c7d6e5f4a3b2c1d0e9f8a7b6c5d4e3f2a"
CGROUP = f"0::/kubepods/pod{UID}/{ID}\n"


def process(root: Path, pid: int, start: int, *, cgroup: str = CGROUP, command: str = "python3") -> Path:
    """A process as procfs shows it; 52 fields, of which the 22nd is when it began."""
    directory = root / str(pid)
    directory.mkdir(exist_ok=True)
    fields = ["S", "1", *["0"] * 17, str(start), *["0"] * 30]
    (directory / "stat").write_text(f"{pid} ({command}) {' '.join(fields)}\n", encoding="utf-8")
    (directory / "cgroup").write_text(cgroup, encoding="utf-8")
    return directory


@pytest.fixture
def cache(tmp_path: Path) -> AttributionCache:
    return AttributionCache(NodeFiles(str(tmp_path)))


def test_look_up_names_pod_container_program_and_start(tmp_path: Path, cache: AttributionCache) -> None:
    process(tmp_path, 42, 1700)
    assert cache.look_up(42) == Attributed(1700, UID, ID, "python3", "container")


@pytest.mark.parametrize("command", ["a b", "(x) S 1", ")", "python3 (deleted)", "tmux: server", "ünï"])
def test_look_up_of_a_program_whose_name_looks_like_fields(
    tmp_path: Path, cache: AttributionCache, command: str
) -> None:
    process(tmp_path, 42, 1700, command=command)
    found = cache.look_up(42)
    assert (found.start, found.command) == (1700, command)


@pytest.mark.parametrize(
    ("cgroup", "attribution"),
    [
        pytest.param(f"0::/kubepods/pod{UID}\n", "pod", id="in-no-container-of-the-pod"),
        pytest.param("0::/system.slice/nvidia-persistenced.service\n", "host", id="service"),
        pytest.param("0::/\n", "host", id="root"),
        pytest.param(f"0::/kubepods/pod{UID}/someruntime-{ID}\n", "runtime_unknown", id="unknown-container"),
        pytest.param("0::/kubepods/burstable/sandbox-17\n", "runtime_unknown", id="unknown-pod"),
    ],
)
def test_look_up_says_what_the_cgroup_is(
    tmp_path: Path, cache: AttributionCache, cgroup: str, attribution: str
) -> None:
    process(tmp_path, 42, 1700, cgroup=cgroup)
    found = cache.look_up(42)
    assert (found.attribution, found.container_id) == (attribution, None)


def test_look_up_of_a_process_that_is_gone_tells_nothing(cache: AttributionCache) -> None:
    assert cache.look_up(42) == Attributed(None, None, None, None, "ended")


def test_look_up_reads_the_cgroup_of_a_process_once(tmp_path: Path, cache: AttributionCache) -> None:
    directory = process(tmp_path, 42, 1700)
    before = cache.look_up(42)
    (directory / "cgroup").unlink()
    assert cache.look_up(42) == before


def test_look_up_tells_the_name_that_the_program_has_now(tmp_path: Path, cache: AttributionCache) -> None:
    process(tmp_path, 42, 1700, command="sh")
    cache.look_up(42)
    process(tmp_path, 42, 1700, command="python3")
    assert cache.look_up(42).command == "python3"


def test_look_up_of_a_pid_that_was_given_anew_is_another_process(tmp_path: Path, cache: AttributionCache) -> None:
    process(tmp_path, 42, 1700)
    cache.look_up(42)
    process(tmp_path, 42, 9000, cgroup=f"0::/kubepods/pod{OTHER}/{ID[::-1]}\n", command="trainer")
    assert cache.look_up(42) == Attributed(9000, OTHER, ID[::-1], "trainer", "container")


def test_look_up_of_a_process_that_ended_between_two_calls_is_still_whose_it_was(
    tmp_path: Path, cache: AttributionCache
) -> None:
    directory = process(tmp_path, 42, 1700)
    before = cache.look_up(42)
    shutil.rmtree(directory)
    assert cache.look_up(42) == before


def test_retain_forgets_those_that_are_in_the_sample_no_more(tmp_path: Path, cache: AttributionCache) -> None:
    directories = [process(tmp_path, pid, 1700) for pid in (42, 43)]
    for pid in (42, 43):
        cache.look_up(pid)
    cache.retain([43])
    for directory in directories:
        shutil.rmtree(directory)
    assert [cache.look_up(pid).start for pid in (42, 43)] == [None, 1700]


def test_look_up_without_the_time_of_its_start_asks_each_time(tmp_path: Path, cache: AttributionCache) -> None:
    directory = process(tmp_path, 42, 1700)
    (directory / "stat").unlink()
    (directory / "comm").write_text("python3\n", encoding="utf-8")
    assert cache.look_up(42) == Attributed(None, UID, ID, "python3", "container")
    (directory / "cgroup").write_text("0::/\n", encoding="utf-8")
    assert cache.look_up(42).attribution == "host"


def test_look_up_remembers_a_bounded_number(
    tmp_path: Path, cache: AttributionCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{AttributionCache.__module__}._MOST", 2)
    for pid in (41, 42, 43):
        process(tmp_path, pid, 1700)
        cache.look_up(pid)
        shutil.rmtree(tmp_path / str(pid))
    assert [cache.look_up(pid).start for pid in (41, 42, 43)] == [None, 1700, 1700]


def test_look_up_of_real_processes() -> None:
    cache = AttributionCache(NodeFiles())
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        mine, other = cache.look_up(os.getpid()), cache.look_up(child.pid)
        assert mine.start is not None
        assert other.start is not None
        assert other.start >= mine.start
        assert mine.command == Path("/proc/self/comm").read_text(encoding="utf-8").strip()
    finally:
        child.communicate(b"\n")
    # reaped: gone from procfs
    assert cache.look_up(child.pid) == other
    cache.retain([])
    assert cache.look_up(child.pid).attribution == "ended"
