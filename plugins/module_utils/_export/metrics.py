# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From what NVML tells to metrics. Pure. PRIVATE to the collection.

What NVML does not tell has no sample, never a 0: a dashboard would take it for a measurement.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Set, Tuple

from ansible_collections.kubegpu.sharing.plugins.module_utils._export.text_format import Metric, Sample, sum_up

_MIB = 1024 * 1024
_MEMORY = {
    "total": "Memory of the GPU, what the driver keeps for itself included.",
    "used": "Memory of the GPU that is in use, by whomever.",
    "free": "Memory of the GPU that nobody uses.",
    "reserved": "Memory of the GPU that the driver keeps for itself.",
}

Key = Tuple[Tuple[str, str], ...]


@dataclass(frozen=True)
class Reading:
    """What was read of a node.

    :param gpus: as gpu_info returns them; None: NVML does not answer.
    :param utilization: percent by index of the GPU, where it is told.
    :param at: when, in seconds since 1970.
    """

    gpus: Optional[Sequence[Mapping[str, Any]]]
    utilization: Mapping[int, int]
    at: float


def describe_usage(reading: Reading) -> List[Metric]:
    """All metrics, in an order that stays."""
    gpus = reading.gpus or ()
    of_pods = [(gpu, process) for gpu, process in _processes(gpus) if process["pod_uid"]]
    of_others = [(gpu, process) for gpu, process in _processes(gpus) if not process["pod_uid"]]
    return [
        *_describe_containers(of_pods),
        _describe_host_processes(of_others),
        *_describe_gpus(gpus, reading.utilization),
        Metric(
            "kubegpu_exporter_unattributed_processes",
            "Processes on a GPU of which neither the pod nor the program is known.",
            [Sample(sum(1 for _gpu, process in of_others if not _is_host_process(process)))],
        ),
        Metric(
            "kubegpu_exporter_nvml_available",
            "Whether NVML, the driver's library, answered.",
            [Sample(0 if reading.gpus is None else 1)],
        ),
        Metric(
            "kubegpu_exporter_last_run_timestamp_seconds",
            "When the GPUs of this node were last read.",
            [Sample(round(reading.at, 3))],
        ),
    ]


def _processes(gpus: Sequence[Mapping[str, Any]]) -> Iterator[Tuple[Mapping[str, Any], Mapping[str, Any]]]:
    for gpu in gpus:
        for process in gpu["processes"] or ():
            yield gpu, process


def _is_host_process(process: Mapping[str, Any]) -> bool:
    """Whether it is known for a program of the host: one in a container whose pod is not known may be anything."""
    known = process.get("attribution") in (None, "host")
    return known and bool(process["command"]) and not process["container_id"]


def _describe_containers(found: Sequence[Tuple[Mapping[str, Any], Mapping[str, Any]]]) -> List[Metric]:
    memory: List[Sample] = []
    untold: Set[Key] = set()
    count: List[Sample] = []
    for gpu, process in found:
        labels = {
            **_gpu_labels(gpu),
            **_mig_labels(gpu, process),
            **{name: str(process.get(name) or "") for name in ("namespace", "pod", "pod_uid", "container")},
        }
        count.append(Sample(1, labels))
        _add_memory(process, labels, memory, untold)
    return [
        Metric(
            "kubegpu_container_gpu_memory_used_bytes",
            "GPU memory that the processes of a container hold on a device, in whole MiB. Missing where NVML does not tell that of each.",
            _told(memory, untold),
        ),
        Metric(
            "kubegpu_container_gpu_processes", "Processes of a container that hold memory of a device.", sum_up(count)
        ),
    ]


def _describe_host_processes(found: Sequence[Tuple[Mapping[str, Any], Mapping[str, Any]]]) -> Metric:
    memory: List[Sample] = []
    untold: Set[Key] = set()
    for gpu, process in found:
        if process["command"]:
            _add_memory(process, {**_gpu_labels(gpu), "command": str(process["command"])}, memory, untold)
    return Metric(
        "kubegpu_host_process_gpu_memory_used_bytes",
        "GPU memory that processes outside of pods hold, in whole MiB, by the name of the program.",
        _told(memory, untold),
    )


def _add_memory(process: Mapping[str, Any], labels: Dict[str, str], memory: List[Sample], untold: Set[Key]) -> None:
    used = process["used_memory_mib"]
    if used is None:
        untold.add(tuple(labels.items()))
    else:
        memory.append(Sample(used * _MIB, labels))


def _told(memory: Sequence[Sample], untold: Set[Key]) -> List[Sample]:
    """Sums of those of which all is told: a part would look like the whole."""
    return [sample for sample in sum_up(memory) if tuple(sample.labels.items()) not in untold]


def _describe_gpus(gpus: Sequence[Mapping[str, Any]], utilization: Mapping[int, int]) -> Iterator[Metric]:
    for name, help_text in _MEMORY.items():
        told = [gpu for gpu in gpus if gpu[f"memory_{name}_mib"] is not None]
        samples = [Sample(gpu[f"memory_{name}_mib"] * _MIB, _gpu_labels(gpu)) for gpu in told]
        yield Metric(f"kubegpu_gpu_memory_{name}_bytes", help_text, samples)
    yield Metric(
        "kubegpu_gpu_utilization_ratio",
        "Part of the time in which the GPU computed anything, of the driver's last period of at most a second.",
        [Sample(utilization[gpu["index"]] / 100, _gpu_labels(gpu)) for gpu in gpus if gpu["index"] in utilization],
    )
    yield Metric(
        "kubegpu_gpu_up",
        "Whether the GPU answered.",
        [Sample(1 if gpu["state"] == "ok" else 0, _gpu_labels(gpu)) for gpu in gpus],
    )


def _gpu_labels(gpu: Mapping[str, Any]) -> Dict[str, str]:
    return {"gpu_uuid": gpu["uuid"] or "", "gpu_index": str(gpu["index"]), "product": gpu["product"] or ""}


def _mig_labels(gpu: Mapping[str, Any], process: Mapping[str, Any]) -> Dict[str, str]:
    """The MIG device that a process runs on; empty on a GPU that is not cut."""
    place = (process["gpu_instance_id"], process["compute_instance_id"])
    for device in (gpu["mig"] or {}).get("devices", ()):
        if (device["gpu_instance_id"], device["compute_instance_id"]) == place:
            return {"mig_device": device["uuid"], "mig_profile": device["profile"] or ""}
    return {"mig_device": "", "mig_profile": ""}
