# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Who needs a runtime: pods that name its RuntimeClass, and pods with GPUs that name none."""

from __future__ import annotations

from typing import Any

from unit.plugins.fakes.fake_api import FakeApi

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.runtime_users import read_users

CLASS = "/apis/node.k8s.io/v1/runtimeclasses/nvidia"
GPU = [{"name": "c", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]


def cluster(**pods: dict[str, Any]) -> FakeApi:
    api = FakeApi()
    for name, spec in pods.items():
        phase = spec.pop("phase", "Running")
        api.put(f"/api/v1/namespaces/default/pods/{name}", {"spec": spec, "status": {"phase": phase}})
    return api


def test_read_users_class_is_ours_only_with_the_label() -> None:
    api = cluster()
    assert read_users(api, "nvidia", "nvidia.com/").to_dict()["exists"] is False
    api.put(CLASS, {"handler": "nvidia", "metadata": {}})
    found = read_users(api, "nvidia", "nvidia.com/")
    assert (found.handler, found.ours) == ("nvidia", False)
    api.put(CLASS, {"handler": "nvidia", "metadata": {"labels": {"app.kubernetes.io/managed-by": "kubegpu.sharing"}}})
    assert read_users(api, "nvidia", "nvidia.com/").ours


def test_read_users_pods_that_name_the_class_count_wherever_they_are() -> None:
    api = cluster(
        runs={"runtimeClassName": "nvidia", "nodeName": "gpu-1"},
        waits={"runtimeClassName": "nvidia", "phase": "Pending"},
        ended={"runtimeClassName": "nvidia", "phase": "Failed"},
        other={"runtimeClassName": "kata", "containers": GPU, "nodeName": "gpu-1"},
    )
    found = read_users(api, "nvidia", "nvidia.com/").to_dict()
    assert found["pods"] == ["default/runs", "default/waits"]
    assert found["gpu_pods"] == {}


def test_read_users_pods_with_gpus_count_by_node_where_they_name_no_class() -> None:
    api = cluster(
        uses={"containers": GPU, "nodeName": "gpu-1"},
        waits={"containers": GPU, "phase": "Pending"},
        plain={"containers": [{"name": "c"}], "nodeName": "gpu-1"},
        ended={"containers": GPU, "nodeName": "gpu-2", "phase": "Failed"},
    )
    assert read_users(api, "nvidia", "nvidia.com/").gpu_pods == {"gpu-1": ["default/uses"]}
