# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What hinders a change is told before anything is written, in check mode as in the run itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from unit.plugins.fakes.runtime_node import CONFIG, DROP_IN, RuntimeNode, change, make_plan

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError

from .conftest import Step

pytestmark = pytest.mark.node_side

STATE = "/var/lib/kubegpu-sharing/runtime"
OLD, NEW = "version = 2\n", "version = 2\n# ours\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts take root")


def refused(node: RuntimeNode, step: Step, *files: dict[str, object]) -> str:
    """The one problem, which is the same in both modes."""
    told = set()
    for check_mode in (True, False):
        with pytest.raises(InputError) as error:
            step(make_plan(*files), check_mode=check_mode)
        assert len(error.value.problems) == 1
        told.add(error.value.problems[0])
    assert node.read(CONFIG) == OLD
    assert not node.calls
    assert len(told) == 1
    return told.pop()


def test_place_where_nothing_can_be_noted_is_told(node: RuntimeNode, step: Step) -> None:
    node.write("/var/lib/kubegpu-sharing", "a file\n")
    told = refused(node, step, change(node, CONFIG, NEW))
    assert told.startswith("What is about to be changed cannot be noted in /var/lib/kubegpu-sharing/runtime: ")
    assert "is no directory" in told
    assert "kubegpu_runtime_state_dir" in told


def test_directory_that_is_gone_since_is_told_and_not_made(node: RuntimeNode, step: Step) -> None:
    told = refused(node, step, change(node, DROP_IN, "drop-in\n"), change(node, CONFIG, NEW))
    assert (
        told == f"The directory of {DROP_IN} is not there, and the plan does not make it. Run again, which plans anew."
    )
    assert not node.path(DROP_IN).parent.exists()


def fill(directory: Path) -> None:
    for number in range(9):
        (directory / str(number)).touch()


@pytest.fixture(params=["/etc/containerd", STATE], ids=["settings", "state"])
def few_inodes(node: RuntimeNode, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own, of the settings or of what leads back, on which there is no room for one more file."""
    directory = node.path(request.param)
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m,nr_inodes=4", "tmpfs", str(directory)], check=True)
    node.write(CONFIG, OLD)
    with pytest.raises(OSError):
        fill(directory)
    yield directory
    subprocess.run(["umount", "-l", str(directory)], check=True)


@as_root
def test_file_system_without_room_for_another_file_is_told(node: RuntimeNode, step: Step, few_inodes: Path) -> None:
    told = refused(node, step, change(node, CONFIG, NEW))
    assert "has no room for another file (no inodes left)" in told
    assert str(few_inodes) in told
