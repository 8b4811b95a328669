# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Services of the host that hold GPUs, stopped for as long as the layout is put back. PRIVATE to the collection.

A service that merely watches a GPU (nvidia-persistenced, DCGM) keeps its MIG mode from being changed, and from Hopper on every boot
starts with the mode off.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
from dataclasses import dataclass
from typing import List, Sequence, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.whole_files import replace_file

_RUNS = ("active", "activating", "reloading")
_STOP_SECONDS = 30.0


@dataclass(frozen=True)
class HostServices:
    """Those that may have to make way.

    :param units: systemd units, in the order in which they are started.
    :param note_path: keeps what was stopped until it was started again. Gone after a reboot, which starts services by itself.
    """

    units: Tuple[str, ...]
    note_path: str

    def stop(self) -> List[str]:
        """Stop those that run.

        :returns: which.
        :raises KubeGpuError: one does not stop, or systemd does not answer.
        """
        running = self._running()
        if running:
            # Before the first is stopped: whatever ends this process, the note says what is to be started.
            self._note(list(dict.fromkeys([*self._noted(), *running])))
            _systemctl("stop", *reversed(running))
        return running

    def start_again(self) -> List[str]:
        """Start exactly those that were stopped.

        :returns: which.
        :raises KubeGpuError: systemd does not take it.
        """
        stopped = self._noted()
        if stopped:
            # Not waited for: one that is ordered after this unit starts only when the unit has ended.
            _systemctl("start", "--no-block", *stopped)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.note_path)
        return stopped

    def _running(self) -> List[str]:
        if not self.units:
            return []
        # It exits with an error if one does not run; what counts is that it has answered for each.
        states = _ask("is-active", *self.units).stdout.split()
        if len(states) != len(self.units):
            raise KubeGpuError(
                f"Asking systemd which of {', '.join(self.units)} run failed: it said {' '.join(states) or 'nothing'}."
            )
        return [unit for unit, state in zip(self.units, states) if state in _RUNS]

    def _noted(self) -> List[str]:
        try:
            with open(self.note_path, encoding="utf-8") as file:
                return file.read().split()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise KubeGpuError(f"Reading {self.note_path} failed: {error.strerror}.") from error

    def _note(self, units: Sequence[str]) -> None:
        try:
            os.makedirs(os.path.dirname(self.note_path), mode=0o755, exist_ok=True)
            replace_file(self.note_path, "".join(f"{unit}\n" for unit in units).encode(), 0o644)
        except OSError as error:
            raise KubeGpuError(
                f"Writing {self.note_path} failed: {error.strerror}. No service was stopped, as none could be started again."
            ) from error


def _systemctl(*arguments: str) -> None:
    done = _ask(*arguments)
    if done.returncode:
        raise KubeGpuError(f"systemctl {' '.join(arguments)} failed ({done.returncode}): {done.stderr.strip()}")


def _ask(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(
            ["systemctl", *arguments],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_STOP_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KubeGpuError(f"systemctl {' '.join(arguments)} failed: {error}") from error
