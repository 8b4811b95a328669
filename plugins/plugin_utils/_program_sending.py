# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Install the program that stays on a node: build it, and send it where it differs. PRIVATE to the collection."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from ansible.plugins.action import ActionBase

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._program import build_program, digest_of, find_pynvml

MODULE = "kubegpu.sharing.node_program"


def install_program(action: ActionBase, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
    """The answer of the module node_program.

    :param options: of node_program.
    :raises KubeGpuError: the control node cannot build it.
    """
    program = build_program(find_pynvml())
    options = {**options, "digest": digest_of(program)}
    result: dict[str, Any] = action._execute_module(module_name=MODULE, module_args=options, task_vars=task_vars)
    if result.get("failed") or not result.get("source_needed"):
        return result
    if action._connection._shell.tmpdir is None:
        action._make_tmp_path()
    shell = action._connection._shell
    handle, local = tempfile.mkstemp(prefix="kubegpu-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(program)
        remote = shell.join_path(shell.tmpdir, "kubegpu-sharing.pyz")
        action._transfer_file(local, remote)
        # when the module becomes another user, that user has to be able to read the file
        action._fixup_perms2((shell.tmpdir, remote))
        arguments = {**options, "source": remote}
        sent: dict[str, Any] = action._execute_module(module_name=MODULE, module_args=arguments, task_vars=task_vars)
        return sent
    finally:
        os.unlink(local)
        action._remove_tmp_path(shell.tmpdir)
