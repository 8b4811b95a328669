# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the file of mig-parted on the control node, and bring pynvml to nodes that lack it."""

from __future__ import annotations

from typing import Any

import yaml
from ansible.errors import AnsibleError

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._node_action import NodeAction
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._pynvml import run_with_pynvml


class ActionModule(NodeAction):
    """Action plugin of M(kubegpu.sharing.mig_config)."""

    def work(self, task_vars: dict[str, Any]) -> dict[str, Any]:
        options = to_plain(dict(self._task.args))
        if isinstance(options.get("mig_parted_config"), str) and options["mig_parted_config"]:
            options["mig_parted_config"] = self._read_file(options["mig_parted_config"])
        return run_with_pynvml(self, "kubegpu.sharing.mig_config", options, task_vars)

    def _read_file(self, given: str) -> Any:
        """The content of mig-parted's file, found where Ansible looks for files of a role or a playbook."""
        try:
            path = self._find_needle("files", given)
            with open(path, encoding="utf-8") as file:
                return yaml.safe_load(file)
        except (AnsibleError, OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            raise KubeGpuError(
                f"Reading mig_parted_config {given} on the control node failed: {error}. Nothing was changed. Give the path of "
                "a YAML file with version v1 and mig-configs, or its content as a mapping."
            ) from error
