# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A change that goes on without whoever asked for it, and undoes itself unless it is confirmed. PRIVATE to the collection.

Where the connection to a node hangs on its container runtime, the restart cuts it. So a transient unit of the host does the work. It
waits then for a word that can only come over a connection that works. Whatever ends it, a second program puts right what it left.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._boot.installing import find_interpreter
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import remove_durably
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import commands, pending
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import (
    read_document,
    write_document,
    write_durably,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.systemd import read_units

#: What a change has come to.
RUNNING, WAITING, CONFIRMED, ROLLED_BACK, FAILED, LOST = (
    "running",
    "waiting",
    "confirmed",
    "rolled_back",
    "failed",
    "lost",
)
ENDS = (CONFIRMED, ROLLED_BACK, FAILED)
#: The word of who no longer waits for :data:`CONFIRMED`.
EXPIRED = "expired"
#: Options of the module that the program needs as well.
OPTIONS = (
    "plan",
    "dump",
    "run",
    "lock_path",
    "lock_wait_seconds",
    "keep_backups",
    "restart_seconds",
    "confirm_seconds",
    "state_dir",
    "root",
)
_START_SECONDS = 30.0
_POLL_SECONDS = 0.25
_KEEP = 5
# How long the second program may take: a restart with the old files, and one that hangs before it.
_SETTLE_SECONDS = 600
_GONE = ("inactive", "failed")


@dataclass(frozen=True)
class Files:
    """Those of one run, by which both sides talk.

    :param directory: the node's state directory, here.
    """

    directory: str
    run: str

    @classmethod
    def of(cls, root: Root, state_dir: str, run: str) -> Files:
        """Of a node."""
        return cls(os.path.join(root.real(state_dir), "detached"), run)

    @property
    def request(self) -> str:
        """What to do."""
        return os.path.join(self.directory, f"request-{self.run}.json")

    @property
    def result(self) -> str:
        """What has become of it."""
        return os.path.join(self.directory, f"result-{self.run}.json")

    @property
    def word(self) -> str:
        """Whether it was confirmed. Who comes first makes it: whoever confirms, or the program when the time is over."""
        return os.path.join(self.directory, f"verdict-{self.run}")

    def tell(self, phase: str, result: Optional[Mapping[str, Any]] = None) -> None:
        """Say how far it has come."""
        write_document(self.result, {"run": self.run, "phase": phase, "result": dict(result or {})})

    def told(self) -> Dict[str, Any]:
        """The same, read; empty if nothing has been said."""
        return read_document(self.result)[0] or {}

    def claim(self, who: str) -> str:
        """Say the word, unless it was said. Whose word it is.

        :raises OSError: it can neither be read nor said.
        """
        said = self._said()
        if said is not None:
            return said
        mine = f"{self.word}.{os.getpid()}"
        write_durably(mine, who.encode())
        try:
            # With its content at once: whoever finds it reads it.
            os.link(mine, self.word)
        except FileExistsError:
            return self._said() or who
        finally:
            os.unlink(mine)
        return who

    def _said(self) -> Optional[str]:
        try:
            with open(self.word, encoding="utf-8") as file:
                return file.read().strip()
        except FileNotFoundError:
            return None


def unit_of(run: str) -> str:
    """Name of the transient unit."""
    return f"kubegpu-runtime-{run}.service"


def start(params: Mapping[str, Any]) -> str:
    """Have the change made by a transient unit.

    :returns: its name.
    :raises KubeGpuError: it could not be started; nothing was changed.
    """
    program, run = params["program"], params["run"]
    files = Files.of(Root(params["root"]), params["state_dir"], run)
    unit = unit_of(run)
    if _is_there(unit):
        raise KubeGpuError(
            f"The unit {unit} is at work on this node already. Wait until it has ended ('systemctl status {unit}'), or use another run."
        )
    if not os.path.isfile(program):
        raise KubeGpuError(
            f"The program {program} is not on this node, so nothing was changed. Install it by kubegpu.sharing.node_program."
        )
    try:
        for path in (files.word, files.result):
            remove_durably(path)
        write_document(files.request, {name: params.get(name) for name in OPTIONS})
        files.tell(RUNNING)
    except OSError as error:
        raise KubeGpuError(f"Preparing {files.directory} failed: {error.strerror}. Nothing was changed.") from error
    _prune(files)
    done = commands.run(_start_command(program, unit, files), _START_SECONDS)
    if done.rc == commands.TIMED_OUT:
        raise KubeGpuError(
            f"{done.complaint()} Whether {unit} was started is not known ('systemctl status {unit}' tells). If it was, it takes its change "
            "back, since nobody confirms it. Wait until it has ended, then run again."
        )
    if done.rc:
        with contextlib.suppress(OSError):
            for path in (files.request, files.result):
                remove_durably(path)
        raise KubeGpuError(f"Starting {unit} failed, nothing was changed: {done.complaint()}")
    return unit


def read_result(root: Root, state_dir: str, run: str) -> Dict[str, Any]:
    """What the unit has come to.

    :raises KubeGpuError: nothing is known of such a run.
    """
    files = Files.of(root, state_dir, run)
    # The unit first: what it says as its last word is not missed then.
    there = _is_there(unit_of(run))
    told = files.told()
    if not told:
        raise KubeGpuError(f"This node knows of no detached change for run {run} ({files.result} is not there).")
    if told["phase"] not in ENDS and not there:
        return {"phase": LOST, "result": {"msg": _lost(root, state_dir, run)}}
    return {"phase": told["phase"], "result": told.get("result") or {}}


def _lost(root: Root, state_dir: str, run: str) -> str:
    """An orderly shutdown takes the change back. After a loss of power nothing does: it stands as far as it had come."""
    said = f"The unit {unit_of(run)} ended without a word, as it does when the host is reset or loses its power."
    marker = pending.Pending.of(root, state_dir).read()
    if marker is None or marker.get("run") != run:
        return f"{said} No change of it is left unfinished. Run again, which looks at what is there."
    if marker.get("phase") == pending.CONFIRMING:
        return (
            f"{said} Its change stands, unconfirmed, and nothing takes it back any more. Run again: that restarts the runtime and "
            "finishes the change, or takes it back if the runtime does not serve."
        )
    return f"{said} Its change was under way ({str(marker.get('phase')).replace('_', ' ')}). Run again: that finishes it, or takes it back."


def confirm(root: Root, state_dir: str, run: str) -> bool:
    """Say that the node can be reached. Whether that was news.

    :raises KubeGpuError: it is too late, or nothing waits for it.
    """
    files = Files.of(root, state_dir, run)
    told = read_result(root, state_dir, run)
    phase = told["phase"]
    if phase == CONFIRMED:
        return False
    if phase != WAITING:
        became = told["result"].get("msg") or f"'journalctl -u {unit_of(run)}' on the node shows how far it is."
        raise KubeGpuError(f"The change for run {run} cannot be confirmed: it is {phase.replace('_', ' ')}. {became}")
    try:
        word = files.claim(CONFIRMED)
    except OSError as error:
        raise KubeGpuError(
            f"Confirming the change for run {run} failed: {files.word} cannot be written ({error.strerror}). Unless it can be in time, the old "
            "files are put back. Make space there, then run again."
        ) from error
    if word != CONFIRMED:
        raise KubeGpuError(f"The change for run {run} was not confirmed in time; the old files are being put back.")
    return True


def wait_for_word(files: Files, seconds: float) -> bool:
    """Whether the word comes in time. Afterwards nobody can say it any more."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if os.path.exists(files.word):
            break
        time.sleep(_POLL_SECONDS)
    return files.claim(EXPIRED) == CONFIRMED


def _start_command(program: str, unit: str, files: Files) -> List[str]:
    python = find_interpreter(sys.executable)
    settle = shlex.join([python, "-I", program, "runtime", "settle", "--request", files.request])
    return [
        "systemd-run",
        "--quiet",
        "--collect",
        f"--unit={unit}",
        f"--property=ExecStopPost={settle}",
        f"--property=TimeoutStopSec={_SETTLE_SECONDS}",
        "--description=Change of the container runtime's settings",
        python,
        "-I",
        program,
        "runtime",
        "apply",
        "--request",
        files.request,
    ]


def _is_there(unit: str) -> bool:
    """Whether it is at work, its second program included."""
    return any(one.active not in _GONE for one in read_units([unit]))


def _prune(files: Files) -> None:
    """Keep what the last runs left, by when it was written: that alone goes wrong after a clock jump, and nothing depends on it."""
    with contextlib.suppress(OSError):
        paths = [os.path.join(files.directory, name) for name in os.listdir(files.directory)]
        others = [path for path in paths if path not in (files.request, files.result, files.word)]
        for path in sorted(others, key=os.path.getmtime)[: -3 * _KEEP]:
            os.unlink(path)
