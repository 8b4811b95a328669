"""Status of a StatefulSet. Pure."""

from __future__ import annotations

from typing import Any

from simulator.controllers.meta import is_ready, is_terminating

Object = dict[str, Any]


def status_of(stateful_set: Object, pods: list[Object], *, current: str, update: str) -> Object:
    """Counts and revisions; terminating pods still count as replicas and as ready, but for no revision.

    Zeros are left out as Go's omitempty does, except those of replicas, availableReplicas and collisionCount.
    """
    ready = sum(is_ready(pod) for pod in pods)
    of_update = sum(_bears(pod, update) for pod in pods)
    of_current = sum(_bears(pod, current) for pod in pods)
    rolls = stateful_set["spec"]["updateStrategy"]["type"] == "RollingUpdate"
    if rolls and of_update == len(pods) == ready == stateful_set["spec"].get("replicas", 1):
        current, of_current = update, of_update
    status: Object = {"observedGeneration": stateful_set["metadata"]["generation"], "replicas": len(pods)}
    counts = {"readyReplicas": ready, "currentReplicas": of_current, "updatedReplicas": of_update}
    status |= {name: number for name, number in counts.items() if number}
    return {
        **status,
        "currentRevision": current,
        "updateRevision": update,
        "collisionCount": 0,
        "availableReplicas": ready,
    }


def _bears(pod: Object, revision: str) -> bool:
    labels = pod["metadata"].get("labels") or {}
    return not is_terminating(pod) and labels.get("controller-revision-hash") == revision
