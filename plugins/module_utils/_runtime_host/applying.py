# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Changing the settings of a node's container runtime: it serves with the new ones, or with the old ones. PRIVATE to the collection.

marker -> copies -> new files beside -> replaced -> read as planned -> restart -> serves -> marker away. What fails on the way brings
the old files back. A process that is killed leaves the marker, by which the next run knows what to finish and what to go back to.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Callable, Dict, FrozenSet, List, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import checking, guarding, pending, systemd
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.backups import Backups
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.directories import MadeDirectories
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.dumping import find_difference
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.going_back import GoingBack
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.observed_files import digest_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.probing import Probe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.records import RecordFile
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import Request
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.staging import sweep
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.swap import Swap

Confirm = Callable[[Dict[str, Any]], bool]
Say = Callable[[str], None]
Document = Dict[str, Any]


def _say_nothing(line: str) -> None:
    del line


@dataclass
class Result:
    """What became of it."""

    actions: List[str] = field(default_factory=list)
    restarted: bool = False
    backups: List[str] = field(default_factory=list)

    def to_dict(self) -> Dict[str, Any]:
        """As the module returns it, but for the actions."""
        return {
            "restarted": self.restarted,
            "rolled_back": False,
            "backups": self.backups,
            "log_lines": [],
        }


class Application:
    """One change of one node. The host's lock is held by whoever calls :meth:`carry_out`.

    :param say: told in a line what has been done.
    """

    def __init__(self, request: Request, say: Say = _say_nothing) -> None:
        self._request = request
        self._say = say
        self._swap = Swap(request.root, request.state_dir)
        self._pending = pending.Pending.of(request.root, request.state_dir)
        self._record = RecordFile.of(request.root, request.state_dir)
        self._backups = Backups(request.root, request.state_dir)
        self._directories = MadeDirectories.of(request.root, request.state_dir)

    def forecast(self) -> Result:
        """What would be done. Writes nothing.

        :raises InputError: it cannot be done.
        """
        self._check()
        marker = self._pending.read()
        owed = marker is not None and pending.is_owed(self._request.root, marker)
        restarts = bool(self._request.restart or owed)
        if restarts:
            self._guard(list(self._request.units or (marker or {}).get("units") or ()))
        return Result(self._actions(marker if owed else None), restarted=restarts)

    def carry_out(self, confirm: Optional[Confirm] = None) -> Result:
        """Do it.

        :param confirm: asked once the runtime serves; if it says no, all is put back.
        :raises KubeGpuError: it was not done. ``rolled_back`` says whether old files were put back, ``restored`` whether the runtime
            serves with them.
        """
        sweep([step.path for step in self._request.files], self._request.root)
        unfinished = self._take_over()
        self._check()
        if not (self._request.files or self._request.restart or unfinished):
            self._record.write(self._request.record)
            return Result(list(self._request.actions))
        units = list(self._request.units or (unfinished or {}).get("units") or ())
        restarts = bool(units) and bool(self._request.restart or unfinished)
        if restarts:
            self._guard(units)
        started = systemd.cursor()
        probe = Probe(self._request.probe, units, self._request.root)
        demanded = probe.answering() if restarts else frozenset()
        document = self._begin(unfinished, units)
        back = GoingBack(self._request, document, probe, demanded, started)
        result = Result(self._actions(unfinished), restarts, _backups_of(document))
        try:
            self._write(document)
            if restarts:
                self._guard(units)
                self._pending.advance(document, pending.RESTARTING)
        except (KubeGpuError, OSError) as error:
            # A process before this one may have had the runtime read what is now taken away again.
            raise back.after_writing(error, restart=bool(unfinished)) from error
        if restarts:
            self._restart(units, probe, demanded, back)
        if confirm is not None:
            self._await(document, confirm, result, back)
        # One that serves for some seconds and then ends, where there were some: none are waited for.
        crash = probe.find_crash() if restarts else None
        if crash:
            raise back.after_restart(crash)
        self.finish(document)
        return result

    def _take_over(self) -> Optional[Document]:
        """The change that a killed process left, if the runtime has to be restarted for it."""
        marker = self._pending.read()
        if marker is None:
            return None
        if pending.is_owed(self._request.root, marker):
            return marker
        self.finish(marker)
        return None

    def _check(self) -> None:
        self._refuse(checking.find_problems(self._request, self._swap))

    def _refuse(self, problems: List[str]) -> None:
        if problems:
            raise InputError(f"Changing the settings of {self._request.engine}", problems)

    def _guard(self, units: List[str]) -> None:
        guards = self._request.guards
        # What does not run takes nothing along, and must not stay dead because it cannot be asked.
        runs = bool(guards and units) and any(unit.active == "active" for unit in systemd.read_units(units))
        problems = guarding.problems_before(guards) if runs else []
        if problems:
            raise InputError(f"Restarting {self._request.engine}", problems)

    def _begin(self, unfinished: Optional[Document], units: List[str]) -> Document:
        """Copies first: without them nothing is noted, and nothing changed."""
        steps = self._request.files
        # Runs that fail, and are tried again every hour, must not fill the disk with copies.
        self._backups.prune(self._request.keep_backups, _backups_of(unfinished) if unfinished else ())
        copies = self._backups.make(self._request.run, [step.path for step in steps if step.seen is not None])
        files = {step.path: self._swap.note(step, copies.get(step.path)) for step in steps}
        left = self._merge(files, (unfinished or {}).get("files") or {})
        record = unfinished["record"] if unfinished and "record" in unfinished else self._record.text()
        facts = {"engine": self._request.engine, "units": units, "files": files, "record": record}
        document = self._pending.begin(self._request.run, {**facts, "restart_owed": bool(unfinished)})
        for path, noted in left.items():
            self._swap.clean(path, noted)
        return document

    def _merge(self, files: Document, former: Document) -> Document:
        """Have the way back lead to what stood before the process that was killed.

        :returns: files of which nothing of that process is left.
        """
        left: Document = {}
        for path, noted in former.items():
            mine = files.get(path)
            if mine is not None:
                files[path] = _merged(mine, noted)
            elif self._stands(path, noted):
                files[path] = noted
            else:
                left[path] = noted
        return left

    def _stands(self, path: str, noted: Document) -> bool:
        try:
            return digest_of(self._request.root.real(path)) in pending.written(noted)
        except OSError:
            return False

    def _write(self, document: Document) -> None:
        for step in self._request.files:
            self._swap.stage(step, document["files"][step.path])
        # Once more: what was changed meanwhile is told before the first file is replaced.
        self._refuse([problem for problem in map(self._swap.compare, self._request.files) if problem])
        self._pending.advance(document, pending.WRITING)
        self._record.keep(document["record"])
        # Before the files: it alone knows what they were.
        self._record.write(self._request.record)
        for step in self._request.files:
            self._swap.replace(step)
            self._say(f"{'Removed' if step.content is None else 'Wrote'} {step.path}.")
        difference = find_difference(self._request.dump)
        if difference:
            raise KubeGpuError(
                f"{self._request.engine} does not read the written files as it read their candidate. {difference}"
            )

    def _restart(self, units: List[str], probe: Probe, demanded: FrozenSet[str], back: GoingBack) -> None:
        self._say(f"Restarting {', '.join(units)}.")
        began = time.monotonic()
        try:
            deadline = began + self._request.probe.seconds
            problem = bring_up(units, probe, deadline, demanded) or guarding.wait_after(self._request.guards, deadline)
        except (KubeGpuError, OSError) as error:
            problem = str(error)
        if problem:
            raise back.after_restart(problem)
        self._say(f"{self._request.engine} serves with it, {time.monotonic() - began:.1f} s later.")

    def _await(self, document: Document, confirm: Confirm, result: Result, back: GoingBack) -> None:
        try:
            self._pending.advance(document, pending.CONFIRMING)
            confirmed = confirm({**result.to_dict(), "actions": result.actions})
        except (KubeGpuError, OSError) as error:
            raise back.unheard(error, restart=result.restarted) from error
        if not confirmed:
            raise back.unconfirmed(restart=result.restarted)

    def finish(self, document: Document) -> None:
        """The marker goes last: whoever comes after a process that is killed here clears up, and has the copies to go back to."""
        files = document.get("files") or {}
        for path, noted in files.items():
            self._swap.clean(path, noted)
        self._directories.settle([one for noted in files.values() for one in noted.get("made") or ()])
        self._swap.forget()
        self._pending.finish()
        # What is told of as a copy is there, also where a run that was killed has made it.
        self._backups.prune(self._request.keep_backups, _backups_of(document))

    def _actions(self, unfinished: Optional[Document]) -> List[str]:
        actions = list(self._request.actions)
        if unfinished and not actions:
            units = ", ".join(self._request.units or unfinished.get("units") or ())
            actions = [f"restart {units}, which run {unfinished.get('run')} left to be done"]
        return actions


def bring_up(units: List[str], probe: Probe, deadline: float, demanded: FrozenSet[str]) -> Optional[str]:
    """Restart services and wait until the runtime serves; what is not as it should be when the time is over."""
    for unit in units:
        problem = systemd.restart(unit, deadline - time.monotonic())
        if problem:
            return problem
    return probe.wait(deadline, demanded)


def _merged(mine: Document, former: Document) -> Document:
    """What is noted of a file that a process which was killed was about to replace, or has replaced."""
    # It has made directories that are there now, and go all the same with the last file.
    made = list(dict.fromkeys([*(former.get("made") or ()), *mine["made"]]))
    theirs = pending.written(former)
    if mine["before"] == former["before"] or mine["before"] not in theirs:
        return {**mine, "made": made}
    # Theirs is still there until it is replaced: on the way back before that, it is not somebody else's.
    return {**former, "after": mine["after"], "earlier": theirs, "made": made}


def _backups_of(document: Document) -> List[str]:
    return [noted["backup"] for noted in (document.get("files") or {}).values() if noted.get("backup")]
