#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Bring MIG of a node's GPUs to what is wanted."""

from __future__ import annotations

DOCUMENTATION = r"""
module: mig_config
short_description: Lay out MIG instances on a node's GPUs with the least disturbance
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Brings MIG mode, GPU instances and compute instances to what is wanted, through NVML alone. Of all layouts that satisfy the
    wish, the one is made that keeps the most of what stands; every new instance is made at a place that was planned.
  - All is checked before the first destructive call. What is impossible is said in terms of places, with layouts that are not.
  - An instance in use is never destroyed, whether by a process or by a pod that the kubelet gave it to and that is idle. The
    message names pod and process.
  - Each GPU is looked at again right before its first step, because pods may have been given something of it meanwhile.
  - GPUs that are not named are never touched. No GPU is ever reset by this module.
  - If a step fails, the layout from before is put back at its places; where that fails too, the message says what stands and
    what is missing of it. A run that is killed is noted on the host, and the next one finishes it.
  - Nothing needs to be installed on the node. Where it has no C(pynvml), the control node's copy (package C(nvidia-ml-py)) is
    sent along.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.action
  - kubegpu.sharing.attributes.platform_linux
attributes:
  check_mode:
    support: full
    details:
      - Stops before the first write. What C(after) says is planned.
  diff_mode:
    support: full
  idempotent:
    support: full
    details:
      - While a GPU waits for a reset, every run sets its mode again, and reports a change.
options:
  state:
    description:
      - V(present) makes the instances that are asked for.
      - V(absent) destroys all instances of the GPUs in O(gpus) and switches their MIG mode off.
    type: str
    choices: [present, absent]
    default: present
  mig_devices:
    description:
      - MIG devices by profile, or a list of profiles, for every GPU in O(gpus).
      - Or a list of entries with C(gpus) and C(devices), for GPUs that differ. C(gpus) is V(all), or one or a list of indices,
        UUIDs, PCI addresses or products.
    type: raw
  mig_parted_config:
    description:
      - A file on the control node that NVIDIA's mig-parted reads, unchanged, or its content.
    type: raw
  selected: {description: Name of the config in O(mig_parted_config)., type: str}
  layout:
    description:
      - A layout that was recorded, with the places of all instances, as RV(before) and RV(after) hold it.
    type: raw
  gpus:
    description:
      - The GPUs that a plain O(mig_devices), or O(state=absent), is for. V(all), or one or a list of indices, UUIDs, PCI
        addresses (C(0000:65:00.0)) or products (C(NVIDIA H20)).
    type: raw
    default: all
  enable:
    description: Whether MIG mode may be switched on where it is off. With V(never), that is refused.
    type: str
    choices: [when_needed, never]
    default: when_needed
  allocations:
    description:
      - Devices that pods were given. Left out, the kubelet's checkpoint is read, of which pods without a directory below
        C(pods) of O(kubelet_root) are gone.
    type: list
    elements: dict
    suboptions:
      pod_uid: {description: UID of the pod., type: str, required: true}
      device_ids: {description: Ids of the devices., type: list, elements: str, required: true}
  finished_pods:
    description:
      - UIDs of pods that the API knows as finished (phase C(Succeeded) or C(Failed)). What they were given does not count, though
        the kubelet keeps them until they are deleted. A process that runs on a MIG device counts all the same.
    type: list
    elements: str
    default: []
  pods:
    description: Namespace and name of pods by UID, such as C(ml/trainer-0), for messages.
    type: dict
    default: {}
  assume_idle:
    description: Plan as if nothing were in use, and list in RV(losses) what is. In check mode only, for a forecast.
    type: bool
    default: false
  run: {description: "The run that this is part of, noted on the host while the layout changes.", type: str, default: manual}
  lock_path:
    description: Lock of the host. It has to be the same file for all runs.
    type: path
    default: /run/lock/kubegpu-sharing.lock
  lock_wait_seconds: {description: How long to wait for another run that holds the lock., type: float, default: 0}
  state_dir:
    description:
      - Directory on the node for C(layout.json), the layout to restore at boot, and C(change.json), a change that is not
        finished.
    type: path
    default: /var/lib/kubegpu-sharing/mig
  ready_path:
    description:
      - File on the node that is there as long as the layout stands that was asked for, on all GPUs of which one is recorded. It
        has to be on a file system that a reboot empties, because MIG instances do not survive one.
    type: path
    default: /run/kubegpu-sharing/mig-ready
  nvml_library:
    description:
      - File on the node to use as C(libnvidia-ml.so.1), where the dynamic loader would find none or another one.
    type: path
  proc_root: {description: Where the node's procfs is mounted., type: path, default: /proc}
  kubelet_root: {description: "Root of the node's kubelet. While one runs that has another, nothing that stands goes.", type: path, default: /var/lib/kubelet}
  pynvml_path:
    description: File on the node to import as C(pynvml). Set by the action plugin when it has sent the control node's copy.
    type: path
requirements:
  - nvidia-ml-py >= 12.550.52, on the node or on the control node
seealso:
  - module: kubegpu.sharing.gpu_info
"""

EXAMPLES = r"""
- name: Make seven small instances on every GPU
  kubegpu.sharing.mig_config:
    mig_devices: {1g.12gb: 7}
  become: true

- name: Show what another layout would keep, once its pods are gone
  kubegpu.sharing.mig_config:
    mig_devices: {3g.48gb: 1, 1g.12gb: 4}
    assume_idle: true
  check_mode: true
  diff: true
  become: true

- name: Lay out two kinds of GPUs
  kubegpu.sharing.mig_config:
    mig_devices:
      - {gpus: NVIDIA A30, devices: {2g.12gb: 2}}
      - {gpus: ["0000:65:00.0"], devices: [3g.20gb, 3g.20gb]}
  become: true

- name: Use a file of mig-parted as it is
  kubegpu.sharing.mig_config:
    mig_parted_config: mig-configs.yaml
    selected: all-1g.12gb
  become: true

- name: Take MIG off GPU 1
  kubegpu.sharing.mig_config:
    state: absent
    gpus: 1
  become: true
"""

RETURN = r"""
before:
  description: The layout of the GPUs that are named, as it stood, in the form of O(layout).
  type: dict
  returned: success
after:
  description: The layout as it was read back; in check mode as it is planned.
  type: dict
  returned: success
kept:
  description: GPU instances that stay, each with RV(ignore:gpu) (a UUID), profile, start, size and compute (slices).
  type: list
  elements: dict
  returned: success
destroyed:
  description: GPU instances that go, in the same form.
  type: list
  elements: dict
  returned: success
created: {description: "GPU instances that come, in the same form.", type: list, elements: dict, returned: success}
gpus:
  description: The plan of each GPU that is named, with its steps in order.
  type: list
  elements: dict
  returned: success, or if instances in use would go
losses:
  description: Devices in use that go, each with the GPU's UUID and its holders. Empty unless O(assume_idle) or on refusal.
  type: list
  elements: dict
  returned: success, or if instances in use would go
reset_required:
  description:
    - UUIDs of GPUs whose mode waits for a reset. Their instances are made when the module runs again after it.
  type: list
  elements: str
  returned: success
reboot_required:
  description:
    - A reset cannot help, because the GPU was passed through to this virtual machine, or because one was asked for by the run
      before and the mode still waits.
  type: bool
  returned: success
not_ready:
  description:
    - Why O(ready_path) is not there though what was asked for stands, and what to do. Other GPUs of this host have a recorded
      layout, and do not stand as recorded, or do not answer. The same is warned of.
  type: list
  elements: str
  returned: success
interrupted:
  description: The change of a run that was killed, which this run has finished; with its run, pid, since, before and wanted.
  type: dict
  returned: success
restored:
  description: After a failure, whether the layout from before stands again.
  type: bool
  returned: success, or if a step failed
stands:
  description: What stands now on each GPU whose layout could not be put back.
  type: list
  elements: str
  returned: if a step failed and the layout from before could not be put back
"""

from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import NvmlUnavailableError
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_config import configure
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import MigRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml

_ACCESS = ("nvml_library", "proc_root", "kubelet_root", "pynvml_path")


def argument_spec() -> ArgumentSpec:
    allocation = {
        "pod_uid": {"type": "str", "required": True},
        "device_ids": {"type": "list", "elements": "str", "required": True},
    }
    return ArgumentSpec(
        options={
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "mig_devices": {"type": "raw"},
            "mig_parted_config": {"type": "raw"},
            "selected": {"type": "str"},
            "layout": {"type": "raw"},
            "gpus": {"type": "raw", "default": "all"},
            "enable": {"type": "str", "choices": ["when_needed", "never"], "default": "when_needed"},
            "allocations": {"type": "list", "elements": "dict", "options": allocation},
            "finished_pods": {"type": "list", "elements": "str", "default": []},
            "pods": {"type": "dict", "default": {}},
            "assume_idle": {"type": "bool", "default": False},
            "run": {"type": "str", "default": "manual"},
            "lock_path": {"type": "path", "default": "/run/lock/kubegpu-sharing.lock"},
            "lock_wait_seconds": {"type": "float", "default": 0},
            "state_dir": {"type": "path", "default": "/var/lib/kubegpu-sharing/mig"},
            "ready_path": {"type": "path", "default": "/run/kubegpu-sharing/mig-ready"},
            "nvml_library": {"type": "path"},
            "proc_root": {"type": "path", "default": "/proc"},
            "kubelet_root": {"type": "path", "default": "/var/lib/kubelet"},
            "pynvml_path": {"type": "path"},
        },
    )


def run(params: dict[str, Any], check_mode: bool) -> Outcome:
    options = {name: value for name, value in params.items() if name not in _ACCESS}
    request = MigRequest(check_mode=check_mode, **options)
    request.check()
    files = NodeFiles(params["proc_root"], params["kubelet_root"])
    try:
        with open_nvml(params["nvml_library"] or None, params["pynvml_path"] or None, files) as nvml:
            result = configure(request, nvml, files)
    except NvmlUnavailableError as unavailable:
        raise KubeGpuError(f"{unavailable.reason} Nothing was changed.", reason_code=unavailable.code) from unavailable
    diff = result.pop("diff")
    facts = {name: value for name, value in result.items() if name not in ("changed", "actions")}
    return Outcome(tuple(result["actions"]), diff["before"], diff["after"], facts)


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params, module.check_mode))


if __name__ == "__main__":
    main()
