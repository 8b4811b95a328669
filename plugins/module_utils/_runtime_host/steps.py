# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The steps of the module that changes a node's container runtime. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import HostLock
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host import detached
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.applying import Application, Result
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.request import check_run, read_request
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.root import Root
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime_host.staging import dump_candidate


def take_step(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    """Do one of them.

    :param params: the module's options.
    """
    problems = check_run(params["run"])
    if problems:
        raise InputError("Options of runtime_files", problems)
    steps: Dict[str, Callable[[Mapping[str, Any], bool], Outcome]] = {
        "staged": _stage,
        "applied": _apply,
        "confirmed": _confirm,
        "result": _tell,
    }
    return steps[params["step"]](params, check_mode)


def _stage(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    root = Root(params["root"])
    with _lock(params, "try out settings of the container runtime"):
        return Outcome(facts={"dump": dump_candidate(params["plan"], root)})


def _apply(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    request = read_request(params)
    application = Application(request)
    if check_mode:
        return _outcome(application.forecast())
    if params["detached"]:
        # What can be told at once is told at once: the unit's own words come later.
        forecast = application.forecast()
        if not (request.files or forecast.restarted):
            return _carry_out(params, application)
        facts = {**forecast.to_dict(), "restarted": False, "started": True, "unit": detached.start(params)}
        return Outcome(tuple(forecast.actions), facts=facts)
    return _carry_out(params, application)


def _carry_out(params: Mapping[str, Any], application: Application) -> Outcome:
    with _lock(params, "change the settings of the container runtime"):
        return _outcome(application.carry_out())


def _confirm(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    root, action = Root(params["root"]), (f"confirm the change for run {params['run']}",)
    if check_mode:
        return Outcome(action)
    return Outcome(action if detached.confirm(root, params["state_dir"], params["run"]) else ())


def _tell(params: Mapping[str, Any], check_mode: bool) -> Outcome:
    return Outcome(facts=detached.read_result(Root(params["root"]), params["state_dir"], params["run"]))


def _lock(params: Mapping[str, Any], doing: str) -> HostLock:
    path = Root(params["root"]).real(params["lock_path"])
    return HostLock(params["run"], doing, path, params["lock_wait_seconds"])


def _outcome(result: Result) -> Outcome:
    return Outcome(tuple(result.actions), facts=result.to_dict())
