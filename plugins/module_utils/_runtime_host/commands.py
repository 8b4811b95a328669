# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the host, run with a bound on their time. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
from dataclasses import dataclass
from typing import Any, Dict, Optional, Sequence, Tuple

# A shell that is not a login shell lacks some of them, and so does sudo.
_MORE_PATH = (
    "/usr/local/sbin",
    "/usr/local/bin",
    "/usr/sbin",
    "/usr/bin",
    "/sbin",
    "/bin",
    "/snap/bin",
    "/var/lib/rancher/rke2/bin",
)
NOT_FOUND, TIMED_OUT = 127, 124


@dataclass(frozen=True)
class Done:
    """What became of a program. ``rc`` is 127 if it could not be started, 124 if it took too long and was killed."""

    argv: Tuple[str, ...]
    rc: int
    stdout: str
    stderr: str

    def describe(self) -> str:
        """In words, for a message: "containerd config dump ended with 1: no such file"."""
        command = " ".join(self.argv)
        said = (self.stderr.strip() or self.stdout.strip())[-400:]
        if self.rc == TIMED_OUT:
            return f"{command} did not end in time{f': {said}' if said else ''}"
        return f"{command} ended with {self.rc}{f': {said}' if said else ''}"

    def complaint(self) -> str:
        """The same as a sentence."""
        return f"{self.describe().rstrip('.')}."

    def to_dict(self) -> Dict[str, Any]:
        """As a module returns it."""
        return {"argv": list(self.argv), "rc": self.rc, "stdout": self.stdout, "stderr": self.stderr}


def find(program: str) -> Optional[str]:
    """The path of a program, None if it is not there."""
    return shutil.which(program, path=_path())


def run(argv: Sequence[str], seconds: float) -> Done:
    """Run a program to its end, and kill it with all that it started when the time is over. Never raises."""
    environment = {**os.environ, "LC_ALL": "C", "PATH": _path(), "SYSTEMD_PAGER": "", "SYSTEMD_COLORS": "0"}
    try:
        # In a session of its own: what it starts can be killed with it, and a hang-up does not reach it.
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        return Done(tuple(argv), NOT_FOUND, "", f"it could not be started ({error.strerror})")
    try:
        out, said = process.communicate(timeout=max(0.1, seconds))
        code = process.returncode
    except subprocess.TimeoutExpired as late:
        with contextlib.suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)
        process.kill()
        process.wait()
        out, said, code = late.stdout or b"", late.stderr or b"", TIMED_OUT
    return Done(tuple(argv), code, out.decode("utf-8", "replace"), said.decode("utf-8", "replace"))


def _path() -> str:
    given = os.environ.get("PATH", "").split(os.pathsep)
    return os.pathsep.join(dict.fromkeys([one for one in [*given, *_MORE_PATH] if one]))
