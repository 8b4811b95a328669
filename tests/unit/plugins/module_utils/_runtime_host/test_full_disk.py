# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks without room, those of the settings and those of what leads back: told before, or everything is as it was."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import BREAK, CONFIG, DROP_IN, RuntimeNode, change, make_plan

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import backups, pending, records, swap

from .conftest import Step

pytestmark = [
    pytest.mark.node_side,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounts take root"),
]

OLD, NEW = "version = 2\n", "version = 2\n# ours\n"
SETTINGS, STATE = "/etc/containerd", "/var/lib/kubegpu-sharing/runtime"
RECORD, OLD_RECORD = f"{STATE}/record.json", '{"schema_version": 1,  "engine": "of before"}'
both = pytest.mark.parametrize("small_disk", [SETTINGS, STATE], ids=["settings", "state"], indirect=True)


@pytest.fixture
def small_disk(node: RuntimeNode, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own at that directory, with the files that are there and little room."""
    node.write(RECORD, OLD_RECORD)
    directory = node.path(request.param)
    files = {path: path.read_text(encoding="utf-8") for path in directory.iterdir()}
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(directory)], check=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


def fill(directory: Path) -> None:
    with pytest.raises(OSError):
        (directory / "filler").write_bytes(b"x" * 200 * 1024)


def stands_as_before(node: RuntimeNode) -> bool:
    served = (node.read(CONFIG), node.loaded, node.is_active) == (OLD, OLD, True)
    half = [path for path in node.root.rglob("*") if path.name.endswith(".new")]
    left = [*half, *node.leftovers()]
    return served and not left and node.read(RECORD) == OLD_RECORD and not node.path(DROP_IN).parent.exists()


def files_of(node: RuntimeNode) -> list[Path]:
    return [path for directory in (SETTINGS, STATE) for path in sorted(node.path(directory).rglob("*"))]


def plan_for(node: RuntimeNode, new: str) -> dict[str, Any]:
    return make_plan(change(node, DROP_IN, "drop-in\n", make_directory=True), change(node, CONFIG, new))


@both
def test_disk_without_room_is_told_before_anything_is_written(node: RuntimeNode, step: Step, small_disk: Path) -> None:
    (small_disk / "filler").write_bytes(b"x" * 120 * 1024)
    there = files_of(node)
    for check_mode in (True, False):
        with pytest.raises(InputError, match=f"The file system of {small_disk} has .* bytes left, and .* are needed"):
            step(plan_for(node, NEW), check_mode=check_mode)
        assert stands_as_before(node)
        assert files_of(node) == there


@pytest.mark.parametrize("small_disk", [STATE], indirect=True)
def test_copies_that_would_not_fit_are_told_before_anything_is_written(
    node: RuntimeNode, step: Step, small_disk: Path
) -> None:
    node.write(CONFIG, OLD + "#" * 100 * 1024)
    with pytest.raises(InputError, match=f"The file system of {small_disk} has .* bytes left"):
        step(make_plan(change(node, CONFIG, NEW)), check_mode=True)


@pytest.mark.parametrize(
    ("small_disk", "owner", "name", "words"),
    [
        (SETTINGS, pending.Pending, "begin", "Preparing .* failed: No space left on device. Make space"),
        (
            STATE,
            backups.Backups,
            "make",
            f"Copying {CONFIG} to .* failed: No space left on device. Nothing was changed, since there would be no way back",
        ),
        (STATE, pending.Pending, "begin", "Writing .*/pending.json failed: No space left on device"),
        (STATE, swap.Swap, "stage", "Writing .*/pending.json failed: No space left on device"),
        (STATE, records.RecordFile, "write", "Writing .*/record.json failed: No space left on device"),
        (STATE, swap.Swap, "replace", "Writing .*/pending.json failed: No space left on device"),
    ],
    ids=["settings", "copies", "marker", "staging", "record", "replacing"],
    indirect=["small_disk"],
)
def test_disk_that_fills_up_meanwhile_leaves_everything_as_it_was(
    node: RuntimeNode,
    step: Step,
    small_disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    name: str,
    words: str,
) -> None:
    act, new = getattr(owner, name), NEW * 1000

    def fill_and_act(*arguments: Any) -> Any:
        fill(small_disk)
        return act(*arguments)

    with monkeypatch.context() as filling:
        filling.setattr(owner, name, fill_and_act)
        with pytest.raises(KubeGpuError, match=words) as refused:
            step(plan_for(node, new))
    assert "NOT ALL OF THE OLD FILES" not in refused.value.msg
    assert stands_as_before(node)
    assert not node.calls
    # Copies are whole, or none.
    assert all((path / "files.json").exists() for path in node.path(f"{STATE}/backups").glob("*"))
    (small_disk / "filler").unlink()
    step(plan_for(node, new))
    assert node.loaded == f"{new}drop-in\n"


@both
def test_old_files_come_back_though_the_disk_is_full(
    node: RuntimeNode, step: Step, small_disk: Path, while_restarting: Callable[[Callable[[], None]], None]
) -> None:
    while_restarting(lambda: fill(small_disk))
    with pytest.raises(KubeGpuError, match="The old files are back, and containerd serves with them"):
        step(plan_for(node, BREAK))
    assert stands_as_before(node)


@pytest.mark.parametrize("small_disk", [STATE], indirect=True)
def test_change_is_finished_though_the_disk_of_the_state_is_full_by_then(
    node: RuntimeNode, step: Step, small_disk: Path, while_restarting: Callable[[Callable[[], None]], None]
) -> None:
    while_restarting(lambda: fill(small_disk))
    step(plan_for(node, NEW))
    assert node.loaded == f"{NEW}drop-in\n"
    assert not node.leftovers()
