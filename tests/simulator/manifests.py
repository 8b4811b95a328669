"""Manifests of what clusters and tests are full of."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def daemonset(
    name: str,
    namespace: str,
    pod: Object,
    selector: dict[str, str],
    *,
    labels: dict[str, str] | None = None,
    strategy: str = "",
) -> Object:
    """A DaemonSet of pods with this spec.

    :param labels: of itself and of its pods, if they bear more than what it selects them by.
    """
    spec: Object = {
        "selector": {"matchLabels": selector},
        "template": {"metadata": {"labels": labels or selector}, "spec": pod},
    }
    if strategy:
        spec["updateStrategy"] = {"type": strategy}
    metadata = {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})}
    return {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": metadata, "spec": spec}
