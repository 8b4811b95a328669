#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare a cluster with a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollout_status_info
short_description: Compare nodes with what a plan makes of them, and say in words where they differ
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Tells of each node whether it is as the plan wants it. Its labels name the planned key and revision, its allocatable is
    what was planned and nothing else, one plugin pod of that revision is on it and ready, it is Ready, and it is in service
    again. A node that is all that but service, because a person holds it (annotation C(kubegpu.sharing/hold)), is finished as well.
  - Given the nodes of earlier waves, it is the gate before the next one. Given none, it verifies a whole rollout.
  - Tells besides which pods wait for a GPU, and whether time alone may still bring what is missing (RV(waiting)).
  - Given O(max_unavailable) and O(about_to_begin) as well, it tells whether a wave may begin with what is out of service by now.
  - Reads lists by label and phase, and nodes one by one only if they are ten at most and O(max_unavailable) is not given.
  - Changes nothing.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubernetes.core.k8s_auth_options
options:
  plan_path:
    description: File with the plan, as M(kubegpu.sharing.sharing_plan) writes it.
    type: path
    required: true
  nodes:
    description:
      - Names of the nodes to compare. Each must be in the plan.
      - All nodes of the plan if not given; then workloads are looked at as well. An empty list compares none, as before the
        first wave.
    type: list
    elements: str
  max_unavailable:
    description:
      - How many of the cluster's GPU nodes may be out of service at once, whoever took them out, as a number or a percentage
        such as V(25%). At least 1.
      - If it is not given, only the nodes that are compared are read.
    type: raw
  about_to_begin:
    description:
      - Names of the nodes that are about to be taken out of service. Each must be in the plan.
      - More of them than O(max_unavailable) leaves room for are a difference. Those that are out of service already cost
        nothing, and one node at a time is always allowed, as when the plan was made.
      - Has no effect without O(max_unavailable).
    type: list
    elements: str
    default: []
requirements:
  - python >= 3.9
  - kubernetes >= 24.2.0
  - PyYAML
seealso:
  - module: kubegpu.sharing.gpu_resources_info
  - module: kubegpu.sharing.sharing_plan
"""

EXAMPLES = r"""
- name: Compare the cluster with the plan
  kubegpu.sharing.rollout_status_info:
    plan_path: /var/lib/kubegpu/plan.json
  register: status

- name: Wait until the waiting pods run
  kubegpu.sharing.rollout_status_info:
    plan_path: /var/lib/kubegpu/plan.json
  register: status
  until: not status.waiting
  retries: 30
  delay: 2

- name: Stop before a wave unless all earlier ones are finished and not too many nodes are out of service
  kubegpu.sharing.rollout_status_info:
    plan_path: /var/lib/kubegpu/plan.json
    nodes: [gpu-l20, gpu-t4]
    about_to_begin: [gpu-3, gpu-4]
    max_unavailable: "25%"
  register: gate
  failed_when: gate is failed or not gate.matches
"""

RETURN = r"""
matches:
  description: Whether all compared nodes are as planned, and a wave may begin if O(about_to_begin) was given.
  returned: success
  type: bool
  sample: false
differences:
  description: Where nodes differ from the plan, a sentence each, and why a wave must not begin.
  returned: success
  type: list
  elements: str
  sample:
    - "node gpu-l20: allocatable nvidia.com/gpu is 0, expected 8"
msg:
  description: The differences as one text. Empty if there are none.
  returned: success
  type: str
  sample: ""
nodes:
  description:
    - By name, C(matches) and C(differences) of each compared node, with what was looked at (C(in_maintenance), C(hold),
      C(unschedulable), C(key), C(revision), C(allocatable), C(expected_resources), C(plugin_pods)).
    - C(settling) is true where the labels are right and the kubelet or the plugin pod is what is waited for.
  returned: success
  type: dict
  sample:
    gpu-l20:
      matches: false
      differences: ["node gpu-l20: allocatable nvidia.com/gpu is 0, expected 8"]
      settling: true
held:
  description: By name, the reason of a person's hold on each compared node that is finished. It counts as planned, cordoned or not.
  returned: success
  type: dict
  sample: {"gpu-t4": "Kim: benchmark until Friday"}
out_of_service:
  description: Names of all GPU nodes of the cluster that are unschedulable or not Ready now, whoever did it.
  returned: when O(max_unavailable) is given
  type: list
  elements: str
  sample: ["gpu-7"]
waves:
  description: For each wave that has compared nodes, whether these are as planned.
  returned: success
  type: list
  elements: dict
  sample: [{"wave": 1, "nodes": ["gpu-l20"], "finished": true}]
pending:
  description: Pods that ask for a GPU and have no node, as M(kubegpu.sharing.gpu_resources_info) returns them.
  returned: success
  type: list
  elements: dict
starting:
  description: Pods that have a GPU and a node, and do not run yet.
  returned: success
  type: list
  elements: dict
failed_pods:
  description: Pods that a node refused to admit. Some may be older than the rollout.
  returned: success
  type: list
  elements: dict
updating:
  description:
    - Deployments with GPUs whose update is not finished, with the reason. C(stuck) is true if a pod of theirs finds no place.
    - Always empty if O(nodes) is given.
  returned: success
  type: list
  elements: dict
  sample: [{"kind": "Deployment", "namespace": "default", "name": "nlp", "message": "1 of 2 replicas are updated", "stuck": false}]
waiting:
  description:
    - Whether time alone may bring what is missing. A node is settling, a pod is starting, a Deployment is being updated, or a
      pod is pending although enough devices are free for it.
    - Pods and Deployments count only if O(nodes) is not given.
  returned: success
  type: bool
  sample: false
requests:
  description: How many requests were made of the API server, by kind, and the size of its answers in bytes.
  returned: success
  type: dict
  sample: {get: 7, write: 0, review: 0, dry_run: 0, bytes: 51322}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.documents import read_document
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.status import StatusRequest, read_status
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import read_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._sizing.numbers import Share, read_share


def argument_spec() -> ArgumentSpec:
    return KUBE_AUTH_SPEC.merge(
        ArgumentSpec(
            options={
                "plan_path": {"type": "path", "required": True},
                "nodes": {"type": "list", "elements": "str"},
                "max_unavailable": {"type": "raw"},
                "about_to_begin": {"type": "list", "elements": "str", "default": []},
            }
        )
    )


def run(params: Mapping[str, Any], client: KubeClient) -> Outcome:
    document = read_document(params["plan_path"], "plan")
    request = StatusRequest(
        plan=read_plan(document, params["plan_path"]),
        document=document,
        nodes=params["nodes"],
        max_unavailable=_read_limit(params.get("max_unavailable")),
        about_to_begin=params.get("about_to_begin") or [],
    )
    status = read_status(client, request, SystemClock().now())
    return Outcome(facts={**status, "msg": _message(status), "requests": client.requests.to_dict()})


def _read_limit(value: Any) -> Share | None:
    if value is None:
        return None
    try:
        return read_share(value)
    except ValueError as error:
        raise InputError(
            "max_unavailable", [f'{error}; give a number of nodes, or a percentage such as "25%".']
        ) from error


def _message(status: Mapping[str, Any]) -> str:
    all_match = all(entry["matches"] for entry in status["nodes"].values())
    return "\n".join([*([] if all_match else ["The cluster is not as planned:"]), *status["differences"]])


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module)))


if __name__ == "__main__":
    main()
