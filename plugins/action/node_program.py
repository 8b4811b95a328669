# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the program that stays on a node, and send it where it differs."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program import build_program, digest_of, find_pynvml

MODULE = "kubegpu.sharing.node_program"


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
                program = build_program(find_pynvml())
                result.update(self._install({**options, "digest": digest_of(program)}, program, task_vars))
            else:
                result.update(self._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars))
        except KubeGpuError as error:
            result.update(failed=True, msg=error.msg, **error.facts)
        return result

    def _install(self, options: dict[str, Any], program: bytes, task_vars: dict[str, Any]) -> dict[str, Any]:
        result = self._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars)
        if result.get("failed") or not result.get("source_needed"):
            return result
        if self._connection._shell.tmpdir is None:
            self._make_tmp_path()
        shell = self._connection._shell
        handle, local = tempfile.mkstemp(prefix="kubegpu-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(program)
            remote = shell.join_path(shell.tmpdir, "kubegpu-sharing.pyz")
            self._transfer_file(local, remote)
            # when the module becomes another user, that user has to be able to read the file
            self._fixup_perms2((shell.tmpdir, remote))
            arguments = {**options, "source": remote}
            return self._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        finally:
            os.unlink(local)
            self._remove_tmp_path(shell.tmpdir)
