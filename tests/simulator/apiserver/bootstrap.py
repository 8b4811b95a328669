"""What every API server makes at its first start: system namespaces, priority classes and cluster roles."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.registry import Registry

NAMESPACES = ("default", "kube-node-lease", "kube-public", "kube-system")
PRIORITY_CLASSES = {"system-cluster-critical": 2_000_000_000, "system-node-critical": 2_000_001_000}
EVERYTHING = [
    {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
    {"nonResourceURLs": ["*"], "verbs": ["*"]},
]


def populate(registry: Registry) -> None:
    for name in NAMESPACES:
        registry.create("namespaces", {"metadata": {"name": name}})
    for name, value in PRIORITY_CLASSES.items():
        registry.create("scheduling.k8s.io/priorityclasses", {"metadata": {"name": name}, "value": value})
    registry.create(
        "rbac.authorization.k8s.io/clusterroles", {"metadata": {"name": "cluster-admin"}, "rules": EVERYTHING}
    )
