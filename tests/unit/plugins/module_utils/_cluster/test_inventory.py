# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.inventory import Inventory, InventoryOptions

NOW = datetime(2026, 1, 29, tzinfo=timezone.utc)
GPU = "nvidia.com/gpu"
UNSCHEDULABLE = {
    "type": "PodScheduled",
    "status": "False",
    "reason": "Unschedulable",
    "message": "0/8 nodes are available: 8 Insufficient nvidia.com/gpu.",
}


@pytest.fixture
def inventory() -> Inventory:
    return Inventory(InventoryOptions(), NOW)


class TestNodes:
    def test_requested_and_free_follow_the_pods(self, inventory: Inventory, node: Any, pod: Any) -> None:
        inventory.add_nodes([node("gpu-1", gpus=4), node("cpu-1")])
        inventory.add_pods([pod("a", node="gpu-1", gpus=1), pod("b", node="gpu-1", gpus=2), pod("c", node="cpu-1")])
        cluster = inventory.to_dict()
        assert cluster["nodes"]["gpu-1"]["resources"] == {
            GPU: {"capacity": 4, "allocatable": 4, "requested": 3, "free": 1}
        }
        assert cluster["totals"] == {GPU: {"capacity": 4, "allocatable": 4, "requested": 3, "free": 1}}
        assert (cluster["nodes"]["cpu-1"]["resources"], cluster["nodes"]["cpu-1"]["pods"]) == ({}, [])

    @pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
    def test_pods_that_have_ended_hold_nothing(self, inventory: Inventory, node: Any, pod: Any, phase: str) -> None:
        inventory.add_nodes([node(gpus=1)])
        inventory.add_pods([pod(node="gpu-1", gpus=1, phase=phase)])
        assert inventory.to_dict()["totals"][GPU]["free"] == 1

    def test_a_terminating_pod_still_holds_what_it_has(self, inventory: Inventory, node: Any, pod: Any) -> None:
        inventory.add_nodes([node(gpus=1)])
        inventory.add_pods([pod(node="gpu-1", gpus=1, deleted=True)])
        assert inventory.to_dict()["totals"][GPU]["free"] == 0

    def test_a_pod_that_comes_twice_counts_once(self, inventory: Inventory, node: Any, pod: Any) -> None:
        inventory.add_nodes([node(gpus=2)])
        inventory.add_pods([pod(node="gpu-1", gpus=1)])
        inventory.add_pods([pod(node="gpu-1", gpus=1)])
        assert inventory.to_dict()["totals"][GPU]["requested"] == 1

    def test_without_a_plugin_what_is_requested_is_kept(self, inventory: Inventory, node: Any, pod: Any) -> None:
        inventory.add_nodes([node(gpus=1, allocatable=0)])
        inventory.add_pods([pod(node="gpu-1", gpus=1)])
        assert inventory.to_dict()["totals"][GPU] == {"capacity": 1, "allocatable": 0, "requested": 1, "free": 0}

    def test_zero_equals_absent(self, inventory: Inventory, node: Any) -> None:
        obj = node()
        obj["status"]["capacity"][GPU] = obj["status"]["allocatable"][GPU] = "0"
        inventory.add_nodes([obj])
        assert inventory.to_dict()["nodes"]["gpu-1"]["resources"] == {}

    @pytest.mark.parametrize(
        ("labels", "gpu"),
        [
            ({}, False),
            ({"feature.node.kubernetes.io/pci-10de.present": "true"}, True),
            ({"nvidia.com/gpu.present": "false"}, False),
            ({"nvidia.com/device-plugin.config": "l20"}, True),
            ({"nvidia.com/gpu.product": "NVIDIA-L20"}, True),
        ],
    )
    def test_labels_tell_a_gpu_node_that_advertises_nothing(
        self, inventory: Inventory, node: Any, pod: Any, labels: dict[str, str], gpu: bool
    ) -> None:
        inventory.add_nodes([node(labels=labels)])
        inventory.add_pods([pod(node="gpu-1")])
        record = inventory.to_dict()["nodes"]["gpu-1"]
        assert (record["gpu"], len(record["pods"])) == (gpu, int(gpu))

    def test_pods_of_a_node_that_is_asked_for_are_listed(self, node: Any, pod: Any) -> None:
        inventory = Inventory(InventoryOptions(nodes=frozenset({"cpu-1"})), NOW)
        inventory.add_nodes([node("cpu-1")])
        inventory.add_pods([pod(node="cpu-1")])
        assert len(inventory.to_dict()["nodes"]["cpu-1"]["pods"]) == 1

    def test_what_a_rollout_left_on_a_node_is_read(self, inventory: Inventory, node: Any) -> None:
        note = json.dumps({"run": "r1", "was_unschedulable": True, "step": "cordoned"})
        annotations = {"kubegpu.sharing/maintenance": note, "kubegpu.sharing/hold": "Kim: benchmark", "other": "x"}
        labels = {
            "nvidia.com/device-plugin.config": "l20",
            "kubegpu.sharing/revision": "0a1b2c3d4e",
            "node.kubernetes.io/instance-type": "PNV5b.8XLARGE96",
        }
        spec = {"unschedulable": True, "taints": [{"key": "gpu", "effect": "NoSchedule"}]}
        inventory.add_nodes([node(annotations=annotations, labels=labels, spec=spec, ready=False)])
        record = inventory.to_dict()["nodes"]["gpu-1"]
        assert (record["key"], record["revision"], record["hold"]) == ("l20", "0a1b2c3d4e", "Kim: benchmark")
        assert (record["maintenance"]["run"], record["maintenance"]["was_unschedulable"]) == ("r1", True)
        assert (record["unschedulable"], record["ready"], record["instance_type"]) == (True, False, "PNV5b.8XLARGE96")
        assert record["taints"] == spec["taints"]
        assert "other" not in record["annotations"]
        assert record["resource_version"] == "7"


class TestPods:
    def test_a_pod_is_described(self, inventory: Inventory, node: Any, pod: Any) -> None:
        obj = pod(
            "a",
            node="gpu-1",
            gpus=1,
            owner=("ReplicaSet", "nlp-1", "u1"),
            labels={"pod-template-hash": "6d4f"},
            spec={"priorityClassName": "high", "nodeSelector": {"gpu": "yes"}},
            status={"containerStatuses": [{"restartCount": 2}, {"restartCount": 1}]},
        )
        inventory.add_nodes([node(gpus=1)])
        inventory.add_pods([obj])
        assert inventory.to_dict()["nodes"]["gpu-1"]["pods"] == [
            {
                "namespace": "default",
                "name": "a",
                "uid": "uid-default-a",
                "phase": "Running",
                "reason": "",
                "requests": {GPU: 1},
                "node_selector": {"gpu": "yes"},
                "owner": {"kind": "ReplicaSet", "name": "nlp-1", "uid": "u1"},
                "controller_hash": "6d4f",
                "priority_class": "high",
                "created": "2026-01-01T00:00:00Z",
                "restarts": 3,
                "terminating": False,
                "mirror": False,
                "bound": None,
                "workload": {"kind": "ReplicaSet", "namespace": "default", "name": "nlp-1"},
                "containers": [{"name": "main", "id": "", "restarts": 0, "gpus": {GPU: 1}}],
            }
        ]

    def test_pending_pods_say_since_when_and_why(self, inventory: Inventory, pod: Any) -> None:
        inventory.add_pods([pod("a", gpus=1, phase="Pending", status={"conditions": [UNSCHEDULABLE]})])
        (pending,) = inventory.to_dict()["pending"]
        assert (pending["seconds"], pending["since"]) == (28 * 86400, "2026-01-01T00:00:00Z")
        assert (pending["reason"], pending["message"]) == ("Unschedulable", UNSCHEDULABLE["message"])

    @pytest.mark.parametrize(
        "more",
        [
            pytest.param({"gpus": 0}, id="asks for no GPU"),
            pytest.param({"gpus": 1, "node": "gpu-1"}, id="has a node"),
            pytest.param({"gpus": 1, "deleted": True}, id="is being deleted"),
            pytest.param({"gpus": 1, "phase": "Running"}, id="runs"),
        ],
    )
    def test_other_pods_are_not_pending(self, inventory: Inventory, pod: Any, more: dict[str, Any]) -> None:
        inventory.add_pods([pod(**{"phase": "Pending", **more})])
        assert inventory.to_dict()["pending"] == []

    @pytest.mark.parametrize(
        ("reason", "gpus", "listed"),
        [
            ("UnexpectedAdmissionError", 1, True),
            ("OutOfnvidia.com/gpu", 1, True),
            ("Evicted", 1, False),
            ("OutOfcpu", 0, False),
        ],
    )
    def test_refused_admission_is_listed(
        self, inventory: Inventory, node: Any, pod: Any, reason: str, gpus: int, listed: bool
    ) -> None:
        inventory.add_nodes([node(gpus=1)])
        status = {"reason": reason, "message": "Allocate failed"}
        inventory.add_pods([pod(node="gpu-1", gpus=gpus, phase="Failed", status=status)])
        failed = inventory.to_dict()["failed"]
        assert [(entry["node"], entry["reason"]) for entry in failed] == ([("gpu-1", reason)] if listed else [])


class TestPlugins:
    def test_plugin_has_its_pods_nodes_and_risks(
        self, inventory: Inventory, node: Any, pod: Any, daemonset: Any
    ) -> None:
        inventory.add_nodes([node("gpu-1", gpus=1), node("gpu-2", gpus=1)])
        inventory.add_workloads("DaemonSet", [daemonset("plugin")])
        ready = {"conditions": [{"type": "Ready", "status": "True"}]}
        owner = ("DaemonSet", "plugin", "uid-plugin")
        waiting = {
            "affinity": {
                "nodeAffinity": {
                    "requiredDuringSchedulingIgnoredDuringExecution": {
                        "nodeSelectorTerms": [
                            {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["gpu-2"]}]}
                        ]
                    }
                }
            }
        }
        inventory.add_pods(
            [
                pod("p2", owner=owner, phase="Pending", spec=waiting),
                pod("p1", owner=owner, node="gpu-1", status=ready, labels={"kubegpu.sharing/revision": "0a"}),
            ]
        )
        (plugin,) = inventory.to_dict()["plugins"]
        assert plugin["nodes"] == ["gpu-1", "gpu-2"]
        assert [(entry["node"], entry["ready"], entry["revision_label"]) for entry in plugin["pods"]] == [
            ("gpu-1", True, "0a"),
            ("gpu-2", False, None),
        ]
        assert "not_ready" in {risk["code"] for risk in plugin["risks"]}

    def test_two_plugins_on_a_node_are_a_risk_of_both(
        self, inventory: Inventory, node: Any, pod: Any, daemonset: Any
    ) -> None:
        inventory.add_nodes([node(gpus=1)])
        inventory.add_workloads("DaemonSet", [daemonset("one"), daemonset("two")])
        inventory.add_pods(
            [pod(name, node="gpu-1", owner=("DaemonSet", name, f"uid-{name}")) for name in ("one", "two")]
        )
        for plugin in inventory.to_dict()["plugins"]:
            assert "several_plugins" in {risk["code"] for risk in plugin["risks"]}

    def test_config_map_of_a_plugin_is_asked_for_and_read(self, inventory: Inventory, daemonset: Any) -> None:
        container = {
            "args": ["--config-file=/c/l20"],
            "volumeMounts": [{"name": "config", "mountPath": "/c"}],
        }
        volumes = [{"name": "config", "configMap": {"name": "configs"}}]
        inventory.add_workloads("DaemonSet", [daemonset(container=container, pod={"volumes": volumes})])
        assert inventory.missing_config_maps() == ["kube-system/configs"]
        data = {"l20": "flags: {migStrategy: mixed}"}
        inventory.add_config_text({"metadata": {"namespace": "kube-system", "name": "configs"}, "data": data})
        assert inventory.missing_config_maps() == []
        (plugin,) = inventory.to_dict()["plugins"]
        assert plugin["config"] == {"flags": {"migStrategy": "mixed"}}
        assert plugin["settings"]["migStrategy"] == "mixed"

    def test_users_of_the_labels_that_a_plugin_selects_are_told(self, inventory: Inventory, daemonset: Any) -> None:
        other = {
            "metadata": {"namespace": "web", "name": "front"},
            "spec": {"template": {"spec": {"nodeSelector": {"nvidia-device-enable": "enable", "zone": "a"}}}},
        }
        inventory.add_workloads("DaemonSet", [daemonset("plugin")])
        inventory.add_workloads("Deployment", [other])
        users = inventory.to_dict()["label_users"]
        assert users == {"nvidia-device-enable": ["DaemonSet kube-system/plugin", "Deployment web/front"]}


class TestOtherObjects:
    def test_quotas_on_gpus_are_read(self, inventory: Inventory) -> None:
        quota = {
            "metadata": {"namespace": "team", "name": "gpus"},
            "spec": {"hard": {"requests.nvidia.com/gpu": "4", "requests.cpu": "500m"}},
            "status": {"used": {"requests.nvidia.com/gpu": "1"}},
        }
        inventory.add_quotas([quota])
        assert inventory.to_dict()["quotas"] == [
            {"namespace": "team", "name": "gpus", "resource": "requests.nvidia.com/gpu", "hard": 4, "used": 1}
        ]

    def test_config_maps_tell_whose_they_are(self, inventory: Inventory) -> None:
        ours = {
            "name": "a",
            "namespace": "kubegpu-system",
            "labels": {"app.kubernetes.io/managed-by": "kubegpu.sharing"},
        }
        inventory.add_config_maps(
            [{"metadata": ours, "immutable": True}, {"metadata": {"name": "b", "namespace": "x"}}]
        )
        assert inventory.to_dict()["config_maps"] == [
            {"name": "a", "managed": True, "immutable": True},
            {"name": "b", "managed": False, "immutable": False},
        ]

    def test_daemon_sets_beside_our_plugins_tell_whose_they_are(self, inventory: Inventory) -> None:
        managed = {"labels": {"app.kubernetes.io/managed-by": "kubegpu.sharing"}}
        inventory.add_workloads(
            "DaemonSet",
            [
                {"metadata": {"name": "a", "uid": "1", "namespace": "kubegpu-system", **managed}},
                {"metadata": {"name": "b", "uid": "2", "namespace": "kubegpu-system"}},
                {"metadata": {"name": "c", "uid": "3", "namespace": "elsewhere"}},
            ],
        )
        assert inventory.to_dict()["daemon_sets"] == [{"name": "a", "managed": True}, {"name": "b", "managed": False}]

    def test_daemonsets_on_gpu_nodes_and_those_that_hold_the_driver_are_told(
        self, inventory: Inventory, node: Any, pod: Any, daemonset: Any
    ) -> None:
        def of(name: str) -> Any:
            container = {"name": name, "image": f"registry/{name}:v1"}
            return daemonset(name, container=container, pod={"nodeSelector": {"ours/gpu": "yes"}})

        inventory.add_nodes([node("gpu-1", gpus=1), node("gpu-2", gpus=1), node("cpu-1")])
        inventory.add_workloads("DaemonSet", [of("logs"), of("dcgm-exporter"), of("storage")])
        for name, where in (("logs", "gpu-2"), ("logs", "cpu-1"), ("storage", "cpu-1")):
            inventory.add_pods([pod(f"{name}-{where}", node=where, owner=("DaemonSet", name, f"uid-{name}"))])
        content = inventory.to_dict()
        assert [(one["name"], one["nodes"]) for one in content["daemonsets"]] == [
            ("dcgm-exporter", []),
            ("logs", ["gpu-2"]),
        ]
        assert len(content["label_users"]["ours/gpu"]) == 3

    def test_daemonset_that_is_paused_on_a_node_is_told_though_it_runs_nowhere(
        self, inventory: Inventory, node: Any, daemonset: Any
    ) -> None:
        note = {
            "run": "run-1",
            "restore": {"paused": {"labels": {}, "taint": True, "daemonsets": ["kube-system/probe"]}},
        }
        held = node("gpu-1", gpus=1, annotations={"kubegpu.sharing/maintenance": json.dumps(note)})
        inventory.add_nodes([held])
        containers = [{"name": name, "image": f"x/{name}:1"} for name in ("probe", "logs")]
        inventory.add_workloads("DaemonSet", [daemonset(one["name"], container=one) for one in containers])
        assert [(one["namespace"], one["name"]) for one in inventory.to_dict()["daemonsets"]] == [
            ("kube-system", "probe")
        ]

    def test_snapshots_are_told_once_and_only_if_complete(self, inventory: Inventory) -> None:
        def config_map(name: str, run: str) -> dict[str, Any]:
            labels = {"kubegpu.sharing/run": run, "app.kubernetes.io/managed-by": "kubegpu.sharing"}
            annotations = {
                "kubegpu.sharing/plan-id": "0123456789abcdef",
                "kubegpu.sharing/created": "2026-01-01T00:00:00Z",
            }
            return {"metadata": {"name": name, "labels": labels, "annotations": annotations}}

        parts = [("kubegpu-snapshot-r1-1", "r1"), ("kubegpu-snapshot-r1", "r1"), ("kubegpu-snapshot-r2-1", "r2")]
        inventory.add_snapshots([config_map(name, run) for name, run in parts])
        assert inventory.to_dict()["snapshots"] == [
            {
                "name": "kubegpu-snapshot-r1",
                "run": "r1",
                "plan_id": "0123456789abcdef",
                "created": "2026-01-01T00:00:00Z",
            }
        ]

    def test_nodes_of_nvidias_dra_driver_are_told(self, inventory: Inventory) -> None:
        slices: list[dict[str, Any]] = [
            {"spec": {"driver": "gpu.nvidia.com", "nodeName": "gpu-2"}},
            {"spec": {"driver": "gpu.nvidia.com", "nodeName": "gpu-1"}},
            {"spec": {"driver": "gpu.nvidia.com", "nodeName": "gpu-1"}},
            {"spec": {"driver": "other.example", "nodeName": "gpu-3"}},
            {"spec": {"driver": "gpu.nvidia.com", "allNodes": True}},
        ]
        inventory.add_resource_slices(slices)
        assert inventory.to_dict()["dra_nodes"] == ["gpu-1", "gpu-2"]

    def test_result_is_json(self, inventory: Inventory, node: Any, pod: Any, daemonset: Any) -> None:
        inventory.add_nodes([node(gpus=1)])
        inventory.add_workloads("DaemonSet", [daemonset()])
        inventory.add_pods([pod(node="gpu-1", gpus=1)])
        cluster = inventory.to_dict()
        assert json.loads(json.dumps(cluster)) == cluster
        assert cluster["schema_version"] == 1
