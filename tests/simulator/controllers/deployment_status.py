"""Status and conditions of a Deployment, as the real controller computes them. Pure."""

from __future__ import annotations

from typing import Any

from simulator.controllers.meta import condition
from simulator.controllers.rounding import resolve

Object = dict[str, Any]
AVAILABLE, PROGRESSING = "Available", "Progressing"
NEW_AVAILABLE = "NewReplicaSetAvailable"
DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"


def fenceposts(deployment: Object) -> tuple[int, int]:
    """(maxSurge, maxUnavailable) as numbers; both zero would never end, so then one may be unavailable."""
    replicas = deployment["spec"]["replicas"]
    strategy = deployment["spec"]["strategy"]
    if strategy["type"] != "RollingUpdate":
        return 0, 0
    rolling = strategy.get("rollingUpdate") or {}
    surge = resolve(rolling.get("maxSurge", "25%"), replicas, round_up=True)
    unavailable = resolve(rolling.get("maxUnavailable", "25%"), replicas, round_up=False)
    if surge == 0 and unavailable == 0:
        unavailable = 1
    return surge, min(unavailable, replicas)


def total(replica_sets: list[Object], field: str) -> int:
    return sum((item.get("status") or {}).get(field, 0) for item in replica_sets)


def counts(deployment: Object, replica_sets: list[Object], new: Object | None) -> Object:
    """The numbers of the status; zeros are left out, as Go's omitempty does, except terminatingReplicas."""
    available = total(replica_sets, "availableReplicas")
    wanted = sum(item["spec"].get("replicas", 0) for item in replica_sets)
    numbers = {
        "observedGeneration": deployment["metadata"]["generation"],
        "replicas": total(replica_sets, "replicas"),
        "updatedReplicas": total([new] if new else [], "replicas"),
        "readyReplicas": total(replica_sets, "readyReplicas"),
        "availableReplicas": available,
        "unavailableReplicas": max(0, wanted - available),
    }
    status = {name: number for name, number in numbers.items() if number}
    status["terminatingReplicas"] = total(replica_sets, "terminatingReplicas")
    return status


def availability(deployment: Object, status: Object, now: str) -> Object:
    _unused, max_unavailable = fenceposts(deployment)
    enough = status.get("availableReplicas", 0) >= deployment["spec"]["replicas"] - max_unavailable
    if enough:
        return make_condition(AVAILABLE, True, "MinimumReplicasAvailable", "Deployment has minimum availability.", now)
    return make_condition(
        AVAILABLE, False, "MinimumReplicasUnavailable", "Deployment does not have minimum availability.", now
    )


def make_condition(kind: str, status: bool, reason: str, message: str, now: str) -> Object:
    return {
        "type": kind,
        "status": "True" if status else "False",
        "lastUpdateTime": now,
        "lastTransitionTime": now,
        "reason": reason,
        "message": message,
    }


def set_condition(conditions: list[Object], new: Object, *, refresh: bool = False) -> list[Object]:
    """Replace unless status and reason are the same (``refresh``: even then); the transition time follows the status."""
    current = next((item for item in conditions if item["type"] == new["type"]), None)
    if current is not None:
        if not refresh and current["status"] == new["status"] and current["reason"] == new["reason"]:
            return conditions
        if current["status"] == new["status"]:
            new = {**new, "lastTransitionTime": current["lastTransitionTime"]}
    return [*(item for item in conditions if item["type"] != new["type"]), new]


def is_complete(deployment: Object, status: Object) -> bool:
    wanted = deployment["spec"]["replicas"]
    fields = ("updatedReplicas", "replicas", "availableReplicas")
    return all(status.get(field, 0) == wanted for field in fields)


def has_progressed(old: Object, new: Object) -> bool:
    def number(status: Object, field: str) -> int:
        return int(status.get(field, 0))

    def outdated(status: Object) -> int:
        return number(status, "replicas") - number(status, "updatedReplicas")

    grown = any(
        number(new, field) > number(old, field) for field in ("updatedReplicas", "readyReplicas", "availableReplicas")
    )
    return grown or outdated(new) < outdated(old)


def rollout_finished(deployment: Object, status: Object) -> bool:
    """An earlier sync already said that this rollout is complete; no progress is estimated any more."""
    current = condition(deployment, PROGRESSING)
    same = status.get("replicas", 0) == status.get("updatedReplicas", 0)
    return same and current is not None and current["reason"] == NEW_AVAILABLE
