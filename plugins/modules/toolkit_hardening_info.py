#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find out whether nodes may refuse the environment variable by which containers ask for GPUs."""

from __future__ import annotations

DOCUMENTATION = r"""
module: toolkit_hardening_info
short_description: Find out whether nodes may refuse the environment variable by which containers ask for GPUs
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - With NVIDIA's container toolkit as it comes, any image that sets E(NVIDIA_VISIBLE_DEVICES) sees GPUs that nobody gave it. The toolkit can refuse
    the variable of unprivileged containers. But NVIDIA's device plugin, as it comes, names devices by this very variable, so that a node that refuses
    it too early takes the GPU from every unprivileged pod at its next start, without a word from anybody.
  - The safe order is that all nodes accept volume mounts, that then the device plugin names devices by them, that what sees GPUs without having been
    given one (the device plugin itself, exporters) is privileged to it, that then pods with GPUs are made anew, and that the variable is refused
    last. This module tells what of it is missing, all of it at once, with what to do first.
  - How a plugin names devices is read off the pods that run, where the command line wins over the environment, and that over the config file. A
    ConfigMap that was written to after the plugin started does not count.
  - Changes nothing, neither in the cluster nor on nodes.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubernetes.core.k8s_auth_options
options:
  configs:
    description:
      - The toolkit's C(config.toml) of each node, by the node's name, as text. An empty text stands for a node without the file, where the
        toolkit's own defaults hold.
      - A node with GPUs that is not among them is missing.
    type: dict
    required: true
  volume_mount_pods:
    description:
      - UIDs of pods that were seen on their nodes to have their devices by mounts
        (RV(kubegpu.sharing.gpu_access_info#module:volume_mount_pods) of all nodes together). They need not be made anew, even if the
        device plugin has been restarted since they came.
    type: list
    elements: str
    default: []
  resource_prefix:
    description: Resources whose name begins like this are GPUs.
    type: str
    default: nvidia.com/
requirements:
  - python >= 3.9
  - kubernetes >= 24.2.0
  - PyYAML
  - tomlkit
seealso:
  - module: kubegpu.sharing.container_runtime
  - module: kubegpu.sharing.gpu_access_info
"""

EXAMPLES = r"""
- name: See what is missing before the variable can be refused
  kubegpu.sharing.toolkit_hardening_info:
    configs:
      gpu-l20: "{{ lookup('ansible.builtin.file', 'gpu-l20.toml') }}"
      gpu-t4: ""
  delegate_to: localhost
  register: hardening

- name: Show it
  ansible.builtin.debug:
    msg: "{{ hardening.message }}"
  when: not hardening.ready
"""

RETURN = r"""
ready:
  description: Whether nothing is missing.
  returned: success
  type: bool
  sample: false
steps:
  description: What comes before the variable is refused, in order.
  returned: success
  type: list
  elements: dict
  contains:
    name:
      description: V(accept_volume_mounts), V(name_devices_by_mounts), V(privilege_watchers) or V(recreate_pods).
      type: str
    done: {description: "Whether nothing of it is missing.", type: bool}
    missing: {description: "One sentence for each node, plugin or pod for which it is.", type: list, elements: str}
    how: {description: "What to do for it.", type: str}
  sample:
    - name: accept_volume_mounts
      done: false
      missing: ["node gpu-t4 does not accept volume mounts."]
      how: "Set kubegpu_runtime_visible_devices: both, and run the role nvidia_container_runtime on all nodes with GPUs in one run."
next:
  description: What to do first. Empty if nothing is missing.
  returned: success
  type: str
message:
  description: All of it for a person. Empty if nothing is missing.
  returned: success
  type: str
nodes:
  description: Names of the nodes with GPUs.
  returned: success
  type: list
  elements: str
  sample: [gpu-l20, gpu-t4]
hardened:
  description: Names of nodes in O(configs) that refuse the variable already.
  returned: success
  type: list
  elements: str
  sample: []
requests:
  description: How many requests were made of the API server, by kind, and the size of its answers in bytes.
  returned: success
  type: dict
  sample: {get: 3, write: 0, review: 0, dry_run: 0, bytes: 183025}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.order import judge
from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.toolkit_file import read_switches
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.hardening import read_hardening


def argument_spec() -> ArgumentSpec:
    return KUBE_AUTH_SPEC.merge(
        ArgumentSpec(
            options={
                "configs": {"type": "dict", "required": True},
                "volume_mount_pods": {"type": "list", "elements": "str", "default": []},
                "resource_prefix": {"type": "str", "default": "nvidia.com/"},
            }
        )
    )


def run(params: Mapping[str, Any], client: KubeClient) -> Outcome:
    view = read_hardening(client, params["resource_prefix"])
    nodes = view.nodes()
    toolkit = {str(node): read_switches(text) for node, text in params["configs"].items()}
    verdict = judge(nodes, view.templates(), toolkit, frozenset(params["volume_mount_pods"]))
    return Outcome(
        facts={
            "ready": verdict.ready,
            "steps": [step.to_dict() for step in verdict.steps],
            "next": verdict.next,
            "message": verdict.describe(),
            "nodes": [node.name for node in nodes],
            "hardened": sorted(node for node, found in toolkit.items() if not found.problem and not found.environment),
            "requests": client.requests.to_dict(),
        }
    )


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module)))


if __name__ == "__main__":
    main()
