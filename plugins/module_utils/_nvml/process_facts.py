# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of the processes on a GPU, and why their memory is not known where NVML does not tell it. PRIVATE to the collection."""

from __future__ import annotations

import os
from typing import Any, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.attribution import AttributionCache
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.pod_names import PodNames
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import MIB, Process

# Server and control daemon are nvidia-cuda-mps-server and -control, of which the kernel keeps 15 characters; the daemon has no
# context on a GPU and so is in no list.
_MPS_SERVER = "nvidia-cuda-mps"


class ProcessReader:
    """Relates processes to pods.

    :param files: the node's files.
    """

    def __init__(self, files: NodeFiles) -> None:
        self._attribution = AttributionCache(files)
        self._names = PodNames(files.log_root)

    def describe(self, kind: str, process: Process) -> dict[str, Any]:
        """Facts of one process.

        :param kind: compute, graphics or mps.
        """
        owner = self._attribution.look_up(process.pid)
        name = self._names.look_up(owner.pod_uid, owner.container_id)
        return {
            "pid": process.pid,
            "started": owner.start,
            "type": kind,
            "mps_role": _mps_role(kind, owner.command),
            "used_memory_mib": None if process.used is None else -(-process.used // MIB),
            "attribution": owner.attribution,
            "pod_uid": owner.pod_uid,
            "container_id": owner.container_id,
            "namespace": name.namespace,
            "pod": name.pod,
            "container": name.container,
            "command": owner.command,
            "gpu_instance_id": process.gpu_instance,
            "compute_instance_id": process.compute_instance,
            "mig_device": None,
        }


def _mps_role(kind: str, command: Optional[str]) -> Optional[str]:
    if (command or "").startswith(_MPS_SERVER):
        return "server"
    return "client" if kind == "mps" else None


def name_mig_devices(processes: Sequence[dict[str, Any]], devices: Sequence[dict[str, Any]]) -> None:
    """Put the UUID of the MIG device that each process is on into its ``mig_device``."""
    by_place = {(device["gpu_instance_id"], device["compute_instance_id"]): device["uuid"] for device in devices}
    for process in processes:
        process["mig_device"] = by_place.get((process["gpu_instance_id"], process["compute_instance_id"]))


def explain_memory(told: bool, listed: bool, processes: Sequence[dict[str, Any]], files: NodeFiles) -> Optional[str]:
    """Why memory of a GPU or of its processes is null, None if it is not.

    :param told: whether NVML tells the memory of the GPU.
    :param listed: whether NVML tells which processes run on it.
    """
    silent = [process for process in processes if process["used_memory_mib"] is None]
    observed = []
    if not told:
        observed.append(
            "NVML does not tell the memory of this GPU. So it is on those that have none of their own and share the host's."
        )
    if not listed:
        observed.append("NVML does not tell which processes run on this GPU, so that who uses it is not known.")
    if silent:
        observed.append(f"NVML does not tell the memory of {len(silent)} of {len(processes)} processes on this GPU.")
    return " ".join([*observed, _cause(files)]) if silent or not listed else " ".join(observed) or None


def _cause(files: NodeFiles) -> str:
    if "microsoft" in (files.read_proc("sys", "kernel", "osrelease") or "").lower():
        return (
            "This is WSL, where Windows keeps the memory and not NVIDIA's driver: measure on a node with Linux alone."
        )
    if os.geteuid():
        return f"This ran as uid {os.geteuid()}, and of MIG devices NVML tells root alone: run with become."
    return "So it is in virtual machines with a vGPU, and with confidential computing: measure on a node without."
