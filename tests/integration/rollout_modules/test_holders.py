# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What keeps the driver open on GPU nodes is found by the facts of the simulated hosts, paused, and resumed around a change of MIG."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.driver import Driver

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import SystemClock
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.modules import gpu_resources_info
from simulator.cluster import SimulatedCluster
from simulator.manifests import daemonset

from .permissions import operator_of

MAINTENANCE, TAINT = "kubegpu.sharing/maintenance", "kubegpu.sharing/maintenance"
OPERATOR = "nvidia.com/gpu.deploy.dcgm-exporter"
PLUGIN, EXPORTER = "nvcr.io/nvidia/k8s-device-plugin:v0.17.1", "nvcr.io/nvidia/k8s/dcgm-exporter:4.2.3"
DEVICES = {"1g.12gb": 7}
CONFIGS = {"h20": {"match": {"product": "NVIDIA H20"}, "mig": {"strategy": "mixed", "devices": DEVICES}}}
NODES = ("by-label", "by-operator", "by-taint")
LABELS = {
    "by-label": {"metrics": "on"},
    "by-operator": {OPERATOR: "true"},
    "by-taint": {"bare": "yes", "shared": "yes"},
}
READY = "root/run/kubegpu-sharing/mig-ready"
#: Programs on a host, its directory as the first argument. Each has a process of its own, as a process has one NVML.
HOST = """
import json, sys
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_config import configure
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.mig_request import MigRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node import NodeReader
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.node_files import NodeFiles
from ansible_collections.kubegpu.sharing.plugins.module_utils._nvml.opening import open_nvml
node = sys.argv[1]
library, files = node + "/libnvidia-ml.so.1", NodeFiles(node + "/proc", node + "/kubelet")
"""
READ = HOST + "print(json.dumps(NodeReader(library, None, files).read()))"
LAY_OUT = (
    HOST
    + f"""
places = dict(lock_path=node + "/lock", state_dir=node + "/mig", ready_path=node + "/{READY}")
with open_nvml(library, None, files) as nvml:
    print(json.dumps(configure(MigRequest(mig_devices={DEVICES!r}, **places), nvml, files)["after"]))
"""
)
OPTIONS = {"timeout_seconds": 30.0, "soak_seconds": 0.2, "settle_seconds": 0.05, "return_seconds": 20.0}


def holding(name: str, image: str, **spec: Any) -> dict[str, Any]:
    """A DaemonSet whose pods keep NVML open."""
    made = daemonset(name, "monitoring", {"containers": [{"name": "main", "image": image}], **spec}, {"app": name})
    made["spec"]["template"]["metadata"]["annotations"] = {"simulator.kubegpu/holds-nvml": "true"}
    return made


def scenario(*more: dict[str, Any]) -> dict[str, Any]:
    """Three nodes with an H20 each, whose exporters are paused in three ways, and a pod that has a GPU. One exporter is of a
    kind that nobody knows, and its label serves a Deployment as well.
    """
    toleration = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    plugin = {"containers": [{"name": "plugin", "image": PLUGIN}], "nodeSelector": {"gpu-plugin": "on"}}
    web = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "web", "namespace": "default"},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": "web"}},
            "template": {
                "metadata": {"labels": {"app": "web"}},
                "spec": {"containers": [{"name": "web", "image": "web:1"}], "nodeSelector": {"shared": "yes"}},
            },
        },
    }
    job = json.loads(json.dumps(web).replace("web", "job"))
    pod = job["spec"]["template"]["spec"]
    pod["containers"][0]["resources"] = {"limits": {"nvidia.com/gpu": 1}}
    pod["nodeSelector"] = {"bare": "yes"}
    applied = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "monitoring"}},
        daemonset("plugin", "kube-system", {**plugin, "tolerations": toleration}, {"name": "plugin"}),
        holding("labelled", EXPORTER, nodeSelector={"metrics": "on"}),
        holding("operators", EXPORTER, nodeSelector={OPERATOR: "true"}),
        holding("probe", "example/probe:1", nodeSelector={"shared": "yes"}, tolerations=toleration),
        web,
        job,
        *more,
    ]
    nodes: list[dict[str, Any]] = [
        {"name": name, "labels": {"gpu-plugin": "on", **LABELS[name]}, "gpus": [{"card": "H20", "count": 1}]}
        for name in NODES
    ]
    return {"name": "holders", "speed": 10, "nodes": nodes, "history": [{"age": "9d", "apply": applied}]}


@dataclass
class Scene:
    cluster: SimulatedCluster
    directory: Path

    def api(self, kubeconfig: Path | None = None) -> KubeClient:
        return KubeClient.from_params({"kubeconfig": str(kubeconfig or self.cluster.kubeconfig)})

    def on_hosts(self, program: str) -> dict[str, Any]:
        """What the program prints on each host."""
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        directories = [str(self.cluster.node_directory(name)) for name in NODES]
        running = [
            subprocess.Popen(
                [sys.executable, "-c", program, one],
                stdout=subprocess.PIPE,
                stdin=subprocess.DEVNULL,
                env=environment,
            )
            for one in directories
        ]
        return {name: json.loads(process.communicate(timeout=60)[0]) for name, process in zip(NODES, running)}

    def plan(self) -> dict[str, Any]:
        path = self.directory / "cluster.json"
        options = {"dest": str(path), "namespace": "kubegpu-system", "resource_prefix": "nvidia.com/", "nodes": []}
        gpu_resources_info.run(options, self.api())
        facts = self.on_hosts(READ)
        plan = build_plan(
            PlanRequest(
                configs=CONFIGS,
                cluster=json.loads(path.read_text()),
                host_facts=facts,
                hosts={name: name for name in NODES},
            )
        )
        (self.directory / "plan.json").write_text(json.dumps(plan))
        (self.directory / "facts").mkdir(exist_ok=True)
        for name in NODES:
            content = {"host": name, "node": name, "facts": facts[name]}
            (self.directory / "facts" / f"{name}.json").write_text(json.dumps(content))
        return plan

    def driver(self, run: str = "run-1", **more: Any) -> Driver:
        options = {**OPTIONS, "facts_dir": str(self.directory / "facts")}
        plan = str(self.directory / "plan.json")
        return Driver(self.api(), SystemClock(), plan, NODES, run, options=options, **more)

    def node(self, name: str) -> dict[str, Any]:
        return self.cluster.client().get(f"/api/v1/nodes/{name}")

    def started(self, name: str) -> str:
        return str(self.node(name)["status"]["nodeInfo"]["bootID"])

    def shape(self) -> dict[str, Any]:
        """What pausing may touch of the nodes."""
        nodes = {name: self.node(name) for name in NODES}
        return {
            name: (
                {label: node["metadata"]["labels"].get(label) for label in LABELS[name]},
                [taint for taint in node["spec"].get("taints") or [] if taint["key"] == TAINT],
                bool(node["spec"].get("unschedulable")),
                MAINTENANCE in (node["metadata"].get("annotations") or {}),
            )
            for name, node in nodes.items()
        }

    def holders(self, name: str) -> set[str]:
        """Commands of the processes that have a device of NVIDIA's open."""
        found = set()
        for process in (self.cluster.node_directory(name) / "proc").iterdir():
            links = [os.readlink(link) for link in (process / "fd").iterdir()]
            if any(link.startswith("/dev/nvidia") for link in links):
                found.add((process / "comm").read_text().strip())
        return found

    def exporters(self) -> set[str]:
        pods = self.cluster.client().items("/api/v1/namespaces/monitoring/pods")
        return {f"{pod['metadata']['labels']['app']} {pod['spec']['nodeName']}" for pod in pods}


EVERYWHERE = {"labelled by-label", "operators by-operator", "probe by-taint"}


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with SimulatedCluster.start(scenario(), tmp_path / "cluster", speed=100) as cluster:
        yield Scene(cluster, tmp_path)


def test_everything_that_holds_the_driver_is_found_paused_and_resumed(scene: Scene) -> None:
    before = scene.shape()
    plan = scene.plan()
    assert plan["problems"] == []
    holders = {name: plan["nodes"][name]["mig"]["holders"]["daemonsets"] for name in NODES}
    assert {
        name: [(one["daemonset"], one["observed"], one["method"]) for one in found] for name, found in holders.items()
    } == {
        "by-label": [("monitoring/labelled", True, "label")],
        "by-operator": [("monitoring/operators", True, "label")],
        "by-taint": [("monitoring/probe", True, "taint")],
    }
    # By somebody who may do just what access_info asks about.
    driver = scene.driver().of(api=scene.api(operator_of(scene.cluster, plan, scene.directory)))
    foretold = {step: getattr(driver.of(check_mode=True), step)() for step in ("paused", "resumed")}
    driver.lock()
    driver.present()
    driver.in_maintenance(evict="none")
    told = {"paused": driver.paused()}
    assert scene.exporters() == set()
    again = scene.cluster.position()
    assert driver.paused()["changed"] is False
    assert [write for write in scene.cluster.writes(again) if write["resource"] != "leases"] == []
    assert driver.in_maintenance()["failed_nodes"] == []
    assert driver.withdrawn()["failed_nodes"] == []
    assert {name: scene.holders(name) for name in NODES} == {name: set() for name in NODES}
    labels = {name: scene.node(name)["metadata"]["labels"] for name in NODES}
    assert labels["by-operator"][OPERATOR] == "paused-for-mig-change"
    # As where nothing less changes the mode: the layout is made after it, and the kubelet comes back in its own time.
    started = scene.started("by-label")
    scene.cluster.reboot("by-label")
    scene.cluster.wait_until(lambda: scene.started("by-label") != started, 30, "the node to boot")
    scene.on_hosts(LAY_OUT)  # fails while anything holds the GPUs
    assert driver.serving()["failed_nodes"] == []
    told["resumed"] = driver.resumed()
    assert told["resumed"]["failed_nodes"] == []
    assert [told["resumed"]["nodes"][name]["absent"] for name in NODES] == [[], [], []]
    assert scene.exporters() == EVERYWHERE
    assert driver.in_service()["failed_nodes"] == []
    assert scene.shape() == before
    for step, result in told.items():
        for word in ("changed", "diff", "actions"):
            assert foretold[step][word] == result[word], (step, word)
    assert [entry["path"] for entry in scene.cluster.audit() if entry["status"] == 403] == []


def test_a_node_left_between_pause_and_resume_is_put_right_by_the_next_run(scene: Scene) -> None:
    before = scene.shape()
    scene.plan()
    driver = scene.driver()
    for step in (driver.lock, driver.present, driver.in_maintenance, driver.paused, driver.withdrawn):
        assert step().get("failed_nodes", []) == []
    driver.unlock()  # as an expired lease, without the wait for it
    plan = scene.plan()
    assert plan["problems"] == []
    assert all(len(plan["nodes"][name]["mig"]["holders"]["daemonsets"]) == 1 for name in NODES)
    second = scene.driver("run-2")
    for step in (second.lock, second.present, second.in_maintenance, second.paused, second.withdrawn):
        assert step().get("failed_nodes", []) == []
    scene.on_hosts(LAY_OUT)
    assert second.serving()["failed_nodes"] == []
    # Nobody resumes: the request that puts the node into service does.
    assert second.in_service()["failed_nodes"] == []
    assert scene.shape() == before
    scene.cluster.wait_until(lambda: scene.exporters() == EVERYWHERE, 30, "the exporters to come back")


def test_one_that_cannot_be_paused_is_refused_before_the_first_eviction_with_what_to_type(scene: Scene) -> None:
    scene.plan()
    client = scene.cluster.client()
    stubborn = holding("stubborn", EXPORTER, nodeSelector={"bare": "yes"}, tolerations=[{"operator": "Exists"}])
    web = json.loads(json.dumps(scenario()["history"][0]["apply"][-1]).replace("job", "sharer"))
    web["spec"]["replicas"] = 0
    client.create("/apis/apps/v1/namespaces/monitoring/daemonsets", stubborn)
    client.create("/apis/apps/v1/namespaces/default/deployments", web)
    scene.cluster.wait_until(lambda: "stubborn by-taint" in scene.exporters(), 30, "the exporter")
    driver = scene.driver().of(nodes=("by-taint",))
    driver.lock()
    driver.in_maintenance(evict="none")
    begun = scene.cluster.position()
    result = driver.paused()
    assert result["failed_nodes"] == ["by-taint"]
    assert (
        "DaemonSet monitoring/stubborn keeps NVIDIA's driver open and came since"
        in result["nodes"]["by-taint"]["reason"]
    )
    assert [write for write in scene.cluster.writes(begun) if write["resource"] in ("pods", "pods/eviction")] == []
    assert "probe by-taint" in scene.exporters()
    with pytest.raises(InputError) as refused:
        scene.plan()
    words = shlex.split(str(refused.value)[str(refused.value).index("kubectl -n") :].partition(" Or ")[0])
    assert words[:-1] == ["kubectl", "-n", "monitoring", "patch", "daemonset", "stubborn", "--type=merge", "-p"]
    client.patch("/apis/apps/v1/namespaces/monitoring/daemonsets/stubborn", json.loads(words[-1]))
    scene.plan()
    result = driver.paused()
    assert result["failed_nodes"] == []
    assert scene.exporters() == {"labelled by-label", "operators by-operator"}
