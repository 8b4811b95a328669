#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Propose sizes from measurements. The work is done by the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: sizing_proposal
short_description: Propose how much GPU memory a process needs, from what was measured
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads what M(kubegpu.sharing.gpu_usage) has measured on the GPU nodes, finds out which workload each user is of, and proposes
    C(process_memory_mib) for every config, which is the highest peak over the workloads that ran under it, and the margin.
  - Every number says where it is from, such as the workload, pod, container, node and GPU that decided it, and how it was calculated.
  - Warns of what a measurement cannot show. These are short samplings, memory that grows, frameworks that take all memory by
    design, pods that never ran, and memory that NVML does not tell, which never counts as 0.
  - What runs outside of pods, or in pods without an allocation, is told beside, and never sized.
  - Changes no configuration. What is proposed is written as YAML for a person to review.
  - Runs on the control node alone, reads files and writes two. Reaches neither a host nor the cluster.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.action
attributes:
  check_mode:
    details:
      - This module changes nothing in the cluster. The files O(dest) and O(fragment_path) are written in check mode too.
  action:
    details:
      - The action plugin does all the work.
options:
  measurements_dir:
    description:
      - Directory with a directory for each run, named by its id, in which there is a file C(<host>.json) for each host.
      - Beside these, C(cluster_before.json) and C(cluster_after.json) of M(kubegpu.sharing.gpu_resources_info) name the pods of
        that run, which may be gone since. What C(run.json) and C(report.json) say is not used; any other JSON file there that is no
        measurement is an error, for to leave one out would make sizes smaller.
    type: path
    required: true
  ids:
    description: Runs to use. Empty, all that are there. Several runs count together.
    type: list
    elements: str
    default: []
  cluster_path:
    description: File that M(kubegpu.sharing.gpu_resources_info) has written, before the sampling.
    type: path
    required: true
  cluster_after_path:
    description: The same, written after the sampling. Pods that came or went meanwhile are known by it.
    type: path
  configs:
    description:
      - As in M(kubegpu.sharing.sharing_plan). Here, a config with C(sharing) may be without C(process_memory_mib) and C(replicas).
      - It may be empty. Then a config is proposed for each model of GPU that was in use.
    type: raw
    required: true
  default_config:
    description: Key of the config for GPUs that no other config matches.
    type: raw
  sizing:
    description: As in M(kubegpu.sharing.sharing_plan). Its C(max_memory_utilization) is the margin of a card as a whole.
    type: raw
  device_plugin:
    description: As in M(kubegpu.sharing.sharing_plan). Its version decides what may stand in a config.
    type: raw
  facts:
    description: Where facts about GPUs come from, as in M(kubegpu.sharing.sharing_plan).
    type: str
    choices: [auto, nodes, labels]
    default: auto
  facts_dir:
    description:
      - Directory in which M(kubegpu.sharing.gpu_info) has written a file for each host.
      - Of a node without, what the measurement and the labels tell of its GPUs is taken.
    type: path
  margin:
    description:
      - What is added to a peak, as a part of it, such as V(0.15). The result is rounded up to a MiB.
      - C(max_memory_utilization) leaves a part of each card free already, so that it is V(0.00) by default.
    type: str
    default: "0.00"
  min_seconds:
    description: A workload that was seen for less time is warned of.
    type: int
    default: 600
  growth_mib:
    description: A workload grows if its memory became more by at least that many MiB while it was seen, and by O(growth_percent).
    type: int
    default: 64
  growth_percent:
    description: Percentage of its peak that the memory of a workload has to become more to count as growing.
    type: int
    default: 5
  dest:
    description:
      - File to which the proposal is written. With more than 100 workloads, RV(proposal) leaves out its C(workloads), C(outside) and
        C(never_ran), which the file has.
    type: path
  fragment_path:
    description: File to which the YAML fragment is written.
    type: path
requirements:
  - jmespath, on the control node, for configs that match by query
seealso:
  - module: kubegpu.sharing.gpu_usage
  - module: kubegpu.sharing.gpu_resources_info
  - module: kubegpu.sharing.sharing_plan
"""

EXAMPLES = r"""
- name: Propose sizes from all measurements that there are
  kubegpu.sharing.sizing_proposal:
    measurements_dir: /var/tmp/kubegpu/measurements
    cluster_path: /var/tmp/kubegpu/cluster.json
    configs: "{{ kubegpu_sharing_configs }}"
  register: proposed

- name: Show what would change
  ansible.builtin.debug:
    msg: "{{ proposed.fragment }}"

- name: Propose sizes from one run, with 15 % on top of every peak
  kubegpu.sharing.sizing_proposal:
    measurements_dir: /var/tmp/kubegpu/measurements
    ids: [20260301-120000-a1b2c3]
    cluster_path: /var/tmp/kubegpu/cluster_before.json
    cluster_after_path: /var/tmp/kubegpu/cluster_after.json
    configs:
      l20: {match: {product: NVIDIA L20}, sharing: time_slicing}
    margin: "0.15"
    dest: /var/tmp/kubegpu/proposal.json
    fragment_path: /var/tmp/kubegpu/proposal.yml
"""

RETURN = r"""
proposal:
  description:
    - The whole proposal, as its file has it.
    - C(configs) has for each key C(process_memory_mib) (a number, or a mapping by resource; null if nothing can be said),
      C(current), C(changed), C(sharing), C(replicas_stated) and C(replicas), C(measured_peak_mib), C(margin), C(arithmetic),
      C(decided_by), C(workloads), C(samples), C(by_resource), C(confidence) (V(ok), V(short), V(idle) (its GPUs computed nothing),
      V(untold) or V(none)) and C(why).
    - C(workloads) has for each workload what its C(containers) used, and on which C(configs) and C(nodes).
    - C(outside) is what runs beside the pods that hold GPUs, C(never_ran) the pods that were not seen on a GPU, each with the reason.
    - C(warnings) have C(severity), C(code), C(object) and C(message).
    - C(measured_from), C(measured_to), C(seconds), C(hosts) and C(measurements) tell of the sampling.
  type: dict
  returned: success
changes:
  description: Keys of the configs whose C(process_memory_mib) would change.
  type: list
  elements: str
  returned: success
  sample: [l20]
fragment:
  description: What would change, as YAML with comments that say where the numbers are from.
  type: str
  returned: success
proposal_warnings:
  description: The messages of the proposal's warnings.
  type: list
  elements: str
  returned: success
dest:
  description: The file that was written.
  type: str
  returned: success
fragment_path:
  description: The file with the fragment.
  type: str
  returned: success
problems:
  description: Everything that is wrong with the input.
  type: list
  elements: str
  returned: if it was refused
"""
