# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring pynvml to nodes that lack it, also for a sampling in the background, and keep measurements on the control node."""

from __future__ import annotations

import os
from dataclasses import asdict
from datetime import datetime, timezone
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._measurements import keep_measurements
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._pynvml import run_with_pynvml, start_with_pynvml

MODULE = "kubegpu.sharing.gpu_usage"
# Options that mean something on the control node only.
CONTROL_NODE_OPTIONS = ("measurements_dir", "node_name")


class ActionModule(ActionBase):
    """Action plugin of M(kubegpu.sharing.gpu_usage)."""

    _supports_check_mode = True
    _supports_async = True

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        task_vars = task_vars or {}
        result = super().run(tmp, task_vars)
        in_background = self._task.async_val and not self._connection.has_native_async
        work = start_with_pynvml if in_background else run_with_pynvml
        options = {name: value for name, value in self._task.args.items() if name not in CONTROL_NODE_OPTIONS}
        try:
            result.update(work(self, MODULE, options, task_vars))
            if "runs" in result and self._task.args.get("measurements_dir") and not self._task.check_mode:
                self._keep(result, str(task_vars["inventory_hostname"]))
        except KubeGpuError as error:
            result.update(failed=True, msg=error.msg, **error.facts)
        return result

    def _keep(self, result: dict[str, Any], host: str) -> None:
        """What is in files of the control node need not be in the result as well."""
        directory = os.path.abspath(os.path.expanduser(str(self._task.args["measurements_dir"])))
        node = str(self._task.args.get("node_name") or host)
        now = datetime.now(timezone.utc)
        result.update(asdict(keep_measurements(directory, to_plain(result), host=host, node=node, now=now)))
        result["measurements"] = []
