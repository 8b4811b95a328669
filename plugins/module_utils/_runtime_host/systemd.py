# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Units of systemd: what they are, starting them anew, what they log. PRIVATE to the collection.

Never reloads systemd's own configuration: that can take GPUs away from containers that run.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any, Dict, List, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import commands

_PROPERTIES = (
    *("Id", "Names", "LoadState", "ActiveState", "SubState", "UnitFileState", "MainPID", "ExecStart"),
    *("KillMode", "ControlGroup", "NRestarts", "ExecMainStartTimestampMonotonic"),
)
_ASK_SECONDS = 20.0
# For a process to end that serves nobody.
_PATIENCE_SECONDS = 20.0
_EXEC = re.compile(r"path=(?P<path>.*?) ; argv\[\]=(?P<argv>.*?) ; ")
_CURSOR = re.compile(r"^-- cursor: (.+)$", re.MULTILINE)
_CHATTER = re.compile(r"\blevel=\"?(info|debug|trace)\b")
_BEGINNING = re.compile(r"^Starting .+\.\.\.$")
_LONGEST_LINE = 1000
RUNS = ("active", "activating", "reloading")


@dataclass(frozen=True)
class Unit:
    """A unit as systemd has it loaded. :param argv: of the first program that it starts, empty if not known.

    :param names: all that it is known by.
    :param kill_mode: which of its processes a stop ends; "" if it is not known.
    :param group: cgroup of its processes; "" without any.
    :param restarts: how often systemd has started it again by itself since somebody did; 0 if that is not known (before 235).
    :param started: when its main process was, in seconds of the clock that nobody sets (CLOCK_MONOTONIC); 0 if that is not known.
    """

    name: str
    load: str
    active: str
    sub: str
    enabled: str
    pid: int
    program: Optional[str]
    argv: Sequence[str]
    names: Sequence[str] = ()
    kill_mode: str = ""
    group: str = ""
    restarts: int = 0
    started: float = 0.0

    @property
    def runs(self) -> bool:
        """Whether it runs or is about to."""
        return self.active in RUNS

    @property
    def started_at(self) -> Optional[float]:
        """When its main process was started, in seconds since 1970 by today's time of day; None if that is not known.

        Counted back from now: the time of day that a node boots with may be wrong by years.
        """
        return time.time() - (time.monotonic() - self.started) if self.started else None

    def to_dict(self) -> Dict[str, Any]:
        """As an observation has it."""
        shown = {"name": self.name, "load": self.load, "active": self.active, "sub": self.sub, "enabled": self.enabled}
        return {**shown, "argv": list(self.argv), "kill_mode": self.kill_mode}


def read_units(names: Sequence[str]) -> List[Unit]:
    """Those units, in one call; one with several names comes once. A unit that is not there has the load state "not-found".

    :raises KubeGpuError: systemd does not answer.
    """
    done = commands.run(
        ["systemctl", "show", "--no-pager", f"--property={','.join(_PROPERTIES)}", *names], _ASK_SECONDS
    )
    blocks = [_properties(block) for block in done.stdout.split("\n\n") if block.strip()]
    if done.rc or len(blocks) != len(names):
        raise KubeGpuError(
            f"Asking systemd of this node about its services failed: {done.complaint()} A runtime that systemd does not run "
            "cannot be started anew. See that systemd answers ('systemctl is-system-running')."
        )
    return list({unit.name: unit for unit in map(_unit, blocks)}.values())


def restart(unit: str, seconds: float) -> Optional[str]:
    """Start a unit anew and wait for it. What went wrong, None if nothing did."""
    # One that was started too often in a short time would not be started at all, though what made it fail may be gone.
    commands.run(["systemctl", "reset-failed", unit], _ASK_SECONDS)
    done = commands.run(["systemctl", "restart", unit], seconds)
    if done.rc == commands.TIMED_OUT:
        return f"systemctl restart {unit} did not end within {max(0.0, seconds):.0f} s."
    return done.complaint() if done.rc else None


def restart_by_force(unit: str, seconds: float) -> Optional[str]:
    """The same, where the process that is to end may hang: then it is killed, since systemd waits for it longer than anybody wants to be
    without a runtime. What it has started stays, so containers run on. One that starts slowly is left to do so, and is no problem yet.
    """
    problem = restart(unit, min(seconds, _PATIENCE_SECONDS))
    state = next((one.active for one in read_units([unit])), None) if problem else None
    if state == "deactivating":
        commands.run(["systemctl", "kill", "--kill-who=main", "--signal=KILL", unit], _ASK_SECONDS)
        return restart(unit, seconds)
    return None if state == "activating" else problem


def cursor() -> Optional[str]:
    """Where the journal ends at this moment. No time of day: clocks jump."""
    done = commands.run(["journalctl", "--no-pager", "--quiet", "-n", "1", "-o", "cat", "--show-cursor"], _ASK_SECONDS)
    found = _CURSOR.search(done.stdout)
    return found.group(1) if found else None


def log_lines(units: Sequence[str], after: Optional[str], count: int = 20) -> List[str]:
    """The last lines that units logged since then, and of many rather those that tell of trouble. None if the journal cannot be read.

    Of a restart, the orderly end of what ran before is left out.
    """
    argv = ["journalctl", "--no-pager", "--quiet", "-o", "cat", *[f"--unit={unit}" for unit in units]]
    # The last words of a program that has just died may not have been taken in yet.
    commands.run(["journalctl", "--sync"], _ASK_SECONDS)
    # After a cursor, a number of lines would be counted from there.
    done = commands.run([*argv, *([f"--after-cursor={after}"] if after else ["-n", str(count)])], _ASK_SECONDS)
    lines = [line[:_LONGEST_LINE] for line in done.stdout.splitlines() if line.strip()]
    start = next((place for place, line in enumerate(lines) if _BEGINNING.match(line)), 0)
    lines = lines[start:] if after else lines
    if len(lines) > count:
        lines = [line for line in lines if not _CHATTER.search(line)] or lines
    return lines[-count:]


def command_line(pid: int) -> List[str]:
    """Of a process, empty if it is gone."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return [word.decode("utf-8", "replace") for word in file.read().split(b"\0") if word]
    except OSError:
        return []


def _properties(block: str) -> Dict[str, str]:
    found: Dict[str, str] = {}
    for line in block.splitlines():
        name, _equals, value = line.partition("=")
        found.setdefault(name, value)  # a unit may start several programs: the first
    return found


def _unit(block: Mapping[str, str]) -> Unit:
    started = _EXEC.search(block.get("ExecStart", ""))
    pid = int(block.get("MainPID", "") or 0)
    argv = started.group("argv").split() if started else []
    if pid and any("$" in word for word in argv):
        # Variables of the unit; what it runs with is told by the process alone.
        argv = command_line(pid) or argv
    return Unit(
        name=block.get("Id", ""),
        load=block.get("LoadState", ""),
        active=block.get("ActiveState", ""),
        sub=block.get("SubState", ""),
        enabled=block.get("UnitFileState", ""),
        pid=pid,
        program=started.group("path") if started else None,
        argv=argv,
        names=block.get("Names", "").split(),
        kill_mode=block.get("KillMode", ""),
        group=block.get("ControlGroup", ""),
        restarts=int(block.get("NRestarts", "") or 0),
        started=int(block.get("ExecMainStartTimestampMonotonic", "") or 0) / 1e6,
    )
