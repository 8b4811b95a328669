# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What lies beside a runtime's settings while they are replaced, and whose word counts where two speak at once."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from unit.plugins.fakes.runtime_node import DROP_IN, RuntimeNode, change, make_plan

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import detached, swap
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import FileStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

from .conftest import Step

pytestmark = pytest.mark.node_side


def no_link(*_arguments: object, **_options: object) -> None:
    raise OSError(errno.EXDEV, "Invalid cross-device link")


@pytest.mark.parametrize("apart", [False, True], ids=["same_file_system", "state_elsewhere"])
def test_nothing_waits_in_a_directory_of_drop_ins_of_which_all_is_read(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch, apart: bool
) -> None:
    node.write(DROP_IN, "drop-in\n")
    node.load()
    seen: list[list[str]] = []
    replace = swap.Swap.replace

    def look_and_replace(self: swap.Swap, one: FileStep) -> None:
        seen.append(os.listdir(node.path(DROP_IN).parent))
        replace(self, one)
        seen.append(os.listdir(node.path(DROP_IN).parent))

    monkeypatch.setattr(swap.Swap, "replace", look_and_replace)
    if apart:
        monkeypatch.setattr(os, "link", no_link)
    step(make_plan(change(node, DROP_IN, "new\n")))
    assert seen == [[os.path.basename(DROP_IN)]] * 2
    assert node.read(DROP_IN) == "new\n"
    assert not node.leftovers()


def test_word_is_of_who_was_first_though_both_looked_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = detached.Files.of(Root(str(tmp_path)), "/state", "r1")
    assert files.claim("expired") == "expired"
    said, looks = detached.Files._said, iter([None])
    monkeypatch.setattr(detached.Files, "_said", lambda self: next(looks, said(self)))
    assert files.claim(detached.CONFIRMED) == "expired"
    assert Path(files.word).read_text(encoding="utf-8") == "expired"
    assert os.listdir(files.directory) == [os.path.basename(files.word)]
