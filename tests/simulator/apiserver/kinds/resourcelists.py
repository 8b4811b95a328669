"""Rules for resource requests and limits of containers, and for what a node advertises."""

from __future__ import annotations

from typing import Any

from simulator.apiserver import quantity
from simulator.apiserver.errors import Cause, invalid_value, required
from simulator.apiserver.kinds.base import quoted

Object = dict[str, Any]

STANDARD = ("cpu", "memory", "ephemeral-storage", "storage", "pods")
CONTAINER_STANDARD = ("cpu", "memory", "ephemeral-storage")


def is_extended(name: str) -> bool:
    """A resource that is counted in whole units and cannot be overcommitted: ``nvidia.com/gpu``."""
    return "/" in name and not name.startswith("kubernetes.io/") and ".kubernetes.io/" not in name


def container_causes(spec: Object, field: str) -> list[Cause]:
    causes = []
    for group in ("initContainers", "containers"):
        for number, container in enumerate(spec.get(group) or []):
            causes += _resource_causes(container.get("resources") or {}, f"{field}.{group}[{number}].resources")
    return causes


def _resource_causes(resources: Object, field: str) -> list[Cause]:
    limits, requests = resources.get("limits") or {}, resources.get("requests") or {}
    causes = []
    for name, value in sorted(limits.items()):
        causes += _amount_causes(name, value, f"{field}.limits[{name}]")
    for name, value in sorted(requests.items()):
        causes += _amount_causes(name, value, f"{field}.requests[{name}]")
        causes += _ratio_causes(name, value, limits, field)
    return causes


def _amount_causes(name: str, value: str, field: str) -> list[Cause]:
    causes = []
    if "/" not in name and name not in STANDARD and not name.startswith("hugepages-"):
        causes.append(invalid_value(field, quoted(name), "must be a standard resource type or fully qualified"))
    if "/" not in name and name not in CONTAINER_STANDARD and not name.startswith("hugepages-"):
        causes.append(invalid_value(field, quoted(name), "must be a standard resource for containers"))
    if quantity.parse(value) < 0:
        causes.append(invalid_value(field, quoted(value), "must be greater than or equal to 0"))
    if is_extended(name) and not quantity.is_integer(value):
        causes.append(invalid_value(field, quoted(value), "must be an integer"))
    return causes


def _ratio_causes(name: str, value: str, limits: Object, field: str) -> list[Cause]:
    if is_extended(name):
        if name not in limits:
            return [required(f"{field}.limits", "Limit must be set for non overcommitable resources")]
        if quantity.parse(value) != quantity.parse(limits[name]):
            why = f"must be equal to {name} limit of {limits[name]}"
            return [invalid_value(f"{field}.requests", quoted(value), why)]
    elif name in limits and quantity.parse(value) > quantity.parse(limits[name]):
        why = f"must be less than or equal to {name} limit of {limits[name]}"
        return [invalid_value(f"{field}.requests", quoted(value), why)]
    return []


def node_causes(status: Object) -> list[Cause]:
    causes = []
    for part in ("capacity", "allocatable"):
        for name, value in sorted((status.get(part) or {}).items()):
            if is_extended(name) and not quantity.is_integer(value):
                causes.append(invalid_value(f"status.{part}.{name}", quoted(value), "must be an integer"))
    return causes
