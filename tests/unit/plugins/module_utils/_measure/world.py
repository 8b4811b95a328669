# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes that are sampled by the recorder that nodes use, and the cluster around them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Iterable, Mapping, Sequence

from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.request import ProposalRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.model import GpuUse, ProcessUse, Sample
from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.recorder import Recorder

GPU = "nvidia.com/gpu"


@dataclass(frozen=True)
class Proc:
    """A process, with its memory sample by sample; None where NVML does not tell it, "-" where it does not run."""

    mib: Sequence[Any]
    pod: str | None = None
    container: str | None = None
    gpu: int = 0
    mig: str | None = None
    pid: int = 100
    command: str = "python"


@dataclass(frozen=True)
class Node:
    """A node, its cards, and what runs on it.

    :param utilization: percent of the time in which its cards compute; None if NVML does not tell.
    """

    name: str
    product: str = "Tesla T4"
    gpus: int = 1
    procs: tuple[Proc, ...] = ()
    pods: tuple[Mapping[str, Any], ...] = ()
    slots: Mapping[str, int] | None = field(default_factory=dict)
    mig_devices: tuple[Mapping[str, Any], ...] = ()
    utilization: int | None = 10


def uid(name: str) -> str:
    return f"uid-{name}"


def container_id(pod: str, container: str = "main") -> str:
    return f"{pod}.{container}".encode().hex().ljust(64, "0")[:64]


def pod(
    name: str,
    workload: str = "",
    gpus: int = 1,
    containers: Mapping[str, int] | None = None,
    resource: str = GPU,
    **more: Any,
) -> Any:
    """A running pod. ``containers``: how many GPUs each asks for."""
    asks = {"main": gpus} if containers is None else containers
    requests = {resource: sum(asks.values())} if sum(asks.values()) else {}
    kind, _slash, owner = workload.partition("/")
    described = {
        "workload": {"kind": kind or "Pod", "namespace": "ml", "name": owner or name},
        "containers": [
            {"name": one, "id": container_id(name, one), "restarts": 0, "gpus": {resource: count} if count else {}}
            for one, count in asks.items()
        ],
    }
    return fleet.pod(name, requests, **{**(described if requests else {}), **more})


def measure(node: Node, interval: float = 1.0, run: str = "r1", **more: Any) -> dict[str, Any]:
    """The measurement of a node. ``slots``: of each pod; those that are not named have 1; None if nothing tells them."""
    recorder = Recorder(interval)
    cards = [gpu_uuid(node, index) for index in range(node.gpus)]
    length = max((len(proc.mib) for proc in node.procs), default=1)
    for number in range(length):
        here = [proc for proc in node.procs if number < len(proc.mib) and proc.mib[number] != "-"]
        processes = tuple(_process(proc, proc.mib[number], cards) for proc in here)
        used = [sum(one.used_mib or 0 for one in processes if one.gpu == card) for card in cards]
        gpus = tuple(GpuUse(card, mib, 50000 - mib, node.utilization) for card, mib in zip(cards, used))
        recorder.add(Sample(number * interval, gpus, processes))
    total = fleet.CARDS[node.product]
    listed = [
        {
            "index": index,
            "uuid": card,
            "product": node.product,
            "memory_total_mib": total,
            "memory_reserved_mib": 400,
            "mig_devices": list(node.mig_devices) if index == 0 else [],
        }
        for index, card in enumerate(cards)
    ]
    head = {
        "id": run,
        "host": node.name,
        "node": node.name,
        "started": "2026-03-01T12:00:00Z",
        "ended": "2026-03-01T12:10:00Z",
        "complete": True,
        "nvml_available": True,
        "driver_version": "570.158.01",
        "duration_seconds": length * interval,
        "gpus": listed,
        **more,
    }
    return recorder.document(head, lambda user: _names(user, node))


def gpu_uuid(node: Node, index: int = 0) -> str:
    return f"GPU-{node.name}-{index}"


def _process(proc: Proc, mib: int | None, cards: Sequence[str]) -> ProcessUse:
    return ProcessUse(
        proc.pid,
        proc.pid * 10,
        cards[proc.gpu],
        proc.mig,
        "compute",
        mib,
        uid(proc.pod) if proc.pod else None,
        container_id(proc.pod, proc.container or "main") if proc.pod else None,
        proc.command,
    )


def _names(user: Mapping[str, Any], node: Node) -> dict[str, Any]:
    """What the node itself knows: the names of its logs' directories, and the kubelet's allocations."""
    for proc in node.procs:
        if proc.pod and container_id(proc.pod, proc.container or "main") == user["container_id"]:
            held = next((one for one in node.pods if one["name"] == proc.pod), None)
            asks = {one["name"]: sum(one["gpus"].values()) for one in (held or {}).get("containers") or ()}
            asked = asks.get(proc.container or "main", 1 if held is None else 0)
            slots = None if node.slots is None else node.slots.get(proc.pod, 1) if asked else None
            return {"namespace": "ml", "pod": proc.pod, "container": proc.container or "main", "slots": slots}
    return {}


def cluster(nodes: Iterable[Node], pending: Iterable[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The cluster file."""
    entries = {
        node.name: fleet.node(
            node.gpus, node.pods, labels=fleet.labelled(node.product, fleet.CARDS[node.product], node.gpus)
        )
        for node in nodes
    }
    return {**fleet.cluster(entries), "pending": list(pending)}


def request(*nodes: Node, configs: Any = None, **more: Any) -> ProposalRequest:
    """A proposal from one run over these nodes."""
    given = {
        "measurements": {f"r1/{node.name}.json": measure(node) for node in nodes},
        "clusters": [cluster(nodes)],
        "configs": fleet.REFERENCE_CONFIGS if configs is None else configs,
        "min_seconds": 1,
        **more,
    }
    return ProposalRequest(**given)


def reference(l20: Any = 4621, t4: Any = 4401) -> tuple[Node, Node]:
    """The reference cluster: one process on each of two cards; more memory than that once, for a moment."""
    return (
        Node(
            "gpu-l20",
            "NVIDIA L20",
            procs=(Proc([1200, 4400, l20, 4300], "nlp-a", pid=11),),
            pods=(pod("nlp-a", "Deployment/nlp"),),
        ),
        Node(
            "gpu-t4",
            "Tesla T4",
            procs=(
                Proc([1100, t4, 4100, 4100], "nlp-b", pid=12),
                Proc([8] * 4, pid=900, command="nvidia-persistenced"),
            ),
            pods=(pod("nlp-b", "Deployment/nlp"),),
        ),
    )


H20_DEVICES = tuple(
    {
        "uuid": f"MIG-h20-{number}",
        "profile": "1g.12gb",
        "gpu_instance_id": number,
        "compute_instance_id": 0,
        "memory_total_mib": 11008,
    }
    for number in range(1, 8)
)
SAMPLE_CONFIGS = {
    "a30": {"match": {"product": "NVIDIA A30"}, "sharing": "time_slicing", "replicas": 4},
    "h20": {
        "match": {"product": "NVIDIA H20"},
        "mig": {"strategy": "mixed", "devices": {"1g.12gb": 7}},
        "sharing": "time_slicing",
        "process_memory_mib": {"nvidia.com/mig-1g.12gb": 5000},
    },
    "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "process_memory_mib": 15000},
    "t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "process_memory_mib": 4401},
}


def sample() -> ProposalRequest:
    """A fleet in which nearly everything happens that a proposal tells of: ten minutes, a sample every ten seconds."""
    l20, t4 = _sample_l20(), _sample_t4()
    nodes = [
        l20,
        t4,
        Node(
            "gpu-h20",
            "NVIDIA H20",
            procs=(
                Proc([5200] * 60, "embed-0", mig="MIG-h20-1", pid=31),
                Proc([5350] * 60, "embed-1", mig="MIG-h20-2", pid=32),
            ),
            pods=(
                pod("embed-0", "StatefulSet/embed", resource="nvidia.com/mig-1g.12gb"),
                pod("embed-1", "StatefulSet/embed", resource="nvidia.com/mig-1g.12gb"),
            ),
            mig_devices=H20_DEVICES,
        ),
        Node(
            "gpu-a30",
            "NVIDIA A30",
            procs=(Proc([5100] * 60, "batch-7x2kq", pid=41),),
            pods=(pod("batch-7x2kq", "CronJob/batch"), pod("idle-0", "StatefulSet/idle")),
        ),
    ]
    waiting = {
        "namespace": "ml",
        "name": "nlp-59c7-new",
        "uid": "uid-new",
        "requests": {GPU: 1},
        "message": "0/8 nodes are available: 8 Insufficient nvidia.com/gpu.",
        "workload": {"kind": "Deployment", "namespace": "ml", "name": "nlp"},
    }
    documents = {f"r1/{node.name}.json": measure(node, 10.0) for node in nodes}
    facts = {node.name: fleet.host_facts(documents[f"r1/{node.name}.json"]["gpus"]) for node in nodes}
    return ProposalRequest(
        measurements=documents,
        clusters=[cluster([*nodes, Node("gpu-far", "NVIDIA L20")], [waiting])],
        configs=SAMPLE_CONFIGS,
        host_facts={"gpu-h20": facts["gpu-h20"]},
    )


def _sample_l20() -> Node:
    course = [1200] * 3 + [4300, 4480, 4390] * 19
    course[40] = 4621
    return Node(
        "gpu-l20",
        "NVIDIA L20",
        procs=(
            Proc(course, "nlp-59c7-4kd2p", pid=11),
            Proc([2000 + 10 * number for number in range(60)], "train-x9", pid=12),
            Proc([12] * 60, pid=900, command="nvidia-persistenced"),
        ),
        pods=(pod("nlp-59c7-4kd2p", "Deployment/nlp"), pod("train-x9", "Job/train")),
    )


def _sample_t4() -> Node:
    framework = {
        "framework": "vLLM",
        "effect": "grabs_fraction",
        "evidence": "argument --gpu-memory-utilization=0.3",
        "advice": "Lower --gpu-memory-utilization to what the model and its cache need, and measure again.",
    }
    return Node(
        "gpu-t4",
        "Tesla T4",
        procs=(
            Proc([3900] * 30 + [4401] + [4100] * 29, "nlp-59c7-8hz5w", pid=21),
            Proc([4352] * 60, "llm-6d4f-q2w9x", pid=22, command="vllm"),
            Proc([310] * 60, "exporter-pz9tq", pid=23, command="dcgm-exporter"),
        ),
        pods=(
            pod("nlp-59c7-8hz5w", "Deployment/nlp"),
            pod("llm-6d4f-q2w9x", "Deployment/llm", frameworks=[framework]),
            pod("exporter-pz9tq", containers={"main": 0}, namespace="monitoring"),
        ),
    )
