# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GPU facts of a node, as plain types. PRIVATE to the collection.

Sizes are MiB. What a node has to offer is rounded down, what is in use is rounded up, so that a slot never looks larger than it is.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.errors import (
    NvmlError,
    describe_gpu_failure,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_reader import ask, read_mig
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.process_facts import (
    ProcessReader,
    explain_memory,
    name_mig_devices,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.protocol import (
    MIB,
    Gpu,
    Nvml,
    Process,
)

# NVML_DEVICE_ARCH_* (nvml.h), in NVIDIA's words
_ARCHITECTURES = {
    2: "Kepler",
    3: "Maxwell",
    4: "Pascal",
    5: "Volta",
    6: "Turing",
    7: "Ampere",
    8: "Ada Lovelace",
    9: "Hopper",
    10: "Blackwell",
    13: "Rubin",
}
_COMPUTE_MODES = {0: "default", 1: "exclusive_thread", 2: "prohibited", 3: "exclusive_process"}
# NVML's lists and the type each gives; a later one wins where a process is in several (an MPS client also is in Compute)
_PROCESS_LISTS = (("Graphics", "graphics"), ("Compute", "compute"), ("MPSCompute", "mps"))

_GPU_FIELDS = (
    "uuid",
    "pci_bus_id",
    "pci_device_id",
    "pci_subsystem_id",
    "product",
    "architecture",
    "compute_capability",
    "memory_total_mib",
    "memory_reserved_mib",
    "memory_used_mib",
    "memory_free_mib",
    "memory_reason",
    "compute_mode",
    "processes",
    "mig",
)


def read_versions(nvml: Nvml) -> dict[str, Optional[str]]:
    """driver_version, cuda_version (the newest CUDA that the driver serves, such as "12.8") and nvml_version."""
    cuda = ask(nvml.cuda_version)
    return {
        "driver_version": ask(nvml.driver_version),
        # 12080 stands for 12.8
        "cuda_version": None if cuda is None else f"{cuda // 1000}.{cuda % 1000 // 10}",
        "nvml_version": ask(nvml.nvml_version),
    }


def read_gpus(nvml: Nvml, files: NodeFiles) -> list[dict[str, Any]]:
    """Facts of every GPU that the driver counts, also of those that do not answer."""
    processes = ProcessReader(files)
    return [read_gpu(nvml, index, files, processes) for index in range(nvml.gpu_count())]


def read_gpu(nvml: Nvml, index: int, files: NodeFiles, processes: Optional[ProcessReader] = None) -> dict[str, Any]:
    """Facts of one GPU; ``state`` says why some are missing.

    :param processes: one that is used for other GPUs as well, for a process may be on several.
    """
    facts: dict[str, Any] = {"index": index, **dict.fromkeys(_GPU_FIELDS), "state": "ok", "reason": None}
    try:
        gpu = nvml.gpu(index)
        _identify(facts, gpu)
        _fill(facts, gpu, files, processes or ProcessReader(files))
    except NvmlError as error:
        # what was read before stays: it tells which card it is
        facts["state"], facts["reason"] = describe_gpu_failure(index, error)
    return facts


def _identify(facts: dict[str, Any], gpu: Gpu) -> None:
    facts["uuid"] = gpu.uuid()
    facts["pci_bus_id"] = gpu.pci_bus_id()
    device, subsystem = ask(gpu.pci_ids) or (None, None)
    facts["pci_device_id"], facts["pci_subsystem_id"] = _hexadecimal(device), _hexadecimal(subsystem)
    facts["product"] = gpu.product()
    architecture = ask(gpu.architecture)
    facts["architecture"] = _ARCHITECTURES.get(architecture) if architecture is not None else None
    capability = ask(gpu.compute_capability)
    facts["compute_capability"] = f"{capability[0]}.{capability[1]}" if capability else None


def _fill(facts: dict[str, Any], gpu: Gpu, files: NodeFiles, processes: ProcessReader) -> None:
    memory = ask(gpu.memory)
    if memory:
        facts["memory_total_mib"] = memory.total // MIB
        facts["memory_reserved_mib"] = _round_up(memory.reserved)
        facts["memory_used_mib"] = _round_up(memory.used)
        facts["memory_free_mib"] = memory.free // MIB
    mode = ask(gpu.compute_mode)
    facts["compute_mode"] = _COMPUTE_MODES.get(mode) if mode is not None else None
    running = running_processes(gpu)
    described = [processes.describe(kind, process) for kind, process in running or ()]
    facts["memory_reason"] = explain_memory(memory is not None, running is not None, described, files)
    facts["processes"] = described
    facts["mig"] = read_mig(gpu)
    name_mig_devices(described, facts["mig"]["devices"])


def _hexadecimal(number: Optional[int]) -> Optional[str]:
    """0x232910DE, as the device filters of mig-parted's files have it."""
    return None if number is None else f"0x{number:08X}"


def _round_up(size: Optional[int]) -> Optional[int]:
    return None if size is None else -(-size // MIB)


def running_processes(gpu: Gpu) -> Optional[list[tuple[str, Process]]]:
    """Type and process of all with a context on the GPU, one of several MIG devices once for each; None where NVML does not tell.

    :raises NvmlError: as of the GPU.
    """
    found: dict[tuple[int, Optional[int], Optional[int]], tuple[str, Process]] = {}
    told = False
    for name, kind in _PROCESS_LISTS:
        listed = ask(partial(gpu.processes, name))
        told = told or listed is not None
        for process in listed or ():
            found[process.pid, process.gpu_instance, process.compute_instance] = (kind, process)
    return [found[key] for key in sorted(found, key=str)] if told else None
