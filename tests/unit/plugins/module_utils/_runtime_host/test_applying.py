# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing a runtime's settings on a node with real files: it serves with the new ones, or with the old ones."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.runtime_node import (
    BREAK,
    CONFIG,
    DROP_IN,
    FLAP,
    HANG,
    NO_CRI,
    STUCK,
    UNIT,
    UNREADABLE,
    RuntimeNode,
    change,
    checksum,
    make_plan,
)
from unit.plugins.fakes.runtime_node import pending as marker

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock, HostLockError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import (
    going_back,
    pending,
    probing,
    swap,
    systemd,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import FileStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root

from .conftest import Step, cannot_be_tested

pytestmark = pytest.mark.node_side

OLD = "version = 2\n"
NEW = f"{OLD}# ours\n"
RESTART = [f"systemctl reset-failed {UNIT}", f"systemctl restart {UNIT}"]
STATE = "/var/lib/kubegpu-sharing/runtime"
RECORD = f"{STATE}/record.json"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="mounts and attributes of files take root")


def end(*_arguments: object) -> None:
    """As a signal does, which would be ignored where the tests run in the background of a script."""
    raise KeyboardInterrupt


def stands_as_before(node: RuntimeNode) -> bool:
    return node.read(CONFIG) == OLD and node.loaded == OLD and node.is_active and not node.leftovers()


def test_change_is_written_and_the_runtime_reads_it(node: RuntimeNode, step: Step) -> None:
    outcome = step(make_plan(change(node, DROP_IN, "drop-in\n", make_directory=True), change(node, CONFIG, NEW)))
    assert outcome.changed
    assert outcome.facts["restarted"]
    assert node.loaded == f"{NEW}drop-in\n"
    assert node.calls == RESTART
    assert not node.leftovers()
    assert [node.read(path) for path in outcome.facts["backups"]] == [OLD]


def test_check_mode_says_the_same_and_writes_nothing(node: RuntimeNode, step: Step) -> None:
    before = sorted(node.root.rglob("*"))
    outcome = step(make_plan(change(node, CONFIG, NEW)), check_mode=True)
    assert outcome.actions == (f"write {CONFIG}",)
    assert sorted(node.root.rglob("*")) == before
    assert stands_as_before(node)
    assert not node.calls


def test_plan_without_a_change_restarts_nothing(node: RuntimeNode, step: Step) -> None:
    outcome = step(make_plan(restart=False, actions=[]))
    assert not outcome.changed
    assert not node.calls


def test_plan_that_changes_the_record_alone_says_so_and_restarts_nothing(node: RuntimeNode, step: Step) -> None:
    node.write(RECORD, '{"schema_version": 1}')
    plan = make_plan(restart=False, record=None, actions=["forget it"])
    for check_mode in (True, False):
        outcome = step(plan, check_mode=check_mode)
        assert (outcome.changed, outcome.facts["restarted"]) == (True, False)
        assert node.path(RECORD).exists() == check_mode
    assert not node.calls
    assert not node.leftovers()


def test_plan_that_changes_what_is_read_by_nobody_yet_restarts_nothing(node: RuntimeNode, step: Step) -> None:
    assert step(make_plan(change(node, CONFIG, NEW), restart=False)).changed
    assert node.read(CONFIG) == NEW
    assert not node.calls
    assert not node.leftovers()


def test_removed_file_is_gone_and_comes_back_where_the_runtime_does_not_start(node: RuntimeNode, step: Step) -> None:
    node.write(DROP_IN, "drop-in\n")
    node.load()
    step(make_plan(change(node, DROP_IN, None)))
    assert node.read(DROP_IN) is None
    node.write(DROP_IN, "drop-in\n")
    node.load()
    with pytest.raises(KubeGpuError):
        step(make_plan(change(node, DROP_IN, None), change(node, CONFIG, BREAK)))
    assert node.read(DROP_IN) == "drop-in\n"
    assert node.loaded == f"{OLD}drop-in\n"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (BREAK, "systemctl restart containerd.service ended with 1"),
        (NO_CRI, "its CRI plugin, which the kubelet talks to, is not loaded"),
        (FLAP, "was started again by systemd right after the restart"),
    ],
)
def test_runtime_that_does_not_serve_gets_its_old_files_back(
    node: RuntimeNode, step: Step, content: str, why: str
) -> None:
    plan = make_plan(
        change(node, DROP_IN, "drop-in\n", make_directory=True),
        change(node, CONFIG, content),
        # More than a restart takes that stands still for a while: one that is cut off would be told of instead.
        probe={"kind": "cri", "seconds": 5},
    )
    with pytest.raises(KubeGpuError) as refused:
        step(plan)
    assert why in refused.value.msg
    assert "The old files are back, and containerd serves with them." in refused.value.msg
    assert refused.value.facts["rolled_back"]
    assert refused.value.facts["restored"]
    assert stands_as_before(node)
    assert not node.path(DROP_IN).parent.exists()
    assert node.read(RECORD) is None
    assert node.calls == RESTART * 2


def test_error_has_what_the_runtime_logged(node: RuntimeNode, step: Step) -> None:
    (node.programs.parent / "state/journal").write_text("yesterday's trouble\n", encoding="utf-8")
    with pytest.raises(KubeGpuError) as refused:
        step(make_plan(change(node, CONFIG, BREAK)))
    assert refused.value.facts["log_lines"][-1] == "failed to load TOML: BREAK"
    assert "\n  failed to load TOML: BREAK" in refused.value.msg
    assert "yesterday" not in refused.value.msg
    # Nor how the one before it ended in good order.
    assert refused.value.facts["log_lines"][0] == "Starting containerd.service - stand-in..."


def test_restart_that_hangs_is_ended_in_time(node: RuntimeNode, step: Step) -> None:
    begun = time.monotonic()
    with pytest.raises(KubeGpuError, match="restart containerd.service did not end within 0 s"):
        step(make_plan(change(node, CONFIG, HANG), probe={"kind": "cri", "seconds": 0.5}))
    assert time.monotonic() - begun < 20
    assert stands_as_before(node)


def test_runtime_that_neither_starts_nor_ends_is_killed_on_the_way_back(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each restart has to come as far as to hang, also where it stands still for a while.
    monkeypatch.setattr(systemd, "_PATIENCE_SECONDS", 4.0)
    with pytest.raises(KubeGpuError) as refused:
        step(make_plan(change(node, CONFIG, STUCK), probe={"kind": "cri", "seconds": 4.0}))
    assert refused.value.facts["restored"]
    assert stands_as_before(node)
    kill = f"systemctl kill --kill-who=main --signal=KILL {UNIT}"
    assert node.calls == [*RESTART, *RESTART, kill, *RESTART]


def test_runtime_that_starts_slowly_with_its_old_files_is_waited_for(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(systemd, "_PATIENCE_SECONDS", 4.0)
    node.write(CONFIG, f"{HANG}\n")
    wait = probing.Probe.wait

    def start_late(self: probing.Probe, *given: Any) -> str | None:
        # Only the way back comes to it. That is later than the time which the new files get.
        threading.Timer(2, node.set_unit, (UNIT, "active")).start()
        return wait(self, *given)

    monkeypatch.setattr(probing.Probe, "wait", start_late)
    with pytest.raises(KubeGpuError) as refused:
        step(make_plan(change(node, CONFIG, BREAK), probe={"kind": "cri", "seconds": 1}))
    assert refused.value.facts["restored"]
    assert not [call for call in node.calls if " kill " in call]


def test_runtime_that_starts_with_neither_is_said_loudly_and_tried_again_by_the_next_run(
    node: RuntimeNode, step: Step
) -> None:
    node.die()
    with pytest.raises(KubeGpuError) as refused:
        step(make_plan(change(node, CONFIG, NEW)))
    assert "CONTAINERD DOES NOT SERVE ON THIS NODE, THOUGH ITS OLD FILES ARE BACK" in refused.value.msg
    assert f"journalctl -u {UNIT}" in refused.value.msg
    assert not refused.value.facts["restored"]
    assert (refused.value.facts["files_back"], refused.value.facts["serves"]) == (True, False)
    shown = pending.show(Root(str(node.root)), marker(node)) or {}
    assert (shown["owed"], shown["failed"]) == (True, "containerd did not serve with its old files either")
    assert node.read(CONFIG) == OLD
    # What it logged with the new files, and with the old ones: each once.
    assert refused.value.facts["log_lines"].count("failed to load TOML: BREAK") == 2
    assert (marker(node) or {})["phase"] == "rolling_back"
    (node.programs.parent / "state/dead").unlink()
    outcome = step(make_plan(actions=[]))
    assert outcome.actions == (f"restart {UNIT}, which run r1 left to be done",)
    assert stands_as_before(node)


def test_restart_stays_owed_where_the_run_that_took_it_over_is_ended_too(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.die()
    with pytest.raises(KubeGpuError):
        step(make_plan(change(node, CONFIG, NEW)))
    (node.programs.parent / "state/dead").unlink()

    with monkeypatch.context() as ended:
        ended.setattr(swap.Swap, "stage", end)
        with pytest.raises(KeyboardInterrupt):
            step(make_plan(change(node, CONFIG, NEW)))
    # Its files are the old ones, of which the runtime that does not run knows nothing.
    assert (marker(node) or {})["phase"] == "preparing"
    assert not node.is_active
    assert step(make_plan(actions=[], restart=False)).facts["restarted"]
    assert stands_as_before(node)


@pytest.mark.parametrize("killed", ["once", "twice"])
def test_run_that_takes_over_and_cannot_write_goes_back_to_what_stood_before_the_killed_ones(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch, killed: str
) -> None:
    def fail(*_arguments: object) -> None:
        raise KubeGpuError("No space left.")

    ends = [(systemd, "restart")] + [(swap.Swap, "stage")] * (killed == "twice")
    for count, (owner, name) in enumerate(ends):
        with monkeypatch.context() as ended:
            ended.setattr(owner, name, end)
            with pytest.raises(KeyboardInterrupt):
                step(make_plan(change(node, CONFIG, f"{NEW}# {count}\n")))
    assert node.read(CONFIG) == f"{NEW}# 0\n"
    shown = (pending.show(Root(str(node.root)), marker(node)) or {})["files"]
    assert shown == {CONFIG: {"before": checksum(OLD), "after": checksum(f"{NEW}# 0\n")}}
    monkeypatch.setattr(swap.Swap, "stage", fail)
    with pytest.raises(
        KubeGpuError, match=r"^No space left\. The old files are back, and containerd serves with them\.$"
    ):
        step(make_plan(change(node, CONFIG, f"{NEW}# last\n")))
    assert stands_as_before(node)


def test_file_that_was_changed_since_is_not_touched(node: RuntimeNode, step: Step) -> None:
    plan = make_plan(change(node, CONFIG, NEW), change(node, "/etc/containerd/other.toml", "x"))
    node.write(CONFIG, "somebody else's\n")
    node.write("/etc/containerd/other.toml", "theirs\n")
    for check_mode in (True, False):
        with pytest.raises(InputError) as refused:
            step(plan, check_mode=check_mode)
        assert len(refused.value.problems) == 2
        assert "was changed by somebody else since the change was planned" in refused.value.problems[0]
        assert "was made by somebody else" in refused.value.problems[1]
    assert node.read(CONFIG) == "somebody else's\n"
    assert not node.calls
    assert not node.leftovers()


def test_file_that_is_changed_in_the_last_moment_is_not_touched_and_the_others_come_back(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    staged = swap.Swap.stage

    def stage_and_meddle(self: swap.Swap, one: object, noted: dict[str, object]) -> None:
        staged(self, one, noted)  # type: ignore[arg-type]  # whatever it is, it is handed on
        node.path(CONFIG).unlink()
        node.write(CONFIG, "somebody else's\n")

    monkeypatch.setattr(swap.Swap, "stage", stage_and_meddle)
    with pytest.raises(KubeGpuError, match="was changed by somebody else") as refused:
        step(make_plan(change(node, DROP_IN, "x", make_directory=True), change(node, CONFIG, NEW)))
    assert "NOT ALL OF THE OLD FILES" not in refused.value.msg
    assert (refused.value.facts["rolled_back"], refused.value.facts["restored"]) == (False, True)
    assert node.read(CONFIG) == "somebody else's\n"
    assert node.read(DROP_IN) is None
    assert not node.path(DROP_IN).parent.exists()
    assert not node.calls
    assert not node.leftovers()


def test_file_that_is_changed_after_another_one_was_replaced_stays_and_the_other_comes_back(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = swap.Swap.replace

    def meddle_and_replace(self: swap.Swap, one: FileStep) -> None:
        if one.path == CONFIG:
            node.path(CONFIG).unlink()
            node.write(CONFIG, "somebody else's\n")
        replace(self, one)

    monkeypatch.setattr(swap.Swap, "replace", meddle_and_replace)
    with pytest.raises(KubeGpuError) as refused:
        step(make_plan(change(node, DROP_IN, "x", make_directory=True), change(node, CONFIG, NEW)))
    assert (refused.value.facts["rolled_back"], refused.value.facts["restored"]) == (True, False)
    assert (refused.value.facts["files_back"], refused.value.facts["serves"]) == (False, True)
    assert (marker(node) or {})["failed"] == "not all old files could be put back"
    assert (
        f"NOT ALL OF THE OLD FILES ARE BACK: {CONFIG} was changed by somebody else meanwhile and was left as it is. containerd was not "
        "restarted. See that they are right, then run again." in refused.value.msg
    )
    assert node.read(CONFIG) == "somebody else's\n"
    assert node.read(DROP_IN) is None
    assert not node.calls


def test_written_files_that_are_read_otherwise_than_their_candidate_are_taken_back_before_any_restart(
    node: RuntimeNode, step: Step
) -> None:
    program = str(node.path("/usr/bin/containerd"))
    argv = [program, "--config", str(node.path(CONFIG))]
    good = {"argv": argv, "stdout": f'imports = ["elsewhere",\n "and there"]\n{NEW}'}
    with pytest.raises(KubeGpuError, match=r"not read the written files .* \+ # ours.* was not restarted"):
        step(make_plan(change(node, CONFIG, NEW)), dump={**good, "stdout": "imports = []\nversion = 2\n[lost]\n"})
    with pytest.raises(KubeGpuError, match="expecting a value"):
        step(make_plan(change(node, CONFIG, UNREADABLE)), dump=good)
    assert stands_as_before(node)
    assert not node.calls
    step(make_plan(change(node, CONFIG, NEW)), dump=good)
    assert node.loaded == NEW


def test_link_stays_and_what_it_leads_to_is_replaced(node: RuntimeNode, step: Step) -> None:
    node.write("/srv/settings/containerd.toml", OLD)
    node.path(CONFIG).unlink()
    node.path(CONFIG).symlink_to("../../srv/settings/containerd.toml")
    with pytest.raises(InputError, match="is a symbolic link now"):
        step(make_plan(change(node, CONFIG, NEW)))
    step(make_plan(change(node, "/srv/settings/containerd.toml", NEW)))
    assert node.path(CONFIG).is_symlink()
    assert node.loaded == NEW


def test_mode_and_attributes_of_a_file_stay(node: RuntimeNode, step: Step) -> None:
    node.path(CONFIG).chmod(0o640)
    try:
        os.setxattr(node.path(CONFIG), "user.label", b"kept")
        labelled = True
    except OSError:
        labelled = False
    step(make_plan(change(node, CONFIG, NEW)))
    assert node.path(CONFIG).stat().st_mode & 0o7777 == 0o640
    assert not labelled or os.getxattr(node.path(CONFIG), "user.label") == b"kept"


def test_old_file_comes_back_as_the_very_file_that_it_was(node: RuntimeNode, step: Step) -> None:
    """Its second name is put back, which takes no space, and keeps what nobody thought of."""
    inode = node.path(CONFIG).stat().st_ino
    with pytest.raises(KubeGpuError):
        step(make_plan(change(node, CONFIG, BREAK)))
    assert node.path(CONFIG).stat().st_ino == inode


def test_old_file_comes_back_where_the_file_system_has_no_second_names(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_arguments: object, **_options: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    node.path(CONFIG).chmod(0o640)
    if os.geteuid() == 0:
        os.chown(node.path(CONFIG), 12, 34)
    os.utime(node.path(CONFIG), (1000, 1000))
    before = node.path(CONFIG).stat()
    with pytest.raises(KubeGpuError, match="The old files are back"):
        step(make_plan(change(node, CONFIG, BREAK)))
    assert stands_as_before(node)
    after = node.path(CONFIG).stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_mtime == before.st_mtime == 1000


def test_old_file_comes_back_from_its_copy_where_its_second_name_is_lost(
    node: RuntimeNode, step: Step, while_restarting: Callable[[Callable[[], None]], None]
) -> None:
    while_restarting(lambda: shutil.rmtree(node.path(f"{STATE}/kept")))
    with pytest.raises(KubeGpuError, match="The old files are back"):
        step(make_plan(change(node, CONFIG, BREAK)))
    assert stands_as_before(node)


@pytest.mark.parametrize(("spoil", "why"), [("removed", "No such file"), ("changed", "has not the content that")])
def test_old_file_that_cannot_be_put_back_is_said_loudly(
    node: RuntimeNode,
    step: Step,
    while_restarting: Callable[[Callable[[], None]], None],
    monkeypatch: pytest.MonkeyPatch,
    spoil: str,
    why: str,
) -> None:
    monkeypatch.setattr(going_back, "_LEAST_SECONDS", 0.2)

    def lose() -> None:
        shutil.rmtree(node.path(f"{STATE}/kept"))
        copy = node.path(f"{STATE}/backups/00001-r1/1-config.toml")
        copy.unlink() if spoil == "removed" else copy.write_text("else", encoding="utf-8")

    while_restarting(lose)
    with pytest.raises(KubeGpuError) as refused:
        step(make_plan(change(node, CONFIG, BREAK), probe={"kind": "cri", "seconds": 5}))
    assert f"NOT ALL OF THE OLD FILES ARE BACK: {CONFIG} could not be put back: " in refused.value.msg
    assert why in refused.value.msg
    assert "CONTAINERD DOES NOT SERVE ON THIS NODE: systemctl restart" in refused.value.msg
    assert not refused.value.facts["restored"]
    assert (marker(node) or {})["phase"] == "rolling_back"


def test_nothing_that_a_runtime_may_read_lies_beside_its_settings_while_it_is_restarted(
    node: RuntimeNode, step: Step
) -> None:
    node.write(DROP_IN, "drop-in\n")
    pipe = node.hold_restart()
    seen: list[list[str]] = []

    def look() -> None:
        with open(pipe, "w", encoding="utf-8") as held:
            seen.append(sorted(path.name for path in node.path("/etc").rglob("*") if path.is_file()))
            held.write("go\n")

    watcher = threading.Thread(target=look)
    watcher.start()
    step(make_plan(change(node, DROP_IN, "new\n"), change(node, CONFIG, NEW)))
    watcher.join(10)
    assert seen == [[os.path.basename(DROP_IN), "config.toml"]]


def test_second_run_at_the_same_time_is_refused(node: RuntimeNode, step: Step) -> None:
    with HostLock("r0", "change settings", str(node.path("/run/lock/kubegpu-sharing.lock"))):
        for name in ("applied", "staged"):
            with pytest.raises(HostLockError, match="held by run r0"):
                step(make_plan(change(node, CONFIG, NEW)), step=name)
    assert stands_as_before(node)


def test_backups_are_as_many_as_wanted(node: RuntimeNode, step: Step) -> None:
    for count in range(4):
        step(make_plan(change(node, CONFIG, f"{OLD}# {count}\n")), keep_backups=2)
    kept = sorted(path.name for path in node.path(f"{STATE}/backups").iterdir())
    assert kept == ["00003-r1", "00004-r1"]


def test_backup_that_a_killed_run_made_is_there_when_it_is_told_of(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as ended:
        ended.setattr(systemd, "restart", end)
        with pytest.raises(KeyboardInterrupt):
            step(make_plan(change(node, CONFIG, NEW)))
    outcome = step(make_plan(change(node, CONFIG, f"{NEW}# more\n")), keep_backups=1)
    assert [node.read(path) for path in outcome.facts["backups"]] == [OLD]


def test_backups_of_runs_that_fail_are_no_more_and_those_that_lead_back_stay(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(going_back, "_LEAST_SECONDS", 0.2)
    for count in range(3):
        with pytest.raises(KubeGpuError):
            step(make_plan(change(node, CONFIG, f"{BREAK} {count}")), keep_backups=1)
    directory = node.path(f"{STATE}/backups")
    assert sorted(os.listdir(directory)) == ["00002-r1", "00003-r1"]
    node.die()
    with pytest.raises(KubeGpuError):
        step(
            make_plan(
                change(node, DROP_IN, "new", make_directory=True), change(node, CONFIG, NEW), probe={"seconds": 0.2}
            )
        )
    for count in range(3):
        with pytest.raises(KubeGpuError):
            step(make_plan(change(node, CONFIG, f"{NEW}{count}"), probe={"seconds": 0.2}), keep_backups=1)
        noted = marker(node)
        assert noted is not None
        assert node.read(noted["files"][CONFIG]["backup"]) == OLD
    assert len(os.listdir(directory)) == 2


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"problems": ["cri is disabled"]}, "The plan itself was refused: cri is disabled"),
        ({"units": ["rm -rf"]}, "'rm -rf' is no name of a service"),
        ({"units": []}, "names no service"),
        ({"files": [{"path": "etc/x", "content": "", "after": ""}]}, "'etc/x' is no absolute path"),
        ({"files": [{"path": "/etc/../x", "content": "", "after": ""}]}, "no absolute path"),
        ({"files": [{"path": "/etc/x", "content": "a", "after": "b"}]}, "its checksum differs"),
    ],
)
def test_plan_that_is_not_whole_is_refused(node: RuntimeNode, step: Step, spoil: dict[str, object], words: str) -> None:
    with pytest.raises(InputError) as refused:
        step(make_plan(**spoil))
    assert words in refused.value.msg
    assert stands_as_before(node)


def test_run_that_cannot_be_a_name_is_refused(step: Step) -> None:
    with pytest.raises(InputError, match="run is '../x'"):
        step(make_plan(), run="../x")


def test_candidate_is_read_and_gone(node: RuntimeNode, step: Step) -> None:
    candidate = "/etc/containerd/.kubegpu-candidate-1234abcd.toml"
    argv = [str(node.path("/usr/bin/containerd")), "--config", candidate, "config", "dump"]
    for left in (False, True):
        if left:
            node.write("/etc/containerd/.kubegpu-candidate-of-a-run-that-was-killed.toml", "x")
        answer = step({"staging": {"files": [{"path": candidate, "content": NEW}], "argv": argv}}, step="staged")
        assert answer.facts["dump"]["stdout"].endswith(NEW)
        assert not answer.changed
        assert [path.name for path in node.path("/etc/containerd").iterdir()] == ["config.toml"]


def test_directories_that_were_made_for_candidates_are_gone_with_them(node: RuntimeNode, step: Step) -> None:
    files = [{"path": f"/etc/engine/{name}/.kubegpu-candidate-1", "content": "x"} for name in ("one", "two")]
    step({"staging": {"files": files, "argv": ["true"]}}, step="staged")
    assert not node.path("/etc/engine").exists()


def test_candidate_that_a_killed_run_left_goes_with_the_next_change(node: RuntimeNode, step: Step) -> None:
    node.write("/etc/containerd/.kubegpu-candidate-1234abcd.staged", "x")
    step(make_plan(change(node, CONFIG, NEW)))
    assert [path.name for path in node.path("/etc/containerd").iterdir()] == ["config.toml"]


def test_candidate_never_takes_the_place_of_a_file(node: RuntimeNode, step: Step) -> None:
    with pytest.raises(InputError, match="is no place for a candidate"):
        step({"staging": {"files": [{"path": CONFIG, "content": "x"}], "argv": ["true"]}}, step="staged")
    assert stands_as_before(node)


@as_root
def test_read_only_file_system_is_told_before_anything_is_written(node: RuntimeNode, step: Step) -> None:
    directory = str(node.path("/etc/containerd"))
    subprocess.run(["mount", "--bind", directory, directory], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", directory], check=True)
        for check_mode in (True, False):
            with pytest.raises(InputError, match="the file system of .* is read-only"):
                step(make_plan(change(node, CONFIG, NEW)), check_mode=check_mode)
    finally:
        subprocess.run(["umount", "-l", directory], check=True)
    assert stands_as_before(node)


@as_root
def test_file_that_is_a_mount_is_told_before_anything_is_written(node: RuntimeNode, step: Step, tmp_path: Path) -> None:
    other = tmp_path / "mounted.toml"
    other.write_text(OLD, encoding="utf-8")
    subprocess.run(["mount", "--bind", str(other), str(node.path(CONFIG))], check=True)
    try:
        with pytest.raises(InputError, match="is a mount of its own"):
            step(make_plan(change(node, CONFIG, NEW)), check_mode=True)
    finally:
        subprocess.run(["umount", "-l", str(node.path(CONFIG))], check=True)


@as_root
def test_immutable_file_is_told_before_anything_is_written(node: RuntimeNode, step: Step) -> None:
    if subprocess.run(["chattr", "+i", str(node.path(CONFIG))], capture_output=True, check=False).returncode:
        cannot_be_tested("this file system has no attribute for immutable files")
    try:
        for check_mode in (True, False):
            with pytest.raises(InputError, match="is it immutable"):
                step(make_plan(change(node, CONFIG, NEW)), check_mode=check_mode)
    finally:
        subprocess.run(["chattr", "-i", str(node.path(CONFIG))], check=True)
    assert stands_as_before(node)


@as_root
def test_file_without_the_bit_of_writing_is_replaced_and_stays_without_it(node: RuntimeNode, step: Step) -> None:
    """It says what an editor should ask about; root is not hindered by it, and who wants that has the attribute."""
    node.path(CONFIG).chmod(0o444)
    step(make_plan(change(node, CONFIG, NEW)))
    assert node.loaded == NEW
    assert node.path(CONFIG).stat().st_mode & 0o7777 == 0o444
    with pytest.raises(KubeGpuError, match="The old files are back"):
        step(make_plan(change(node, CONFIG, BREAK)))
    assert node.loaded == NEW
    assert node.path(CONFIG).stat().st_mode & 0o7777 == 0o444


def test_progress_that_cannot_be_noted_ends_in_no_restart(
    node: RuntimeNode, step: Step, monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = pending.Pending.advance

    def fail(self: pending.Pending, document: dict[str, object], phase: str) -> None:
        if phase == pending.RESTARTING:
            raise KubeGpuError("Writing pending.json failed: No space left on device.")
        advance(self, document, phase)

    monkeypatch.setattr(pending.Pending, "advance", fail)
    with pytest.raises(KubeGpuError, match=r"No space left(?s:.*)was not restarted"):
        step(make_plan(change(node, CONFIG, NEW)))
    assert stands_as_before(node)
    assert not node.calls
