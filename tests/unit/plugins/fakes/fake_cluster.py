# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes, a foreign plugin and ours, as DaemonSets, kubelet and plugin behave: just enough for the steps of a rollout.

Also keeps watch over the law: at no moment is a node schedulable while what it advertises differs from the revision
recorded on it.
"""

from __future__ import annotations

import copy
import json
import threading
from pathlib import Path
from typing import Any, Mapping

from unit.plugins.fakes.fake_api import FakeApi

from simulator.manifests import daemonset

GPU = "nvidia.com/gpu"
KEY = "nvidia.com/device-plugin.config"
REVISION = "kubegpu.sharing/revision"
MAINTENANCE = "kubegpu.sharing/maintenance"
FOREIGN = "kube-system/nvidia-device-plugin-daemonset"
FOREIGN_PATH = "/apis/apps/v1/namespaces/kube-system/daemonsets/nvidia-device-plugin-daemonset"
LABEL = {"nvidia-device-enable": "enable"}
NAMESPACE = "kubegpu-system"
EXPORTER_IMAGE = "registry.example/nvidia/dcgm-exporter:4.2.3"
REPLICAS = {"l20": 8, "t4": 3}
REVISIONS = {"l20": "0a1b2c3d4e", "t4": "1a2b3c4d5e"}


def node_path(name: str) -> str:
    return f"/api/v1/nodes/{name}"


class FakeCluster:
    """``delay``: seconds from a plugin's coming or going to the node's status that shows it."""

    def __init__(self, nodes: Mapping[str, str], method: str = "label", delay: float = 0.002) -> None:
        self.api = FakeApi()
        self.keys = dict(nodes)
        self.method = method
        self.delay = delay
        self.broken_revisions: set[str] = set()
        self.violations: list[str] = []
        self.law_off: set[str] = set()
        self._timers: list[threading.Timer] = []
        self.api.put(FOREIGN_PATH, self._foreign())
        self.api.put("/api/v1/namespaces/kube-system", {})
        for name in nodes:
            self.api.put(node_path(name), _node())
        self.api.listeners.append(self._react)
        for name in nodes:
            self._sync(name)

    def settle(self) -> None:
        for timer in self._timers:
            timer.join()

    def node(self, name: str) -> dict[str, Any]:
        return copy.deepcopy(self.api.objects[node_path(name)])

    def allocatable(self, name: str) -> int:
        return int(self.node(name)["status"]["allocatable"].get(GPU, 0))

    def plugin_pods(self, name: str) -> list[dict[str, Any]]:
        return [pod for pod in self.api.under("pods") if pod["spec"]["nodeName"] == name]

    def schedulable(self, name: str) -> bool:
        return not self.node(name)["spec"].get("unschedulable")

    def run_everywhere(self, name: str, **pod_spec: Any) -> None:
        """A DaemonSet of namespace "monitoring" that keeps the driver open."""
        spec = {"containers": [{"name": "exporter", "image": EXPORTER_IMAGE}], **pod_spec}
        path = f"/apis/apps/v1/namespaces/monitoring/daemonsets/{name}"
        self.api.put(path, daemonset(name, "monitoring", spec, {"app": name}))

    def pods_of(self, name: str, node: str) -> list[str]:
        """Names of a DaemonSet's pods on a node."""
        owned = [pod for pod in self.plugin_pods(node) if pod["metadata"]["ownerReferences"][0]["name"] == name]
        return [pod["metadata"]["name"] for pod in owned]

    def plan(self, path: Path, **changes: Any) -> str:
        """Write a plan that moves every node off the foreign plugin, onto the revision of its key."""
        document = {**plan_document(self.keys, self.method, self.api.objects[FOREIGN_PATH]), **changes}
        path.write_text(json.dumps(document))
        return str(path)

    def _foreign(self) -> dict[str, Any]:
        selector = {"name": "nvidia-device-plugin-ds"}
        pod_spec = {"nodeSelector": dict(LABEL), "containers": [_container("plugin")]}
        return {
            "kind": "DaemonSet",
            "metadata": {"uid": "foreign-uid", "generation": 3},
            "spec": {
                "selector": {"matchLabels": selector},
                "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
                "template": {"metadata": {"labels": selector}, "spec": pod_spec},
            },
        }

    def _react(self, kind: str, path: str, obj: Any) -> None:
        if path.startswith("/api/v1/nodes/"):
            name = path.rpartition("/")[2]
            self._watch_the_law(name, obj if kind != "DELETED" else None)
            if kind != "DELETED":
                self._sync(name)
        elif "/daemonsets/" in path:
            for name in self.keys:
                self._sync(name)
        elif "/pods/" in path and kind == "DELETED" and _is_reaped(obj):
            self._sync(obj["spec"]["nodeName"])

    def _sync(self, name: str) -> None:
        """What the DaemonSet controller does about a node: the pods that belong there, and no others."""
        api = self.api
        node = api.objects.get(node_path(name))
        if node is None:
            return
        wanted = [daemonset for daemonset in api.under("daemonsets") if _selects(daemonset, node)]
        names = {f"{daemonset['metadata']['name']}-{name}" for daemonset in wanted}
        changed = False
        for pod in self.plugin_pods(name):
            if pod["metadata"]["name"] not in names and _is_reaped(pod):
                api.remove(_pod_path(pod))
                changed = True
        for owner in wanted:
            pod = self._pod_of(owner, name)
            if _pod_path(pod) not in api.objects and _is_tolerated(owner, node):
                api.put(_pod_path(pod), pod)
                changed = True
        if changed:
            timer = threading.Timer(self.delay, self._report, [name])
            self._timers.append(timer)
            timer.start()

    def _pod_of(self, daemonset: Mapping[str, Any], node: str) -> dict[str, Any]:
        metadata = daemonset["metadata"]
        labels = daemonset["spec"]["template"]["metadata"]["labels"]
        broken = labels.get(REVISION) in self.broken_revisions
        waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s restarting failed container"}}
        ended = {"terminated": {"exitCode": 1, "message": "Incompatible platform detected"}}
        status: dict[str, Any] = {
            "phase": "Running",
            "startTime": "2026-03-01T12:00:00Z",
            "conditions": [{"type": "Ready", "status": "False" if broken else "True"}],
        }
        if broken:
            status["containerStatuses"] = [{"name": "plugin", "state": waiting, "lastState": ended}]
        return {
            "metadata": {
                "name": f"{metadata['name']}-{node}",
                "namespace": metadata["namespace"],
                "labels": dict(labels),
                "ownerReferences": [{"kind": "DaemonSet", "name": metadata["name"], "controller": True}],
            },
            "spec": {"nodeName": node, "containers": daemonset["spec"]["template"]["spec"]["containers"]},
            "status": status,
        }

    def _report(self, name: str) -> None:
        """The kubelet's node status."""
        with self.api.guard:
            if node_path(name) not in self.api.objects:
                return
            serving = [pod for pod in self.plugin_pods(name) if _is_plugin(pod)]
            healthy = [pod for pod in serving if pod["status"]["conditions"][0]["status"] == "True"]
            if len(healthy) != 1:
                count = 0
            elif REVISION in healthy[0]["metadata"]["labels"]:
                count = REPLICAS[self.keys[name]]
            else:
                count = 1
            self.api.change(node_path(name), {"status": {"allocatable": {GPU: str(count)}}})

    def _watch_the_law(self, name: str, node: Mapping[str, Any] | None) -> None:
        if node is None or node["spec"].get("unschedulable") or name in self.law_off:
            return
        revision = (node["metadata"].get("labels") or {}).get(REVISION)
        expected = {None: 1, REVISIONS[self.keys[name]]: REPLICAS[self.keys[name]]}.get(revision, 0)
        advertised = int(node["status"]["allocatable"].get(GPU, 0))
        if advertised != expected:
            self.violations.append(f"{name}: schedulable with revision {revision} while it advertises {advertised}")


def plan_document(keys: Mapping[str, str], method: str, foreign: Mapping[str, Any]) -> dict[str, Any]:
    nodes = {
        name: {
            "key": key,
            "from": {"key": None, "revision": None, "resources": {GPU: 1}},
            "to": {"key": key, "revision": REVISIONS[key], "resources": {GPU: REPLICAS[key]}},
            "expected_resources": {GPU: REPLICAS[key]},
            "resources_before": {GPU: 1},
            "changed": True,
            "disruption": "switch",
            "release": {"method": method, "daemonset": FOREIGN, "label": LABEL if method == "label" else None},
        }
        for name, key in keys.items()
    }
    release = {
        "daemonset": FOREIGN,
        "uid": foreign["metadata"]["uid"],
        "generation": foreign["metadata"]["generation"],
        "owner": {"kind": "helm", "name": "nvidia-gpu"},
        "method": method,
        "label": LABEL if method == "label" else None,
        "patch": affinity_patch() if method == "affinity" else None,
        "nodes": list(keys),
    }
    return {
        "schema_version": 1,
        "plan_id": "0123456789abcdef",
        "empty": False,
        "plugin": {"backend": "daemonset_per_key", "namespace": NAMESPACE},
        "configs": {key: {"revision": REVISIONS[key], "objects": manifests(key)} for key in sorted(set(keys.values()))},
        "nodes": nodes,
        "releases": [release],
        "problems": [],
    }


def affinity_patch() -> dict[str, Any]:
    terms = [{"matchExpressions": [{"key": REVISION, "operator": "DoesNotExist"}]}]
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    return {
        "spec": {
            "updateStrategy": {"type": "OnDelete", "rollingUpdate": None},
            "template": {"spec": {"affinity": {"nodeAffinity": required}}},
        }
    }


def manifests(key: str) -> list[dict[str, Any]]:
    revision = REVISIONS[key]
    labels = {
        "app.kubernetes.io/managed-by": "kubegpu.sharing",
        "app.kubernetes.io/name": "nvidia-device-plugin",
        "kubegpu.sharing/key": key,
        REVISION: revision,
    }
    title = f"kubegpu-device-plugin-{key}-{revision}"
    metadata = {"name": title, "namespace": NAMESPACE, "labels": labels}
    spec = {"nodeSelector": {KEY: key, REVISION: revision}, "containers": [_container("nvidia-device-plugin")]}
    selector = {label: labels[label] for label in ("kubegpu.sharing/key", REVISION)}
    config = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata,
        "immutable": True,
        "data": {"config.yaml": "version: v1\n"},
    }
    plugin = daemonset(title, NAMESPACE, spec, selector, labels=labels, strategy="OnDelete")
    return [config, plugin]


def _node() -> dict[str, Any]:
    return {
        "kind": "Node",
        "metadata": {"labels": {**LABEL, "kubernetes.io/os": "linux"}},
        "spec": {},
        "status": {"conditions": [{"type": "Ready", "status": "True"}], "allocatable": {"cpu": "8", GPU: "1"}},
    }


def _container(name: str) -> dict[str, Any]:
    return {"name": name, "image": "registry.example/nvidia/k8s-device-plugin:v0.17.1"}


def _pod_path(pod: Mapping[str, Any]) -> str:
    return f"/api/v1/namespaces/{pod['metadata']['namespace']}/pods/{pod['metadata']['name']}"


def _is_plugin(pod: Mapping[str, Any]) -> bool:
    return pod["spec"]["containers"][0]["image"].endswith("/k8s-device-plugin:v0.17.1")


def _is_reaped(pod: Mapping[str, Any]) -> bool:
    """The controller takes it off a node that it does not belong to."""
    return _is_plugin(pod) or pod["spec"]["containers"][0]["image"] == EXPORTER_IMAGE


def _is_tolerated(daemonset: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    """A new pod may come. One that runs stays, whatever the node's taints."""
    tolerated = daemonset["spec"]["template"]["spec"].get("tolerations") or []
    return not node["spec"].get("taints") or {"operator": "Exists"} in tolerated


def _selects(daemonset: Mapping[str, Any], node: Mapping[str, Any]) -> bool:
    labels = node["metadata"].get("labels") or {}
    pod_spec = daemonset["spec"]["template"]["spec"]
    if any(labels.get(label) != value for label, value in (pod_spec.get("nodeSelector") or {}).items()):
        return False
    affinity = ((pod_spec.get("affinity") or {}).get("nodeAffinity") or {}).get(
        "requiredDuringSchedulingIgnoredDuringExecution"
    )
    stays_away = any(
        expression["operator"] == "DoesNotExist" and expression["key"] in labels
        for term in (affinity or {}).get("nodeSelectorTerms", [])
        for expression in term["matchExpressions"]
    )
    return not stays_away
