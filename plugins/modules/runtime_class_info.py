#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read a RuntimeClass and which pods need its runtime."""

from __future__ import annotations

DOCUMENTATION = r"""
module: runtime_class_info
short_description: Read a RuntimeClass and which pods need its runtime
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads whether a RuntimeClass exists and which handler it stands for, the pods that name it, and the pods with GPUs that name none, which the default
    runtime of their node starts.
  - Pods that have ended do not count. The list of pods is read in pages.
  - Changes nothing in the cluster.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubernetes.core.k8s_auth_options
options:
  name:
    description: Name of the RuntimeClass.
    type: str
    default: nvidia
  resource_prefix:
    description: A pod that asks for resources whose name begins like this is one with GPUs.
    type: str
    default: nvidia.com/
requirements:
  - python >= 3.9
  - kubernetes >= 24.2.0
  - PyYAML
seealso:
  - module: kubegpu.sharing.container_runtime
"""

EXAMPLES = r"""
- name: See who needs the nvidia runtime
  kubegpu.sharing.runtime_class_info:
  register: runtime

- name: Show pods that could not start without it
  ansible.builtin.debug:
    var: runtime.pods
"""

RETURN = r"""
exists:
  description: Whether there is such a RuntimeClass.
  returned: success
  type: bool
handler:
  description: The handler that it stands for; null where there is none.
  returned: success
  type: str
  sample: nvidia
ours:
  description: Whether this collection has made it, as its label C(app.kubernetes.io/managed-by) says.
  returned: success
  type: bool
pods:
  description: Pods that name it, as namespace/name, also those that wait for a node.
  returned: success
  type: list
  elements: str
  sample: [default/train-0]
gpu_pods:
  description: Pods with GPUs that name no RuntimeClass, by node.
  returned: success
  type: dict
  sample: {gpu-1: [default/nlp-6d4f-x7k2p]}
requests:
  description: How many requests were made of the API server, by kind, and the size of its answers in bytes.
  returned: success
  type: dict
  sample: {get: 2, write: 0, review: 0, dry_run: 0, bytes: 183025}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.runtime_users import read_users


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options = {
        "name": {"type": "str", "default": "nvidia"},
        "resource_prefix": {"type": "str", "default": "nvidia.com/"},
    }
    return KUBE_AUTH_SPEC.merge(ArgumentSpec(options=options))


def run(params: Mapping[str, Any], api: KubeApi) -> Outcome:
    """Read the class and its users."""
    users = read_users(api, params["name"], params["resource_prefix"])
    return Outcome(facts={**users.to_dict(), "requests": api.requests.to_dict()})


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module)))


if __name__ == "__main__":
    main()
