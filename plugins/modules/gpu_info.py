#!/usr/bin/python
# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Read the NVIDIA GPUs of a node."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gpu_info
short_description: Read the NVIDIA GPUs of a node, the processes on them and the pods these belong to
version_added: 0.1.0
author:
  - kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads model, memory, MIG capability and processes of every GPU through NVML, and relates each process to its pod and
    container by its cgroup, in version 1 and 2 and as containerd, CRI-O, Docker and Podman spell it.
  - Names pods and containers as the node itself knows them, without the API, by the directories of their logs.
  - Reads which container was given which GPU from the kubelet. It is asked through its PodResources API where the node has a
    gRPC library for Python; else its checkpoint is read.
  - Succeeds on a node without a GPU, without a driver, or with one that does not work, and says in RV(reason) what was seen
    and what to do. A GPU that is lost takes nothing from what is read of the others.
  - Needs nothing installed on the node. Where it has no C(pynvml), or one too old, the control node's copy (package
    C(nvidia-ml-py)) is sent along.
  - Changes nothing on the node. NVML creates no context on a GPU, so idle GPUs stay idle.
extends_documentation_fragment:
  - kubegpu.sharing.attributes
  - kubegpu.sharing.attributes.info_module
  - kubegpu.sharing.attributes.action
  - kubegpu.sharing.attributes.platform_linux
  - kubegpu.sharing.node
attributes:
  check_mode:
    details:
      - This module changes nothing. The file under O(facts_dir) is written on the control node in check mode too, because
        the plan is made from it.
options:
  facts_dir:
    description:
      - Directory on the control node to which the result is written as C(<inventory_hostname>.json), for
        M(kubegpu.sharing.sharing_plan) to read. It is created if it does not exist.
      - A file of that name from before is removed first, so that a host that fails leaves no stale facts.
    type: path
  node_name:
    description: Name of the Kubernetes node that this host is, noted in the file under O(facts_dir). Defaults to the host's name in the inventory.
    type: str
requirements:
  - nvidia-ml-py >= 12.550.52, on the node or on the control node
"""

EXAMPLES = r"""
- name: Read the GPUs of a node
  kubegpu.sharing.gpu_info:
  register: gpus
  become: true

- name: Read the GPUs of a node whose driver comes in a container
  kubegpu.sharing.gpu_info:
    nvml_library: /run/nvidia/driver/usr/lib64/libnvidia-ml.so.1
  become: true

- name: Show what each process on a GPU uses, and whose it is
  ansible.builtin.debug:
    msg: "{{ item.namespace | default('-', true) }}/{{ item.pod | default(item.attribution, true) }} {{ item.command }} {{ item.used_memory_mib }} MiB"
  loop: "{{ gpus.gpus | selectattr('state', 'eq', 'ok') | map(attribute='processes') | flatten }}"

- name: Collect the facts that a plan is made from, in check mode too
  kubegpu.sharing.gpu_info:
    facts_dir: /var/tmp/kubegpu/facts
    node_name: "{{ kubegpu_node_name | default(inventory_hostname) }}"
  become: true
"""

RETURN = r"""
nvml_available:
  description: Whether NVML works on the node and knows at least one GPU.
  type: bool
  returned: success
  sample: true
reason:
  description: Why RV(nvml_available) is false, in a sentence that says what was seen and what to do; else null.
  type: str
  returned: success
reason_code:
  description:
    - V(library_not_found), V(driver_not_loaded), V(driver_library_mismatch), V(no_permission), V(no_gpu) or V(unknown); null if
      NVML is available.
  type: str
  returned: success
driver_version:
  description: Version of the driver.
  type: str
  returned: success
  sample: 570.158.01
cuda_version:
  description: Newest CUDA version that the driver serves.
  type: str
  returned: success
  sample: "12.8"
nvml_version:
  description: Version of the library.
  type: str
  returned: success
  sample: 12.570.158.01
gpus:
  description: GPUs in NVML's order. What the driver or the card cannot tell is null.
  type: list
  elements: dict
  returned: success
  contains:
    index: {description: "NVML's index of the GPU.", type: int, sample: 0}
    state:
      description: V(ok), or why the GPU does not answer, namely V(lost), V(reset_required), V(no_permission) or V(unknown).
      type: str
    reason: {description: "What was seen and what to do, if RV(gpus[].state) is not V(ok).", type: str}
    uuid: {description: "The GPU's UUID.", type: str, sample: GPU-6b5b6e4c-2a8c-4f7f-9e0d-3f6a1c2d4e5f}
    pci_bus_id: {description: "The GPU's place on the PCI bus.", type: str, sample: "00000000:3B:00.0"}
    pci_device_id: {description: "PCI device and vendor.", type: str, sample: "0x232910DE"}
    pci_subsystem_id: {description: "PCI subsystem and its vendor; null if there is none.", type: str, sample: "0x198B10DE"}
    product: {description: "Name of the model.", type: str, sample: NVIDIA L20}
    architecture: {description: "Name of the architecture.", type: str, sample: Ada Lovelace}
    compute_capability: {description: "CUDA compute capability.", type: str, sample: "8.9"}
    memory_total_mib: {description: "Memory in MiB with what the driver keeps for itself.", type: int, sample: 46068}
    memory_reserved_mib: {description: "Memory in MiB that the driver keeps for itself; null before driver 510.", type: int, sample: 602}
    memory_used_mib: {description: "Memory in MiB that is in use. Before driver 510 this has what is reserved in it.", type: int, sample: 4622}
    memory_free_mib: {description: "Memory in MiB that is free.", type: int, sample: 40844}
    memory_reason: {description: "Why memory of the GPU or of a process is null, or why no process is listed; else null.", type: str}
    compute_mode: {description: "V(default), V(exclusive_thread), V(prohibited) or V(exclusive_process).", type: str}
    processes:
      description: Processes that have a context on the GPU.
      type: list
      elements: dict
      contains:
        pid: {description: "Process id as the driver sees it.", type: int}
        started: {description: "When it began, in clock ticks since boot. Process ids are given anew; with it they are not.", type: int}
        type: {description: "V(compute), V(graphics) or V(mps), which is a client of CUDA MPS.", type: str}
        mps_role: {description: "V(server) or V(client) of CUDA MPS, else null.", type: str}
        used_memory_mib: {description: "Memory in MiB of this process on this GPU; null where NVML does not tell.", type: int}
        attribution:
          description:
            - V(container) of a pod; V(pod) for what is in a pod's cgroup and in none of its containers; V(host) outside of pods;
              V(runtime_unknown) where the cgroup is one of Kubernetes and spelled as no known container runtime does it;
              V(ended) if it has ended meanwhile or may not be looked at.
          type: str
          sample: container
        pod_uid:
          description:
            - UID of the pod as the kubelet knows it, null for a process outside of pods. For a static pod this is the value of
              its annotation C(kubernetes.io/config.hash).
          type: str
        container_id: {description: "Id of the container at its runtime.", type: str}
        namespace: {description: "Namespace of the pod, null where the node does not know it.", type: str}
        pod: {description: "Name of the pod, null where the node does not know it.", type: str}
        container: {description: "Name of the container, null where the node does not know it.", type: str}
        command: {description: "Name of the program; never its arguments.", type: str}
        gpu_instance_id: {description: "MIG GPU instance that the process runs on.", type: int}
        compute_instance_id: {description: "Compute instance of it that the process runs on.", type: int}
        mig_device: {description: "UUID of the MIG device that the process runs on.", type: str}
    mig:
      description: MIG as it is and as it could be.
      type: dict
      contains:
        capable: {description: "Whether the card has MIG at all.", type: bool}
        mode: {description: "V(enabled), V(disabled), or null without MIG.", type: str}
        pending: {description: "The mode after the next reset of the GPU.", type: str}
        max_devices: {description: "How many MIG devices the card can have at most; NVML says 0 while the mode is disabled.", type: int}
        profiles:
          description: GPU instance profiles, each with RV(ignore:name), RV(ignore:id), RV(ignore:memory_mib),
            RV(ignore:max_instances), RV(ignore:compute_slices), RV(ignore:placements) (a list of start and size in memory
            slices, null if the driver does not tell) and RV(ignore:compute_profiles) (the compute instances that fit into one,
            each with slices and starts; NVML tells them of profiles of which an instance exists).
          type: list
          elements: dict
        instances:
          description: GPU instances that exist, with or without compute instances, each with RV(ignore:id),
            RV(ignore:profile), RV(ignore:profile_id), RV(ignore:start), RV(ignore:size) (in memory slices) and
            RV(ignore:compute) (a list of id, slices and start, which counts compute slices). Null if NVML may not tell.
          type: list
          elements: dict
        instances_reason: {description: "Why RV(gpus[].mig.instances) is null.", type: str}
        devices:
          description: MIG devices that exist, each with RV(ignore:uuid), RV(ignore:profile), RV(ignore:memory_total_mib),
            RV(ignore:gpu_instance_id) and RV(ignore:compute_instance_id).
          type: list
          elements: dict
allocations:
  description:
    - Devices of C(nvidia.com/) resources that the kubelet gave to containers, null if that could not be read.
    - The kubelet cleans its checkpoint up late, so that pods that are gone may be listed where it is RV(allocations_source).
  type: list
  elements: dict
  returned: success
  contains:
    pod_uid: {description: "UID of the pod.", type: str}
    namespace: {description: "Namespace of the pod, null where the node does not know it.", type: str}
    pod: {description: "Name of the pod, null where the node does not know it.", type: str}
    container: {description: "Name of the container.", type: str}
    resource: {description: "Name of the resource.", type: str, sample: nvidia.com/gpu}
    device_ids: {description: "Ids of the devices; a shared GPU's have a number after C(::).", type: list, elements: str}
allocations_source:
  description: V(pod_resources) or V(checkpoint), where RV(allocations) are from; null if they could not be read.
  type: str
  returned: success
allocations_reason:
  description: Why RV(allocations) is null.
  type: str
  returned: success
holders:
  description:
    - Processes that have one of NVIDIA's device files open, this module's own left out; null if that could not be read.
    - Those that have no context on a GPU are in no RV(gpus[].processes), such as the device plugin, exporters and
      nvidia-persistenced, and yet keep the MIG mode from being changed.
  type: list
  elements: dict
  returned: success
  contains:
    pid: {description: "Process id.", type: int}
    command: {description: "Name of the program; never its arguments.", type: str}
    pod_uid: {description: "UID of its pod, null for a process outside of pods.", type: str}
    container_id: {description: "Id of its container at the runtime.", type: str}
    unit: {description: "systemd unit of a process outside of pods.", type: str, sample: nvidia-persistenced.service}
    devices: {description: "The files.", type: list, elements: str, sample: [/dev/nvidia0, /dev/nvidiactl]}
holders_reason:
  description: Why RV(holders) is null.
  type: str
  returned: success
facts_path:
  description: The file that was written on the control node.
  type: str
  returned: if O(facts_dir) is given
"""

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec, run_module
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.arguments import NODE_OPTIONS
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node import NodeReader
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles


def argument_spec() -> ArgumentSpec:
    return ArgumentSpec(
        options={
            **NODE_OPTIONS,
            # these two are the action plugin's
            "facts_dir": {"type": "path"},
            "node_name": {"type": "str"},
        }
    )


def run(reader: NodeReader) -> Outcome:
    return Outcome(facts=reader.read())


def main() -> None:
    module = argument_spec().create_module()
    params = module.params
    reader = NodeReader(
        nvml_library=params["nvml_library"] or None,
        pynvml_path=params["pynvml_path"] or None,
        files=NodeFiles(params["proc_root"], params["kubelet_root"], params["log_root"]),
    )
    run_module(module, lambda: run(reader))


if __name__ == "__main__":
    main()
