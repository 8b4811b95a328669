"""What a scenario says about one node."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from simulator.controllers.kubelet.node_mig import MigSpec

Object = dict[str, Any]


@dataclass(frozen=True)
class NodeSpec:
    """A node of the scenario. ``cards`` are keys of the simulated NVML's card table, one per GPU, by index, and ``mig`` likewise."""

    name: str
    cards: tuple[str, ...] = ()
    mig: tuple[MigSpec, ...] = ()
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)
    taints: tuple[Object, ...] = ()
    cpu: str = "16"
    memory: str = "64Gi"
    pods: int = 110
    driver_version: str = "570.158.01"
    kubelet_version: str = "v1.36.2"
    gfd: bool = False
    cgroup_version: int = 2
    cgroup_driver: str = "systemd"
    container_runtime: str = "containerd"
    address: str = "10.0.0.1"
    pod_network: str = "10.244.0"
    nvml_fault: str = ""
    gpu_reset: str = "command"
    #: systemd services of the host that keep NVML open, such as nvidia-dcgm.service.
    services: tuple[str, ...] = ()
