# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that were made for settings, when these are taken out again."""

from __future__ import annotations

import os

import pytest
from unit.plugins.fakes.runtime_node import RuntimeNode, change, make_plan

from .conftest import Step

pytestmark = pytest.mark.node_side

PATH = "/etc/engine/more/conf.d/80-ours.toml"
LIST = "/var/lib/kubegpu-sharing/runtime/directories.json"


def test_directory_that_was_made_goes_with_the_last_file(node: RuntimeNode, step: Step) -> None:
    step(make_plan(change(node, PATH, "ours\n", make_directory=True), run="one"))
    step(make_plan(change(node, PATH, "ours, changed\n"), run="two"))
    assert node.path(LIST).exists()
    step(make_plan(change(node, PATH, None), run="three"))
    assert not node.path("/etc/engine").exists()
    assert node.path("/etc").is_dir()
    assert not node.path(LIST).exists()


def test_directory_that_others_use_or_have_made_stays(node: RuntimeNode, step: Step) -> None:
    node.path("/etc/engine").mkdir(parents=True)
    step(make_plan(change(node, PATH, "ours\n", make_directory=True), run="one"))
    node.write("/etc/engine/more/theirs.toml", "theirs\n")
    step(make_plan(change(node, PATH, None), run="two"))
    assert os.listdir(node.path("/etc/engine/more")) == ["theirs.toml"]
    node.path("/etc/engine/more/theirs.toml").unlink()
    step(make_plan(change(node, PATH, "ours\n", make_directory=True), run="three"))
    step(make_plan(change(node, PATH, None), run="four"))
    assert os.listdir(node.path("/etc/engine")) == []
