# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a wave are to do about their container runtimes."""

from __future__ import annotations

DOCUMENTATION = r"""
name: runtime_steps
short_description: Tell what hosts are to do about container runtimes, as a plan says it
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads a plan once for all nodes of a wave, since that of a large fleet is large, and tells for each node whose container runtime is
    set up what the role P(kubegpu.sharing.nvidia_container_runtime#role) is held to.
  - Nodes whose container runtime is left alone are left out.
positional: nodes
options:
  _input:
    description: The file of the plan.
    type: path
    required: true
  nodes:
    description: The nodes of the wave.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Fix what the hosts are to do
  ansible.builtin.set_fact:
    runtime_steps: "{{ run_dir ~ '/plan.json' | kubegpu.sharing.runtime_steps(['gpu-1', 'gpu-2']) }}"
"""

RETURN = r"""
_value:
  description:
    - By node C(digest) of the change that was planned and C(live_loss) (whether containers may end with the runtime, since the node was
      emptied before).
  type: dict
  sample:
    gpu-1:
      digest: 3b1f0c9d5e
      live_loss: true
"""

from collections.abc import Sequence
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plan_nodes import read_nodes


def runtime_steps(plan_path: Any, nodes: Sequence[str]) -> dict[str, Any]:
    """Steps by node."""
    entries = read_nodes("runtime_steps", plan_path)
    found = {node: (entries.get(node) or {}).get("runtime") for node in to_plain(nodes)}
    return {
        node: {"digest": runtime["digest"], "live_loss": runtime["live_loss"]}
        for node, runtime in found.items()
        if runtime
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"runtime_steps": runtime_steps}
