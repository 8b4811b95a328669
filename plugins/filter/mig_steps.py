# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the hosts of a wave are to do about their MIG instances."""

from __future__ import annotations

DOCUMENTATION = r"""
name: mig_steps
short_description: Tell what hosts are to do about MIG instances, as a plan says it
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads a plan once for all nodes of a wave, since that of a large fleet is large, and tells for each node of which the plan has
    MIG instances what the role P(kubegpu.sharing.mig_config#role) needs.
  - Nodes of which MIG is left alone are left out.
positional: nodes, cluster_path, emptied
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
  cluster_path:
    description: The file that M(kubegpu.sharing.gpu_resources_info) wrote, for the names of pods. Empty, pods go by their UIDs.
    type: str
    default: ""
  emptied:
    description: What M(kubegpu.sharing.node_maintenance) said of each node when it was emptied, for the pods on it that have finished.
    type: dict
    default: {}
"""

EXAMPLES = r"""
- name: Fix what the hosts are to do
  ansible.builtin.set_fact:
    mig_steps: "{{ run_dir ~ '/plan.json' | kubegpu.sharing.mig_steps(['gpu-1', 'gpu-2']) }}"
"""

RETURN = r"""
_value:
  description:
    - By node C(request) (arguments of M(kubegpu.sharing.mig_config)), C(node_emptied) (V(all) if every pod is evicted that can be, so that
      the host may reboot, else V(none)), C(reset_with) (UUIDs of GPUs that can only be reset together), C(pods), namespace and name of
      the node's pods by UID, and C(finished_pods), UIDs of those whose devices are nobody's any more.
  type: dict
  sample:
    gpu-1:
      request: {state: present, mig_devices: {1g.12gb: 7}}
      node_emptied: none
      reset_with: []
      pods: {3f6a1c2d-0000-4b6e-8f1b-2f2e2d2c2b2a: default/notebook-0}
      finished_pods: []
"""

from collections.abc import Sequence
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plain import to_plain
from ansible_collections.kubegpu.sharing.plugins.plugin_utils._plan_nodes import read_nodes


def mig_steps(plan_path: Any, nodes: Sequence[str], cluster_path: Any = "", emptied: Any = None) -> dict[str, Any]:
    """Steps by node."""
    entries = read_nodes("mig_steps", plan_path)
    with_mig = [node for node in to_plain(nodes) if (entries.get(node) or {}).get("mig")]
    found = read_nodes("mig_steps", cluster_path) if with_mig and cluster_path else {}
    ended = to_plain(emptied or {})
    return {node: _step(entries[node], found.get(node) or {}, ended.get(node) or {}) for node in with_mig}


def _step(entry: dict[str, Any], found: dict[str, Any], emptied: dict[str, Any]) -> dict[str, Any]:
    return {
        "request": entry["mig"]["request"],
        "node_emptied": "all" if (entry.get("evict") or {}).get("scope") == "all" else "none",
        "reset_with": entry["mig"].get("reset") or [],
        "pods": {pod["uid"]: f"{pod['namespace']}/{pod['name']}" for pod in found.get("pods") or ()},
        "finished_pods": emptied.get("finished_pods") or [],
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"mig_steps": mig_steps}
