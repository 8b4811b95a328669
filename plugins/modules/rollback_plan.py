#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the way back to how the cluster was before a rollout."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_plan
short_description: Plan the way back to how the cluster was before a rollout
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Makes a plan from the snapshot that a rollout recorded, of the same shape as M(kubegpu.sharing.sharing_plan) makes it, so that
    the same steps carry it out, under the same protection.
  - A node goes back only if it bears the key and the revision that the rollout had set, or if a run left it on the way. What
    somebody has changed since is left alone, and told in C(skipped) of RV(plan).
  - Configs that were removed since are made again. DaemonSets of others get back what the rollout changed of them, once all
    nodes that need that are back, with M(kubegpu.sharing.device_plugin) and O(kubegpu.sharing.device_plugin#module:state=reverted).
  - Where the rollout had MIG instances changed, their recorded layout comes back with its exact places. Pods are evicted from the
    devices that have to go for that. What can stay stays.
  - Where nothing is to go back, the plan is empty.
  - A node with something in its way is in C(skipped) too, since it keeps no other from going back, and is told among the
    warnings. The plan is refused, with all that is in its way, if what was asked for is wrong, or if none of the nodes that
    are to go back can.
  - Changes nothing in the cluster, and needs no lock.
extends_documentation_fragment:
  - kubegpu.sharing.planning
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.actiongroup_k8s
  - kubernetes.core.k8s_auth_options
options:
  facts_dir:
    description:
      - Directory with the files that M(kubegpu.sharing.gpu_info) wrote. They tell which devices pods hold, and so which of
        them are stale once their node is back.
      - Without it, or for a pod that came later, a pod counts as stale if its node gets other device ids or fewer slots.
      - A node whose MIG instances are to go back needs its file, which tells what stands there now, and so what has to go.
    type: path
  snapshot_run:
    description:
      - Run whose changes are taken back. Its snapshot must still be there. The last five are kept.
      - Empty, it is the last rollout that has a complete snapshot. A rollback records one too, to be gone back to by its name.
    type: str
    default: ""
  nodes:
    description: Only these nodes go back. Empty, all nodes of the snapshot do.
    type: list
    elements: str
    default: []
  hosts:
    description: Kubernetes node by host. An empty value means the host's own name.
    type: dict
    default: {}
  limited:
    description: Whether only the nodes of O(hosts) go back, besides those in O(nodes).
    type: bool
    default: false
  lock_namespace:
    description: Namespace of the snapshots, which is that of the lock.
    type: str
    default: kubegpu-system
  dest:
    description:
      - File to which the plan is written, for the steps of a rollout to obey. Its directory must exist.
      - With more than 100 nodes RV(plan) leaves out what stands in the file alone.
    type: path
seealso:
  - module: kubegpu.sharing.rollout_snapshot
  - module: kubegpu.sharing.sharing_plan
"""

EXAMPLES = r"""
- name: Plan to take the last rollout back
  kubegpu.sharing.rollback_plan:
    cluster_path: "{{ run_dir }}/cluster.json"
    facts_dir: "{{ run_dir }}/facts"
    dest: "{{ run_dir }}/plan.json"
  register: planned

- name: See what a rollback of one node to the state before a certain run would mean
  kubegpu.sharing.rollback_plan:
    cluster_path: "{{ run_dir }}/cluster.json"
    snapshot_run: 20260301-120000-a1b2c3
    nodes: [gpu-1]
    on_overcommit: evict
  check_mode: true
  diff: true
"""

RETURN = r"""
plan_id:
  description: Hash over the plan's decisions, 16 hexadecimal digits.
  type: str
  returned: success
  sample: 4905c9714470339a
empty:
  description: Whether there is nothing to go back.
  type: bool
  returned: success
kind:
  description: V(rollback).
  type: str
  returned: success
  sample: rollback
snapshot:
  description: The C(run) whose changes are taken back, and the C(name) of its snapshot.
  type: dict
  returned: success
waves:
  description: Names of the nodes that change, wave by wave.
  type: list
  elements: list
  returned: success
  sample: [[gpu-1, gpu-2], [gpu-3]]
wave_sizes:
  description: Number of nodes in each wave.
  type: list
  elements: int
  returned: success
  sample: [2, 1]
wave_hosts:
  description: The same nodes in one list, each with its C(node) and its C(host) (the node's name if no host is known).
  type: list
  elements: dict
  returned: success
plan:
  description:
    - The whole plan, as its file has it, see M(kubegpu.sharing.sharing_plan).
    - C(rehearsal) tells for each wave where evicted pods could go and which budgets are in the way.
    - C(snapshot) is where it goes back to, C(reverts) the DaemonSets of others that get something back, C(skipped) the nodes
      that are left alone, with the reason.
  type: dict
  returned: success
dest:
  description: The file that was written.
  type: str
  returned: success
problems:
  description: Everything that is in the way.
  type: list
  elements: str
  returned: if the plan was refused
refused:
  description: The C(node) and the C(reason) for each node that would stay as it is, as C(skipped) of RV(plan) has it.
  type: list
  elements: dict
  returned: if the plan was refused
requests:
  description: Requests that were made to the API.
  returned: success
  type: dict
  sample: {get: 2, write: 0, review: 0, dry_run: 0, bytes: 8114}
"""

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import read_use
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.documents import read_document, write_document
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.rollback import load_past
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.scopes import read_facts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.options import plan_options, read_given
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.scope import read_hosts
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.obstacles import add_rehearsal
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.planner import RollbackRequest, build_rollback
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.result import to_result


def argument_spec() -> ArgumentSpec:
    """Options of the module."""
    options: dict[str, dict[str, Any]] = {
        **plan_options(),
        "facts_dir": {"type": "path"},
        "snapshot_run": {"type": "str", "default": ""},
        "nodes": {"type": "list", "elements": "str", "default": []},
        "hosts": {"type": "dict", "default": {}},
        "limited": {"type": "bool", "default": False},
        "lock_namespace": {"type": "str", "default": "kubegpu-system"},
    }
    return ArgumentSpec(options=options).merge(KUBE_AUTH_SPEC)


def run(params: Mapping[str, Any], api: KubeApi) -> Outcome:
    """Make the plan and write it to its file."""
    cluster = read_document(params["cluster_path"], "cluster")
    past, daemonsets = load_past(api, params["lock_namespace"], params["snapshot_run"])
    hosts = read_hosts(params["hosts"])
    nodes = [*params["nodes"], *((own or host for host, own in hosts.items()) if params["limited"] else ())]
    facts = read_facts(params["facts_dir"], set(past.nodes) & set(cluster["nodes"]))
    uses = {node: read_use(found) for node, found in facts.items()}
    request = RollbackRequest(past, cluster, daemonsets, nodes, hosts, uses=uses, facts=facts, **read_given(params))
    plan = add_rehearsal(build_rollback(request), cluster)
    if params["dest"]:
        write_document(params["dest"], plan, "plan")
    return to_result(plan, params["dest"], api.requests.to_dict())


def main() -> None:
    """Run as a module."""
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, KubeClient.from_module(module)))


if __name__ == "__main__":
    main()
