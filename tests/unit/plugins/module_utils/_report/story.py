# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rollout as data: two nodes of two models, one pod that had waited for 28 days."""

from __future__ import annotations

import copy
from typing import Any

MEMORY = {"NVIDIA L20": 46068, "Tesla T4": 15360}
DAYS_28 = 28 * 86400
OLD_HASH, NEW_HASH = "5d9c8b7f6", "7f6b5d4c8"
PLUGIN = "nvidia-device-plugin-daemonset"


def make_gpu(product: str, index: int = 0, **changes: Any) -> dict[str, Any]:
    ada = product == "NVIDIA L20"
    return {
        "index": index,
        "uuid": f"GPU-{index}",
        "product": product,
        "architecture": "Ada Lovelace" if ada else "Turing",
        "compute_capability": "8.9" if ada else "7.5",
        "memory_total_mib": MEMORY[product],
        "state": "ok",
        "reason": None,
        "processes": [],
        "mig": {"capable": False, "mode": None},
        **changes,
    }


def make_facts(*gpus: dict[str, Any]) -> dict[str, Any]:
    return {"nvml_available": True, "reason": None, "driver_version": "570.158.01", "gpus": list(gpus)}


def make_pod(name: str, *, template: str = OLD_HASH, **changes: Any) -> dict[str, Any]:
    workload = name.rpartition("-")[0]
    return {
        "namespace": "default",
        "name": name,
        "uid": f"uid-{name}",
        "phase": "Running",
        "reason": "",
        "requests": {},
        "owner": {"kind": "ReplicaSet", "name": f"{workload}-{template}", "uid": f"uid-{workload}-{template}"},
        "controller_hash": template,
        "restarts": 0,
        "terminating": False,
        **changes,
    }


def make_node(slots: int, *pods: dict[str, Any], used: int = 0, **changes: Any) -> dict[str, Any]:
    amounts = {"capacity": slots, "allocatable": slots, "requested": used, "free": slots - used}
    return {
        "gpu": True,
        "labels": {},
        "ready": True,
        "unschedulable": False,
        "maintenance": None,
        "hold": None,
        "key": None,
        "revision": None,
        "resources": {"nvidia.com/gpu": amounts},
        "pods": list(pods),
        **changes,
    }


def make_cluster(nodes: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"schema_version": 1, "nodes": nodes, "pending": [], "failed": [], "plugins": [], **changes}


def make_plan_node(product: str, key: str, process: int, replicas: int) -> dict[str, Any]:
    total = MEMORY[product]
    slot = total // replicas
    return {
        "product": product,
        "key": key,
        "gpu_count": 1,
        "facts": "nvml",
        "sharing": "time_slicing",
        "replicas": replicas,
        "slots_before": 1,
        "slots_after": replicas,
        "from": {"key": None, "revision": None, "resources": {"nvidia.com/gpu": 1}},
        "to": {"key": key, "revision": f"rev-{key}", "resources": {"nvidia.com/gpu": replicas}},
        "expected_resources": {"nvidia.com/gpu": replicas},
        "sizing": {
            "process_memory_mib": process,
            "memory_total_mib": total,
            "slot_mib": slot,
            "headroom_mib": slot - process,
            "utilization": round(replicas * process / total, 4),
            "arithmetic": f"floor(0.9 x {total} / {process}) = {replicas}",
        },
        "changed": True,
        "reasons": ["sharing differs: 1 slot now, wanted are " + str(replicas)],
        "disruption": "switch",
        "release": {
            "method": "label",
            "daemonset": f"kube-system/{PLUGIN}",
            "label": {"nvidia-device-enable": "enable"},
        },
        "stale_pods": [],
        "was_unschedulable": False,
    }


class Story:
    """The data of a rollout; tests change what they are about."""

    def __init__(self) -> None:
        self.facts = {"gpu-l20": make_facts(make_gpu("NVIDIA L20")), "gpu-t4": make_facts(make_gpu("Tesla T4"))}
        waiting = {
            "namespace": "default",
            "name": "nlp-2",
            "uid": "uid-nlp-2",
            "requests": {"nvidia.com/gpu": 1},
            "since": "2026-01-01T00:00:00Z",
            "seconds": DAYS_28 + 5,
            "reason": "Unschedulable",
            "message": "0/8 nodes are available: 8 Insufficient nvidia.com/gpu.",
        }
        nodes = {
            "gpu-l20": make_node(1, make_pod("nlp-0"), make_pod("web-0"), used=1),
            "gpu-t4": make_node(1, make_pod("nlp-1"), make_pod("web-1"), used=1),
            **{f"cpu-{n}": {"gpu": False, "resources": {}, "pods": []} for n in range(1, 7)},
        }
        plugin_pods = [
            {
                "name": f"{PLUGIN}-{n}",
                "uid": f"uid-plugin-{n}",
                "node": node,
                "ready": True,
                "terminating": False,
                "revision_label": None,
            }
            for n, node in enumerate(("gpu-l20", "gpu-t4"))
        ]
        plugin = {
            "namespace": "kube-system",
            "name": PLUGIN,
            "uid": "uid-plugin",
            "version": "v0.14.5",
            "args": ["--mig-strategy=single", "--fail-on-init-error=false", "--pass-device-specs=true"],
            "config_source": "none",
            "owner": {"kind": "helm", "name": "nvidia-gpu"},
            "nodes": ["gpu-l20", "gpu-t4"],
            "pods": plugin_pods,
            "risks": [
                {
                    "code": "fail_on_init_error_false",
                    "message": "failOnInitError is false: a broken GPU node stays hidden.",
                }
            ],
        }
        self.before = make_cluster(nodes, pending=[waiting], plugins=[plugin])
        self.plan = self._make_plan()
        self.after = self._make_after()
        self.journal = [
            {"time": f"2026-03-01T12:00:{second:06.3f}Z", "run": "r1", "node": node, "state": state, "message": ""}
            for second, node, state in (
                (0.0, "gpu-l20", "cordoned"),
                (0.2, "gpu-t4", "cordoned"),
                (3.0, "gpu-l20", "withdrawn"),
                (3.1, "gpu-t4", "withdrawn"),
                (6.5, "gpu-l20", "serving"),
                (6.6, "gpu-t4", "serving"),
                (9.5, "gpu-l20", "proven"),
                (9.6, "gpu-t4", "proven"),
                (10.0, "gpu-l20", "in_service"),
                (10.1, "gpu-t4", "in_service"),
            )
        ]

    def _make_plan(self) -> dict[str, Any]:
        return {
            "schema_version": 1,
            "plan_id": "0123456789abcdef",
            "empty": False,
            "problems": [],
            "nodes": {
                "gpu-l20": make_plan_node("NVIDIA L20", "l20", 4621, 8),
                "gpu-t4": make_plan_node("Tesla T4", "t4", 4401, 3),
            },
            "releases": [
                {
                    "daemonset": f"kube-system/{PLUGIN}",
                    "method": "label",
                    "label": {"nvidia-device-enable": "enable"},
                    "nodes": ["gpu-l20", "gpu-t4"],
                }
            ],
            "skipped": [],
            "waves": [["gpu-l20", "gpu-t4"]],
            "totals": {"slots_before": 2, "slots_after": 11},
            "compatibility": [],
            "warnings": [],
        }

    def _make_after(self) -> dict[str, Any]:
        after = copy.deepcopy(self.before)
        after["pending"] = []
        plugins = []
        for name, key, slots in (("gpu-l20", "l20", 8), ("gpu-t4", "t4", 3)):
            node = after["nodes"][name]
            node.update(key=key, revision=f"rev-{key}")
            node["resources"]["nvidia.com/gpu"].update(capacity=slots, allocatable=slots, free=slots - 1)
            pod = {"name": f"ours-{key}", "uid": f"uid-ours-{key}", "node": name, "ready": True, "terminating": False}
            plugins.append(
                {
                    "namespace": "kubegpu-system",
                    "name": f"kubegpu-device-plugin-{key}-rev",
                    "uid": f"uid-ds-{key}",
                    "pods": [{**pod, "revision_label": f"rev-{key}"}],
                }
            )
        # the stuck update finished: both old pods were replaced by the Deployment itself
        after["nodes"]["gpu-l20"]["pods"] = [make_pod("nlp-2", template=NEW_HASH), make_pod("web-0")]
        after["nodes"]["gpu-t4"]["pods"] = [make_pod("nlp-3", template=NEW_HASH), make_pod("web-1")]
        after["plugins"] = plugins
        return after
