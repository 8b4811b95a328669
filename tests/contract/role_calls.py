# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which modules the role rollout calls in a situation, in their order: read from its task files, whose own conditions decide."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import jinja2

from .repository import COLLECTION, ROOT, load

TASKS = ROOT / "roles/rollout/tasks"
#: Modules that write, or whose answer decides whether the rollout goes on.
COUNTED = {
    "access_info",
    "device_plugin",
    "maintenance_lock",
    "node_maintenance",
    "nvml_holders",
    "rollout_health_info",
    "rollout_snapshot",
    "rollout_snapshot_info",
    "rollout_status_info",
}
#: Task files that ask people or hosts, and no module that counts.
ASIDE = ("permit.yml", "facts.yml", "hand_on.yml")

Call = tuple[str, str]
Task = Mapping[str, Any]


class FailedError(Exception):
    """A task failed, and nothing takes care of it."""


@dataclass
class RoleReader:
    """Reads task files as Ansible would run them, on one host, in one situation.

    :param variables: what the conditions ask for. An unknown one is an error: then a situation has to say what it is.
    :param failing: the call that fails.
    :param counted: the modules whose calls count.
    """

    variables: Mapping[str, Any]
    failing: Call | None = None
    counted: Collection[str] = frozenset(COUNTED)
    calls: list[Call] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._jinja = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)  # noqa: S701 - no markup
        self._jinja.filters["bool"] = bool

    def read(self, *files: str) -> list[Call]:
        """The calls of task files one after the other, up to the end or to the first failure."""
        try:
            for name in files:
                self._walk(load(TASKS / name))
        except FailedError:
            pass
        return self.calls

    def _walk(self, tasks: list[Task]) -> None:
        for task in tasks:
            if "block" in task:
                if self._interests(task) and self._holds(task):
                    self._walk_block(task)
            else:
                self._take(task)

    def _walk_block(self, task: Task) -> None:
        try:
            self._walk(task["block"])
        except FailedError:
            self._walk(task.get("rescue", []))
            if "rescue" not in task:
                raise
        finally:
            self._walk(task.get("always", []))

    def _take(self, task: Task) -> None:
        if not self._interests(task) or not self._holds(task):
            return
        if "ansible.builtin.fail" in task:
            raise FailedError(task["name"])
        for word in ("import_tasks", "include_tasks"):
            if f"ansible.builtin.{word}" in task:
                self._walk(load(TASKS / task[f"ansible.builtin.{word}"]))
                return
        call = self._call_of(task)
        assert call is not None
        self.calls.append(call)
        if call == self.failing and task.get("failed_when") is not False:
            raise FailedError(task["name"])

    def _interests(self, task: Task) -> bool:
        """Whether something in there counts. (Conditions of all else are not looked at.)"""
        if "block" in task:
            return any(self._interests(item) for part in ("block", "rescue", "always") for item in task.get(part, []))
        for word in ("import_tasks", "include_tasks"):
            file = task.get(f"ansible.builtin.{word}")
            if file is not None:
                # The operator's own files have names that a variable holds.
                known = file not in ASIDE and "{{" not in file
                return known and any(self._interests(item) for item in load(TASKS / file))
        return "ansible.builtin.fail" in task or self._call_of(task) is not None

    def _holds(self, task: Task) -> bool:
        conditions = task.get("when", [])
        return all(self._is_true(str(item)) for item in (conditions if isinstance(conditions, list) else [conditions]))

    def _is_true(self, condition: str) -> bool:
        try:
            return bool(self._jinja.compile_expression(condition, undefined_to_none=False)(**self.variables))
        except jinja2.UndefinedError as error:
            raise AssertionError(
                f"a situation does not say what the role asks for in {condition!r}: {error}"
            ) from error

    def _call_of(self, task: Task) -> Call | None:
        """Module and state, of a task that counts. A look ahead in check mode writes nothing, and decides nothing for long."""
        for name, options in task.items():
            module = name.removeprefix(f"{COLLECTION}.")
            if module != name and module in self.counted and not task.get("check_mode"):
                return module, (options or {}).get("state", "present" if module == "rollout_snapshot" else "")
        return None
