# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker speaks of all GPUs of a host of which a layout is recorded, and what is recorded outlives a GPU that is silent."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from integration.mig_config.node import Node
from integration.mig_config.sequences import SEVEN

from simulator.nvml.mig_state import changing
from simulator.nvml.state import KILL, NvmlError

pytestmark = pytest.mark.integration

SMALL = {"1g.12gb": 7}


def make(tmp_path: Path, cards: int = 2) -> Node:
    """A host on which all GPUs have seven instances."""
    node = Node.make(tmp_path, *["H20"] * cards)
    assert node.configure(mig_devices=SMALL)["changed"]
    return node


def recorded(node: Node) -> dict[str, Any]:
    return dict(json.loads((node.state_dir / "layout.json").read_text(encoding="utf-8")))


def reboot(node: Node) -> None:
    with changing(node.directory) as mig:
        mig.reboot()
    node.ready.unlink()


def lose(node: Node, index: int = 1, lost: bool = True) -> None:
    node.gpus.gpus[index].lost = lost
    node.write()


@pytest.mark.parametrize(
    "options",
    [{"mig_devices": SMALL, "gpus": 0}, {"layout": {"schema_version": 1, "gpus": []}}],
    ids=["other-gpu", "no-gpu"],
)
def test_run_beside_a_gpu_that_is_not_as_recorded_leaves_the_marker_away_and_says_so(
    tmp_path: Path, options: dict[str, Any]
) -> None:
    node = make(tmp_path)
    layout = recorded(node)
    reboot(node)
    result = node.configure(**options)
    assert not result.get("failed"), result["msg"]
    assert not node.ready.exists()
    told = result["not_ready"][-1]
    assert told.startswith(
        "GPU 1 (NVIDIA H20) is not as it is recorded: there is MIG disabled; recorded is MIG enabled"
    )
    assert "Run mig_config for it too" in told
    assert str(node.ready) in result["warnings"][-1]
    assert recorded(node) == layout
    assert node.configure(**options)["actions"] == []
    assert node.configure(mig_devices=SMALL)["not_ready"] == []
    assert (node.places(), node.places(1), node.ready.exists()) == (SEVEN, SEVEN, True)


def test_marker_goes_once_a_recorded_layout_does_not_stand_any_more(tmp_path: Path) -> None:
    node = make(tmp_path)
    with changing(node.directory) as mig:
        mig.lay_out(node.uuid(1), {"7g.96gb": 1})
    forecast = node.configure(mig_devices=SMALL, gpus=0, check_mode=True)
    assert node.ready.exists()
    result = node.configure(mig_devices=SMALL, gpus=0)
    assert result["actions"] == forecast["actions"] == [f"remove {node.ready}: GPU 1 not as recorded"]
    assert not node.ready.exists()
    assert node.configure(mig_devices={"7g.96gb": 1}, gpus=1)["not_ready"] == []
    assert node.ready.exists()


@pytest.mark.parametrize("killed", [False, True], ids=["at-once", "after-a-killed-one"])
@pytest.mark.parametrize("stands", [True, False], ids=["beside-one-that-stands", "beside-one-that-does-not"])
def test_run_that_goes_back_puts_the_marker_back_only_if_it_was_true(
    tmp_path: Path, killed: bool, stands: bool
) -> None:
    node = make(tmp_path)
    if not stands:
        with changing(node.directory) as mig:
            mig.lay_out(node.uuid(1), {"7g.96gb": 1})
    for error in (KILL, NvmlError.INSUFFICIENT_RESOURCES) if killed else (NvmlError.INSUFFICIENT_RESOURCES,):
        node.gpus.gpus[0].faults = {"nvmlDeviceCreateGpuInstanceWithPlacement@1": error}
        node.write()
        result = node.configure(mig_devices={"3g.48gb": 1, "1g.12gb": 4}, gpus=0)
    assert result["restored"], result["msg"]
    assert (node.places(), node.ready.exists()) == (SEVEN, stands)


def test_layout_of_a_gpu_that_does_not_answer_stays_recorded_and_keeps_the_marker_away(tmp_path: Path) -> None:
    node = make(tmp_path)
    layout = recorded(node)
    lose(node)
    result = node.configure(mig_devices=SMALL, gpus=0)
    assert result["actions"] == [f"remove {node.ready}: GPU {node.uuid(1)} not as recorded"]
    assert "Reading GPU 1 failed: GPU is lost" in result["not_ready"][0]
    assert (recorded(node), node.ready.exists()) == (layout, False)
    node.configure(mig_devices={"7g.96gb": 1}, gpus=0)
    assert recorded(node)["gpus"][1] == layout["gpus"][1]
    lose(node, lost=False)
    assert node.configure(mig_devices={"7g.96gb": 1}, gpus=0)["actions"] == [f"write {node.ready}"]


def test_gpu_that_was_never_recorded_may_be_silent(tmp_path: Path) -> None:
    node = Node.make(tmp_path, "H20", "H20")
    lose(node)
    assert node.configure(mig_devices=SMALL, gpus=0)["not_ready"] == []
    assert node.ready.exists()


def test_gpu_that_was_taken_out_is_forgotten(tmp_path: Path) -> None:
    node = make(tmp_path)
    gone = node.gpus.gpus.pop()
    node.write()
    result = node.configure(mig_devices=SMALL)
    assert result["actions"][0] == f"forget GPU {gone.uuid} (NVIDIA H20), which this host has no more"
    assert [one["uuid"] for one in recorded(node)["gpus"]] == [node.uuid()]
    assert node.ready.exists()


@pytest.mark.parametrize("gone", [True, False], ids=["gone", "lost"])
def test_boot_restores_the_gpus_that_are_there(tmp_path: Path, gone: bool) -> None:
    node = make(tmp_path, 3)
    layout, missing = recorded(node), node.gpus.gpus[1]
    reboot(node)
    if gone:
        node.gpus.gpus.remove(missing)
        node.gpus.gpus[1].index = 1
        node.write()
    else:
        lose(node)
    result = node.configure(layout=layout, run="boot", partial=True)
    assert not result.get("failed"), result["msg"]
    assert (node.places(), node.places(1 if gone else 2)) == (SEVEN, SEVEN)
    assert (recorded(node), node.ready.exists()) == (layout, False)
    (told,) = result["not_ready"]
    assert f"this host has no GPU {missing.uuid}" in told
    assert ("Reading GPU 1 failed" in told) is not gone
    strict = node.configure(layout=layout)
    assert f"this host has no GPU {missing.uuid}" in strict["msg"]


def test_marker_that_has_become_a_directory_is_put_right(tmp_path: Path) -> None:
    node = make(tmp_path, 1)
    node.ready.unlink()
    node.ready.mkdir()
    assert node.configure(mig_devices=SMALL)["actions"] == [f"write {node.ready}"]
    assert node.ready.is_file()
    node.ready.unlink()
    node.ready.mkdir()
    assert node.configure(state="absent")["actions"][-1] == f"remove {node.ready}"
    assert not node.ready.exists()


def test_directory_that_somebody_uses_is_not_taken_for_a_marker(tmp_path: Path) -> None:
    node = make(tmp_path, 1)
    node.ready.unlink()
    (node.ready / "kept").mkdir(parents=True)
    assert f"Writing {node.ready} failed: Directory not empty" in node.configure(mig_devices=SMALL)["msg"]
    assert (node.ready / "kept").exists()
