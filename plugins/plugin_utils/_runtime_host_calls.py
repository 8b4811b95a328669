# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the action plugin container_runtime asks of a host: each is one execution of a module there. PRIVATE to the collection."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program_sending import MODULE as PROGRAM_MODULE
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program_sending import install_program

INFO = "kubegpu.sharing.container_runtime_info"
FILES = "kubegpu.sharing.runtime_files"
PROGRAM = "kubegpu-sharing.pyz"
_POLL_SECONDS = 1.0
# What a detached change may take beside its waits: copies, candidates, looks.
_SPARE_SECONDS = 60
_LEAST_SECONDS = 60
# Of the run's name, of which the host takes 40 characters, with the end that makes it the change's.
_LONGEST = 33
# Options of container_runtime that the modules on the node take as they are.
_OF_INFO = ("engine", "binary", "state_dir", "lock_path", "root")
_OF_FILES = ("run", "lock_path", "lock_wait_seconds", "state_dir", "root", "keep_backups", "restart_seconds")
# What is said once, when a detached change begins.
_AT_FIRST = ("plan", "dump")


class NodeError(KubeGpuError):
    """A module on the node failed; its message and facts."""


@dataclass
class RuntimeHost:
    """The host of a task.

    :param params: options of container_runtime.
    """

    action: ActionBase
    params: Mapping[str, Any]
    task_vars: dict[str, Any]

    def read(self) -> dict[str, Any]:
        """What is there, see container_runtime_info.

        :raises NodeError: it cannot be read.
        """
        return dict(self._run(INFO, self._options(_OF_INFO))["runtime"])

    def stage(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """What the runtime makes of the candidate: {argv, rc, stdout, stderr}. In check mode too."""
        return dict(self._run(FILES, {**self._options(_OF_FILES), "plan": plan, "step": "staged"})["dump"])

    def apply(self, plan: Mapping[str, Any], dump: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Do it, or, in check mode, see whether it could be done.

        :param dump: what the runtime has to make of the files once they are written: {argv, stdout}.
        :raises NodeError: it was not done, or taken back.
        """
        options = {**self._options(_OF_FILES), "plan": plan, "step": "applied"}
        if dump is not None:
            options["dump"] = dump
        if self.action._task.check_mode or not self.params["detached"]:
            return self._change(options)
        return self._apply_detached(options)

    def _change(self, options: dict[str, Any]) -> dict[str, Any]:
        """:raises NodeError: also of a module that was killed in the middle of it, which says nothing of the runtime."""
        try:
            return self._run(FILES, options)
        except NodeError as error:
            if "module_stdout" in error.facts:
                error.facts.setdefault("restored", False)
            raise

    def forget(self) -> None:
        """Remove the program of detached changes, once nothing is left on the host that it would be for."""
        self._run(PROGRAM_MODULE, {"state": "absent", "path": f"{self.params['state_dir']}/{PROGRAM}"})

    def _apply_detached(self, options: dict[str, Any]) -> dict[str, Any]:
        """As a unit of the host, which outlives the connection. It is confirmed over a connection that is there after the restart.

        :raises NodeError: it was not done, or taken back.
        :raises KubeGpuError: nothing was heard of it.
        """
        # Each change has a unit and a result of its own, whose name is no longer than that of a run may be.
        options = {**options, "run": f"{options['run'][:_LONGEST].rstrip('.-')}-{secrets.token_hex(3)}"}
        program = f"{self.params['state_dir']}/{PROGRAM}"
        installed = install_program(self.action, {"path": program}, self.task_vars)
        if installed.get("failed"):
            raise NodeError(str(installed.get("msg")))
        begin = {"detached": True, "confirm_seconds": self.params["confirm_seconds"], "program": program}
        try:
            begun = self._run(FILES, {**options, **begin})
        except AnsibleConnectionFailure:
            # The unit's restart may end the connection before this answer is through. Whether it began is told by its result.
            self._connect_anew()
            begun = {"started": True}
        if not begun.get("started"):
            # No file and no restart: it was done at once, and no unit is there to be heard of.
            return begun
        return self._await({name: value for name, value in options.items() if name not in _AT_FIRST})

    def _await(self, options: dict[str, Any]) -> dict[str, Any]:
        # The lock, one restart with the new files, and up to two with the old ones, which are given a minute at least.
        restart = float(self.params["restart_seconds"])
        waits = float(self.params["lock_wait_seconds"]) + float(self.params["confirm_seconds"])
        seconds = waits + restart + 2 * max(_LEAST_SECONDS, restart) + _SPARE_SECONDS
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            answer = self._ask({**options, "step": "result"})
            phase = answer.get("phase")
            if phase == "waiting":
                # This connection was made, or used, after the restart: it works.
                self._confirm(options)
                continue
            if phase == "confirmed":
                return dict(answer.get("result") or {})
            if phase in ("rolled_back", "failed", "lost"):
                raise _taken_back(phase, answer.get("result") or {})
            time.sleep(_POLL_SECONDS)
        raise KubeGpuError(
            f"Changing the container runtime of {self.task_vars.get('inventory_hostname')} as unit kubegpu-runtime-{options['run']}: "
            f"nothing was heard of it for {seconds:g} s. It puts the old files back by itself unless it was confirmed. Look at "
            f"'journalctl -u kubegpu-runtime-{options['run']}' there, then run again.",
            restored=False,
        )

    def _confirm(self, options: dict[str, Any]) -> None:
        """Say that the host can be reached. If that comes too late, what becomes of the change is told by its result."""
        try:
            self._ask({**options, "step": "confirmed"})
        except NodeError:
            time.sleep(_POLL_SECONDS)

    def _ask(self, options: dict[str, Any]) -> dict[str, Any]:
        """The answer; {} while the host cannot be reached."""
        try:
            return self._run(FILES, options)
        except AnsibleConnectionFailure:
            self._connect_anew()
            return {}

    def _connect_anew(self) -> None:
        time.sleep(_POLL_SECONDS)
        try:
            self.action._connection.reset()
        except (AnsibleConnectionFailure, AttributeError, NotImplementedError):
            # A plugin that keeps no connection has nothing to reset.
            return

    def _run(self, module: str, options: Mapping[str, Any]) -> dict[str, Any]:
        # Files of a runtime may have passwords of registries in them, which the host's log is to show to nobody.
        variables = {**self.task_vars, "ansible_no_target_syslog": True}
        result: dict[str, Any] = self.action._execute_module(
            module_name=module, module_args=dict(options), task_vars=variables
        )
        plain: dict[str, Any] = to_plain(result)
        if plain.get("unreachable"):
            raise AnsibleConnectionFailure(str(plain.get("msg")))
        if plain.get("failed"):
            hidden = ("invocation", "failed", "changed", "msg", "diff")
            facts = {key: value for key, value in plain.items() if key not in hidden and not key.startswith("_ansible")}
            raise NodeError(_silent(module, plain) or str(plain.get("msg")), **facts)
        return plain

    def _options(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: self.params[name] for name in names if self.params.get(name) is not None}


def _silent(module: str, answer: Mapping[str, Any]) -> str | None:
    """Of a module that gave no result, since it was killed or never came to run; None if it did."""
    if "module_stdout" not in answer and "module_stderr" not in answer:
        return None
    said = " ".join(str(answer.get(name) or "").strip() for name in ("module_stderr", "module_stdout")).strip()
    return (
        f"{module} ended on the host without a result (status {answer.get('rc')}{f': {said[-400:]}' if said else ''}). It was killed, or could "
        "not be started. What it may have begun is noted on the host: run again, which finishes that or takes it back."
    )


def _taken_back(phase: str, result: Mapping[str, Any]) -> NodeError:
    said = result.get("msg") or f"The detached change of the container runtime ended as {phase}, and says no more."
    facts = {key: value for key, value in result.items() if key not in ("msg", "failed", "changed")}
    # Whoever was killed in the middle of it has left nobody who knows whether the runtime serves.
    return NodeError(str(said), **({"restored": False} if phase == "lost" else {}), **facts)
