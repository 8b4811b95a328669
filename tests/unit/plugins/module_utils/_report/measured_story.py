# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A measurement as data: the two nodes of the story, whose processes need half of what their configs say."""

from __future__ import annotations

import copy
from typing import Any

from unit.plugins.module_utils._measure.world import Node, Proc, measure
from unit.plugins.module_utils._report.story import Story

from ansible_collections.kubegpu.sharing.plugins.module_utils._usage.merge import merge_measurements


def make_config(process: int, current: int | None, peak: int, **changes: Any) -> dict[str, Any]:
    return {
        "process_memory_mib": process,
        "current": current,
        "replicas_stated": False,
        "measured_peak_mib": peak,
        "margin": "0.00",
        "arithmetic": f"ceil({peak} x 1.00) = {process}",
        "decided_by": {
            "namespace": "default",
            "workload": "Deployment/nlp",
            "pod": "nlp-0",
            "container": "main",
            "node": "gpu-l20",
            "gpu": 0,
        },
        "workloads": 2,
        "samples": 600,
        "by_resource": {},
        "confidence": "ok",
        "why": "",
        **changes,
    }


def make_workload(name: str, peak: int, *containers: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {
        "kind": "Deployment",
        "namespace": "default",
        "name": name,
        "configs": ["l20"],
        "nodes": ["gpu-l20"],
        "pods": 1,
        "containers": list(containers) or [make_container("main", peak)],
        "peak_mib": peak,
        "warnings": [],
        **changes,
    }


def make_container(name: str, peak: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "peak_mib": peak,
        "mean_mib": peak * 0.75,
        "p95_mib": peak - 20,
        "processes": 1,
        "slots": 1,
        "trend_mib_per_hour": 0.0,
        "samples": 600,
        "seconds": 600,
        **changes,
    }


FIRST, SECOND = "20260301-120000-abc123", "20260303-080000-def456"


def measure_l20(run: str = FIRST, peak: int = 4012, **head: Any) -> dict[str, Any]:
    """Ten minutes: nlp begins small, then goes up and down; web comes after a while; something outside of pods."""
    course = [1200] * 3 + [3300, 3480, 3390] * 19
    course[40] = peak
    web = ["-"] * 20 + [900] * 40
    procs = (
        Proc(course, "nlp-0", pid=11),
        Proc(web, "web-0", pid=12),
        Proc([12] * 60, pid=900, command="nvidia-persistenced"),
    )
    return measure(Node("gpu-l20", "NVIDIA L20", procs=procs), 10.0, run, **head)


def measure_t4(run: str = FIRST, **head: Any) -> dict[str, Any]:
    """Two pods, one of which has two containers and grows."""
    procs = (
        Proc([3100] * 60, "nlp-1", pid=21),
        Proc([2710 + 10 * number for number in range(60)], "serve-0", container="model", pid=22),
        Proc([200] * 60, "serve-0", container="cache", pid=23),
    )
    return measure(Node("gpu-t4", "Tesla T4", procs=procs), 10.0, run, **head)


class MeasuredStory:
    """A proposal with the plans without and with it; tests change what they are about."""

    def __init__(self) -> None:
        story = Story()
        for node in story.plan["nodes"].values():
            node["sizing"]["max_memory_utilization"] = "0.9"
        self.clusters = [story.before]
        self.measurements = {
            "gpu-l20": merge_measurements([measure_l20()]),
            "gpu-t4": merge_measurements([measure_t4()]),
        }
        self.plan = story.plan
        self.proposed = copy.deepcopy(story.plan)
        for name, slots, process in (("gpu-l20", 10, 4012), ("gpu-t4", 4, 3300)):
            node = self.proposed["nodes"][name]
            total = node["sizing"]["memory_total_mib"]
            node.update(replicas=slots, slots_after=slots, expected_resources={"nvidia.com/gpu": slots})
            node["sizing"].update(
                process_memory_mib=process,
                slot_mib=total // slots,
                headroom_mib=total // slots - process,
                utilization=round(slots * process / total, 4),
                arithmetic=f"floor(0.9 x {total} / {process}) = {slots}",
            )
        self.proposed["totals"] = {"slots_before": 2, "slots_after": 14}
        self.proposal: dict[str, Any] = {
            "schema_version": 1,
            "kind": "proposal",
            "margin": "0.00",
            "measurements": 2,
            "hosts": 2,
            "measured_from": "2026-03-01T12:00:00Z",
            "measured_to": "2026-03-01T12:10:00Z",
            "seconds": 600,
            "configs": {"l20": make_config(4012, 4621, 4012), "t4": make_config(3300, 4401, 3300)},
            "workloads": [
                make_workload("web", 900),
                make_workload("nlp", 4012, configs=["l20", "t4"], nodes=["gpu-l20", "gpu-t4"], pods=2),
                make_workload(
                    "serve",
                    3300,
                    make_container("model", 3300, trend_mib_per_hour=120.4),
                    make_container("cache", 200),
                    kind="StatefulSet",
                    configs=["t4"],
                    nodes=["gpu-t4"],
                    warnings=["growing"],
                ),
            ],
            "outside": [
                {"node": "gpu-l20", "gpu": 0, "who": "process 812 nvidia-persistenced outside of pods", "peak_mib": 4}
            ],
            "never_ran": [
                {
                    "namespace": "default",
                    "name": "nlp-2",
                    "workload": "Deployment/nlp",
                    "why": "Pending: 0/8 nodes are available",
                }
            ],
            "warnings": [
                {"severity": "info", "code": "short", "object": "gpu-t4", "message": "600 s of samples"},
                {
                    "severity": "warning",
                    "code": "growing",
                    "object": "default/serve",
                    "message": "grew by 120 MiB an hour",
                },
            ],
            "fragment": "kubegpu_sharing_configs:\n  l20:\n    process_memory_mib: 4012\n",
        }
