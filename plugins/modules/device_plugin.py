#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deploy the device plugin of a plan, and switch nodes over to it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: device_plugin
short_description: Deploy the device plugin of a plan and switch nodes over to it
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - V(present) makes the ConfigMaps and DaemonSets of the plan, one of each per key and revision, and tells a DaemonSet of
    somebody else to stay away from the nodes that leave it, where the plan says so. No node is touched by that.
  - V(withdrawn) takes every plugin off nodes in maintenance and waits until its pod object is gone and nothing is advertised.
    A node that bears the planned revision without advertising it has lost its plugin's registration, or was left by a run
    that died. Its plugin is withdrawn as well, once per run, and so started anew by V(serving).
  - V(serving) lets the plan's revision serve such nodes, or the plugin of somebody else that they go back to, and waits until
    each advertises just what the plan says, without a break for the soak time. Nodes are refused while an owner has taken back
    the DaemonSet that they leave.
  - V(pruned) deletes what the collection made for revisions that no node bears and the plan does not want.
  - V(reverted) gives DaemonSets of somebody else back what a rollout changed of them, as a plan of M(kubegpu.sharing.rollback_plan)
    says, each field only if it still holds what the rollout set. The affinity stays while a node would get a second plugin
    without it, the strategy while it would restart plugins on nodes in service. RV(left) says what to do then.
  - Two plugins never overlap on a node, since that ends with no GPU at all. No pod but the plugin's own is stopped. Nothing is deleted
    that lacks the label C(app.kubernetes.io/managed-by=kubegpu.sharing).
  - For nodes, the module never fails for one of them. What became of each stands in RV(nodes), and why it failed also in the
    note on the node and in an Event.
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
      - What is to be brought about, see the description. O(nodes) matters with V(withdrawn) and V(serving) only.
    type: str
    choices: [present, withdrawn, serving, reverted, pruned]
    required: true
  timeout_seconds:
    description:
      - Seconds to wait for a plugin to leave a node, or for the new one to advertise. The kubelet reports about every 10
        seconds.
    type: float
    default: 300
  soak_seconds:
    description:
      - Seconds for which a node must advertise just what the plan says, without a break, before that counts as proven. With
        V(serving).
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Make the configs and DaemonSets of a plan
  kubegpu.sharing.device_plugin:
    state: present
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: See what would be made
  kubegpu.sharing.device_plugin:
    state: present
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
  check_mode: true
  diff: true

- name: Take the old plugin off the nodes of a wave
  kubegpu.sharing.device_plugin:
    state: withdrawn
    nodes: "{{ wave }}"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: Serve the new config and wait until it has proven itself for a minute
  kubegpu.sharing.device_plugin:
    state: serving
    nodes: "{{ wave }}"
    soak_seconds: 60
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
    journal_path: "{{ run_dir }}/journal.jsonl"

- name: Give other people's DaemonSets back what was changed of them, after a rollback
  kubegpu.sharing.device_plugin:
    state: reverted
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: Remove configs that no node bears any more
  kubegpu.sharing.device_plugin:
    state: pruned
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, one line each.
  returned: success
  type: list
  elements: str
  sample: ["patch node gpu-1: serve l20 revision 0a1b2c3d4e (kubegpu.sharing/revision=0a1b2c3d4e, nvidia.com/device-plugin.config=l20)"]
objects:
  description: Objects of the plugin that are there, or in check mode would be. With V(present) and V(pruned).
  returned: success
  type: list
  elements: str
  sample: ["ConfigMap kubegpu-system/kubegpu-device-plugin-l20-0a1b2c3d4e"]
left:
  description: What DaemonSets of others did not get back, with the reason and what to do. With V(reverted).
  returned: success
  type: list
  elements: str
  sample: []
drift:
  description: Objects of these that were not as the plan says and were put right. With V(present).
  returned: success
  type: list
  elements: str
  sample: []
failed_nodes:
  description: Nodes for which the step failed. With V(withdrawn) and V(serving).
  returned: success
  type: list
  elements: str
  sample: []
nodes:
  description: What became of each node, by name. With V(withdrawn) and V(serving).
  returned: success
  type: dict
  contains:
    failed:
      description: The step failed for this node. It stays cordoned.
      type: bool
    reason:
      description: Why it failed, with what was expected, what was seen last and what to do.
      type: str
    changed:
      description: The node was written to, or in check mode would be.
      type: bool
    waited_seconds:
      description: How long it took.
      type: float
    allocatable:
      description: What the node advertised at the end, by resource.
      type: dict
    would_wait_for:
      description: What a real run would wait for. In check mode.
      type: str
  sample:
    gpu-1: {failed: false, reason: null, changed: true, waited_seconds: 41.2, allocatable: {nvidia.com/gpu: 8}}
requests:
  description: Requests that were made to the API.
  returned: success
  type: dict
  sample: {get: 7, write: 2, review: 0, dry_run: 0, bytes: 52310}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock, SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.publish import prune, publish
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.rollback import revert_daemonsets
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import WAVE_SPEC, Session, load_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.switch import serve, withdraw

_STATES = {
    "present": publish,
    "withdrawn": withdraw,
    "serving": serve,
    "reverted": revert_daemonsets,
    "pruned": prune,
}


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        "state": {"type": "str", "choices": list(_STATES), "required": True},
        "timeout_seconds": {"type": "float", "default": 300},
        "soak_seconds": {"type": "float", "default": 30},
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
