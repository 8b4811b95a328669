# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that undoes itself unless it is confirmed: who says the word first, and what is left by a process that was killed."""

from __future__ import annotations

import errno
import json
import os
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import BREAK, CONFIG, UNIT, RuntimeNode, change, make_plan, pending

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLockError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import detached, documents, going_back
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

from .conftest import Step
from .detaching import RUN, STATE, Unit, killed_while_it_waits

pytestmark = pytest.mark.node_side

OLD, NEW = "version = 2\n", "version = 2\n# ours\n"


@pytest.fixture
def unit(node: RuntimeNode, step: Step) -> Unit:
    return Unit(node, step)


def test_change_is_handed_to_a_unit_that_clears_up_after_itself(node: RuntimeNode, unit: Unit) -> None:
    assert unit.start(NEW)["unit"] == "kubegpu-runtime-r1.service"
    assert "--unit=kubegpu-runtime-r1.service" in unit.arguments
    assert any(one.startswith("--property=ExecStopPost=") and "runtime settle" in one for one in unit.arguments)
    assert unit.arguments[-4:] == ["runtime", "apply", "--request", unit.files.request]
    assert Path(unit.files.request).stat().st_mode & 0o777 == 0o600
    assert node.read(CONFIG) == OLD


def test_second_process_is_found_below_a_directory_of_any_name(node: RuntimeNode, unit: Unit) -> None:
    odd = node.programs / "with a space"
    odd.mkdir()
    (odd / "program.pyz").touch()
    command = detached._start_command(str(odd / "program.pyz"), "u.service", unit.files)
    stop = next(one.partition("=ExecStopPost=")[2] for one in command if "ExecStopPost" in one)
    assert shlex.split(stop)[1:] == [
        "-I",
        str(odd / "program.pyz"),
        "runtime",
        "settle",
        "--request",
        unit.files.request,
    ]


def test_change_that_is_confirmed_stands(node: RuntimeNode, unit: Unit, monkeypatch: pytest.MonkeyPatch) -> None:
    unit.start(NEW, confirm_seconds=30.0)
    unit.set_active()
    told = detached.Files.tell

    def tell_and_confirm(self: detached.Files, phase: str, result: Any = None) -> None:
        told(self, phase, result)
        if phase == detached.WAITING:
            assert unit.result()["phase"] == "waiting"
            assert node.loaded == NEW
            assert detached.confirm(Root(str(node.root)), STATE, RUN)

    monkeypatch.setattr(detached.Files, "tell", tell_and_confirm)
    assert unit.run() == 0
    assert unit.result()["phase"] == "confirmed"
    assert unit.result()["result"]["restarted"]
    assert (node.loaded, pending(node)) == (NEW, None)
    assert not detached.confirm(Root(str(node.root)), STATE, RUN)


def test_change_that_is_not_confirmed_is_undone(node: RuntimeNode, unit: Unit, step: Step) -> None:
    unit.start(NEW, confirm_seconds=0.2)
    assert unit.run() == 1
    assert unit.result()["phase"] == "rolled_back"
    message = unit.result()["result"]["msg"]
    assert "was not confirmed in time, which is 0.2 s (kubegpu_runtime_confirm_seconds)" in message
    assert (node.read(CONFIG), node.loaded, node.leftovers()) == (OLD, OLD, [])
    with pytest.raises(KubeGpuError, match="cannot be confirmed: it is rolled back") as late:
        step(None, step="confirmed")
    assert late.value.msg.endswith(message)


def test_journal_has_a_line_of_each_thing_that_was_done(
    unit: Unit, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.start(NEW, confirm_seconds=30.0)
    monkeypatch.setattr(detached, "wait_for_word", lambda files, seconds: True)
    assert unit.run() == 0
    said = [re.sub(r"[\d-]+T[\d:]+Z|\d+\.\d", "N", line) for line in capfd.readouterr().out.splitlines()]
    assert said == [
        f"Wrote {CONFIG}.",
        "Restarting containerd.service.",
        "containerd serves with it, N s later.",
        "Waiting until N to be confirmed.",
        "Confirmed: the change stands.",
    ]


def test_who_does_not_get_the_lock_of_a_change_that_waits_is_told_to_leave_it(
    node: RuntimeNode, unit: Unit, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.start(NEW, confirm_seconds=30.0)
    told = []

    def wait(files: detached.Files, seconds: float) -> bool:
        with pytest.raises(HostLockError) as held:
            step(make_plan(change(node, CONFIG, OLD)), run="r2")
        told.append(held.value.msg)
        return True

    monkeypatch.setattr(detached, "wait_for_word", wait)
    assert unit.run() == 0
    assert re.search(
        r"kubegpu-runtime-r1\.service waits until \S+Z to be confirmed, and then takes its change back by itself\. Do not end it; "
        r"run again when it has ended\.$",
        told[0],
    )
    assert "If it hangs, end it" not in told[0]


@pytest.mark.parametrize("state", ["active", "activating"])
def test_runtime_that_ends_while_its_change_waits_to_be_confirmed_gets_its_old_files_back(
    node: RuntimeNode, unit: Unit, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    node.crashes.write_text("before the change\n", encoding="utf-8")
    unit.start(NEW)

    def crash(files: detached.Files, seconds: float) -> bool:
        if state == "active":
            node.crashes.write_text("before the change\nsince\n", encoding="utf-8")
        node.set_unit(UNIT, state)
        return True

    monkeypatch.setattr(detached, "wait_for_word", crash)
    assert unit.run() == 1
    assert unit.result()["phase"] == "rolled_back"
    assert f"{UNIT} served and then ended; it is {state} (running) now." in unit.result()["result"]["msg"]
    assert (node.read(CONFIG), node.loaded, node.leftovers()) == (OLD, OLD, [])


def test_change_with_which_the_runtime_does_not_serve_is_undone_and_says_why(node: RuntimeNode, unit: Unit) -> None:
    unit.start(BREAK)
    assert unit.run() == 1
    assert unit.result()["phase"] == "rolled_back"
    assert "failed to load TOML: BREAK" in unit.result()["result"]["log_lines"]
    assert node.loaded == OLD


def test_change_that_is_refused_has_failed(node: RuntimeNode, unit: Unit) -> None:
    unit.start(NEW)
    node.write(CONFIG, "somebody else's\n")
    assert unit.run() == 1
    assert unit.result()["phase"] == "failed"
    assert node.read(CONFIG) == "somebody else's\n"


def test_process_that_was_killed_while_it_waits_is_undone_by_the_second_one(node: RuntimeNode, unit: Unit) -> None:
    unit.start(NEW)
    killed_while_it_waits(unit)
    assert (node.loaded, (pending(node) or {})["phase"]) == (NEW, "confirming")
    assert unit.result()["phase"] == "lost"
    # As it is found after a loss of power: no second process came.
    assert (
        "Its change stands, unconfirmed, and nothing takes it back any more. Run again"
        in unit.result()["result"]["msg"]
    )
    assert unit.run("settle") == 1
    assert unit.result()["phase"] == "rolled_back"
    assert (node.read(CONFIG), node.loaded, node.leftovers()) == (OLD, OLD, [])
    assert not os.path.exists(unit.files.request)


def test_runtime_that_does_not_come_back_after_a_killed_process_is_not_said_to_have_been_dead_before(
    node: RuntimeNode, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going_back, "_LEAST_SECONDS", 0.2)
    unit.start(NEW)
    killed_while_it_waits(unit)
    node.die()
    assert unit.run("settle") == 1
    message = unit.result()["result"]["msg"]
    assert "CONTAINERD DOES NOT SERVE ON THIS NODE, THOUGH ITS OLD FILES ARE BACK" in message
    assert "before the change" not in message


def test_process_that_was_killed_after_it_was_confirmed_is_finished_by_the_second_one(
    node: RuntimeNode, unit: Unit
) -> None:
    unit.start(NEW)
    killed_while_it_waits(unit)
    unit.files.claim(detached.CONFIRMED)
    assert unit.run("settle") == 0
    assert unit.result()["phase"] == "confirmed"
    assert (node.loaded, node.leftovers()) == (NEW, [])


def no_space(*_arguments: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_second_process_undoes_it_also_where_the_disk_has_no_space(
    node: RuntimeNode, unit: Unit, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    unit.start(NEW)
    killed_while_it_waits(unit)
    monkeypatch.setattr(documents, "replace_durably", no_space)
    assert unit.run("settle") == 1
    assert (node.read(CONFIG), node.loaded, node.is_active) == (OLD, OLD, True)
    assert "was ended before it was finished or confirmed. The old files are back" in capfd.readouterr().err


def test_change_that_cannot_be_said_to_wait_for_its_confirmation_is_undone(
    node: RuntimeNode, unit: Unit, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = detached.Files.tell

    def tell(self: detached.Files, phase: str, result: Any = None) -> None:
        if phase == detached.WAITING:
            raise KubeGpuError("Writing result-r1.json failed: No space left on device.")
        told(self, phase, result)

    unit.start(NEW)
    monkeypatch.setattr(detached.Files, "tell", tell)
    assert unit.run() == 1
    message = unit.result()["result"]["msg"]
    assert "containerd serves with its changed settings, but waiting for the confirmation failed: Writing" in message
    assert (node.read(CONFIG), node.loaded, node.leftovers()) == (OLD, OLD, [])


def test_word_that_was_said_is_read_and_none_is_said_where_the_disk_has_no_space(
    unit: Unit, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    unit.start(NEW)
    unit.set_active()
    unit.files.tell(detached.WAITING)
    with monkeypatch.context() as full:
        full.setattr(documents, "replace_durably", no_space)
        with pytest.raises(KubeGpuError, match=r"verdict-r1 cannot be written \(No space left on device\)"):
            step(None, step="confirmed")
    assert step(None, step="confirmed").changed
    monkeypatch.setattr(documents, "replace_durably", no_space)
    assert detached.wait_for_word(unit.files, 0.1)


@pytest.mark.parametrize(
    ("script", "words", "left"),
    [
        ("echo 'Unit exists' >&2; exit 1", "failed, nothing was changed: .*Unit exists", False),
        ("exec sleep 30", "was started is not known", True),
    ],
)
def test_unit_that_is_not_started_is_told_so(
    node: RuntimeNode, unit: Unit, monkeypatch: pytest.MonkeyPatch, script: str, words: str, left: bool
) -> None:
    # What ends by itself gets the time to do so.
    monkeypatch.setattr(detached, "_START_SECONDS", 0.3 if left else 30.0)
    (node.programs / "systemd-run").write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    with pytest.raises(KubeGpuError, match=words):
        unit.start(NEW)
    # It has whole files of settings in it. A unit that may run after all reads it.
    assert os.path.exists(unit.files.request) == left


def test_second_process_leaves_alone_what_ended_well(node: RuntimeNode, unit: Unit) -> None:
    unit.start(NEW, confirm_seconds=0.0)
    unit.run()
    calls = node.calls
    assert unit.run("settle") == 0
    assert node.calls == calls


def test_unit_that_is_at_work_is_not_started_twice(unit: Unit) -> None:
    unit.set_active()
    with pytest.raises(KubeGpuError, match=r"kubegpu-runtime-r1\.service is at work on this node already"):
        unit.start(NEW)


def test_program_that_is_not_there_is_told_before_anything_is_changed(node: RuntimeNode, step: Step) -> None:
    with pytest.raises(KubeGpuError, match=r"The program /no\.pyz is not on this node"):
        step(make_plan(change(node, CONFIG, NEW)), detached=True, program="/no.pyz")
    assert node.read(CONFIG) == OLD


def test_detached_plan_without_a_change_starts_nothing(node: RuntimeNode, step: Step) -> None:
    outcome = step(make_plan(restart=False, actions=[]), detached=True, program="/no.pyz")
    assert not outcome.changed
    assert "started" not in outcome.facts


def test_word_is_the_first_one_s(unit: Unit) -> None:
    assert unit.files.claim("expired") == "expired"
    assert unit.files.claim(detached.CONFIRMED) == "expired"


def test_word_that_comes_after_the_program_s_own_is_refused(unit: Unit, step: Step) -> None:
    unit.start(NEW)
    unit.set_active()
    unit.files.tell(detached.WAITING)
    unit.files.claim(detached.EXPIRED)
    with pytest.raises(KubeGpuError, match="was not confirmed in time; the old files are being put back"):
        step(None, step="confirmed")


def test_unit_that_ended_without_a_word_is_told_with_what_it_left(node: RuntimeNode, unit: Unit) -> None:
    unit.start(NEW)
    assert "No change of it is left unfinished. Run again" in unit.result()["result"]["msg"]
    killed_while_it_waits(unit)
    left = {**(pending(node) or {}), "phase": "rolling_back"}
    node.write(f"{STATE}/pending.json", json.dumps(left))
    assert unit.result()["phase"] == "lost"
    assert "Its change was under way (rolling back). Run again: that finishes it" in unit.result()["result"]["msg"]


def test_run_of_which_nothing_is_known_is_told_so(step: Step) -> None:
    with pytest.raises(KubeGpuError, match="knows of no detached change for run r7"):
        step(None, step="result", run="r7")
