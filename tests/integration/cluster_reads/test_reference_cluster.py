# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The reading modules on the reference cluster: what they find, how few requests they make, and that they write nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.modules import access_info, gpu_resources_info, rollout_status_info
from simulator.cluster import SimulatedCluster

from .conftest import Caller, with_token

GPU = "nvidia.com/gpu"
REVISION = "0a1b2c3d4e"
LABEL = {"nvidia-device-enable": "enable"}
REQUESTS_BESIDE_PAGES = 11


def client(cluster: SimulatedCluster) -> KubeClient:
    return KubeClient.from_params({"kubeconfig": str(cluster.kubeconfig)})


def node_plan(name: str, slots: int) -> dict[str, Any]:
    return {
        "to": {"key": "k", "revision": REVISION, "resources": {GPU: slots}},
        "from": {"key": None, "revision": None, "resources": {GPU: 1}},
        "expected_resources": {GPU: slots},
        "resources_before": {GPU: 1},
        "was_unschedulable": False,
        "release": {"method": "label", "daemonset": "kube-system/nvidia-device-plugin-daemonset", "label": LABEL},
    }


def plan_file(directory: Path, slots: dict[str, int]) -> str:
    document = {
        "schema_version": 1,
        "plan_id": "0123456789abcdef",
        "plugin": {"namespace": "kubegpu-system"},
        "configs": {},
        "nodes": {name: node_plan(name, count) for name, count in slots.items()},
        "releases": [],
        "waves": [[name] for name in slots],
    }
    path = directory / "plan.json"
    path.write_text(json.dumps(document))
    return str(path)


def test_gpu_resources_info_finds_the_incident(cluster: SimulatedCluster, call: Caller) -> None:
    position = cluster.position()
    found = call("gpu_resources_info")
    assert not found["failed"], found
    assert found["totals"] == {GPU: {"capacity": 2, "allocatable": 2, "requested": 2, "free": 0}}
    assert sorted(name for name, node in found["nodes"].items() if node["gpu"]) == ["gpu-l20", "gpu-t4"]
    assert len(found["nodes"]) == 8
    nlp = {"kind": "Deployment", "namespace": "nlp", "name": "nlp"}
    (holder,) = [pod for pod in found["nodes"]["gpu-l20"]["pods"] if pod["requests"]]
    assert (holder["workload"], found["pending"][0]["workload"]) == (nlp, nlp)
    assert [container["gpus"] for container in holder["containers"]] == [{GPU: 1}]
    assert len(holder["containers"][0]["id"]) == 64
    (pending,) = found["pending"]
    assert pending["message"].startswith("0/8 nodes are available: 8 Insufficient nvidia.com/gpu.")
    assert 27 * 86400 < pending["seconds"] < 29 * 86400
    (plugin,) = found["plugins"]
    assert (plugin["owner"]["kind"], plugin["version"], plugin["config_source"]) == ("helm", "v0.14.5", "none")
    assert {"fail_on_init_error_false", "no_config_file", "rolling_update"} <= {
        risk["code"] for risk in plugin["risks"]
    }
    assert plugin["nodes"] == ["gpu-l20", "gpu-t4"]
    assert found["label_users"][next(iter(LABEL))] == ["DaemonSet kube-system/nvidia-device-plugin-daemonset"]
    asked = [entry for entry in cluster.audit(position) if entry["user_agent"].startswith("kubegpu.sharing/")]
    assert len(asked) == found["requests"]["get"]
    assert cluster.writes(position) == []


def test_gpu_resources_info_asks_eleven_requests_and_the_pages(cluster: SimulatedCluster, tmp_path: Path) -> None:
    position = cluster.position()
    dest = tmp_path / "cluster.json"
    params = {"dest": str(dest), "namespace": "kubegpu-system", "resource_prefix": "nvidia.com/", "nodes": []}
    outcome = gpu_resources_info.run(params, client(cluster))
    entries = cluster.audit(position)
    pages = [entry for entry in entries if entry["resource"] in ("nodes", "pods")]
    assert len(entries) - len(pages) <= REQUESTS_BESIDE_PAGES
    assert not [entry for entry in entries if entry["resource"] == "nodes" and entry["name"]]
    assert set(outcome.facts) == {"totals", "pending", "plugins", "requests", "dest"}
    written = json.loads(dest.read_text())
    assert written["requests"] == outcome.facts["requests"]
    assert written["failed"] == []
    assert len(written["nodes"]) == 8


def test_gpu_resources_info_comes_through_an_unsteady_api(cluster: SimulatedCluster) -> None:
    try:
        cluster.fault("api", action="cut", path="/api/v1/nodes", count=1)
        cluster.fault("api", action="status", status=503, path="/apis/apps/v1/daemonsets", count=2)
        params: dict[str, Any] = {
            "dest": None,
            "namespace": "kubegpu-system",
            "resource_prefix": "nvidia.com/",
            "nodes": [],
        }
        facts = gpu_resources_info.run(params, client(cluster)).facts
    finally:
        cluster.clear_api_faults()
    assert facts["totals"][GPU]["capacity"] == 2
    assert facts["failed_pods"] == []
    # Twelve lists, and the three that were asked again.
    assert facts["requests"]["get"] == 12 + 3


def test_gpu_resources_info_tells_what_protects_gpu_pods(
    cluster: SimulatedCluster, call: Caller, tmp_path: Path
) -> None:
    client = cluster.client()
    namespace = "nlp"
    path = f"/apis/policy/v1/namespaces/{namespace}/poddisruptionbudgets"
    (deployment,) = [one for one in client.items("/apis/apps/v1/deployments") if one["metadata"]["name"] == "nlp"]
    assert deployment["metadata"]["namespace"] == namespace
    selector = deployment["spec"]["selector"]
    client.create(path, {"metadata": {"name": "nlp"}, "spec": {"minAvailable": 1, "selector": selector}})
    client.create(path, {"metadata": {"name": "far"}, "spec": {"selector": {"matchLabels": {"app": "nobody"}}}})
    try:
        found = call("gpu_resources_info")
        assert [budget["name"] for budget in found["budgets"]] == ["nlp"]
        protected = [entry for node in found["nodes"].values() for entry in node["pods"] if entry.get("budgets")]
        assert protected
        assert {tuple(entry["budgets"]) for entry in protected} == {(f"{namespace}/nlp",)}
        assert all(entry["bound"] for entry in protected)
        cluster.fault("api", action="status", status=403, path="/apis/policy/.*", count=1)
        assert call("gpu_resources_info")["budgets"] is None
    finally:
        cluster.clear_api_faults()
        for name in ("nlp", "far"):
            client.delete(f"{path}/{name}")


def test_unknown_credentials_are_refused_with_what_to_check(cluster: SimulatedCluster, tmp_path: Path) -> None:
    found = Caller(with_token(cluster.kubeconfig, tmp_path, "unknown"))("gpu_resources_info")
    assert found["failed"]
    assert found["msg"].startswith("Cannot list nodes: the API answered 401 Unauthorized")
    assert found["api_error"]["status"] == 401
    assert "K8S_AUTH_KUBECONFIG" in found["msg"]


def test_rollout_status_info_says_what_is_not_as_planned(
    cluster: SimulatedCluster, call: Caller, tmp_path: Path
) -> None:
    position = cluster.position()
    found = call("rollout_status_info", plan_path=plan_file(tmp_path, {"gpu-l20": 8, "gpu-t4": 3}))
    assert not found["failed"], found
    assert found["matches"] is False
    for words in (
        "node gpu-l20: allocatable nvidia.com/gpu is 1, expected 8",
        "node gpu-t4: allocatable nvidia.com/gpu is 1, expected 3",
        f"node gpu-l20: no plugin pod of revision {REVISION} is on the node",
        "node gpu-t4: label nvidia-device-enable=enable is back, by which kube-system/nvidia-device-plugin-daemonset selects the node",
    ):
        assert words in found["differences"]
        assert words in found["msg"]
    assert [wave["finished"] for wave in found["waves"]] == [False, False]
    assert len(found["pending"]) == 1
    # No device is free: time alone brings nothing.
    assert [entry["stuck"] for entry in found["updating"]] == [True]
    assert found["waiting"] is False
    assert found["requests"]["get"] == len(
        [entry for entry in cluster.audit(position) if "kubegpu" in entry["user_agent"]]
    )
    assert cluster.writes(position) == []


def test_rollout_status_info_refuses_a_node_that_is_not_planned(call: Caller, tmp_path: Path) -> None:
    found = call("rollout_status_info", plan_path=plan_file(tmp_path, {"gpu-l20": 8}), nodes=["cpu-1"])
    assert found["failed"]
    assert "node 'cpu-1' is not in plan 0123456789abcdef" in found["msg"]


@pytest.mark.parametrize("names", [[], ["gpu-l20"]])
def test_rollout_status_info_as_gate_reads_little(cluster: SimulatedCluster, tmp_path: Path, names: list[str]) -> None:
    params = {"plan_path": plan_file(tmp_path, {"gpu-l20": 8, "gpu-t4": 3}), "nodes": names}
    facts = rollout_status_info.run(params, client(cluster)).facts
    assert list(facts["nodes"]) == names
    assert facts["matches"] is (not names)
    assert facts["requests"]["get"] <= 6


def test_rollout_status_info_stops_a_wave_that_would_take_too_much(
    cluster: SimulatedCluster, call: Caller, tmp_path: Path
) -> None:
    names = ["gpu-l20", "gpu-t4"]
    asked: dict[str, Any] = {"plan_path": plan_file(tmp_path, dict.fromkeys(names, 3)), "nodes": []}
    position = cluster.position()
    both = call("rollout_status_info", **asked, about_to_begin=names, max_unavailable="50%")
    assert (both["failed"], both["matches"], both["out_of_service"]) == (False, False, [])
    assert both["msg"] == both["differences"][0]
    assert both["msg"].startswith("0 of 2 GPU nodes are out of service, and this wave would add 2; at most 1 may be.")
    assert both["requests"]["get"] <= 3
    one = call("rollout_status_info", **asked, about_to_begin=names[:1], max_unavailable="25%")
    assert (one["matches"], one["msg"]) == (True, "")
    assert cluster.writes(position) == []


@pytest.mark.parametrize("value", ["0%", "many", 0])
def test_rollout_status_info_refuses_a_limit_that_is_none(
    cluster: SimulatedCluster, tmp_path: Path, value: Any
) -> None:
    params = {"plan_path": plan_file(tmp_path, {"gpu-l20": 8}), "nodes": [], "max_unavailable": value}
    with pytest.raises(InputError, match='or a percentage such as "25%"'):
        rollout_status_info.run(params, client(cluster))


def test_access_info_is_content_with_an_administrator(cluster: SimulatedCluster) -> None:
    position = cluster.position()
    facts = access_info.run(
        {"plan_path": None, "namespace": "kubegpu-system", "runtime_classes": ["nvidia"]}, client(cluster)
    ).facts
    assert (facts["missing"], facts["msg"]) == ([], "")
    # The RuntimeClass is read, and not asked about.
    assert (facts["requests"]["review"], facts["requests"]["write"]) == (facts["asked"] - 1, 0)
    assert cluster.writes(position) == []


def test_access_info_names_all_that_a_reader_lacks(
    cluster: SimulatedCluster, restricted: Caller, tmp_path: Path
) -> None:
    plan = plan_file(tmp_path, {"gpu-l20": 8})
    assert "runtimeclasses" not in restricted("access_info", plan_path=plan)["msg"]
    found = restricted("access_info", plan_path=plan, runtime_classes=["nvidia"])
    assert not found["failed"], found
    assert {"verb": "create", "resource": "runtimeclasses.node.k8s.io", "namespace": ""} in found["missing"]
    assert {"verb": "patch", "resource": "nodes", "namespace": ""} in found["missing"]
    assert {"verb": "create", "resource": "leases.coordination.k8s.io", "namespace": "kubegpu-system"} in found[
        "missing"
    ]
    assert {entry["verb"] for entry in found["missing"]} <= {"create", "patch", "delete"}
    assert "- patch nodes in the whole cluster" in found["msg"]
