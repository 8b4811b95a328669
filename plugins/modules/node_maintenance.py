#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Take the nodes of a wave out of service, and put them back on proof."""

from __future__ import annotations

DOCUMENTATION = r"""
module: node_maintenance
short_description: Take nodes out of service, and put them back on proof alone
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Works on all nodes of a wave in one call and never fails for one of them. What became of each stands in RV(nodes).
  - V(in_maintenance) cordons a node and notes on it, in the same request, which run has it and how it was before. Then the
    pods that must leave are evicted, all at once and within their disruption budgets, and awaited until their objects are
    gone and no pod is on its way to the node any more.
  - A node that serves already what the plan wants is left alone. One on which a device plugin runs that the plan does not
    know, or with pods that must leave and O(force) and O(delete_emptydir_data) do not cover, is refused before it is touched.
  - V(in_service) uncordons a node and removes the note, in the same request, if at that moment the node is Ready, its plugin
    pod is ready and it advertises just what the plan says. Without O(plan_path) it must be Ready and advertise what it did
    before, for O(soak_seconds). Then it mends what the switch left behind, see O(stale_pods) and O(remove_failed_pods).
  - V(failed) says on nodes in maintenance what failed on their hosts (O(failures)), and leaves them where they are.
  - Cluster Autoscaler and Karpenter are told not to remove a node in maintenance, and told again afterwards what they were told
    before. Events on the node tell what began, what ended and what failed; one that is refused costs a warning.
  - Never uncordons a node that somebody else had cordoned, never touches a node that a person holds by the annotation
    V(kubegpu.sharing/hold), and never takes a node from another run that is alive. The node of a dead run is taken over, but by
    no rollout if that run had no plan, as a person may still be at work on it.
  - Where the API refuses for good in the middle of a step, all nodes have failed for which the step had not come to its end.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubegpu.sharing.rollout
  - kubegpu.sharing.rollout.wave
  - kubegpu.sharing.eviction
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
      - V(in_maintenance) takes the nodes out of service, V(in_service) puts them back, V(failed) notes failures on them.
    type: str
    choices: [in_maintenance, in_service, failed]
    required: true
  failures:
    description:
      - Reason by node, for those of the nodes that have failed. With V(failed).
    type: dict
    default: {}
  plan_path:
    description:
      - File on the control node that M(kubegpu.sharing.sharing_plan) wrote.
      - Without it nodes are taken out of service for their own sake, say for a repair. They are to come back as they were, and
        nothing is evicted unless O(evict) says so.
    type: path
  settle_seconds:
    description:
      - Seconds for which no new pod must have come to a cordoned node, as the scheduler learns of a cordon a little late.
    type: float
    default: 1
  timeout_seconds:
    description:
      - Seconds to wait for a node to be Ready and to advertise what it did before. With O(state=in_service), without O(plan_path).
    type: float
    default: 300
  soak_seconds:
    description:
      - Seconds for which a node must be so, without a break, before that counts as proven. With O(state=in_service).
      - Of no effect with O(plan_path). M(kubegpu.sharing.device_plugin) with state V(serving) has had the nodes of a rollout soak.
    type: float
    default: 30
"""

EXAMPLES = r"""
- name: Take a node out of service
  kubegpu.sharing.node_maintenance:
    state: in_maintenance
    nodes: [gpu-1]
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: Free two GPUs of their pods
  kubegpu.sharing.node_maintenance:
    state: in_maintenance
    nodes: [gpu-1]
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
    evict: affected
    devices:
      gpu-1: [GPU-6b5b6e4c-2a8c-4f7f-9e0d-3f6a1c2d4e5f, GPU-0f0c0c3a-1b1d-4b6e-8f1b-2f2e2d2c2b2a]
    facts_dir: "{{ run_dir }}/facts"
    eviction_timeout_seconds: 900

- name: Empty a node for a repair, whatever is on it
  kubegpu.sharing.node_maintenance:
    state: in_maintenance
    nodes: [gpu-2]
    run: repair-1
    evict: all
    delete_emptydir_data: true

- name: Put it back once it has been well for a minute
  kubegpu.sharing.node_maintenance:
    state: in_service
    nodes: [gpu-2]
    run: repair-1
    soak_seconds: 60

- name: Note on a node that its host could not be prepared
  kubegpu.sharing.node_maintenance:
    state: failed
    nodes: "{{ wave }}"
    failures: {gpu-1: the host did not come back after its reboot}
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: See which nodes of a wave would be cordoned
  kubegpu.sharing.node_maintenance:
    state: in_maintenance
    nodes: "{{ wave }}"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
  check_mode: true
  diff: true

- name: Put the proven nodes of a wave back into service
  kubegpu.sharing.node_maintenance:
    state: in_service
    nodes: "{{ wave }}"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
    journal_path: "{{ run_dir }}/journal.jsonl"
    stale_pods: recreate
  register: back

- name: Stop if a node is not well
  ansible.builtin.assert:
    that: back.failed_nodes | length == 0
    fail_msg: "{{ back.nodes }}"
"""

RETURN = r"""
actions:
  description: What was done, or in check mode would be, one line each.
  returned: success
  type: list
  elements: str
  sample: ["patch node gpu-1: cordon and annotate"]
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
      description: The step failed for this node. It stays as it is, out of service if it was cordoned already.
      type: bool
    reason:
      description: Why it failed, or what is special about it, such as a takeover.
      type: str
    changed:
      description: The node was written to, or in check mode would be.
      type: bool
    was_unschedulable:
      description: Somebody else had cordoned it before, so it will stay cordoned. With V(in_maintenance).
      type: bool
    settled:
      description: It served already what the plan wants and was left alone. With V(in_maintenance).
      type: bool
    gpu_pods:
      description: Number of pods on it that ask for a GPU. With V(in_maintenance).
      type: int
    evicted:
      description: Pods that were evicted, with namespace, name and uid. In check mode those that would be. With V(in_maintenance).
      type: list
      elements: dict
    blocked:
      description: Pods that had to leave and are still there, with namespace, name, uid, reason (a word) and message.
      type: list
      elements: dict
    stayed:
      description: Number of pods that stay, by reason, namely V(daemonset), V(mirror), V(finished) and V(out_of_scope).
      type: dict
    finished_pods: {description: "UIDs of pods that have finished. With V(in_maintenance), of nodes with a word on MIG.", type: list, elements: str}
    assumed_affected:
      description: GPU pods that count as affected because it is not known which devices they hold.
      type: list
      elements: str
    waited_seconds:
      description: How long the proof took. With V(in_service), without O(plan_path).
      type: float
    allocatable:
      description: What the node advertised at the end of that, by resource.
      type: dict
    would_wait_for:
      description: What a real run would wait for. In check mode.
      type: str
    in_service:
      description: Pods can be scheduled to it. With V(in_service).
      type: bool
    held:
      description: A person holds it, so it stays cordoned. That is no failure. With V(in_service).
      type: bool
    admission_failures:
      description:
        - Pods that its kubelet refused for good while it was in maintenance, with namespace, name, uid, reason, message and
          owner, and removed if they were deleted. With V(in_service).
      type: list
      elements: dict
    stale:
      description:
        - Pods with devices that the node has no more, with namespace, name, uid, and with O(stale_pods=recreate) the reason
          and message that kept them. With V(in_service).
      type: list
      elements: dict
    recreated:
      description: Stale pods that were evicted to be made anew. With V(in_service).
      type: list
      elements: dict
  sample:
    gpu-1: {failed: false, reason: null, changed: true, in_service: true, held: false, admission_failures: [], stale: [], recreated: []}
requests:
  description: Requests that were made to the API.
  returned: success
  type: dict
  sample: {get: 5, write: 1, review: 0, dry_run: 0, bytes: 61207}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.as_is import plan_as_is
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock, SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.cordon import take_out_of_service
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.failing import note_failures
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.scopes import AS_PLANNED, SCOPES
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.service import put_into_service
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import WAVE_SPEC, Session, load_plan

_STATES = {"in_maintenance": take_out_of_service, "in_service": put_into_service, "failed": note_failures}


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        "plan_path": {"type": "path"},
        "state": {"type": "str", "choices": list(_STATES), "required": True},
        "failures": {"type": "dict", "default": {}},
        "evict": {"type": "str", "choices": [AS_PLANNED, *SCOPES], "default": AS_PLANNED},
        "devices": {"type": "dict", "default": {}},
        "evictions": {"type": "str", "choices": ["now", "later"], "default": "now"},
        "facts_dir": {"type": "path"},
        "include_gpu_users": {"type": "bool", "default": False},
        "eviction_timeout_seconds": {"type": "float", "default": 600},
        "eviction_retry_seconds": {"type": "float", "default": 5},
        "grace_period": {"type": "int"},
        "force": {"type": "bool", "default": False},
        "delete_emptydir_data": {"type": "bool", "default": False},
        "stale_pods": {"type": "str", "choices": ["report", "recreate"], "default": "report"},
        "remove_failed_pods": {"type": "bool", "default": True},
        "settle_seconds": {"type": "float", "default": 1},
        "timeout_seconds": {"type": "float", "default": 300},
        "soak_seconds": {"type": "float", "default": 30},
    }
    return WAVE_SPEC.merge(ArgumentSpec(options=options))


def run(params: Mapping[str, Any], api: KubeApi, clock: Clock, check_mode: bool) -> Outcome:
    """Do the step for all nodes."""
    session = Session.begin(api, clock, params, check_mode)
    plan = load_plan(params["plan_path"]) if params["plan_path"] else plan_as_is(session)
    return _STATES[params["state"]](session, plan)


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module), SystemClock(), module.check_mode))


if __name__ == "__main__":
    main()
