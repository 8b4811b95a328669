# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.gpu_pods import owning_workload, read_gpu_pod
from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.inventory import Inventory, InventoryOptions

NOW = datetime(2026, 1, 29, tzinfo=timezone.utc)
GPU = "nvidia.com/gpu"
ID = "ab" * 32


def job(name: str, owner: tuple[str, str] | None) -> dict[str, Any]:
    metadata: dict[str, Any] = {"namespace": "default", "name": name}
    if owner:
        metadata["ownerReferences"] = [{"kind": owner[0], "name": owner[1], "uid": "u", "controller": True}]
    return {"metadata": metadata, "spec": {}}


@pytest.mark.parametrize(
    ("owner", "labels", "workload"),
    [
        pytest.param(None, {}, ("Pod", "p"), id="bare"),
        pytest.param(("Node", "gpu-1", "u"), {}, ("Pod", "p"), id="static"),
        pytest.param(
            ("ReplicaSet", "nlp-6d4f", "u"), {"pod-template-hash": "6d4f"}, ("Deployment", "nlp"), id="deployment"
        ),
        pytest.param(
            ("ReplicaSet", "nlp-6d4f", "u"), {"rollouts-pod-template-hash": "6d4f"}, ("Rollout", "nlp"), id="rollout"
        ),
        pytest.param(("ReplicaSet", "rs", "u"), {}, ("ReplicaSet", "rs"), id="replica set of its own"),
        pytest.param(("ReplicaSet", "rs", "u"), {"pod-template-hash": "6d4f"}, ("ReplicaSet", "rs"), id="other name"),
        pytest.param(("StatefulSet", "db", "u"), {}, ("StatefulSet", "db"), id="stateful set"),
        pytest.param(("Job", "train-1", "u"), {}, ("Job", "train-1"), id="job"),
        pytest.param(("RayCluster", "ray", "u"), {}, ("RayCluster", "ray"), id="custom resource"),
    ],
)
def test_workload_is_what_a_person_knows_the_pod_by(
    pod: Any, owner: Any, labels: dict[str, str], workload: tuple[str, str]
) -> None:
    made = pod("p", labels=labels, **({"owner": owner} if owner else {}))
    assert owning_workload(made) == {"kind": workload[0], "namespace": "default", "name": workload[1]}


@pytest.mark.parametrize("first", ["jobs", "pods"])
def test_job_of_a_cron_job_is_told_by_it(pod: Any, node: Any, first: str) -> None:
    inventory = Inventory(InventoryOptions(), NOW)
    inventory.add_nodes([node("gpu-1", gpus=4)])
    jobs = [job("night-1", ("CronJob", "night")), job("once", None)]
    if first == "jobs":
        inventory.add_workloads("Job", jobs)
    inventory.add_pods(
        [
            pod("a", node="gpu-1", gpus=1, owner=("Job", "night-1", "u")),
            pod("b", node="gpu-1", gpus=1, owner=("Job", "once", "u")),
            pod("c", gpus=1, phase="Pending", owner=("Job", "night-1", "u")),
        ]
    )
    if first == "pods":
        inventory.add_workloads("Job", jobs)
    cluster = inventory.to_dict()
    told = {one["name"]: one["workload"] for one in [*cluster["nodes"]["gpu-1"]["pods"], *cluster["pending"]]}
    assert {name: (workload["kind"], workload["name"]) for name, workload in told.items()} == {
        "a": ("CronJob", "night"),
        "b": ("Job", "once"),
        "c": ("CronJob", "night"),
    }


def test_containers_tell_id_restarts_and_what_they_ask_for(pod: Any) -> None:
    spec = {
        "initContainers": [
            {"name": "once", "resources": {"limits": {GPU: "1"}}},
            {"name": "side", "restartPolicy": "Always", "resources": {"limits": {GPU: "1"}}},
        ],
        "containers": [{"name": "main", "resources": {"limits": {GPU: "2", "cpu": "1"}}}, {"name": "log"}],
    }
    status = {
        "containerStatuses": [
            {"name": "main", "containerID": f"containerd://{ID}", "restartCount": 3},
            {"name": "log", "containerID": "containerd://"},
        ],
        "initContainerStatuses": [{"name": "side", "containerID": f"cri-o://{ID}"}],
    }
    assert read_gpu_pod(pod("p", spec=spec, status=status), "nvidia.com/")["containers"] == [
        {"name": "main", "id": ID, "restarts": 3, "gpus": {GPU: 2}},
        {"name": "log", "id": "", "restarts": 0, "gpus": {}},
        {"name": "side", "id": ID, "restarts": 0, "gpus": {GPU: 1}},
    ]


def test_static_pod_is_also_known_by_the_uid_that_the_kubelet_gave_it(pod: Any) -> None:
    made = read_gpu_pod(pod("p", annotations={"kubernetes.io/config.mirror": "0f"}), "nvidia.com/")
    assert made["static_uid"] == "0f"


def test_environment_and_arguments_are_never_kept(pod: Any, node: Any) -> None:
    secret = "hunter2"
    container = {
        "name": "main",
        "image": "vllm/vllm-openai",
        "args": [f"--api-key={secret}", "--gpu-memory-utilization", secret],
        "env": [{"name": "XLA_PYTHON_CLIENT_MEM_FRACTION", "value": secret}, {"name": "TOKEN", "value": secret}],
        "resources": {"limits": {GPU: "1"}},
    }
    inventory = Inventory(InventoryOptions(), NOW)
    inventory.add_nodes([node("gpu-1", gpus=1)])
    inventory.add_pods([pod("p", node="gpu-1", spec={"containers": [container]})])
    cluster = inventory.to_dict()
    assert [one["framework"] for one in cluster["nodes"]["gpu-1"]["pods"][0]["frameworks"]] == ["vLLM", "JAX"]
    assert secret not in json.dumps(cluster)


def test_pods_without_gpus_tell_nothing_of_this(pod: Any, node: Any) -> None:
    inventory = Inventory(InventoryOptions(), NOW)
    inventory.add_nodes([node("gpu-1", gpus=1)])
    inventory.add_pods([pod("web", node="gpu-1")])
    assert not {"workload", "containers", "frameworks"} & inventory.to_dict()["nodes"]["gpu-1"]["pods"][0].keys()
