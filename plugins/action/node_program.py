# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the program that stays on a node, and send it where it differs."""

from __future__ import annotations

from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program_sending import MODULE, install_program


class ActionModule(ActionBase):
    """Action plugin of M(kubegpu.sharing.node_program)."""

    _supports_check_mode = True
    _supports_async = False

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        options = dict(self._task.args)
        try:
            if options.get("state", "present") == "present" and "digest" not in options:
                result.update(install_program(self, options, task_vars))
            else:
                result.update(self._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars))
        except KubeGpuError as error:
            result.update(failed=True, msg=error.msg, **error.facts)
        return result
