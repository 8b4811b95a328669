"""The kubelet's own check that a pod fits its node. Pure."""

from __future__ import annotations

from typing import Any

from simulator.controllers.meta import is_finished
from simulator.controllers.quantities import amounts, pod_requests

Object = dict[str, Any]


def out_of(pod: Object, others: list[Object], allocatable: Object) -> tuple[str, str] | None:
    """(reason, message) of a refusal, or None. Resources that the node has never heard of are not checked."""
    room = amounts(allocatable)
    used: dict[str, int] = {}
    for other in others:
        if other["metadata"]["uid"] != pod["metadata"]["uid"] and not is_finished(other):
            for resource, number in pod_requests(other).items():
                used[resource] = used.get(resource, 0) + number
    for resource, wanted in sorted(pod_requests(pod).items()):
        if wanted and resource in room and wanted + used.get(resource, 0) > room[resource]:
            text = f"Node didn't have enough resource: {resource}, requested: {wanted}, used: {used.get(resource, 0)}, capacity: {room[resource]}"
            return f"OutOf{resource}", text
    return None
