"""The kubelet's own check that a pod fits its node. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from simulator.controllers.quantities import Amounts, amounts

Object = dict[str, Any]


def out_of(wanted: Amounts, others: Iterable[Amounts], allocatable: Object) -> tuple[str, str] | None:
    """(reason, message) of a refusal, or None. Resources that the node has never heard of are not checked.

    ``wanted`` is what the pod asks for, ``others`` what the pods ask for that are admitted already.
    """
    room = amounts(allocatable)
    used: dict[str, int] = {}
    for other in others:
        for resource, number in other.items():
            used[resource] = used.get(resource, 0) + number
    for resource, number in sorted(wanted.items()):
        if number and resource in room and number + used.get(resource, 0) > room[resource]:
            text = f"Node didn't have enough resource: {resource}, requested: {number}, used: {used.get(resource, 0)}, capacity: {room[resource]}"
            return f"OutOf{resource}", text
    return None
