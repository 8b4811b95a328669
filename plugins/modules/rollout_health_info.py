#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watch whether the nodes of a wave are well after their change."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_health_info
short_description: Watch whether nodes and their GPU pods are as well after a change as before it
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Before the nodes of a wave are touched, it records which containers with GPUs have been started again how often
    (O(record=true)). Once the nodes are back in service, it watches them for O(watch_seconds) and compares.
  - For each node it counts restarts of containers with GPUs, also those of pods that came meanwhile, and those of them that were
    killed because memory ran out. A container that backs off fails its node in any case, however many restarts are allowed.
  - A container that looped already before the wave is told (C(looped_before)) and not counted, and neither is the same container
    of the pods that its controller makes anew. An end of a pod that is being deleted is none.
  - A node must be Ready, bear the labels of the plan and advertise what the plan says throughout.
  - Errors of the GPUs themselves (Xids) are read by M(kubegpu.sharing.gpu_xid_info) on the hosts and judged here, see O(xids).
  - Works on all nodes in one call and never fails for one of them. What became of each stands in RV(nodes).
  - Changes nothing in the cluster but the moment at which the lock of the run runs out. It renews that while it watches.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubegpu.sharing.rollout
  - kubegpu.sharing.rollout.plan
  - kubegpu.sharing.rollout.wave
  - kubernetes.core.k8s_auth_options
options:
  baseline_path:
    description: File on the control node with the nodes as they were before the wave. O(record=true) writes it.
    type: path
    required: true
  record:
    description: Whether to record how the nodes are, instead of comparing.
    type: bool
    default: false
  watch_seconds:
    description: Seconds to watch for. With V(0), the nodes are looked at once.
    type: float
    default: 30
  interval_seconds:
    description: Seconds between two looks, each of which costs two requests a node. More for waves of more than 200 nodes.
    type: float
    default: 2
  max_restarts:
    description: Restarts of containers with GPUs that a node may have since the wave began.
    type: int
    default: 0
  max_oom_kills:
    description: How many of them may be of containers that were killed because their memory ran out.
    type: int
    default: 0
  max_xids:
    description: Errors of GPUs that a node may have since the wave began.
    type: int
    default: 0
  ignore_xids:
    description:
      - Numbers of errors that do not count.
      - V(45) is what the driver reports of every process that is killed, so also of pods that were evicted.
    type: list
    elements: int
    default: [45]
  xids:
    description:
      - By node, what M(kubegpu.sharing.gpu_xid_info) returned on its host. A node that is not named was not asked.
    type: dict
    default: {}
requirements:
  - python >= 3.9
  - kubernetes >= 24.2.0
  - PyYAML
seealso:
  - module: kubegpu.sharing.gpu_xid_info
  - module: kubegpu.sharing.rollout_status_info
"""

EXAMPLES = r"""
- name: Record how the pods of a wave are
  kubegpu.sharing.rollout_health_info:
    record: true
    nodes: [gpu-1, gpu-2]
    baseline_path: "{{ run_dir }}/health_1.json"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3

- name: Watch them for two minutes after the change
  kubegpu.sharing.rollout_health_info:
    watch_seconds: 120
    max_restarts: 1
    nodes: [gpu-1, gpu-2]
    baseline_path: "{{ run_dir }}/health_1.json"
    plan_path: "{{ run_dir }}/plan.json"
    run: 20260301-120000-a1b2c3
  register: health

- name: Stop where a node is not well
  ansible.builtin.assert:
    that: health.failed_nodes | length == 0
    fail_msg: "{{ health.nodes | dict2items | map(attribute='value.reason') | select | join(' ') }}"
"""

RETURN = r"""
nodes:
  description:
    - By name, C(failed) and C(reason) of each node. With O(record=true) no node has failed.
    - Without O(record) also C(restarts), C(oom_kills), C(looping), C(looped_before) and C(containers) (in words), the same as C(crashed)
      (C(pod), C(container)), and the C(xids) that count.
  returned: success
  type: dict
  sample:
    gpu-1:
      failed: true
      reason: >-
        1 restart of containers with GPUs since the wave began, 0 allowed (kubegpu_health_max_restarts):
        nlp/nlp-7d (app): 1 restart, last end: exit code 1.
      restarts: 1
      oom_kills: 0
failed_nodes:
  description: Names of the nodes that are not well.
  returned: success
  type: list
  elements: str
  sample: [gpu-1]
looped_before:
  description: Containers that looped already before the wave, each with its node.
  returned: success
  type: list
  elements: str
  sample: ["gpu-1: nlp/old-0 (app)"]
requests:
  description: How many requests were made of the API server, by kind, and the size of its answers in bytes.
  returned: success
  type: dict
  sample: {get: 14, write: 0, review: 0, dry_run: 0, bytes: 51322}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock, SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.health import judge_wave, record_wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import WAVE_SPEC, Session


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        "baseline_path": {"type": "path", "required": True},
        "record": {"type": "bool", "default": False},
        "watch_seconds": {"type": "float", "default": 30},
        "interval_seconds": {"type": "float", "default": 2},
        "max_restarts": {"type": "int", "default": 0},
        "max_oom_kills": {"type": "int", "default": 0},
        "max_xids": {"type": "int", "default": 0},
        "ignore_xids": {"type": "list", "elements": "int", "default": [45]},
        "xids": {"type": "dict", "default": {}},
    }
    return WAVE_SPEC.merge(ArgumentSpec(options=options))


def run(params: Mapping[str, Any], api: KubeApi, clock: Clock, check_mode: bool) -> Outcome:
    """Record, or watch and judge."""
    session = Session.begin(api, clock, params, check_mode)
    return record_wave(session) if params["record"] else judge_wave(session)


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module), SystemClock(), module.check_mode))


if __name__ == "__main__":
    main()
