"""Scenarios: the nodes of a simulated cluster and the history that led to its present state.

A scenario is YAML (or the same as a dictionary)::

    name: reference
    kubernetes_version: v1.36.2
    speed: 10                       # simulated seconds per second
    gfd: false                      # GPU Feature Discovery labels on GPU nodes
    nodes:
      - name: gpu-l20               # with count: N the name holds {n}
        labels: {node.kubernetes.io/instance-type: PNV5b.8XLARGE96}
        gpus: [{card: L20, count: 1}]   # with mig: {mode: enabled, devices: {1g.12gb: 7}} a card that is cut
        driver_version: 570.158.01
    history:                        # replayed in order, each step until the cluster is at rest
      - age: 200d
        apply: [ … manifests … ]

``pods`` of a node is how many it takes (110), ``host_services`` are systemd services that keep NVML open,
``gpu_reset`` says who can reset a GPU: nvml itself, the command nvidia-smi, or a reboot alone.
What pods do is in annotations of theirs or of their template: ``simulator.kubegpu/gpu-memory-mib`` (which may change
over time, see memory_course), ``…/gpu-processes`` (how many take that memory, each; 1),
``…/gpu-use-after-seconds``, ``…/start-seconds`` and ``…/stop-seconds`` (simulated), ``…/ignores-sigterm: "true"`` for one that ends only when
it is killed, at the end of its grace period, and ``…/holds-nvml: "true"`` for one that keeps NVML open, as exporters do.

Reading is strict: unknown keys and wrong values are errors, all of them at once.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml

from simulator.controllers.kubelet.node_mig import MigSpec
from simulator.controllers.kubelet.spec import NodeSpec
from simulator.scenario_check import names_of, parse_age, problems_of

Object = dict[str, Any]
SCENARIOS = Path(__file__).parent / "scenarios"
#: Larger clusters do without heartbeats and node directories unless the scenario asks for them.
LARGE = 100


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
    problems = list(problems_of(content))
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


def _nodes(content: Object) -> Iterator[NodeSpec]:
    number = 0
    for node in content["nodes"]:
        gpus = [item for item in node.get("gpus", []) for _unused in range(item.get("count", 1))]
        cards = tuple(item["card"] for item in gpus)
        optional = {
            key: node[key]
            for key in (
                "driver_version",
                "pods",
                "cgroup_version",
                "cgroup_driver",
                "container_runtime",
                "nvml_fault",
                "gpu_reset",
            )
            if key in node
        }
        optional |= {key: str(node[key]) for key in ("cpu", "memory") if key in node}
        for name in names_of(node):
            number += 1
            yield NodeSpec(
                name=name,
                cards=cards,
                mig=tuple(_mig(item) for item in gpus),
                labels={key: str(value) for key, value in node.get("labels", {}).items()},
                annotations=node.get("annotations", {}),
                taints=tuple(node.get("taints", ())),
                kubelet_version=node.get("kubelet_version", content.get("kubernetes_version", "v1.36.2")),
                gfd=bool(cards) and node.get("gfd", content.get("gfd", False)),
                address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
                services=tuple(node.get("host_services", ())),
                pod_network=f"10.{128 + (number >> 8 & 127)}.{number & 255}",
                **optional,
            )


def _mig(gpu: Object) -> MigSpec:
    given = gpu.get("mig") or {}
    return MigSpec(enabled=given.get("mode") == "enabled", devices=given.get("devices") or {})


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
