#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Show a cluster, a plan or a rollout; documentation of the action plugin."""

from __future__ import annotations

DOCUMENTATION = r"""
module: report
short_description: Show a GPU cluster, a sharing plan or what came of a rollout, as tables and as a page
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads files that other modules of the collection have written, prints tables, and for O(view=summary) and O(view=measurement) writes C(report.json)
    for programs and C(report.html) for people.
  - Runs on the control node alone. Neither the cluster nor a node is asked for anything.
  - The page is a single file without scripts, and refers to nothing outside of it.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.action
attributes:
  check_mode:
    support: full
    details:
      - The tables are printed in check mode too; C(report.json) and C(report.html) are not written.
  diff_mode:
    support: none
  idempotent:
    support: full
    details:
      - C(report.json) and C(report.html) are written only if anything but the time of the report has changed.
  platform:
    description: Systems on which the module runs.
    support: full
    platforms: posix
options:
  view:
    description:
      - V(inspection) shows GPU nodes, device plugins and their risks, slots and pending GPU pods.
      - V(plan) shows how each GPU is to be shared with the arithmetic, what changes and who is disturbed.
      - V(check) says what a run in earnest would do, wave by wave, for the end of one in check mode.
      - V(verification) compares every node with the plan.
      - V(summary) shows the cluster before and after a rollout, and writes the files below O(dest_dir).
      - V(stop) says why a rollout stops, and what to do next, of what it has written into O(outcome_path).
      - V(measurement) shows who uses how much GPU memory, which sizes follow from it and what they would change, and writes the files
        below O(dest_dir).
    type: str
    choices: [inspection, plan, check, verification, summary, stop, measurement]
    required: true
  cluster_path:
    description: File that M(kubegpu.sharing.gpu_resources_info) wrote, before the rollout if there was one. Needed for V(inspection) and V(summary).
    type: path
  cluster_after_path:
    description: The same, after the rollout. Needed for V(verification) and V(summary).
    type: path
  facts_dir:
    description:
      - Directory of the files that M(kubegpu.sharing.gpu_info) wrote, for V(inspection), where what a node's file does not tell is taken
        from its labels, and for V(summary), where they are who held the memory of each card before the rollout.
    type: path
  facts_after_dir:
    description: The same, as they were read after the rollout, for V(summary). A host that is in one of both only is drawn with that.
    type: path
  plan_path:
    description: File that M(kubegpu.sharing.sharing_plan) wrote. Needed for all views but V(inspection) and V(measurement), where it is the plan of the
      configuration as it is.
    type: path
  plan_proposed_path:
    description: The same, made with the proposed sizes, for V(measurement). Without it nothing is said of what they would change.
    type: path
  proposal_path:
    description: File that M(kubegpu.sharing.sizing_proposal) wrote. Needed for V(measurement).
    type: path
  fragment_path:
    description: File with the proposal as YAML, to be named at the end of V(measurement).
    type: path
  measurements_dir:
    description:
      - Directory of measurements, as C(ID/HOST.json), that V(measurement) draws from. Without it there are tables only.
    type: path
  measurement_ids:
    description: The runs of O(measurements_dir) to draw. All of them if empty.
    type: list
    elements: str
    default: []
  approved_id:
    description: Identity of a plan that was seen and approved. Of this plan V(plan) shows the headline alone.
    type: str
    default: ""
  left_of:
    description:
      - Identity of the approved plan of which the one at hand is what is left, so that V(plan), V(check) and V(verification) bear the
        identity that people know.
    type: str
    default: ""
  next_playbook:
    description:
      - A playbook of this collection, such as V(rollout), that carries the plan out. V(plan) and V(check) end with the command for it, made
        from the one at hand; values of variables whose names do not begin with C(kubegpu_) are left out of it.
    type: str
    default: ""
  notes:
    description: Sentences to show at the end, above the command that comes next.
    type: list
    elements: str
    default: []
  journal_path:
    description: Journal of the rollout, for the timeline of V(summary). One that does not exist is an empty one.
    type: path
  outcome_path:
    description:
      - File that the role P(kubegpu.sharing.rollout#role) writes at the end of a rollout, for V(stop), and for V(summary), which leads with how
        it ended. For V(summary) one that does not exist means that the rollout did not come to its end; without the option, the
        journal alone tells of nodes that failed.
    type: path
  dest_dir:
    description: Directory on the control node that gets C(report.json) and C(report.html). Needed for V(summary) and V(measurement); it is created if
      it does not exist.
    type: path
  extra:
    description:
      - Keys to put into C(report.json) beside, or in place of, its own; for example C(second_run_writes).
      - C(cluster), the name of the cluster, also is in the page's head.
    type: dict
    default: {}
  max_rows:
    description: Rows of a table, and entries of a list, that are shown at most. What is left out is counted. C(report.json) has all of them.
    type: int
    default: 50
requirements:
  - tabulate
seealso:
  - module: kubegpu.sharing.gpu_info
notes:
  - Text is at most 120 columns wide, and as wide as the terminal if that has fewer (but at least 80).
"""

EXAMPLES = r"""
- name: Show what is there
  kubegpu.sharing.report:
    view: inspection
    cluster_path: /var/tmp/kubegpu/cluster.json
    facts_dir: /var/tmp/kubegpu/facts

- name: Show the plan
  kubegpu.sharing.report:
    view: plan
    plan_path: /var/tmp/kubegpu/plan.json

- name: Write the report of a rollout
  kubegpu.sharing.report:
    view: summary
    plan_path: /var/tmp/kubegpu/plan.json
    cluster_path: /var/tmp/kubegpu/cluster.json
    cluster_after_path: /var/tmp/kubegpu/cluster_after.json
    journal_path: /var/tmp/kubegpu/journal.jsonl
    dest_dir: /var/tmp/kubegpu/report
    facts_dir: /var/tmp/kubegpu/facts
    facts_after_dir: /var/tmp/kubegpu/facts_after
    extra:
      cluster: production

- name: Show what was measured, and what the sizes that follow from it would change
  kubegpu.sharing.report:
    view: measurement
    proposal_path: /var/tmp/kubegpu/proposal.json
    plan_path: /var/tmp/kubegpu/plan.json
    plan_proposed_path: /var/tmp/kubegpu/plan_proposed.json
    cluster_path: /var/tmp/kubegpu/cluster.json
    measurements_dir: /var/tmp/kubegpu/measurements
    dest_dir: /var/tmp/kubegpu/measured
"""

RETURN = r"""
text:
  description: What was printed.
  type: str
  returned: success
paths:
  description: Files of the report by kind, V(json) and V(html). Empty for other views than V(summary) and V(measurement).
  type: dict
  returned: success
  sample: {json: /var/tmp/kubegpu/report/report.json, html: /var/tmp/kubegpu/report/report.html}
report:
  description:
    - Content of C(report.json).
    - Of O(view=measurement) it has C(kind) V(measurement_report), C(samplings), what the proposal has, C(slots_now), C(slots_configured) and
      C(slots_proposed) (null if they are not known), C(nodes), C(cards) as below, with the state of each card when it was fullest, now and
      with the proposed slots, and C(courses), the memory over time of the cards that were fullest.
  type: dict
  returned: O(view=summary) or O(view=measurement)
  contains:
    schema_version: {description: Version of this structure., type: int, sample: 1}
    created: {description: Time of the report., type: str}
    plan_id: {description: The plan that was rolled out., type: str}
    slots_before:
      description:
        - Allocatable of the GPU plugin's resources (C(nvidia.com/gpu), C(nvidia.com/gpu.shared), C(nvidia.com/mig-*)), summed over
          resources and nodes.
      type: int
      sample: 2
    slots_after: {description: The same after the rollout., type: int, sample: 11}
    pending_before: {description: "Pods that ask for GPUs and had no node.", type: int}
    pending_after: {description: The same after the rollout., type: int}
    evicted_pods: {description: "Pods that the rollout evicted by its journal, or a kubelet meanwhile.", type: int}
    admission_errors: {description: "Pods that a kubelet refused to admit, as far as they were not there before.", type: int}
    pods_restarted:
      description:
        - Pods on GPU nodes that ran before and of which a container restarted, or that failed, or that are gone though their
          controller did not replace them by pods of a newer template. Pods of device plugins do not count.
      type: int
    second_run_writes: {description: "Writes to the API in a second run; null unless O(extra) has it.", type: int}
    duration_seconds:
      description: Seconds from the journal's first entry of a node's state to the last change of one; null without journal.
      type: float
    watch_seconds: {description: The longest watch over a node after its return into service; null if none was watched., type: float}
    outcome:
      description:
        - How the rollout ended, V(finished), V(failed) or V(interrupted); null if that is not known. C(as_planned) tells of the cluster
          alone, which is as planned too where pods crash on its slots.
      type: str
    failures: {description: "Why a node failed, by node.", type: dict, sample: {gpu-1: "allocatable nvidia.com/gpu is 0 after 300 s, expected 8"}}
    stop:
      description: C(headline), C(hints) at the cause and C(next) (C(words), C(commands)) of a rollout that did not come to its end; else null.
      type: dict
    as_planned:
      description:
        - Whether every node of the plan is as planned; false if the plan has no node. Nodes that a person holds out of service count as
          planned if nothing else differs.
      type: bool
    runtimes:
      description: Container runtimes that the rollout has set up; C(restarted) are the units that were restarted for it.
      type: list
      elements: dict
      sample: [{node: gpu-1, runtime: containerd 1.6.20, restarted: [containerd.service]}]
    resumed_from: {description: "The rollout that this one went on with, as the plan or O(extra) tells; null if there is none.", type: str}
    nodes:
      description:
        - "By node: C(product), C(gpu_count), C(key), C(sharing), C(replicas), C(memory_total_mib), C(process_memory_mib), C(slot_mib),
          C(headroom_mib), C(utilization), C(arithmetic), C(changed), C(resources_before), C(resources_after) (allocatable by
          resource, without zeros), C(expected_resources), C(mig_devices), C(mig_layouts) (places of MIG devices, for each way in
          which GPUs are cut), C(by_resource) (the same figures for each kind of MIG device), C(differences), C(held) (why a person keeps the node out of
          service; null if nobody does) and C(seconds_out_of_service)."
      type: dict
    held:
      description:
        - "Nodes that a person holds by the annotation kubegpu.sharing/hold, in the plan or left alone by it: C(node), C(why), C(out) (of
          service), C(since) and C(run) (since when, and by which run, empty if by none)."
      type: list
      elements: dict
    other_gpu_nodes: {description: GPU nodes that the plan leaves alone., type: list, elements: str}
    cards:
      description:
        - "Who holds the memory of each card of nodes that changed (of all, if none did), as far as it was read: C(node), C(gpu), C(uuid),
          C(product), C(memory_total_mib), C(before) and C(after) (null if not read), each with C(used_mib), C(reserved_mib) and
          C(devices), the card itself or its MIG devices: C(profile), C(start_mib), C(memory_total_mib), C(slots), C(slot_mib),
          C(ceiling_mib) and C(users), each with C(kind) (V(pod), V(outside) of pods, or V(unknown)), C(namespace), C(name), C(workload) and C(mib)
          (null if NVML does not tell it)."
        - With more than 100 cards the result of the task has none of them, and the file all.
      type: list
      elements: dict
    pods: {description: "The pods behind the figures above, and those that still run on device ids from before (C(stale)).", type: dict}
    timeline:
      description: "States of each node, C(begin) and C(end) in seconds since C(start); null without journal."
      type: dict
"""
