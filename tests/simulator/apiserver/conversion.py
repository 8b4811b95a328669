"""Events are stored in their core/v1 form; this renders them as events.k8s.io/v1 and back."""

from __future__ import annotations

from typing import Any

from simulator.apiserver.resources import ResourceType

Object = dict[str, Any]

CORE_TO_MODERN = {
    "involvedObject": "regarding",
    "message": "note",
    "source": "deprecatedSource",
    "firstTimestamp": "deprecatedFirstTimestamp",
    "lastTimestamp": "deprecatedLastTimestamp",
    "count": "deprecatedCount",
    "reportingComponent": "reportingController",
}
MODERN_TO_CORE = {modern: core for core, modern in CORE_TO_MODERN.items()}


def is_modern_event(kind: ResourceType) -> bool:
    return kind.group == "events.k8s.io"


def from_stored(kind: ResourceType, obj: Object) -> Object:
    """The object as this version of the resource shows it."""
    if is_modern_event(kind):
        renamed = {CORE_TO_MODERN.get(key, key): value for key, value in obj.items()}
        return {**renamed, "apiVersion": kind.api_version}
    if obj.get("apiVersion") not in (None, kind.api_version) and obj.get("kind") == kind.kind:
        return {**obj, "apiVersion": kind.api_version}
    return obj


def to_stored(kind: ResourceType, obj: Object) -> Object:
    if is_modern_event(kind):
        renamed = {MODERN_TO_CORE.get(key, key): value for key, value in obj.items()}
        return {**renamed, "apiVersion": "v1"}
    return obj
