# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What action plugins that work on a node have in common. PRIVATE to the collection."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError


class NodeAction(ActionBase):
    """An action plugin whose errors are its result: what is raised in :meth:`work` fails the task, with its message and its facts."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        result: dict[str, Any] = super().run(tmp, task_vars)
        try:
            result.update(self.work(task_vars or {}))
        except KubeGpuError as error:
            result.update(failed=True, **self.failed_facts(error))
        return result

    @abstractmethod
    def work(self, task_vars: dict[str, Any]) -> Mapping[str, Any]:
        """The result of the task.

        :raises KubeGpuError: it fails.
        """

    def failed_facts(self, error: KubeGpuError) -> Mapping[str, Any]:
        """The result of a task that failed."""
        return {"msg": error.msg, **error.facts}
