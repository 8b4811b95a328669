"""Which pods of a DaemonSet a rolling update replaces next. Pure."""

from __future__ import annotations

from typing import Any

from simulator.controllers.meta import is_ready, is_terminating
from simulator.controllers.rounding import resolve

Object = dict[str, Any]


def is_updated(pod: Object, revision: str) -> bool:
    return (pod["metadata"].get("labels") or {}).get("controller-revision-hash") == revision


def is_available(pod: Object) -> bool:
    return is_ready(pod)


def pods_to_replace(
    daemon_set: Object, by_node: dict[str, list[Object]], revision: str, *, desired: int
) -> list[Object]:
    """Old pods to delete now: those that do not work, and of the others as many as maxUnavailable allows."""
    rolling = daemon_set["spec"]["updateStrategy"].get("rollingUpdate") or {}
    limit = max(1, resolve(rolling.get("maxUnavailable", 1), desired, round_up=True))
    unavailable = 0
    broken: list[Object] = []
    candidates: list[Object] = []
    for node in sorted(by_node):
        pods = [pod for pod in by_node[node] if not is_terminating(pod)]
        if len(pods) != 1:
            unavailable += 1
        elif is_updated(pods[0], revision):
            unavailable += not is_available(pods[0])
        elif not is_available(pods[0]):
            broken.append(pods[0])
        else:
            candidates.append(pods[0])
    return [*broken, *candidates[: max(0, limit - unavailable)]]
