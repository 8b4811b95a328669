# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lock of a host, among real processes: control nodes that are killed and modules that go on."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Callable, Iterator

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core import host_lock
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock, HostLockError, ReaderLock

COLLECTIONS = Path(__file__).resolve().parents[5] / ".venv" / "collections"

#: A module at work: holds the lock until a file "end" appears, then tells the end of its work.
MODULE = """
import os, sys, time
from pathlib import Path
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
folder = Path(sys.argv[1])
with HostLock("run-1", "repartition GPU 0", str(folder / "lock")):
    (folder / "begun").write_text(str(os.getpid()))
    for _ in range(400):
        if (folder / "end").exists():
            break
        time.sleep(0.05)
    (folder / "done").write_text("done")
"""

#: A control node: what it starts has a terminal (ssh -tt) or a pipe (ssh) to it, either of which breaks with its death.
CONTROL = {
    "terminal": """
import os, pty, sys
pid, master = pty.fork()
if pid == 0:
    os.execv(sys.executable, [sys.executable, "-c", sys.argv[2], sys.argv[1]])
while os.read(master, 1024):
    pass
""",
    "pipe": """
import subprocess, sys
module = subprocess.Popen([sys.executable, "-c", sys.argv[2], sys.argv[1]], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
module.stdout.read()
""",
}

Start = Callable[..., "tuple[subprocess.Popen[bytes], int]"]


def until(condition: Callable[[], Any], seconds: float = 10) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Start a control node whose module takes the lock; gives the one and the process id of the other."""
    started: list[subprocess.Popen[bytes]] = []
    modules: list[int] = []

    def make(line: str = "pipe") -> tuple[subprocess.Popen[bytes], int]:
        command = [sys.executable, "-c", CONTROL[line], str(tmp_path), MODULE]
        environment = {**os.environ, "PYTHONPATH": str(COLLECTIONS)}
        control = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
        started.append(control)
        begun = tmp_path / "begun"
        until(lambda: begun.exists() and begun.read_text())
        modules.append(int(begun.read_text()))
        return control, modules[-1]

    yield make
    for process in started:
        process.kill()
        process.wait(timeout=10)
    for pid in modules:
        # It may end by itself in between.
        with contextlib.suppress(ProcessLookupError):
            if alive(pid):
                os.kill(pid, signal.SIGKILL)


def second(folder: Path, wait_seconds: float = 0) -> HostLock:
    return HostLock("run-2", "repartition GPU 1", str(folder / "lock"), wait_seconds)


@pytest.mark.parametrize("line", list(CONTROL))
def test_module_goes_on_when_its_control_node_is_killed_and_others_stay_out(
    start: Start, tmp_path: Path, line: str
) -> None:
    control, module = start(line)
    control.kill()
    control.wait(timeout=10)
    time.sleep(0.2)
    assert alive(module)
    with pytest.raises(HostLockError) as caught, second(tmp_path):
        pass
    assert caught.value.msg.startswith(
        f"Cannot repartition GPU 1 for run run-2: the lock {tmp_path}/lock of this host is held by run run-1 "
        f"(process {module}, repartition GPU 0) since 20"
    )
    assert f"wait until process {module} has ended ('ps -fp {module}' shows it), then run again." in caught.value.msg
    assert caught.value.facts["holder"]["pid"] == module
    threading.Timer(0.3, (tmp_path / "end").touch).start()
    with second(tmp_path, wait_seconds=10):
        assert (tmp_path / "done").read_text() == "done"


def test_lock_is_free_as_soon_as_its_holder_is_killed(start: Start, tmp_path: Path) -> None:
    _control, module = start()
    os.kill(module, signal.SIGKILL)
    with second(tmp_path, wait_seconds=5):
        assert not (tmp_path / "done").exists()


def test_wait_that_ends_in_vain_says_how_long_it_was(start: Start, tmp_path: Path) -> None:
    start()
    began = time.monotonic()
    with pytest.raises(HostLockError, match=r"0\.5 s were waited for it"), second(tmp_path, wait_seconds=0.5):
        pass
    # One that says who it is gets no patience beyond that, as a reader does.
    assert 0.5 <= time.monotonic() - began < host_lock._READER_SECONDS - 3


def test_programs_that_the_holder_started_do_not_keep_the_lock(tmp_path: Path) -> None:
    with second(tmp_path):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with second(tmp_path):
            pass
    finally:
        child.kill()
        child.wait(timeout=10)


def test_hang_up_is_heeded_again_afterwards(tmp_path: Path) -> None:
    heard: list[int] = []
    former = signal.signal(signal.SIGHUP, lambda number, _frame: heard.append(number))
    try:
        with second(tmp_path):
            os.kill(os.getpid(), signal.SIGHUP)
        assert heard == []
        os.kill(os.getpid(), signal.SIGHUP)
        assert heard == [signal.SIGHUP]
    finally:
        signal.signal(signal.SIGHUP, former)


def test_lock_whose_file_was_removed_meanwhile_is_taken_anew(start: Start, tmp_path: Path) -> None:
    """A cleaner removed the file while one run held it and another one waited: a third must not get in beside the second."""
    start()
    entered = threading.Event()
    leave = threading.Event()

    def wait_for_it() -> None:
        with second(tmp_path, wait_seconds=10):
            entered.set()
            leave.wait(10)

    waiting = threading.Thread(target=wait_for_it)
    waiting.start()
    time.sleep(0.3)
    (tmp_path / "lock").unlink()
    (tmp_path / "end").touch()
    try:
        assert entered.wait(10)
        with pytest.raises(HostLockError, match="is held by run run-2"), second(tmp_path):
            pass
    finally:
        leave.set()
        waiting.join(timeout=10)


def test_holder_that_has_not_said_who_it_is_is_said_to_be_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host_lock, "_READER_SECONDS", 0.3)
    with second(tmp_path):
        (tmp_path / "lock").write_text("")
        with pytest.raises(HostLockError, match="a process that has not said yet"), second(tmp_path):
            pass


def test_change_waits_for_the_moment_in_which_somebody_reads(tmp_path: Path) -> None:
    reader = ReaderLock(str(tmp_path / "lock"))
    assert reader.__enter__()
    with ReaderLock(str(tmp_path / "lock")) as given:
        assert given
    asked = time.monotonic()
    threading.Timer(0.4, lambda: reader.__exit__(None, None, None)).start()
    with second(tmp_path):
        assert time.monotonic() - asked > 0.3


def test_reader_is_kept_out_while_something_changes_and_not_longer(tmp_path: Path) -> None:
    with second(tmp_path), ReaderLock(str(tmp_path / "lock")) as given:
        assert not given
    with ReaderLock(str(tmp_path / "lock")) as given:
        assert given


def test_reader_that_may_not_use_the_lock_reads(tmp_path: Path) -> None:
    (tmp_path / "lock").mkdir()
    with ReaderLock(str(tmp_path / "lock")) as given:
        assert given


def test_link_or_directory_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "target").touch()
    (tmp_path / "lock").symlink_to(tmp_path / "target")
    with pytest.raises(HostLockError, match="is of no use: it cannot be opened") as caught, second(tmp_path):
        pass
    assert caught.value.facts["holder"] is None
    (tmp_path / "lock").unlink()
    (tmp_path / "lock").mkdir()
    with pytest.raises(HostLockError, match="Nothing was changed"), second(tmp_path):
        pass


def test_folder_is_made_and_the_file_is_for_its_user_alone(tmp_path: Path) -> None:
    folder = tmp_path / "run" / "lock"
    with second(folder):
        assert (folder / "lock").stat().st_mode & 0o777 == 0o600
    assert (folder / "lock").read_text() == ""
