# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Clusters on which rollouts are interrupted, and what is wanted of them."""

from __future__ import annotations

from typing import Any

from simulator.manifests import daemonset

Object = dict[str, Any]

GPU = "nvidia.com/gpu"
PLUGIN = "nvcr.io/nvidia/k8s-device-plugin:v0.17.1"
#: Pods that use a GPU.
MODELS = 2
#: Of one wave, in which both kinds of plugin are left at the same time.
PAIR = ("l20-1", "t4-1")
#: The node that somebody else cordoned before anything was rolled out.
CORDONED = "t4-2"
GPU_NODES = ("l20-1", "t4-1", CORDONED)

CONFIGS: Object = {
    "l20": {"match": {"product": "NVIDIA L20"}, "sharing": "time_slicing", "replicas": 4},
    "t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "replicas": 3},
}


def on_nodes(name: str, selector: Object, image: str) -> Object:
    """A DaemonSet on the nodes with these labels."""
    pod = {
        "nodeSelector": selector,
        "tolerations": [{"operator": "Exists"}],
        "containers": [{"name": "main", "image": image}],
    }
    return daemonset(name, "kube-system", pod, {"app": name})


def deployment(name: str, replicas: int, spec: Object) -> Object:
    labels = {"app": name}
    pod = {"containers": [{"name": "main", "image": "registry.example.com/app:1", **spec}]}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


def foreign(nodes: tuple[str, ...] = GPU_NODES) -> Object:
    """Served by two plugins of somebody else: one is left by label, the other, whose label others use, by affinity."""
    return {
        "name": "foreign",
        "nodes": [*(_NODES[name] for name in nodes), {"name": "cpu-1"}],
        "history": [
            {
                "age": "9d",
                "apply": [
                    on_nodes("plugin-by-label", {"gpu-plugin": "on"}, PLUGIN),
                    on_nodes("plugin-by-affinity", {"accelerator": "nvidia"}, PLUGIN),
                    on_nodes("exporter", {"accelerator": "nvidia"}, "registry.example.com/exporter:1"),
                    deployment("web", 3, {}),
                    deployment("model", MODELS, {"resources": {"limits": {GPU: 1}}}),
                ],
            },
            {"age": "1d", "cordon": [name for name in nodes if name == CORDONED]},
        ],
    }


_L20: Object = {"labels": {"gpu-plugin": "on"}, "gpus": [{"card": "L20", "count": 1}]}
_T4: Object = {"labels": {"accelerator": "nvidia"}, "gpus": [{"card": "T4", "count": 1}]}
_NODES = {name: {"name": name, **(_L20 if name.startswith("l20") else _T4)} for name in GPU_NODES}
