# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The commands of the program that changes a node's container runtime on its own. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
import os
import sys
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import detached, pending
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.applying import Application
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.documents import read_document
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.going_back import GoingBack
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.probing import Probe
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import Request, read_request

_LOCK_SECONDS = 60.0
_LEAVE_IT = "Do not end it; run again when it has ended."


def apply_request(path: str) -> int:
    """The command "runtime apply": 0 if the change stands and was confirmed."""
    params = _read(path)
    request = read_request(params)
    files = detached.Files.of(request.root, request.state_dir, request.run)

    lock, unit = _lock(request, params, float(params["lock_wait_seconds"])), detached.unit_of(request.run)

    def confirm(result: Mapping[str, Any]) -> bool:
        until = _moment(request.confirm_seconds)
        lock.advise(
            f"{unit} waits until {until} to be confirmed, and then takes its change back by itself. {_LEAVE_IT}"
        )
        _say(f"Waiting until {until} to be confirmed.")
        files.tell(detached.WAITING, result)
        return detached.wait_for_word(files, request.confirm_seconds)

    try:
        with lock:
            lock.advise(
                f"{unit} ends by itself within minutes, and takes its change back unless it is confirmed. {_LEAVE_IT}"
            )
            result = Application(request, _say).carry_out(confirm)
    except KubeGpuError as error:
        return _failed(files, error)
    files.tell(detached.CONFIRMED, {**result.to_dict(), "actions": result.actions, "changed": bool(result.actions)})
    _say("Confirmed: the change stands.")
    return 0


def settle_request(path: str) -> int:
    """The command "runtime settle", run when the other has ended: what it left half done, because it was killed, is put back."""
    params = _read(path)
    request = read_request(params)
    try:
        return _settle_run(request, params, detached.Files.of(request.root, request.state_dir, request.run))
    finally:
        # It has whole files of settings in it, and nobody needs it any more.
        with contextlib.suppress(OSError):
            os.unlink(path)


def _settle_run(request: Request, params: Mapping[str, Any], files: detached.Files) -> int:
    if files.told().get("phase") in detached.ENDS:
        return 0
    # From now on nobody can confirm what is about to be undone.
    word = detached.EXPIRED
    # Where there is no space for the word, nobody else can say another one either.
    with contextlib.suppress(OSError):
        word = files.claim(detached.EXPIRED)
    try:
        with _lock(request, params, _LOCK_SECONDS) as lock:
            lock.advise(f"It puts right what a process that was killed has left, which takes minutes. {_LEAVE_IT}")
            marker = pending.Pending.of(request.root, request.state_dir).read()
            if marker is not None and marker.get("run") == request.run:
                _settle(request, marker, confirmed=word == detached.CONFIRMED)
            # It ended between the last thing it did and saying so, or did nothing at all.
            ended = detached.CONFIRMED if word == detached.CONFIRMED else detached.FAILED
            files.tell(ended, {"msg": "The program that made the change ended before it had said what became of it."})
            return 0
    except KubeGpuError as error:
        return _failed(files, error)


def _settle(request: Request, marker: Dict[str, Any], confirmed: bool) -> None:
    """Finish what was confirmed, and undo what was not.

    :raises KubeGpuError: it was undone.
    """
    if confirmed and marker["phase"] == pending.CONFIRMING:
        Application(request).finish(marker)
        return
    units = list(marker.get("units") or ())
    has_read = marker["phase"] in (pending.RESTARTING, pending.CONFIRMING, pending.ROLLING_BACK)
    back = GoingBack(request, marker, Probe(request.probe, units, request.root))
    raise back.unfinished(restart=bool(units) and bool(has_read or marker.get("restart_owed")))


def _say(line: str) -> None:
    """For the journal, which has the time. At once: whoever looks there does so while it runs."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _moment(seconds: float) -> str:
    """That long from now, for people: nothing depends on it."""
    return f"{datetime.now(timezone.utc) + timedelta(seconds=seconds):%Y-%m-%dT%H:%M:%SZ}"


def _failed(files: detached.Files, error: KubeGpuError) -> int:
    phase = detached.ROLLED_BACK if error.facts.get("rolled_back") else detached.FAILED
    facts: Dict[str, Any] = {"msg": error.msg, **error.facts}
    # The journal first: on a disk without space it is all that tells of it.
    sys.stderr.write(f"{error.msg}\n")
    files.tell(phase, facts)
    return 1


def _lock(request: Request, params: Mapping[str, Any], seconds: float) -> HostLock:
    doing = f"change the settings of {request.engine}"
    return HostLock(request.run, doing, request.root.real(params["lock_path"]), seconds)


def _read(path: str) -> Dict[str, Any]:
    params, problem = read_document(path)
    if params is None:
        raise KubeGpuError(problem or f"{path} is not there.")
    return {name: params.get(name) for name in detached.OPTIONS}


def runtime_command(step: str, path: str) -> int:
    """Run one of the commands; its exit status."""
    try:
        return apply_request(os.path.abspath(path)) if step == "apply" else settle_request(os.path.abspath(path))
    except KubeGpuError as error:
        sys.stderr.write(f"{error.msg}\n")
        return 1
