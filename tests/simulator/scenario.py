"""Scenarios: the nodes of a simulated cluster and the history that led to its present state.

A scenario is YAML (or the same as a dictionary)::

    name: reference
    kubernetes_version: v1.36.2
    speed: 10                       # simulated seconds per second
    gfd: false                      # GPU Feature Discovery labels on GPU nodes
    nodes:
      - name: gpu-l20               # with count: N the name holds {n}
        labels: {node.kubernetes.io/instance-type: PNV5b.8XLARGE96}
        gpus: [{card: L20, count: 1}]
        driver_version: 570.158.01
    history:                        # replayed in order, each step until the cluster is at rest
      - age: 200d
        apply: [ … manifests … ]

Reading is strict: unknown keys and wrong values are errors, all of them at once.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from simulator.controllers.kubelet.spec import NodeSpec
from simulator.nvml.cards import CARDS
from simulator.nvml.state import NvmlError

Object = dict[str, Any]
SCENARIOS = Path(__file__).parent / "scenarios"
#: Larger clusters do without heartbeats and node directories unless the scenario asks for them.
LARGE = 100

TOP_KEYS = {
    "name": str,
    "description": str,
    "kubernetes_version": str,
    "speed": (int, float),
    "gfd": bool,
    "heartbeats": bool,
    "files": bool,
    "nodes": list,
    "history": list,
}
NODE_KEYS = {
    "name": str,
    "count": int,
    "labels": dict,
    "annotations": dict,
    "taints": list,
    "gpus": list,
    "driver_version": str,
    "cpu": (str, int),
    "memory": (str, int),
    "pods": int,
    "gfd": bool,
    "cgroup_version": int,
    "cgroup_driver": str,
    "container_runtime": str,
    "kubelet_version": str,
    "nvml_fault": str,
}
STEP_KEYS = {"age": str, "apply": list, "delete": list, "label_nodes": dict, "cordon": list}
CHOICES = {
    "cgroup_version": (1, 2),
    "cgroup_driver": ("systemd", "cgroupfs"),
    "container_runtime": ("containerd", "cri-o", "docker"),
    "nvml_fault": tuple(error.name for error in NvmlError),
}
UNITS = {"d": 86400, "h": 3600, "m": 60, "s": 1}
NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")


class ScenarioError(ValueError):
    """The scenario cannot be used; ``problems`` lists everything that is wrong with it."""

    def __init__(self, source: str, problems: list[str]) -> None:
        super().__init__(f"Scenario {source} is not usable:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Step:
    """A moment of the history and what was done then, in this order."""

    age: timedelta
    apply: tuple[Object, ...] = ()
    delete: tuple[Object, ...] = ()
    label_nodes: Object = field(default_factory=dict)
    cordon: tuple[str, ...] = ()


@dataclass(frozen=True)
class Scenario:
    name: str
    nodes: tuple[NodeSpec, ...]
    history: tuple[Step, ...] = ()
    kubernetes_version: str = "v1.36.2"
    speed: float = 10.0
    heartbeats: bool = True
    files: bool = True

    @classmethod
    def load(cls, source: Path | str | Object) -> Scenario:
        """From a dictionary, a file, or the name of a scenario that comes along. Raises ScenarioError."""
        if isinstance(source, dict):
            return _parse(source, str(source.get("name", "given as data")))
        path = Path(source)
        if not path.exists() and path.suffix == "" and (SCENARIOS / f"{path}.yml").exists():
            path = SCENARIOS / f"{path}.yml"
        try:
            content = _read(path.read_text(encoding="utf-8"))
        except OSError as error:
            known = ", ".join(sorted(item.stem for item in SCENARIOS.glob("*.yml")))
            raise ScenarioError(
                str(source), [f"cannot be read: {error.strerror}. Scenarios that come along: {known}"]
            ) from None
        except yaml.YAMLError as error:
            raise ScenarioError(str(source), [f"is no YAML: {error}"]) from None
        return _parse(content, str(source))


def _read(text: str) -> Any:
    """YAML, or JSON: a fleet's YAML would take longer to read than its cluster to come up."""
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError):
            return json.loads(text)
    return yaml.safe_load(text)


def _parse(content: Any, source: str) -> Scenario:
    if not isinstance(content, dict):
        raise ScenarioError(source, ["must be a mapping with name and nodes"])
    problems = list(_check(content))
    if problems:
        raise ScenarioError(source, problems)
    nodes = tuple(_nodes(content))
    large = len(nodes) > LARGE
    return Scenario(
        name=content["name"],
        nodes=nodes,
        history=tuple(_step(item) for item in content.get("history", [])),
        kubernetes_version=content.get("kubernetes_version", "v1.36.2"),
        speed=float(content.get("speed", 10)),
        heartbeats=content.get("heartbeats", not large),
        files=content.get("files", not large),
    )


def _check(content: Object) -> Iterator[str]:
    yield from _check_mapping("", content, TOP_KEYS, required=("name", "nodes"))
    if isinstance(content.get("speed"), (int, float)) and content["speed"] <= 0:
        yield f"speed: must be positive, not {content['speed']}"
    names: set[str] = set()
    for number, node in enumerate(content.get("nodes") or [] if isinstance(content.get("nodes"), list) else []):
        where = f"nodes[{number}]"
        yield from _check_mapping(where, node, NODE_KEYS, required=("name",))
        if isinstance(node, dict) and isinstance(node.get("name"), str):
            yield from _check_node(where, node, names)
    ages: list[timedelta] = []
    for number, step in enumerate(content.get("history") or [] if isinstance(content.get("history"), list) else []):
        where = f"history[{number}]"
        yield from _check_mapping(where, step, STEP_KEYS, required=("age",))
        if isinstance(step, dict):
            yield from _check_step(where, step, ages)


def _check_mapping(where: str, value: Any, keys: Object, required: Sequence[str]) -> Iterator[str]:
    prefix = f"{where}: " if where else ""
    if not isinstance(value, dict):
        yield f"{prefix}must be a mapping, not {value!r}"
        return
    for key in sorted(set(value) - set(keys), key=str):
        yield f"{prefix}unknown key {key!r}; known are {', '.join(sorted(keys))}"
    for key in required:
        if key not in value:
            yield f"{prefix}{key} is missing"
    for key, item in value.items():
        wanted = keys.get(key)
        if wanted is None:
            continue
        if not isinstance(item, wanted) or (isinstance(item, bool) and wanted is not bool):
            kind = wanted[0] if isinstance(wanted, tuple) else wanted
            yield f"{prefix}{key} must be a {kind.__name__}, not {item!r}"
        elif key in CHOICES and item not in CHOICES[key]:
            yield f"{prefix}{key} must be one of {', '.join(map(str, CHOICES[key]))}, not {item!r}"


def _check_node(where: str, node: Object, names: set[str]) -> Iterator[str]:
    count = node.get("count", 1)
    if "count" in node and "{n}" not in node["name"]:
        yield f"{where}: with count the name must hold {{n}}, as in gpu-{{n}}"
    if isinstance(count, int) and count < 1:
        yield f"{where}: count must be at least 1, not {count}"
    for name in _names(node):
        if not NODE_NAME.fullmatch(name):
            yield f"{where}: {name!r} is no legal node name (lower-case letters, digits, '-' and '.')"
        if name in names:
            yield f"{where}: there are two nodes named {name}"
        names.add(name)
    for position, item in enumerate(node.get("gpus") or [] if isinstance(node.get("gpus"), list) else []):
        yield from _check_mapping(f"{where}.gpus[{position}]", item, {"card": str, "count": int}, required=("card",))
        if isinstance(item, dict) and isinstance(item.get("card"), str) and item["card"] not in CARDS:
            yield f"{where}.gpus[{position}]: no card {item['card']!r}; there are {', '.join(CARDS)}"


def _check_step(where: str, step: Object, ages: list[timedelta]) -> Iterator[str]:
    if isinstance(step.get("age"), str):
        try:
            age = parse_age(step["age"])
        except ValueError as error:
            yield f"{where}: {error}"
        else:
            if ages and age > ages[-1]:
                yield f"{where}: age {step['age']} is before the step above it; steps go from the oldest to the newest"
            ages.append(age)
    for key in ("apply", "delete"):
        for position, manifest in enumerate(step.get(key) or [] if isinstance(step.get(key), list) else []):
            known = isinstance(manifest, dict) and isinstance(manifest.get("metadata"), dict)
            if not known or not {"apiVersion", "kind"} <= set(manifest) or "name" not in manifest["metadata"]:
                yield f"{where}.{key}[{position}]: needs apiVersion, kind and metadata.name"


def parse_age(text: str) -> timedelta:
    """``28d``, ``1d12h``, ``90m``, ``0s``."""
    parts = re.findall(r"(\d+)([dhms])", text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError(f"age {text!r} is none like 28d, 1d12h, 90m or 0s")
    return timedelta(seconds=sum(int(number) * UNITS[unit] for number, unit in parts))


def _names(node: Object) -> list[str]:
    if "count" not in node:
        return [node["name"]]
    count = node["count"] if isinstance(node["count"], int) else 1
    return [node["name"].replace("{n}", str(number)) for number in range(1, count + 1)]


def _nodes(content: Object) -> Iterator[NodeSpec]:
    number = 0
    for node in content["nodes"]:
        cards = tuple(item["card"] for item in node.get("gpus", []) for _unused in range(item.get("count", 1)))
        optional = {
            key: node[key]
            for key in ("driver_version", "pods", "cgroup_version", "cgroup_driver", "container_runtime", "nvml_fault")
            if key in node
        }
        optional |= {key: str(node[key]) for key in ("cpu", "memory") if key in node}
        for name in _names(node):
            number += 1
            yield NodeSpec(
                name=name,
                cards=cards,
                labels={key: str(value) for key, value in node.get("labels", {}).items()},
                annotations=node.get("annotations", {}),
                taints=tuple(node.get("taints", ())),
                kubelet_version=node.get("kubelet_version", content.get("kubernetes_version", "v1.36.2")),
                gfd=bool(cards) and node.get("gfd", content.get("gfd", False)),
                address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
                pod_network=f"10.{128 + (number >> 8 & 127)}.{number & 255}",
                **optional,
            )


def _step(step: Object) -> Step:
    return Step(
        age=parse_age(step["age"]),
        apply=tuple(step.get("apply", ())),
        delete=tuple(step.get("delete", ())),
        label_nodes=step.get("label_nodes", {}),
        cordon=tuple(step.get("cordon", ())),
    )


def generate(
    nodes: int,
    models: Sequence[str] = ("L20", "T4"),
    gpus_per_node: int = 1,
    *,
    gfd: bool = True,
    plugin_version: str | None = "v0.17.1",
    cpu_nodes: int = 0,
    speed: float = 10.0,
) -> Object:
    """A fleet as a scenario's data: ``nodes`` GPU nodes, the models in turn, served by one plugin DaemonSet or by none.

    The result is plain data: add to its history what a test or a benchmark needs.
    """
    width = len(str(max(nodes, cpu_nodes)))
    fleet: list[Object] = [
        {
            "name": f"gpu-{number:0{width}}",
            "labels": {"nvidia-device-enable": "enable"},
            "cpu": "64",
            "memory": "512Gi",
            "gpus": [{"card": models[number % len(models)], "count": gpus_per_node}],
        }
        for number in range(1, nodes + 1)
    ]
    fleet += [{"name": f"cpu-{number:0{width}}"} for number in range(1, cpu_nodes + 1)]
    history: list[Object] = []
    if plugin_version is not None:
        history.append({"age": "30d", "apply": [plugin_daemon_set(plugin_version)]})
    return {"name": f"fleet-{nodes}", "speed": speed, "gfd": gfd, "nodes": fleet, "history": history}


def plugin_daemon_set(
    version: str, *, name: str = "nvidia-device-plugin-daemonset", args: Sequence[str] = ()
) -> Object:
    """A device plugin as its static manifest deploys it, selecting nodes by ``nvidia-device-enable``."""
    labels = {"name": name}
    container = {
        "name": "nvidia-device-plugin-ctr",
        "image": f"nvcr.io/nvidia/k8s-device-plugin:{version}",
        "args": list(args),
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": [{"name": "device-plugin", "mountPath": "/var/lib/kubelet/device-plugins"}],
    }
    spec = {
        "nodeSelector": {"nvidia-device-enable": "enable"},
        "priorityClassName": "system-node-critical",
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "containers": [container],
        "volumes": [{"name": "device-plugin", "hostPath": {"path": "/var/lib/kubelet/device-plugins"}}],
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": name, "namespace": "kube-system", "labels": labels},
        "spec": {"selector": {"matchLabels": labels}, "template": {"metadata": {"labels": labels}, "spec": spec}},
    }
