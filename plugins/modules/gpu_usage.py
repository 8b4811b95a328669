#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Sample who uses how much GPU memory on a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_usage
short_description: Sample for a while who uses how much memory of the NVIDIA GPUs of a node
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Samples every GPU through NVML at an interval, relates each process to its container by its cgroup, and returns peak, mean and
    95th percentile of the memory of every container on every GPU or MIG device, and of the GPU as a whole.
  - Memory that NVML does not tell (in WSL, on vGPU guests, under confidential computing) is said to be untold and never
    counted as 0.
  - One process without children, whose memory does not grow with time. It creates no context on a GPU, but holds NVML open, and
    while it does, the driver cannot be unloaded. It lets go within a second when O(lock_path) is taken, as the MIG mode could not be
    changed meanwhile, and goes on half a minute after that is free again.
  - What was seen is kept in a file on the node every 10 seconds (with hundreds of processes up to 60) and at the end. Started with
    C(async) and C(poll=0) it goes on whatever happens to the control node, and O(state=collected) returns it at any time, also
    from a sampling that runs or was interrupted. Give C(async) two minutes more than O(duration_seconds).
  - Succeeds on a node without a GPU, without a driver, or with one that does not work, at once, and says in
    RV(measurement.reason) what was seen and what to do.
  - Needs nothing installed on the node. Where it has no C(pynvml), or one too old, the control node's copy (package
    C(nvidia-ml-py)) is sent along; with C(async) it is always sent.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.action
  - kubegpu.sharing.attributes.platform_linux
  - kubegpu.sharing.node
attributes:
  check_mode:
    support: full
    details:
      - With O(state=sampled) one sample is taken and returned, and no file is written.
  diff_mode:
    support: N/A
    details:
      - The files are this module's own, and nothing that a node is configured by.
  idempotent:
    support: partial
    details:
      - Only O(state=absent) reports a change. The file that O(state=sampled) writes is its own, and each sampling is another one.
options:
  state:
    description:
      - V(sampled) samples now, for O(duration_seconds).
      - V(collected) returns what the files on the node say, and which samplings still run. It never waits.
      - V(absent) removes the files of O(ids). Those of a sampling that runs are left alone.
    type: str
    choices: [sampled, collected, absent]
    default: sampled
  id:
    description:
      - Id of the sampling, a part of its file's name. Made from the time if it is not given.
      - Only with O(state=sampled).
    type: str
  ids:
    description:
      - Ids of the samplings to collect or to remove. All that are there are collected if it is not given.
      - Required with O(state=absent).
    type: list
    elements: str
  brief:
    description: With O(state=collected), return RV(runs) alone, without what was measured.
    type: bool
    default: false
  duration_seconds:
    description: Time from the first sample to the last. With V(0) there is one sample.
    type: float
    default: 60
  interval_seconds:
    description: Time from one sample to the next, at least V(0.1).
    type: float
    default: 1
  path:
    description:
      - Directory on the node for the files. It is made for this user alone if it does not exist.
      - Where it cannot be written to, the sampling goes on in memory and says so in its notes.
    type: path
    default: /var/lib/kubegpu-sharing/measurements
  lock_path:
    description: Lock file on the node that M(kubegpu.sharing.mig_config) takes.
    type: path
    default: /run/lock/kubegpu-sharing.lock
  measurements_dir:
    description:
      - Directory on the control node. With O(state=collected), but not in check mode, what runs no more is written to
        C(<id>/<inventory_hostname>.json) in it, unless that has more samples, and RV(measurements) is empty.
    type: path
  node_name:
    description: Name of the Kubernetes node that this host is, noted in these files. Defaults to the host's name in the inventory.
    type: str
requirements:
  - nvidia-ml-py >= 12.550.52, on the node or on the control node
"""

EXAMPLES = r"""
- name: Sample for a minute who uses how much memory
  kubegpu.sharing.gpu_usage:
  register: usage
  become: true

- name: Show the peak of each container
  ansible.builtin.debug:
    msg: "{{ item.namespace }}/{{ item.pod }} {{ item.container }}: {{ item.memory_mib.peak }} MiB"
  loop: "{{ usage.measurement.users | rejectattr('memory_mib', 'none') | selectattr('pod') }}"

- name: Start an hour of sampling, which goes on if the connection is lost
  kubegpu.sharing.gpu_usage:
    id: before-the-sale
    duration_seconds: 3600
  async: 3720
  poll: 0
  become: true

- name: Look how far it is
  kubegpu.sharing.gpu_usage:
    state: collected
    ids: [before-the-sale]
    brief: true
  register: progress
  become: true

- name: Keep on the control node what the node has measured
  kubegpu.sharing.gpu_usage:
    state: collected
    measurements_dir: /var/tmp/kubegpu/measurements
  register: collected
  become: true

- name: Remove it from the node
  kubegpu.sharing.gpu_usage:
    state: absent
    ids: "{{ collected.removable }}"
  become: true
"""

RETURN = r"""
id:
  description: Id of the sampling.
  type: str
  returned: with O(state=sampled)
path:
  description: File on the node that has the measurement, null if none was written.
  type: str
  returned: with O(state=sampled)
measurement:
  description: What was seen. Sizes in MiB, times in seconds, offsets from the first sample.
  type: dict
  returned: with O(state=sampled)
  contains:
    nvml_available: {description: "Whether NVML works on the node and knows at least one GPU.", type: bool}
    reason: {description: "Why it does not, in a sentence that says what was seen and what to do; else null.", type: str}
    started: {description: "When the first sample was taken.", type: str, sample: "2026-03-01T12:00:00Z"}
    duration_seconds: {description: "How long it took, by a clock that nobody sets.", type: float, sample: 60.0}
    complete: {description: "Whether it lasted as long as it was to.", type: bool}
    samples: {description: "How many there are.", type: int, sample: 61}
    missed: {description: "Samples that were due and could not be taken.", type: int}
    notes: {description: "What could not be told, in sentences.", type: list, elements: str}
    gpus:
      description: GPUs in NVML's order, each with uuid, product, memory and utilization (peak, mean, 95th percentile), least free
        memory, MIG devices, and the highest memory over time.
      type: list
      elements: dict
    users:
      description: Who used them, a container or a program of the host on a GPU or MIG device each.
      type: list
      elements: dict
      contains:
        gpu: {description: "UUID of the GPU.", type: str}
        mig_device: {description: "UUID of the MIG device, null without MIG.", type: str}
        pod_uid: {description: "UID of the pod, null outside of pods.", type: str}
        container_id: {description: "Id of the container at its runtime.", type: str}
        command: {description: "Name of the largest process's program.", type: str}
        namespace: {description: "Namespace of the pod, as the node knows it; null if it does not.", type: str}
        pod: {description: "Name of the pod, likewise.", type: str}
        container: {description: "Name of the container, likewise.", type: str}
        slots: {description: "Devices on this GPU that the kubelet gave the container; null if not known.", type: int}
        runtime_unknown: {description: "Whether its cgroup is one of Kubernetes in an unknown spelling.", type: bool}
        memory_mib: {description: "Peak, mean, p95 of its processes together; null if NVML never told.", type: dict}
        process_memory_mib: {description: "The same of its largest process.", type: dict}
        untold: {description: "Samples in which NVML did not tell the memory of all of its processes.", type: int}
        processes: {description: "How many processes, peak and mean.", type: dict}
        restarted: {description: "How often its processes became others.", type: int}
        trend_mib_per_hour: {description: "How fast its memory grows; null if that cannot be told yet.", type: float}
runs:
  description: Samplings there are on the node, by id.
  type: list
  elements: dict
  returned: with O(state=collected)
  contains:
    id: {description: "Its id.", type: str}
    state:
      description:
        - V(running); V(complete); V(interrupted), its process ended before the time was over; V(unavailable), the node has no NVML
          that works; or V(unreadable).
      type: str
    running: {description: "Whether its process lives.", type: bool}
    samples: {description: "Samples that its file has.", type: int}
    duration_seconds: {description: "Time that its file covers.", type: float}
    reason: {description: "Why it is unavailable or unreadable, else null.", type: str}
running:
  description: Whether one of RV(runs) runs.
  type: bool
  returned: with O(state=collected)
measurements:
  description: What they saw so far, each as RV(measurement). Empty with O(brief=true).
  type: list
  elements: dict
  returned: with O(state=collected)
written: {description: "Ids of measurements that are there now.", type: list, elements: str, returned: "if O(measurements_dir) is given"}
removable:
  description: Those of them whose folder has a C(run.json), made by who began them, or that ended a day ago, so that nobody else comes for them.
  type: list
  elements: str
  returned: if O(measurements_dir) is given
refused: {description: "By id why one is not there.", type: dict, returned: "if O(measurements_dir) is given"}
missing:
  description: Those of O(ids) that the node knows nothing of.
  type: list
  elements: str
  returned: with O(state=collected)
removed:
  description: Ids whose files were removed.
  type: list
  elements: str
  returned: with O(state=absent)
kept:
  description: Ids that were left alone, because they run.
  type: list
  elements: str
  returned: with O(state=absent)
"""

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.host_lock import DEFAULT_PATH as LOCK_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.arguments import NODE_OPTIONS
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_file import DEFAULT_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.usage_states import run


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["sampled", "collected", "absent"], "default": "sampled"},
            "id": {"type": "str"},
            "ids": {"type": "list", "elements": "str"},
            "brief": {"type": "bool", "default": False},
            "duration_seconds": {"type": "float", "default": 60},
            "interval_seconds": {"type": "float", "default": 1},
            "path": {"type": "path", "default": DEFAULT_PATH},
            **NODE_OPTIONS,
            "lock_path": {"type": "path", "default": LOCK_PATH},
            # these two are the action plugin's
            "measurements_dir": {"type": "path"},
            "node_name": {"type": "str"},
        },
        required_if=[("state", "absent", ("ids",))],
    )


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
