# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the program that stays on a node, and send it where it differs."""

from __future__ import annotations

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._node_action import NodeAction
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program_sending import MODULE, install_program


class ActionModule(NodeAction):
    """Action plugin of M(kubegpu.sharing.node_program)."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        options = dict(self._task.args)
        if options.get("state", "present") == "present" and "digest" not in options:
            return install_program(self, options, task_vars)
        done: dict[str, Any] = self._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars)
        return done
