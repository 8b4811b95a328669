# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The module's front end: options, what it does to the file, and that check mode and a real run say the same."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kubegpu.sharing.plugins.module_utils._boot.installing import find_interpreter
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.modules import node_program

PROGRAM = b"PK program"
DIGEST = hashlib.sha256(PROGRAM).hexdigest()


@pytest.fixture
def params(tmp_path: Path) -> dict[str, Any]:
    """A program that was sent and is to be installed."""
    source = tmp_path / "sent"
    source.write_bytes(PROGRAM)
    path = tmp_path / "lib/kubegpu-sharing/program"
    return {"state": "present", "path": str(path), "digest": DIGEST, "source": str(source)}


def test_argument_spec_is_what_the_documentation_says() -> None:
    documented = yaml.safe_load(node_program.DOCUMENTATION)["options"]
    spec = node_program.argument_spec().options
    assert {name: (option["type"], option.get("default")) for name, option in spec.items()} == {
        name: (option["type"], option.get("default")) for name, option in documented.items()
    }


def test_run_installs_once_and_then_changes_nothing(params: dict[str, Any]) -> None:
    first = node_program.run(params, check_mode=False).to_result()
    assert first["actions"] == [f"install {params['path']}"]
    assert Path(params["path"]).read_bytes() == PROGRAM
    assert stat.S_IMODE(Path(params["path"]).stat().st_mode) == 0o755
    assert not node_program.run(params, check_mode=False).to_result()["changed"]


def test_run_replaces_a_program_that_differs(params: dict[str, Any]) -> None:
    Path(params["path"]).parent.mkdir(parents=True)
    Path(params["path"]).write_bytes(b"older")
    assert node_program.run(params, check_mode=False).actions == (f"replace {params['path']}",)
    assert [path.name for path in Path(params["path"]).parent.iterdir()] == ["program"]


def test_two_runs_install_it_at_once(params: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one begins and ends while the first has not put its own into the place yet."""
    sync = os.fsync

    def run_another(opened: int) -> None:
        sync(opened)
        monkeypatch.setattr(os, "fsync", sync)
        child = os.fork()
        if not child:
            os._exit(not node_program.run(params, check_mode=False).actions)
        assert os.waitpid(child, 0)[1] == 0

    monkeypatch.setattr(os, "fsync", run_another)
    assert node_program.run(params, check_mode=False).actions
    assert [path.name for path in Path(params["path"]).parent.iterdir()] == ["program"]


def test_run_without_the_program_asks_for_it_only_where_it_differs(params: dict[str, Any]) -> None:
    asked = node_program.run({**params, "source": None}, check_mode=False).to_result()
    assert (asked["changed"], asked["source_needed"]) == (True, True)
    assert not Path(params["path"]).exists()
    node_program.run(params, check_mode=False)
    assert not node_program.run({**params, "source": None}, check_mode=False).to_result()["source_needed"]


@pytest.mark.parametrize("state", ["present", "absent"])
def test_run_in_check_mode_says_what_a_real_run_says_and_writes_nothing(params: dict[str, Any], state: str) -> None:
    if state == "absent":
        node_program.run(params, check_mode=False)
    params["state"] = state
    before = Path(params["path"]).exists()
    looked = node_program.run({**params, "source": None}, check_mode=True).to_result()
    assert (Path(params["path"]).exists(), looked["source_needed"]) == (before, False)
    assert looked["diff"] == node_program.run(params, check_mode=False).to_result()["diff"]


def test_run_absent_removes_the_program_and_its_directory(params: dict[str, Any]) -> None:
    node_program.run(params, check_mode=False)
    assert node_program.run({**params, "state": "absent"}, check_mode=False).actions == (f"remove {params['path']}",)
    assert not Path(params["path"]).parent.exists()
    assert not node_program.run({**params, "state": "absent"}, check_mode=False).changed


def test_run_refuses_another_program_than_the_one_announced(params: dict[str, Any]) -> None:
    Path(params["source"]).write_bytes(b"something else")
    with pytest.raises(KubeGpuError, match="is not the program that was announced, so nothing was changed"):
        node_program.run(params, check_mode=False)
    assert not Path(params["path"]).exists()


@pytest.mark.parametrize(("target", "expected"), [("python3.11", "python3"), ("python3.13", "python3.11")])
def test_find_interpreter_prefers_the_name_that_stays_if_it_is_the_same(
    tmp_path: Path, target: str, expected: str
) -> None:
    for name in ("python3.11", "python3.13"):
        (tmp_path / name).touch()
    (tmp_path / "python3").symlink_to(target)
    assert find_interpreter(str(tmp_path / "python3.11")) == str(tmp_path / expected)
