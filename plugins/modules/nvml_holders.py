#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pause what keeps NVIDIA's driver open on the nodes of a wave, and let it come back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: nvml_holders
short_description: Pause what keeps NVIDIA's driver open on nodes, and let it come back
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - MIG instances can be changed only while no process holds the GPU. Exporters, GPU Feature Discovery, DCGM and the MPS control
    daemon hold it all the time, and a DaemonSet puts its pod back as soon as it is evicted.
  - V(paused) finds these DaemonSets once more on nodes in maintenance, takes them off and waits until the objects of their pods
    are gone. Call it before anything is evicted. A node is refused, and not touched at all, if a DaemonSet holds the driver
    that cannot be paused, or that came since the plan was made.
  - A DaemonSet is paused by a node label that it selects on and no other workload does, which is taken off the node. Labels
    V(nvidia.com/gpu.deploy.*) of NVIDIA's GPU Operator get the value V(paused-for-mig-change), which it knows. A DaemonSet whose
    required node affinity says C(DoesNotExist) of V(kubegpu.sharing/nvml-paused) is paused by that label. Any other is by the taint
    V(kubegpu.sharing/maintenance:NoSchedule) and the end of its pod, unless it tolerates that. No DaemonSet is ever changed.
  - What was done stands in the node's annotation V(kubegpu.sharing/maintenance), written in the same request that does it.
  - V(resumed) undoes just that, where nobody has changed it meanwhile, and waits a while for the pods. If they do not come, that
    is told and is no failure. M(kubegpu.sharing.node_maintenance) with state V(in_service) undoes it as well, in the request that uncordons the
    node, if it still stands then.
  - Does nothing on nodes whose MIG layout the plan leaves as it is, nor to device plugins, which M(kubegpu.sharing.device_plugin)
    takes off. It never fails for a node. What became of each stands in RV(nodes).
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubegpu.sharing.rollout
  - kubegpu.sharing.rollout.plan
  - kubegpu.sharing.rollout.wave
  - kubernetes.core.k8s_auth_options
attributes:
  check_mode:
    support: full
    details:
      - The steps of a rollout before this one are taken as done. Waits are named, not made.
  diff_mode:
    support: full
  idempotent:
    support: full
options:
  state:
    description:
      - V(paused) takes what holds the driver off the nodes, V(resumed) lets it come back.
    type: str
    choices: [paused, resumed]
    required: true
  ignore_holders:
    description:
      - DaemonSets, by name or as namespace/name, that are left as they are, besides those that the plan leaves out. With V(paused).
    type: list
    elements: str
    default: []
  facts_dir:
    description:
      - Directory on the control node that M(kubegpu.sharing.gpu_info) wrote to. By it DaemonSets are found that are of no known
        kind and were seen to hold the driver, beside those that the plan names. With V(paused).
    type: path
  host_services:
    description:
      - Services of the hosts that are stopped while their MIG instances change. If they are given, O(facts_dir) is of this moment, and a
        node is refused on whose host anything else holds the driver, or whose host could not be read. With V(paused).
    type: list
    elements: str
  timeout_seconds:
    description:
      - Seconds to wait until the pods of a node are gone. With V(paused).
    type: float
    default: 300
  return_seconds:
    description:
      - Seconds to wait at most for a ready pod of each DaemonSet on its node. With V(resumed).
    type: float
    default: 60
"""

EXAMPLES = r"""
- name: Take exporters and the like off the nodes of a wave
  kubegpu.sharing.nvml_holders:
    state: paused
    nodes: "{{ wave }}"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: See what would be paused
  kubegpu.sharing.nvml_holders:
    state: paused
    nodes: "{{ wave }}"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
  check_mode: true
  diff: true

- name: Let them come back once the GPUs are laid out, and wait at most ten seconds for them
  kubegpu.sharing.nvml_holders:
    state: resumed
    nodes: "{{ wave }}"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
    return_seconds: 10
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, one line each.
  returned: success
  type: list
  elements: str
  sample: ["patch node gpu-1: pause monitoring/dcgm-exporter (gpu-metrics-)"]
failed_nodes:
  description: Nodes for which the step failed.
  returned: success
  type: list
  elements: str
  sample: []
nodes:
  description: What became of each node, by name.
  returned: success
  type: dict
  contains:
    failed:
      description: The step failed for this node. It stays cordoned.
      type: bool
    reason:
      description: Why it failed, with what to do, or why nothing was to be done.
      type: str
    changed:
      description: The node was written to, or in check mode would be.
      type: bool
    paused:
      description:
        - DaemonSets that are paused on it, each with daemonset (namespace/name), uid, kind, observed (it was seen to hold the
          driver), method (V(label) or V(taint)), label and the value that it is set to. With V(paused).
      type: list
      elements: dict
    resumed:
      description: DaemonSets that may run there again, as namespace/name. With V(resumed).
      type: list
      elements: str
    absent:
      description: Those of them that had no ready pod on the node in time. With V(resumed).
      type: list
      elements: str
    would_wait_for:
      description: What a real run would wait for. In check mode.
      type: str
  sample:
    gpu-1: {failed: false, reason: null, changed: true, resumed: [monitoring/dcgm-exporter], absent: []}
requests:
  description: Requests that were made to the API.
  returned: success
  type: dict
  sample: {get: 4, write: 1, review: 0, dry_run: 0, bytes: 40110}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock, SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.pausing import pause, resume
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import WAVE_SPEC, Session, load_plan

_STATES = {"paused": pause, "resumed": resume}


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        "state": {"type": "str", "choices": list(_STATES), "required": True},
        "ignore_holders": {"type": "list", "elements": "str", "default": []},
        "facts_dir": {"type": "path"},
        "host_services": {"type": "list", "elements": "str"},
        "timeout_seconds": {"type": "float", "default": 300},
        "return_seconds": {"type": "float", "default": 60},
    }
    return WAVE_SPEC.merge(ArgumentSpec(options=options))


def run(params: Mapping[str, Any], api: KubeApi, clock: Clock, check_mode: bool) -> Outcome:
    """Bring the state about."""
    session = Session.begin(api, clock, params, check_mode)
    return _STATES[params["state"]](session, load_plan(params["plan_path"]))


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module), SystemClock(), module.check_mode))


if __name__ == "__main__":
    main()
