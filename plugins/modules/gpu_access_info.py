#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Find running GPU containers of a node that may not open their GPUs any more."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_access_info
short_description: Find running GPU containers of a node that may not open their GPUs any more
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Tells of every container of a node's pods that has NVIDIA's device files whether the kernel still lets its processes open them.
  - >-
    On hosts where systemd keeps the cgroups of containers, a C(systemctl daemon-reload) can take the devices away from those that run. What they
    have open goes on working, and the next thing that opens a GPU fails with C(Failed to initialize NVML: Unknown Error). Nothing shows that
    before, and only a new pod gets them back. Look before and after whatever reloads systemd or restarts a container runtime.
  - The kernel itself is asked, by a short-lived process that joins the cgroup of the container for some milliseconds. No device is opened
    for it, no GPU is woken, and no program runs in the container. With cgroups of version 2 a container that is frozen, or
    has next to no memory left, is not joined, and is told of in RV(unknown).
  - Device files that a container does not have are not lost, and neither are those that it sees without ever having been allowed to open them,
    as with the host's C(/dev) mounted into it. Which user a container runs as does not matter, because modes of files are not asked about.
  - Succeeds whatever it finds. Containers that no pod has (C(docker run)) are not looked at.
  - Needs nothing installed on the node, and changes nothing on it.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.platform_linux
options:
  before:
    description:
      - RV(containers) of an earlier call. What a container could open then and cannot open now is lost.
      - Without it, and for containers that have come since, those count as lost that the kubelet gave a GPU, or that have one open,
        and that may not open what every program needs.
    type: list
    elements: dict
  timeout_seconds:
    description: Seconds to wait at most for the answer about a container.
    type: float
    default: 5
  proc_root:
    description: Where the node's procfs is mounted. Its process ids must be those of the node itself.
    type: path
    default: /proc
  dev_root:
    description: The node's C(/dev), in which links are looked for that systemd needs.
    type: path
    default: /dev
  kubelet_root:
    description: Root directory of the node's kubelet. MicroK8s has it in C(/var/snap/microk8s/common/var/lib/kubelet), k0s in C(/var/lib/k0s/kubelet).
    type: path
    default: /var/lib/kubelet
  log_root:
    description: Directory of the node that has the kubelet's C(pods) and C(containers), whose names tell which pod is which.
    type: path
    default: /var/log
seealso:
  - module: kubegpu.sharing.gpu_info
"""

EXAMPLES = r"""
- name: Find GPU containers that have lost their GPUs
  kubegpu.sharing.gpu_access_info:
  become: true
  register: access
  failed_when: access.lost | length > 0

- name: Look before the container runtime is restarted
  kubegpu.sharing.gpu_access_info:
  become: true
  register: access_before

- name: Look again after it
  kubegpu.sharing.gpu_access_info:
    before: "{{ access_before.containers }}"
  become: true
  register: access_after

- name: Say who has lost a GPU
  ansible.builtin.assert:
    that: access_after.lost | length == 0
    fail_msg: "{{ access_after.message }}"
"""

RETURN = r"""
containers:
  description:
    - Running containers of pods that have device files of NVIDIA, or were given a GPU by the kubelet.
    - Empty if nothing could be read.
  returned: success
  type: list
  elements: dict
  contains:
    pod_uid: {description: "UID of the pod as the kubelet knows it; null if its cgroup does not tell.", type: str}
    namespace: {description: "Namespace of the pod; null if the node does not know it.", type: str, sample: nlp}
    pod: {description: "Name of the pod; null if the node does not know it.", type: str, sample: worker-0}
    container: {description: "Name of the container; null if the node does not know it.", type: str, sample: main}
    container_id: {description: "64 hexadecimal digits.", type: str}
    pid: {description: "The process by which it was looked at.", type: int, sample: 4312}
    allocated: {description: "Whether the kubelet gave it a GPU; null if its name is not known.", type: bool, sample: true}
    open: {description: "Device files that its processes have open.", type: list, elements: str, sample: [/dev/nvidia0]}
    volume_mounts:
      description: Whether its devices were named by mounts (the plugin's device list strategy V(volume-mounts)).
      type: bool
      sample: false
    devices:
      description: NVIDIA's device files in it.
      type: list
      elements: dict
      contains:
        path: {description: "In the container.", type: str, sample: /dev/nvidia0}
        accessible: {description: "Whether it may be opened; null if the kernel could not be asked.", type: bool, sample: true}
        errno: {description: "Name of the error of opening it. V(EPERM) is the cgroup's refusal.", type: str, sample: EPERM}
        reason: {description: "The error in words.", type: str, sample: Operation not permitted}
    lost: {description: "Whether it has lost devices.", type: bool, sample: false}
    lost_devices: {description: "Which.", type: list, elements: str, sample: []}
    reason: {description: "Why the kernel could not be asked, or there was nothing to ask. Null if it was asked.", type: str}
lost:
  description: Those that have lost devices, by namespace, pod, container, pod_uid and container_id, with their C(devices).
  returned: success
  type: list
  elements: dict
unknown:
  description: Those about which the kernel could not be asked, with the C(reason).
  returned: success
  type: list
  elements: dict
gone:
  description: Containers of O(before) that do not run any more. They have lost nothing.
  returned: success
  type: list
  elements: dict
volume_mount_pods:
  description: UIDs of pods all of whose containers with GPUs were given them by mounts.
  returned: success
  type: list
  elements: str
missing_links:
  description:
    - Devices of the host that container runtimes cannot tell systemd of, because C(/dev/char) has no link to them.
    - Null if the host has no such device files.
  returned: success
  type: list
  elements: str
  sample: ["nvidia0 (195:0)"]
message:
  description: Who has lost what, and what to do. Empty if nobody has.
  returned: success
  type: str
  sample: ""
reason:
  description: Why nothing could be read. Empty if it could.
  returned: success
  type: str
  sample: ""
"""

import os
from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._access.comparing import compare, describe
from ansible_collections.kubegpu.sharing.plugins.module_utils._access.containers import AccessReader
from ansible_collections.kubegpu.sharing.plugins.module_utils._access.devices import find_missing_links
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options={
            "before": {"type": "list", "elements": "dict"},
            "timeout_seconds": {"type": "float", "default": 5},
            "proc_root": {"type": "path", "default": "/proc"},
            "dev_root": {"type": "path", "default": "/dev"},
            "kubelet_root": {"type": "path", "default": "/var/lib/kubelet"},
            "log_root": {"type": "path", "default": "/var/log"},
        }
    )


def run(params: Mapping[str, Any]) -> Outcome:
    files = NodeFiles(params["proc_root"], params["kubelet_root"], params["log_root"])
    links = find_missing_links(params["dev_root"])
    reason = (
        f"This ran as uid {os.geteuid()}, which may not look into containers: run with become." if os.geteuid() else ""
    )
    try:
        containers = AccessReader(files, params["timeout_seconds"]).read()
    except OSError as error:
        containers = []
        reason = f"{error.filename} cannot be read: {error.strerror}. Set proc_root to the node's procfs, and run with become."
    # what cannot be seen is not gone
    found = compare(containers, None if reason else params["before"])
    return Outcome(facts={**found, "missing_links": links, "message": describe(found, links), "reason": reason})


def main() -> None:
    module = argument_spec().create_module()
    run_module(module, lambda: run(module.params))


if __name__ == "__main__":
    main()
