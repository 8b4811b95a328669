# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring pynvml to nodes that lack it, and keep the facts of a host in a file on the control node."""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._files import write_json
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._node_action import NodeAction
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._pynvml import run_with_pynvml

SCHEMA_VERSION = 1
# Options that mean something on the control node only.
_CONTROL_NODE_OPTIONS = ("facts_dir", "node_name")
# Of a result, what Ansible or the collection's common shape adds to the facts.
_NOT_FACTS = ("invocation", "changed", "failed", "actions", "diff", "warnings", "deprecations", "exception")


class ActionModule(NodeAction):
    """Action plugin of M(kubegpu.sharing.gpu_info)."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        facts_path = self._facts_path(task_vars)
        if facts_path:
            _remove(facts_path)
        result = self._read_node(dict(self._task.args), task_vars)
        if facts_path and not result.get("failed"):
            self._write_facts(facts_path, result, task_vars)
            result["facts_path"] = facts_path
        return result

    def _read_node(self, options: dict[str, Any], task_vars: dict[str, Any]) -> dict[str, Any]:
        module_args = {name: value for name, value in options.items() if name not in _CONTROL_NODE_OPTIONS}
        return run_with_pynvml(self, "kubegpu.sharing.gpu_info", module_args, task_vars)

    def _facts_path(self, task_vars: dict[str, Any]) -> str | None:
        directory = self._task.args.get("facts_dir")
        if not directory:
            return None
        # an inventory name may hold anything, also a slash
        name = f"{quote(str(task_vars['inventory_hostname']), safe='')}.json"
        return os.path.join(os.path.abspath(os.path.expanduser(str(directory))), name)

    def _write_facts(self, path: str, result: dict[str, Any], task_vars: dict[str, Any]) -> None:
        host = str(task_vars["inventory_hostname"])
        facts = {
            key: value
            for key, value in result.items()
            if key not in _NOT_FACTS and not key.startswith(("_ansible", "ansible_"))
        }
        document = {
            "schema_version": SCHEMA_VERSION,
            "host": host,
            "node": str(self._task.args.get("node_name") or host),
            "facts": to_plain(facts),
        }
        write_json(path, document)


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise KubeGpuError(
            f"Removing the old facts {path} failed: {error.strerror}. Set facts_dir to a directory of your own."
        ) from error
