#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan how the GPUs of a cluster are shared. The work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sharing_plan
short_description: Plan how the GPUs of a cluster are shared
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Decides from measured memory, the facts of the nodes and the state of the cluster how each GPU is shared, which nodes
    change, in which order, and what that does to the pods that run.
  - Refuses what cannot be right, with all problems at once, each with its place, the value and the cure.
  - A plan for no node at all is refused too, if there are GPU nodes that could have been planned.
  - The same input gives the same plan, and planning on the result of a plan gives an empty one.
  - Runs on the control node alone, reads files and writes one. Reaches neither a host nor the cluster.
extends_documentation_fragment:
  - kubegpu.sharing.planning
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.action
attributes:
  action:
    details:
      - The action plugin does all the work.
options:
  configs:
    description:
      - Configs by key. The key becomes the node label C(nvidia.com/device-plugin.config), so it must be a label's value.
      - C(match) says for which GPUs it is, either C(product), the model's name (case, C(-) for a space and the suffixes of GPU
        Feature Discovery do not count), or C(query), a JMESPath query over C(product), C(architecture),
        C(compute_capability), C(memory_total_mib), C(memory_reserved_mib), C(compute_mode) and C(mig) that yields true or
        false. Only the default config may be without.
      - C(sharing) is V(none) (the default) or V(time_slicing).
      - C(process_memory_mib) is what one process was measured to use. Replicas are computed from it. Or C(replicas) states them.
        Both may be mappings by resource name.
      - C(rename) calls the resource C(nvidia.com/gpu.shared). C(fail_requests_greater_than_one) (true) refuses pods that ask
        for more than one slot.
      - C(plugin_flags) is handed to the device plugin, in the shape of C(flags) in its config file.
      - C(mig) lays out MIG devices, or switches MIG off. Its C(strategy) is V(mixed) (the default; every profile is a resource of
        its own, such as C(nvidia.com/mig-1g.12gb)), V(single) (all MIG devices of a node are alike and go by C(nvidia.com/gpu)) or
        V(none). Its C(devices) are counts by profile for every GPU, or a list of C(gpus) (V(all), indices, UUIDs, PCI addresses or
        products) and C(devices). GPUs that such a list does not name stay whole. With C(sharing) the MIG devices are shared.
        It takes facts that NVML read on the node.
      - C(mps) is a known word of C(sharing), and not supported yet.
    type: raw
    required: true
  default_config:
    description: Key of the config for GPUs that no other config matches. Empty, they are left alone.
    type: raw
  sizing:
    description:
      - Margins of the arithmetic. C(max_memory_utilization) is the part of a card's memory that is planned for (0.9),
        C(min_headroom_mib) the MiB that stay free in each slot at least (0).
      - Replicas are floor(max_memory_utilization x total / process), and at most floor(total / (process + min_headroom)).
    type: raw
  device_plugin:
    description:
      - How the device plugin is deployed. Any of C(backend) (C(daemonset_per_key)), C(namespace) (C(kubegpu-system)),
        C(image) (repository without tag), C(version), C(priority_class), C(runtime_class), C(image_pull_secrets),
        C(tolerations) and C(node_selector) (both besides the collection's own), C(resources), C(privileged) and
        C(kubelet_root).
    type: raw
  facts_dir:
    description: Directory in which M(kubegpu.sharing.gpu_info) has written a file for each host.
    type: path
  facts:
    description:
      - Where facts about GPUs come from. With V(auto), from the host where it was read, else from the labels of GPU Feature
        Discovery. V(nodes) takes hosts alone, V(labels) labels alone.
      - Which one it was is part of the plan, with how sure it is. A GPU node with neither is listed and left alone.
    type: str
    choices: [auto, nodes, labels]
    default: auto
  hosts:
    description:
      - Kubernetes node by host, of the hosts that take part. An empty value means the host's own name.
      - Or a list of hosts, whose nodes O(node_name_variable) names.
    type: raw
    default: {}
  node_name_variable:
    description:
      - Inventory variable with the name of a host's node, for O(hosts) as a list. A host without it bears its node's name.
      - With O(facts=labels) and O(limited=false) it is read only for hosts whose own name is no node.
    type: str
    default: kubegpu_node_name
  limited:
    description:
      - Whether only the nodes of O(hosts) are planned. Otherwise all GPU nodes of the cluster are.
      - All nodes count for the arithmetic in any case, since a config has one number of replicas. A limit is refused if it hides
        the cards of GPU nodes, and a config that computes replicas matches by query or is the default, so that the number might
        be another without the limit.
    type: bool
    default: false
  accept_live_memory:
    description:
      - Nodes whose running processes may exceed the planned slots. Name a node after a look at it.
      - A list written as text (V(["gpu-1", "gpu-2"])) is taken as well.
    type: list
    elements: str
    default: []
  measurements_dir:
    description:
      - Directory on the control node with measurements, one folder each, as M(kubegpu.sharing.gpu_usage) collects them.
      - A pod that runs counts with the most that it was measured to use in the last five of its host, where that is more than it uses
        at the moment. A directory that does not exist has none; a measurement that cannot be read is warned of.
    type: path
  mig_ignore_holders:
    description:
      - What may keep the NVIDIA driver open on a node while its MIG devices change, as DaemonSets (C(namespace/name)), systemd units or
        commands. It is left as it is.
    type: list
    elements: str
    default: []
  mig_host_services:
    description: Systemd units that are stopped on a host while its MIG devices change, and started again.
    type: list
    elements: str
    default: [nvidia-persistenced, nvidia-dcgm, dcgm, nvsm, nvsm-core, nvsm-api-gateway]
  runtime_dir:
    description:
      - Directory in which M(kubegpu.sharing.container_runtime) has written, in check mode, a file for each host, with what is to be
        done about its container runtime.
      - A node whose runtime is not as wanted is one that changes, whatever its sharing. Problems of a host refuse the plan, and so
        does a host that was read and whose runtime was not.
      - Without it, container runtimes are left alone.
    type: path
  runtime_disruption:
    description:
      - Which pods leave a node before its container runtime is restarted. V(all) but those of DaemonSets, static pods and finished
        ones, V(gpu_pods), or V(none).
      - Docker without live-restore takes V(all), as its restart ends every container.
    type: str
    choices: [all, gpu_pods, none]
    default: all
  proposal_path:
    description:
      - File that M(kubegpu.sharing.sizing_proposal) has written. The plan shows what would be if its C(process_memory_mib) stood in
        O(configs), for configs that share by that number or lack one. Configs that state C(replicas) stay as they are. One that lacks a
        number and for which nothing is proposed is planned as not shared.
      - RV(plan) then has C(proposal), with what was C(applied) by key and what was C(told) instead. It is there to be looked at. A rollout
        takes its configs from the variables.
    type: path
  dest:
    description:
      - File to which the plan is written, for the steps of a rollout to obey. Its directory is created if it does not exist.
      - With more than 100 nodes RV(plan) leaves out what stands in the file alone, C(nodes), and C(objects) and C(nodes) of
        C(configs), and C(waves) of C(rehearsal).
    type: path
requirements:
  - jmespath, on the control node, for configs that match by query
notes:
  - What belongs to a plan is decided by RV(plan_id), a hash over its decisions. Pods, usage, warnings and times do not change it.
seealso:
  - module: kubegpu.sharing.gpu_info
  - module: kubegpu.sharing.gpu_resources_info
  - module: kubegpu.sharing.sizing_proposal
  - module: kubegpu.sharing.container_runtime
"""

EXAMPLES = r"""
- name: Plan how two models are shared
  kubegpu.sharing.sharing_plan:
    configs:
      l20:
        match: {product: NVIDIA L20}
        sharing: time_slicing
        process_memory_mib: 4621
      t4:
        match: {product: Tesla T4}
        sharing: time_slicing
        process_memory_mib: 4401
    cluster_path: /var/tmp/kubegpu/cluster.json
    facts_dir: /var/tmp/kubegpu/facts
    hosts: {gpu-1: "", gpu-2: ip-10-0-0-2.internal}
    dest: /var/tmp/kubegpu/plan.json
  register: planned

- name: Show the arithmetic and the order
  ansible.builtin.debug:
    msg: "{{ planned.plan.configs.l20.sizing.arithmetic }}, waves {{ planned.waves }}"

- name: Plan from labels alone, every card with much memory in eight, the rest whole
  kubegpu.sharing.sharing_plan:
    configs:
      large:
        match: {query: "memory_total_mib > `40000`"}
        sharing: time_slicing
        replicas: 8
        rename: true
      whole: {}
    default_config: whole
    facts: labels
    cluster_path: /var/tmp/kubegpu/cluster.json
    wave: 10
    max_unavailable: 20%
"""

RETURN = r"""
plan_id:
  description: Hash over the plan's decisions, 16 hexadecimal digits.
  type: str
  returned: success
  sample: 4905c9714470339a
empty:
  description: Whether every node is as planned already.
  type: bool
  returned: success
waves:
  description:
    - Names of the nodes that change, wave by wave. The first waves have one node of each config.
    - No wave has two servers of k3s or RKE2 whose container runtime is restarted.
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
mig_differences:
  description: How GPUs differ from the MIG devices that they are to have, in words, each with its node.
  type: list
  elements: str
  returned: success
mig_nodes:
  description: Names of the nodes that change and whose config has C(mig).
  type: list
  elements: str
  returned: success
runtime_differences:
  description: How container runtimes are not set up as wanted, in words, each with its node.
  type: list
  elements: str
  returned: success
runtime_nodes:
  description: Names of the nodes that change and whose container runtime is set up.
  type: list
  elements: str
  returned: success
plan:
  description:
    - The whole plan, as its file has it.
    - C(nodes) has for each node C(key), C(product), C(gpu_count), C(facts) and C(confidence), C(sharing), C(replicas), C(sizing)
      (with C(arithmetic), C(slot_mib), C(headroom_mib), C(utilization)), C(slots_before), C(slots_after), C(from), C(to),
      C(expected_resources), C(changed) and C(reasons), C(disruption), C(release), C(ids_change), C(evict) (C(scope), C(devices),
      C(fit) and the C(pods) to expect), C(stale_pods), C(recreate) and C(was_unschedulable).
    - A node whose config has C(mig) also has C(mig_devices) (by resource) and C(mig). This has C(strategy), C(changes), C(differences), C(request) (the
      options for M(kubegpu.sharing.mig_config)), C(gpus) (each with what is kept, destroyed and created, and who loses a device),
      C(before) and C(after) (exact layouts), C(lost_devices), C(reset) and C(reset_coupled), and C(holders) of the driver.
    - A node whose container runtime is set up has C(runtime), with C(engine), C(version), C(restart), C(actions), C(units),
      C(digest) (what the host is held to), C(disruption), C(server) (no two of these share a wave), C(live_loss) and C(differences).
    - C(rehearsal) tells for each of the C(waves) which pods are evicted and whether they have somewhere to go (C(evictions);
      where pods go that ask for no GPU is not reckoned),
      C(blocking_budgets), and how many slots are missing meanwhile (C(slots_missing_at_worst)) and afterwards
      (C(slots_missing)), then the C(worst) wave and a C(summary) in words. It reckons with GPU resources, node selectors,
      required node affinity and taints, and with nothing else that the scheduler looks at. It is no part of RV(plan_id).
    - C(configs) has for each key C(revision), C(replicas), C(config_file), C(objects), C(nodes) and C(sizing).
    - C(releases) are the device plugins of others that leave nodes, C(skipped) the nodes that are left alone, with the reason.
    - C(totals), C(compatibility) and C(warnings) are for people. C(totals.left_alone) counts nodes in C(skipped) that bear a
      config, or that a run left out of service.
  type: dict
  returned: success
dest:
  description: The file that was written.
  type: str
  returned: success
problems:
  description: Everything that is wrong with the input.
  type: list
  elements: str
  returned: if the plan was refused
"""
