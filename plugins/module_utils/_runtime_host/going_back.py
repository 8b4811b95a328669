# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The way back: old files in their places, and the runtime serving with them. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import time
from typing import Any, Dict, FrozenSet, List, Optional, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import pending, systemd
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.probing import Probe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.records import RecordFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import Request
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.swap import Swap

# However short the time was that the new files got: the old ones have served before.
_LEAST_SECONDS = 60.0


class GoingBack:
    """Puts back what the marker notes.

    :param document: the marker.
    :param demanded: what answered before the change, None if that is not known.
    :param started: where the journal ended before the change.
    """

    def __init__(
        self,
        request: Request,
        document: Dict[str, Any],
        probe: Probe,
        demanded: Optional[FrozenSet[str]] = None,
        started: Optional[str] = None,
    ) -> None:
        self._request = request
        self._document = document
        self._probe = probe
        self._demanded = demanded
        self._started = started
        self._replaced = False
        self._swap = Swap(request.root, request.state_dir)
        self._pending = pending.Pending.of(request.root, request.state_dir)

    def after_writing(self, error: Exception, restart: bool) -> KubeGpuError:
        """The new files could not all be written, or come to something else than was planned: the runtime has not read them.

        :param restart: whether it may have read some of them in a run before this one.
        """
        said = (
            error.msg
            if isinstance(error, KubeGpuError)
            else f"Changing the settings of {self._request.engine} failed: {error}."
        )
        return self._error(f"{said}", [], *self._go_back(restart))

    def after_restart(self, problem: str) -> KubeGpuError:
        """The runtime does not serve with the new files."""
        # Before the old ones are read: what is logged then is of no interest.
        lines = self._log_lines()
        self._started = systemd.cursor() or self._started
        said = f"{self._request.engine} does not come back with its changed settings: {problem}"
        return self._error(said, lines, *self._go_back(True))

    def unconfirmed(self, restart: bool) -> KubeGpuError:
        """Nobody said that the node can still be reached."""
        said = (
            f"The change of {self._request.engine} for run {self._request.run} was not confirmed in time, which is "
            f"{self._request.confirm_seconds:g} s (kubegpu_runtime_confirm_seconds): nobody reached the node after the restart."
        )
        return self._error(said, [], *self._go_back(restart))

    def unheard(self, error: Exception, restart: bool) -> KubeGpuError:
        """Nobody can be told that a confirmation is waited for, or it cannot be read."""
        said = (
            f"{self._request.engine} serves with its changed settings, but waiting for the confirmation failed: {error}"
        )
        return self._error(said, [], *self._go_back(restart))

    def unfinished(self, restart: bool) -> KubeGpuError:
        """The process that made the change was ended in the middle of it."""
        said = f"The change of {self._request.engine} for run {self._request.run} was ended before it was finished or confirmed."
        return self._error(said, [], *self._go_back(restart))

    def _go_back(self, restart: bool) -> Tuple[List[str], Optional[str], bool]:
        """What is not back, why the runtime does not serve, and whether it was restarted."""
        files: Dict[str, Dict[str, Any]] = self._document["files"]
        self._replaced = restart or any(self._swap.is_replaced(path, noted) for path, noted in files.items())
        hindered = [] if self._is_untouched else self._put_back(files)
        problem = self._restart() if restart else None
        if not hindered and problem is None:
            for path, noted in files.items():
                self._swap.clean(path, noted)
            self._swap.forget()
            with contextlib.suppress(KubeGpuError):
                self._pending.finish()
        else:
            dead = f"{self._request.engine} did not serve with its old files either"
            self._note_failure(dead if problem else "not all old files could be put back")
        return hindered, problem, restart

    def _note_failure(self, failed: str) -> None:
        """For the next run: this one was not interrupted."""
        with contextlib.suppress(KubeGpuError, OSError):
            self._document["failed"] = failed
            self._pending.advance(self._document, pending.ROLLING_BACK)

    @property
    def _is_untouched(self) -> bool:
        """Whether neither this process nor one before it can have replaced anything: what differs is somebody else's doing."""
        return self._document["phase"] == pending.PREPARING and not self._document.get("restart_owed")

    def _put_back(self, files: Dict[str, Dict[str, Any]]) -> List[str]:
        """What hinders it."""
        # Without space on the disk it cannot be noted; the marker that is there says as much.
        with contextlib.suppress(KubeGpuError, OSError):
            self._pending.advance(self._document, pending.ROLLING_BACK)
        # The last first: a file that names another one goes before the other.
        left = [self._swap.put_back(path, noted) for path, noted in reversed(list(files.items()))]
        left.append(RecordFile.of(self._request.root, self._request.state_dir).put_back(self._document.get("record")))
        return [one for one in left if one]

    def _restart(self) -> Optional[str]:
        seconds = max(_LEAST_SECONDS, self._request.probe.seconds)
        try:
            for unit in self._units:
                problem = systemd.restart_by_force(unit, seconds)
                if problem:
                    return problem
            return self._probe.wait(time.monotonic() + seconds, self._demanded or frozenset())
        except (KubeGpuError, OSError) as error:
            return str(error)

    def _error(
        self, said: str, lines: List[str], hindered: List[str], problem: Optional[str], restarted: bool
    ) -> KubeGpuError:
        engine = self._request.engine
        if problem:
            lines = [*lines, *self._log_lines()]
        text = said if said.endswith((".", "\n")) else f"{said}."
        if hindered:
            state = "" if problem else f" {engine} {'serves all the same' if restarted else 'was not restarted'}."
            text += f"\nNOT ALL OF THE OLD FILES ARE BACK: {' '.join(hindered)}{state} See that they are right, then run again."
        elif restarted and problem is None:
            text += f" The old files are back, and {engine} serves with them."
        elif not restarted:
            text += f" The files are as they were, and {engine} was not restarted."
        if problem:
            text += (
                f"\n{engine.upper()} DOES NOT SERVE ON THIS NODE{'' if hindered else ', THOUGH ITS OLD FILES ARE BACK'}: {problem} "
                f"{self._before()}Look at 'journalctl -u {' -u '.join(self._units)}', put it right and start it; "
                f"copies of the files are in {self._request.state_dir}/backups. The next run tries again."
            )
        text += "".join(["\nIts last log lines:", *[f"\n  {line}" for line in lines]]) if lines else ""
        return KubeGpuError(
            text,
            rolled_back=self._replaced,
            restored=not hindered and problem is None,
            files_back=not hindered,
            serves=problem is None,
            restarted=restarted,
            log_lines=lines,
            backups=[noted["backup"] for noted in self._document["files"].values() if noted.get("backup")],
        )

    def _before(self) -> str:
        return "" if self._demanded or self._demanded is None else "It did not serve before the change either. "

    def _log_lines(self) -> List[str]:
        return systemd.log_lines(self._units, self._started) if self._units else []

    @property
    def _units(self) -> List[str]:
        return list(self._document.get("units") or ())
