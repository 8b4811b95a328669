# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The detached program, killed by signal 9 at any moment: the second one undoes what it left, or finishes what was confirmed."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Callable

import pytest
from unit.plugins.fakes.runtime_node import CONFIG, DROP_IN, RuntimeNode, change, make_plan, pending

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import detached, probing

from .conftest import steps_of
from .detaching import STATE, Unit, killed_while_it_waits
from .killing import KILLED, MOST, run_until

pytestmark = pytest.mark.node_side

OLD, NEW, NEWER, DROPPED = "version = 2\n", "version = 2\n# ours\n", "version = 2\n# more\n", "# a drop-in of ours\n"
RECORD, OLD_RECORD = f"{STATE}/record.json", '{"schema_version": 1,  "engine": "of before"}'
NEW_RECORD = {"schema_version": 1, "engine": "containerd", "files": {}}
Begin = Callable[[RuntimeNode, Unit], None]


def plan_for(node: RuntimeNode, new: str = NEW) -> dict[str, Any]:
    wanted = {DROP_IN: DROPPED, CONFIG: new}
    files = [change(node, path, text, make_directory=True) for path, text in wanted.items() if node.read(path) != text]
    return make_plan(*files, restart=bool(files) or pending(node) is not None, record=NEW_RECORD)


def hand_over(node: RuntimeNode, unit: Unit, new: str = NEW) -> None:
    """Nobody is waited for: it goes back at once, unless the word is there."""
    unit.hand_over(plan_for(node, new), confirm_seconds=0.0)


@pytest.fixture
def each_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quick: None
) -> Callable[..., Iterator[tuple[RuntimeNode, Unit]]]:
    """Nodes on which one of the programs was killed, each at another moment."""
    path = os.environ["PATH"]

    def kill(begin: Begin, command: str = "apply") -> Iterator[tuple[RuntimeNode, Unit]]:
        for turn in range(1, MOST):
            node = RuntimeNode(tmp_path / f"node-{turn}")
            monkeypatch.setenv("PATH", f"{node.programs}{os.pathsep}{path}")
            node.write(RECORD, OLD_RECORD)
            unit = Unit(node, steps_of(node))
            begin(node, unit)
            if run_until(turn, partial(unit.run, command)) != KILLED:
                return
            # Whole files only, and each of them is one of those that were planned.
            assert node.read(CONFIG) in (OLD, NEW, NEWER)
            assert node.read(DROP_IN) in (None, DROPPED)
            assert json.loads(node.read(RECORD) or "") in (json.loads(OLD_RECORD), NEW_RECORD)
            yield node, unit
        raise AssertionError(f"{MOST} moments, and still none in which it ends")

    return kill


def check_that_nothing_is_left(node: RuntimeNode, unit: Unit) -> None:
    assert not node.leftovers()
    # It has whole files of settings in it.
    assert not os.path.exists(unit.files.request)


def check_that_it_is_undone(node: RuntimeNode, unit: Unit) -> None:
    assert (node.settings(), node.loaded, node.is_active) == (OLD, OLD, True)
    assert not node.path(DROP_IN).parent.exists()
    assert node.read(RECORD) == OLD_RECORD
    assert unit.files.told()["phase"] in (detached.ROLLED_BACK, detached.FAILED)
    check_that_nothing_is_left(node, unit)


def check_that_it_stands(node: RuntimeNode) -> None:
    assert (node.settings(), node.loaded, node.is_active) == (NEW + DROPPED, NEW + DROPPED, True)
    assert json.loads(node.read(RECORD) or "") == NEW_RECORD
    assert not node.leftovers()


def test_what_nobody_confirmed_is_undone_wherever_it_was_killed(
    each_moment: Callable[..., Iterator[tuple[RuntimeNode, Unit]]],
) -> None:
    phases = set()
    for node, unit in each_moment(hand_over):
        phases.add((pending(node) or {}).get("phase"))
        unit.run("settle")
        check_that_it_is_undone(node, unit)
    assert phases == {None, "preparing", "writing", "restarting", "confirming", "rolling_back"}


def test_what_was_confirmed_is_finished_wherever_it_was_killed_after_that(
    each_moment: Callable[..., Iterator[tuple[RuntimeNode, Unit]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until then it is as in the test before this one."""
    tell, phases = detached.Files.tell, set()

    def tell_and_confirm(self: detached.Files, phase: str, result: Any = None) -> None:
        tell(self, phase, result)
        if phase == detached.WAITING:
            Path(self.word).write_text(detached.CONFIRMED, encoding="utf-8")

    monkeypatch.setattr(detached.Files, "tell", tell_and_confirm)
    for node, unit in each_moment(hand_over):
        if os.path.exists(unit.files.word):
            phases.add((pending(node) or {}).get("phase"))
            assert unit.run("settle") == 0
            check_that_it_stands(node)
            assert unit.files.told()["phase"] == detached.CONFIRMED
            check_that_nothing_is_left(node, unit)
    assert phases == {None, "confirming"}


def test_second_process_that_is_killed_too_leaves_what_the_next_run_finishes(
    each_moment: Callable[..., Iterator[tuple[RuntimeNode, Unit]]],
) -> None:
    def wait(node: RuntimeNode, unit: Unit) -> None:
        hand_over(node, unit)
        killed_while_it_waits(unit)

    phases = set()
    for node, _unit in each_moment(wait, "settle"):
        phases.add((pending(node) or {}).get("phase"))
        steps_of(node)(plan_for(node))
        check_that_it_stands(node)
    assert phases == {None, "confirming", "rolling_back"}


def test_what_was_taken_over_from_a_killed_run_is_undone_with_it(
    each_moment: Callable[..., Iterator[tuple[RuntimeNode, Unit]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end(*_arguments: object) -> None:
        raise KeyboardInterrupt

    def leave_half_done(node: RuntimeNode, unit: Unit) -> None:
        with monkeypatch.context() as ended:
            # The runtime has read its files by then, so that undoing it takes a restart, however far the other one has come.
            ended.setattr(probing.Probe, "find_crash", end)
            with pytest.raises(KeyboardInterrupt):
                steps_of(node)(plan_for(node), run="r0")
        hand_over(node, unit, NEWER)

    found = set()
    for node, unit in each_moment(leave_half_done):
        left = pending(node) or {}
        found.add((left.get("run"), left.get("phase")))
        unit.run("settle")
        if left.get("run") == "r0":
            # It had not begun: the next run has all that it takes to finish the other one.
            assert (node.settings(), node.loaded, pending(node)) == (NEW + DROPPED, NEW + DROPPED, left)
        else:
            check_that_it_is_undone(node, unit)
    assert found == {
        ("r0", "restarting"),
        *(("r1", phase) for phase in ("preparing", "writing", "restarting", "confirming", "rolling_back")),
        (None, None),
    }
