# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What NVML tells as metrics, and as text. That Prometheus reads it is tested with its own parser, in the integration tests."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._export.metrics import Reading, describe_usage
from ansible_collections.kubegpu.sharing.plugins.module_utils._export.text_format import Metric, Sample, render

pytestmark = pytest.mark.node_side

MIB = 1024 * 1024
POD = {"pod_uid": "u1", "container_id": "c1", "namespace": "team", "pod": "llm-0", "container": "main"}
HOST: dict[str, Any] = {"pod_uid": None, "container_id": None}


def process(**facts: Any) -> dict[str, Any]:
    common = {
        "pid": 7,
        "command": "python3",
        "used_memory_mib": 100,
        "gpu_instance_id": None,
        "compute_instance_id": None,
    }
    return {**common, **facts}


def gpu(*processes: dict[str, Any], **facts: Any) -> dict[str, Any]:
    memory = {
        f"memory_{name}_mib": size for name, size in (("total", 1000), ("used", 300), ("free", 690), ("reserved", 10))
    }
    common = {"index": 0, "uuid": "GPU-1", "product": "NVIDIA L20", "state": "ok", "mig": {"devices": []}}
    return {**common, **memory, "processes": list(processes), **facts}


def values(name: str, *gpus: dict[str, Any], utilization: dict[int, int] | None = None) -> dict[tuple[str, ...], float]:
    """Samples of a metric, by the values of their labels that are not empty nor the GPU's."""
    metrics = {metric.name: metric for metric in describe_usage(Reading(gpus, utilization or {}, 1.5))}
    return {
        tuple(
            value for label, value in sample.labels.items() if value and not label.startswith(("gpu_", "product"))
        ): sample.value
        for sample in metrics[f"kubegpu_{name}"].samples
    }


def test_processes_of_a_container_are_summed_up_also_those_of_the_one_before_it() -> None:
    found = gpu(process(**POD), process(**{**POD, "container_id": "c0"}), process(**{**POD, "container": "side"}))
    main, side = ("team", "llm-0", "u1", "main"), ("team", "llm-0", "u1", "side")
    assert values("container_gpu_memory_used_bytes", found) == {main: 200 * MIB, side: 100 * MIB}
    assert values("container_gpu_processes", found) == {main: 2, side: 1}


def test_memory_that_is_not_told_of_each_process_is_not_told_at_all() -> None:
    found = gpu(process(**POD), process(**POD, used_memory_mib=None), process(**HOST, used_memory_mib=None))
    assert values("container_gpu_memory_used_bytes", found) == {}
    assert values("container_gpu_processes", found) == {("team", "llm-0", "u1", "main"): 2}
    assert values("host_process_gpu_memory_used_bytes", found) == {}


def test_pod_without_a_name_is_told_by_its_uid() -> None:
    unnamed = {**POD, "namespace": None, "pod": None, "container": None}
    assert values("container_gpu_memory_used_bytes", gpu(process(**unnamed))) == {("u1",): 100 * MIB}


def test_mig_device_is_named_with_its_profile() -> None:
    device = {"uuid": "MIG-1", "profile": "1g.12gb", "gpu_instance_id": 7, "compute_instance_id": 0}
    found = gpu(process(**POD, gpu_instance_id=7, compute_instance_id=0), mig={"devices": [device]})
    assert list(values("container_gpu_processes", found)) == [("MIG-1", "1g.12gb", "team", "llm-0", "u1", "main")]


@pytest.mark.parametrize(
    ("facts", "host", "unattributed"),
    [
        (HOST, {("python3",): 100 * MIB}, 0),
        ({**HOST, "container_id": "c1"}, {("python3",): 100 * MIB}, 1),
        ({**HOST, "attribution": "runtime_unknown"}, {("python3",): 100 * MIB}, 1),
        ({**HOST, "command": None}, {}, 1),
        (POD, {}, 0),
    ],
    ids=["host", "container without a pod", "unknown runtime", "ended", "pod"],
)
def test_process_outside_of_pods_is_told_by_its_program_and_a_doubtful_one_is_counted(
    facts: dict[str, Any], host: dict[tuple[str, ...], float], unattributed: int
) -> None:
    found = gpu(process(**facts))
    assert values("host_process_gpu_memory_used_bytes", found) == host
    assert values("exporter_unattributed_processes", found) == {(): unattributed}


def test_gpu_that_does_not_answer_is_down_and_nothing_else() -> None:
    lost = gpu(state="lost", index=1, uuid="GPU-2", processes=None, mig=None, **dict.fromkeys(MEMORY))
    names = ("gpu_index", "product")
    metrics = {metric.name: metric for metric in describe_usage(Reading([gpu(), lost], {0: 37}, 1.5))}
    up = {tuple(sample.labels[name] for name in names): sample.value for sample in metrics["kubegpu_gpu_up"].samples}
    assert up == {("0", "NVIDIA L20"): 1, ("1", "NVIDIA L20"): 0}
    assert [sample.value for sample in metrics["kubegpu_gpu_memory_used_bytes"].samples] == [300 * MIB]
    assert [sample.value for sample in metrics["kubegpu_gpu_utilization_ratio"].samples] == [0.37]


MEMORY = ("memory_total_mib", "memory_used_mib", "memory_free_mib", "memory_reserved_mib")


def test_node_without_nvml_says_so_and_no_more() -> None:
    told = {metric.name: metric for metric in describe_usage(Reading(None, {}, 1.5)) if metric.samples}
    assert {name: [sample.value for sample in metric.samples] for name, metric in told.items()} == {
        "kubegpu_exporter_unattributed_processes": [0],
        "kubegpu_exporter_nvml_available": [0],
        "kubegpu_exporter_last_run_timestamp_seconds": [1.5],
    }


def test_render_escapes_what_names_may_hold_and_leaves_out_what_has_no_sample() -> None:
    metrics = [Metric("a", "One\nof \\ two.", [Sample(2.0, {"x": 'q"\\\n'}), Sample(0.5)]), Metric("b", "None.")]
    assert render(metrics) == ('# HELP a One\\nof \\\\ two.\n# TYPE a gauge\na{x="q\\"\\\\\\n"} 2\na 0.5\n')
