# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How long the pure planner and the rehearsal of its waves take on a large fleet. Prints a table and judges nothing.

Run it from the checkout: PYTHONPATH=.venv/collections .venv/bin/python -m benchmarks.bench_plan_core
"""

from __future__ import annotations

import json
import resource
import time
from dataclasses import replace
from typing import Any

from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.rehearsal import rehearse

GPUS = 8
PODS = 20
MODELS = ("NVIDIA L20", "Tesla T4", "NVIDIA A30", "NVIDIA H20")
CONFIGS = {
    "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "process_memory_mib": 4621},
    "t4": {
        "match": {"query": "contains(product, 'T4') && !mig.capable"},
        "sharing": "time_slicing",
        "process_memory_mib": 4401,
    },
    "a30": {"match": {"product": "NVIDIA A30"}, "sharing": "time_slicing", "replicas": 4},
    "h20": {"match": {"query": "memory_total_mib > `90000`"}},
}


def make_request(count: int) -> PlanRequest:
    """A fleet with GPU pods and others on every node, read by NVML, served by a plugin of somebody else."""
    nodes, facts = {}, {}
    for number in range(count):
        name, model = f"gpu-{number:04d}", MODELS[number % len(MODELS)]
        gpus = [fleet.gpu(model, index, name, memory_used_mib=4000) for index in range(GPUS)]
        pods = [fleet.pod(f"{name}-{one}", 1 if one < GPUS else {}) for one in range(PODS)]
        for one, gpu in enumerate(gpus):
            gpu["processes"] = [fleet.process(one, 4000, pods[one]["uid"])]
        allocations = [
            {"pod_uid": pod["uid"], "container": "c", "resource": "nvidia.com/gpu", "device_ids": [gpu["uuid"]]}
            for pod, gpu in zip(pods, gpus)
        ]
        nodes[name] = fleet.node(GPUS, pods)
        facts[name] = fleet.host_facts(gpus, allocations)
    users = {"nvidia-device-enable": [f"DaemonSet kube-system/{fleet.FOREIGN}"]}
    cluster = fleet.cluster(nodes, plugins=[fleet.foreign_plugin(nodes)], label_users=users)
    return PlanRequest(configs=CONFIGS, cluster=cluster, host_facts=facts, hosts=dict.fromkeys(nodes, ""))


def measure(request: PlanRequest) -> tuple[dict[str, Any], tuple[float, float]]:
    """A plan, and the seconds that it took by the clock and of the processor, the best of three."""
    best = (float("inf"), float("inf"))
    plan: dict[str, Any] = {}
    for _round in range(3):
        began = (time.perf_counter(), time.process_time())
        plan = build_plan(request)
        best = min(best, (time.perf_counter() - began[0], time.process_time() - began[1]))
    return plan, best


def rehearsal_seconds(request: PlanRequest) -> tuple[float, float]:
    """Seconds of the processor for a rehearsal without evictions, and for one in which every stale pod is made anew."""
    owner = {"kind": "ReplicaSet", "name": "r", "uid": "r"}
    nodes = {
        name: {**entry, "pods": [{**pod, "owner": owner} for pod in entry["pods"]]}
        for name, entry in request.cluster["nodes"].items()
    }
    owned = replace(request, cluster={**request.cluster, "nodes": nodes})
    seconds = []
    for stale_pods in ("report", "recreate"):
        plan = build_plan(replace(owned, stale_pods=stale_pods))
        began = time.process_time()
        rehearse(plan, owned.cluster)
        seconds.append(time.process_time() - began)
    return seconds[0], seconds[1]


def main() -> None:
    """Print the table."""
    print(f"pure planner, {GPUS} GPUs and {PODS} pods a node\n")
    print(f"{'':>14} {'all nodes change':>18} {'nothing to do':>18} {'rehearsal, CPU':>19}")
    heads = f"{'wall':>9} {'CPU':>8} {'wall':>9} {'CPU':>8} {'as it is':>9} {'recreate':>9}"
    print(f"{'nodes':>6} {'GPUs':>7} {heads} {'plan file':>10} {'peak RSS':>9}")
    for count in (100, 1000, 5000):
        request = make_request(count)
        plan, first = measure(request)
        again, second = measure(replace(request, cluster=fleet.roll_out(request.cluster, plan)))
        assert again["empty"]
        assert plan["totals"]["nodes_changed"] == count
        size = len(json.dumps(plan)) / 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        times = " ".join(f"{wall:>7.2f} s {cpu:>6.2f} s" for wall, cpu in (first, second))
        times += " ".join(f"{seconds:>8.2f} s" for seconds in rehearsal_seconds(request))
        print(f"{count:>6} {count * GPUS:>7} {times} {size:>7.1f} MB {peak:>6.0f} MB")


if __name__ == "__main__":
    main()
