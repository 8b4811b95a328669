# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring pynvml to nodes that lack it, also for a sampling in the background."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._pynvml import run_with_pynvml, start_with_pynvml

MODULE = "kubegpu.sharing.gpu_usage"


class ActionModule(ActionBase):
    """Action plugin of M(kubegpu.sharing.gpu_usage)."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        in_background = self._task.async_val and not self._connection.has_native_async
        work = start_with_pynvml if in_background else run_with_pynvml
        try:
            result.update(work(self, MODULE, dict(self._task.args), task_vars))
        except KubeGpuError as error:
            result.update(failed=True, msg=error.msg, **error.facts)
        return result
