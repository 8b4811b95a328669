#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read what GPU resources a cluster has and who uses them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_resources_info
short_description: Read a cluster's GPU slots, who holds them, who waits for them, and the device plugins that make them
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads capacity, allocatable and requested GPU resources of every node, counted as the scheduler counts them. Sidecars and
    init containers count as they do there, and pods that have ended do not count.
  - Reads pods that wait for a GPU and why, pods that a node refused to admit, and what a plan has to know besides, such as
    quotas, workloads that select nodes by label, and nodes whose GPUs are handed out by DRA.
  - Finds NVIDIA's device plugins by what they run, tells who owns them, how they are configured, and what is risky about it.
  - Reads lists in pages, and nothing node by node, so that it asks as many requests of a cluster of 5,000 nodes as of a
    small one, but for the pages.
  - Changes nothing in the cluster.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    details:
      - This module changes nothing in the cluster. The file O(dest) is written in check mode too, because the plan is made
        from it.
options:
  dest:
    description:
      - File on the control node to which the whole result is written as JSON, for M(kubegpu.sharing.sharing_plan) to read.
      - The task then returns only RV(totals), RV(pending), RV(plugins) without their pods, and RV(requests), because the
        whole of a large cluster is too much for a task's result. In the file RV(failed_pods) is called C(failed).
      - Its directory must exist. Only the owner may read the file.
    type: path
  namespace:
    description: Namespace of the collection's own device plugins, ConfigMaps and snapshots.
    type: str
    default: kubegpu-system
  resource_prefix:
    description: Resources whose name begins like this are counted.
    type: str
    default: nvidia.com/
  nodes:
    description:
      - Names of nodes whose pods are listed even if nothing tells that they have a GPU.
      - Other nodes are read all the same.
    type: list
    elements: str
    default: []
requirements:
  - python >= 3.9
  - kubernetes >= 24.2.0
  - PyYAML
seealso:
  - module: kubegpu.sharing.rollout_status_info
  - module: kubegpu.sharing.sharing_plan
"""

EXAMPLES = r"""
- name: Show the slots of the cluster
  kubegpu.sharing.gpu_resources_info:
  register: gpus

- name: Fail if a pod waits for a GPU for more than a day
  ansible.builtin.assert:
    that: gpus.pending | selectattr('seconds', '>', 86400) | length == 0
    fail_msg: "{{ gpus.pending | map(attribute='message') | unique | join('\n') }}"

- name: Record the state of another cluster for the planner
  kubegpu.sharing.gpu_resources_info:
    kubeconfig: /etc/kubegpu/production.kubeconfig
    dest: /var/lib/kubegpu/cluster.json
"""

RETURN = r"""
totals:
  description: Devices of the whole cluster by resource name. C(free) is what is allocatable and not requested.
  returned: success
  type: dict
  sample: {"nvidia.com/gpu": {"capacity": 2, "allocatable": 2, "requested": 2, "free": 0}}
nodes:
  description:
    - All nodes by name, each with labels, taints, whether it is ready and schedulable, whether it has GPUs (C(gpu)), its
      C(resources) (a resource that it has none of is absent), the key and revision that it bears, a rollout's C(maintenance)
      note and a person's C(hold).
    - GPU nodes have their C(pods) listed, those that have succeeded excepted. Pods with GPUs tell besides when they came to the
      node (C(bound)), and, as far as they have any, their C(budgets), C(tolerations), C(node_affinity), C(priority) and
      C(emptydir). The last is told of pods without GPUs too, unless a DaemonSet owns them.
    - Pods with GPUs also tell the C(workload) that they are of (such as the Deployment behind a ReplicaSet, the CronJob behind a Job),
      their C(containers), and, as far as any are recognised, C(frameworks) that take GPU memory by design, each with its C(effect),
      the C(evidence) and C(advice). Environments and arguments are looked at for this, and are never stored.
  returned: if O(dest) is not given
  type: dict
  sample:
    gpu-l20:
      gpu: true
      ready: true
      unschedulable: false
      resources: {"nvidia.com/gpu": {"capacity": 1, "allocatable": 1, "requested": 1, "free": 0}}
pending:
  description: Pods that ask for such resources and have no node, with the scheduler's words and since when.
  returned: success
  type: list
  elements: dict
  sample:
    - namespace: default
      name: nlp-6d4f-x7k2p
      requests: {"nvidia.com/gpu": 1}
      seconds: 2419200
      reason: Unschedulable
      message: "0/8 nodes are available: 8 Insufficient nvidia.com/gpu."
failed_pods:
  description: Pods that a node refused to admit, for example because no plugin served at that moment. Nothing schedules them again.
  returned: if O(dest) is not given
  type: list
  elements: dict
plugins:
  description:
    - Device plugins for NVIDIA GPUs, each a DaemonSet with its version, owner, arguments, config file, the settings that
      result (command line before environment before file), its nodes and pods, and its C(risks).
  returned: success
  type: list
  elements: dict
  sample:
    - namespace: kube-system
      name: nvidia-device-plugin-daemonset
      version: v0.14.5
      owner: {kind: helm, name: nvidia-gpu}
      args: [--mig-strategy=single, --fail-on-init-error=false, --pass-device-specs=true]
      config_source: none
      risks:
        - code: fail_on_init_error_false
          message: "failOnInitError is false: on a node whose driver or GPU is broken the plugin runs and advertises no GPU."
daemonsets:
  description:
    - DaemonSets that have a pod on a GPU node, or are known to keep the NVIDIA driver open, with what they select and tolerate, their
      images and programs, and those C(nodes).
  returned: if O(dest) is not given
  type: list
  elements: dict
label_users:
  description: Workloads that select or spread over nodes by the labels that plugins select on, and by NVIDIA's labels.
  returned: if O(dest) is not given
  type: dict
  sample: {"nvidia-device-enable": ["DaemonSet kube-system/nvidia-device-plugin-daemonset"]}
quotas:
  description: Resource quotas on such resources.
  returned: if O(dest) is not given
  type: list
  elements: dict
config_maps:
  description: ConfigMaps in O(namespace), and whether they are the collection's.
  returned: if O(dest) is not given
  type: list
  elements: dict
daemon_sets:
  description: DaemonSets in O(namespace), whatever they run, and whether they are the collection's.
  returned: if O(dest) is not given
  type: list
  elements: dict
dra_nodes:
  description: Nodes whose GPUs NVIDIA's DRA driver hands out.
  returned: if O(dest) is not given
  type: list
  elements: str
budgets:
  description:
    - Disruption budgets that protect pods with GPUs, with their numbers, and how many such C(pods) each has.
    - Null if the user may not list them.
  returned: if O(dest) is not given
  type: list
  elements: dict
  sample: [{namespace: default, name: nlp, allowed: 1, current_healthy: 2, desired_healthy: 1, expected: 2, pods: 2}]
snapshots:
  description: States of before earlier rollouts that can be gone back to.
  returned: if O(dest) is not given
  type: list
  elements: dict
dest:
  description: The file that was written.
  returned: if O(dest) is given
  type: str
  sample: /var/lib/kubegpu/cluster.json
requests:
  description: How many requests were made of the API server, by kind, and the size of its answers in bytes.
  returned: success
  type: dict
  sample: {get: 12, write: 0, review: 0, dry_run: 0, bytes: 183025}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.inventory import InventoryOptions
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.documents import write_document
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.reader import read_inventory


def argument_spec() -> ArgumentSpec:
    return KUBE_AUTH_SPEC.merge(
        ArgumentSpec(
            options={
                "dest": {"type": "path"},
                "namespace": {"type": "str", "default": "kubegpu-system"},
                "resource_prefix": {"type": "str", "default": "nvidia.com/"},
                "nodes": {"type": "list", "elements": "str", "default": []},
            }
        )
    )


def run(params: Mapping[str, Any], client: KubeClient) -> Outcome:
    options = InventoryOptions(
        prefix=params["resource_prefix"], namespace=params["namespace"], nodes=frozenset(params["nodes"])
    )
    cluster = read_inventory(client, options, SystemClock().now()).to_dict()
    cluster["requests"] = client.requests.to_dict()
    if not params["dest"]:
        # Ansible takes a result's "failed" for the task's own failure.
        cluster["failed_pods"] = cluster.pop("failed")
        return Outcome(facts=cluster)
    write_document(params["dest"], cluster, "cluster")
    plugins = [{name: value for name, value in plugin.items() if name != "pods"} for plugin in cluster["plugins"]]
    brief = {name: cluster[name] for name in ("totals", "pending", "requests")}
    return Outcome(facts={**brief, "plugins": plugins, "dest": params["dest"]})


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module)))


if __name__ == "__main__":
    main()
