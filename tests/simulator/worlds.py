"""Small worlds for tests: scenarios, plugin DaemonSets and GPU pods with few words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulator.controllers.facts import ALL, Facts
from simulator.manifests import daemonset
from simulator.scenario import Scenario
from simulator.simulation import Simulation

Object = dict[str, Any]
KEY = "nvidia.com/device-plugin.config"
GPU = "nvidia.com/gpu"
NAMESPACE = "gpu"


def gpu_node(name: str = "gpu-1", card: str = "T4", count: int = 2, **more: Any) -> Object:
    labels = {KEY: "default", **more.pop("labels", {})}
    return {"name": name, "labels": labels, "gpus": [{"card": card, "count": count}], **more}


def mig_node(
    devices: dict[str, int] | None = None, name: str = "gpu-1", card: str = "H20", count: int = 1, **more: Any
) -> Object:
    """Every card cut alike; without ``devices`` the mode is on and nothing is made. ``more`` cards may come in ``gpus``."""
    cut = {"card": card, "count": count, "mig": {"mode": "enabled", "devices": devices or {}}}
    return gpu_node(name) | {**more, "gpus": [cut, *more.get("gpus", [])]}


def mig_plugin(strategy: str = "mixed", name: str = "plugin", **options: Any) -> Object:
    """A plugin that NVML tells of MIG devices: with SYS_ADMIN, and the variable by which it asks for the monitor device."""
    env = {"NVIDIA_MIG_MONITOR_DEVICES": "all", **options.pop("env", {})}
    manifest = plugin(name, args=[f"--mig-strategy={strategy}", *options.pop("args", [])], env=env, **options)
    manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"capabilities": {"add": ["SYS_ADMIN"]}}
    return manifest


def world(
    *nodes: Object, apply: Sequence[Object] = (), facts: Facts = ALL, directory: Path | None = None, **more: Any
) -> Simulation:
    """A cluster at rest, an hour after the manifests were applied, in virtual time. Without nodes it has one of two T4."""
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    history = [{"age": "1h", "apply": [namespace, *apply]}]
    data = {"name": "world", "nodes": list(nodes) or [gpu_node()], "history": history, **more}
    simulation = Simulation(Scenario.load(data), directory=directory, facts=facts)
    simulation.replay()
    return simulation


def config_map(name: str = "config", *, immutable: bool = False, **files: str) -> Object:
    """Files by name; an underscore in a keyword stands for a dot."""
    data = {key.replace("_", "."): text for key, text in files.items()}
    found: Object = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": data,
    }
    if immutable:
        found["immutable"] = True
    return found


def sharing(replicas: int, **block: Any) -> str:
    """A plugin config file that shares every GPU by time-slicing."""
    resources = [{"name": GPU, "replicas": replicas}]
    return json.dumps({"version": "v1", "sharing": {"timeSlicing": {**block, "resources": resources}}})


def plugin(
    name: str = "plugin",
    *,
    key: str = "default",
    version: str = "v0.17.1",
    args: Sequence[str] = (),
    env: dict[str, str] | None = None,
    config: str | None = None,
    strategy: str = "OnDelete",
) -> Object:
    """A plugin DaemonSet on the nodes with that key, with the ConfigMap ``config`` mounted at /config."""
    labels = {"plugin": name}
    container: Object = {"name": "plugin", "image": f"nvcr.io/nvidia/k8s-device-plugin:{version}", "args": list(args)}
    container["env"] = [{"name": item, "value": value} for item, value in (env or {}).items()]
    spec: Object = {"nodeSelector": {KEY: key}, "containers": [container]}
    if config is not None:
        container["volumeMounts"] = [{"name": "config", "mountPath": "/config"}]
        spec["volumes"] = [{"name": "config", "configMap": {"name": config}}]
    return daemonset(name, NAMESPACE, spec, labels, strategy=strategy)


def shared_plugin(replicas: int = 4, name: str = "plugin", *, key: str = "default", **options: Any) -> list[Object]:
    """A plugin DaemonSet with the ConfigMap that makes it share every GPU."""
    block = {"failRequestsGreaterThanOne": True}
    source = config_map(f"{name}-config", config_yaml=sharing(replicas, **block))
    return [
        source,
        plugin(name, key=key, args=["--config-file=/config/config.yaml"], config=f"{name}-config", **options),
    ]


def gpu_pod(
    name: str = "job",
    *,
    gpus: int = 1,
    node: str | None = None,
    resource: str = GPU,
    memory_mib: int = 1000,
    **labels: str,
) -> Object:
    """A bare pod with a GPU; with ``node`` bound past the scheduler."""
    spec: Object = {
        "containers": [
            {"name": "main", "image": "registry.example.com/app:1", "resources": {"limits": {resource: gpus}}}
        ]
    }
    if node:
        spec["nodeName"] = node
    annotations = {"simulator.kubegpu/gpu-memory-mib": str(memory_mib)}
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app": name, **labels}, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def deployment(
    name: str = "app", *, replicas: int = 1, gpus: int = 1, image: str = "registry.example.com/app:1", **spec: Any
) -> Object:
    labels = {"app": name}
    limits = {"resources": {"limits": {GPU: gpus}}} if gpus else {}
    pod_spec = {"containers": [{"name": "main", "image": image, **limits}], **spec.pop("pod", {})}
    annotations = {"simulator.kubegpu/gpu-memory-mib": "1000"}
    template = {"metadata": {"labels": labels, "annotations": annotations}, "spec": pod_spec}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"replicas": replicas, "selector": {"matchLabels": labels}, "template": template, **spec},
    }


def stateful_set(
    name: str = "db", *, replicas: int = 3, gpus: int = 1, policy: str = "OrderedReady", **spec: Any
) -> Object:
    body = deployment(name, replicas=replicas, gpus=gpus, **spec)
    body["kind"] = "StatefulSet"
    body["spec"] |= {"serviceName": name, "podManagementPolicy": policy}
    return body


def budget(name: str = "budget", *, app: str = "app", **spec: Any) -> Object:
    """A disruption budget for the pods labelled ``app: <app>``, such as ``budget(minAvailable=2)``."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"selector": {"matchLabels": {"app": app}}, **spec},
    }


def cards_in_use(simulation: Simulation, node: str = "gpu-1") -> dict[int, int]:
    """Processes on every GPU of a node, by index."""
    return {gpu.index: len(gpu.processes) for gpu in simulation.agent(node).gpus.gpus}
