"""Events as in-process components record them, with repeats counted instead of written anew."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from simulator.clock import rfc3339, rfc3339_micro

if TYPE_CHECKING:
    from simulator.registry import Registry

Object = dict[str, Any]

MODERN_COMPONENTS = ("default-scheduler",)
HOST = "simulator"


class EventRecorder:
    """Scheduler events are of the newer form (eventTime, action), those of kubelet and controllers of the older one."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._names: dict[tuple[str, ...], tuple[str, str]] = {}

    def record(self, involved: Object, *, reason: str, message: str, type: str, component: str) -> None:
        metadata = involved["metadata"]
        modern = component in MODERN_COMPONENTS
        distinction = metadata.get("resourceVersion", "") if modern else message
        key = (metadata.get("uid", ""), reason, distinction, component)
        if key in self._names and self._repeat(*self._names[key], modern=modern):
            return
        event = self._new(involved, reason, message, component)
        event["type"] = type
        namespace = metadata.get("namespace") or "default"
        created = self._registry.create("events", event, namespace)
        self._names[key] = (namespace, created["metadata"]["name"])

    def _repeat(self, namespace: str, name: str, *, modern: bool) -> bool:
        """Count a repetition: the newer form in a series, the older one in the event itself."""
        event = self._registry.store.get("events", namespace, name)
        if event is None:
            return False
        now = self._registry.clock.now()
        if modern:
            count = (event.get("series") or {}).get("count", 1) + 1
            changed = {**event, "series": {"count": count, "lastObservedTime": rfc3339_micro(now)}}
        else:
            changed = {**event, "count": event.get("count", 1) + 1, "lastTimestamp": rfc3339(now)}
        self._registry.store.put("events", changed)
        return True

    def _new(self, involved: Object, reason: str, message: str, component: str) -> Object:
        metadata = involved["metadata"]
        now = self._registry.clock.now()
        reference = {"kind": involved["kind"], "namespace": metadata.get("namespace"), "name": metadata["name"]}
        reference |= {"uid": metadata.get("uid"), "apiVersion": involved["apiVersion"]}
        reference["resourceVersion"] = metadata.get("resourceVersion")
        event: Object = {
            "metadata": {"name": f"{metadata['name']}.{time.time_ns():x}"},
            "involvedObject": {name: value for name, value in reference.items() if value},
            "reason": reason,
            "message": message,
        }
        if component in MODERN_COMPONENTS:
            action = "Binding" if reason == "Scheduled" else "Scheduling"
            event |= {"source": {}, "firstTimestamp": None, "lastTimestamp": None, "eventTime": rfc3339_micro(now)}
            event |= {"action": action, "reportingComponent": component, "reportingInstance": f"{component}-{HOST}"}
        else:
            event |= {"source": {"component": component}, "firstTimestamp": rfc3339(now), "lastTimestamp": rfc3339(now)}
            event |= {"count": 1, "eventTime": None, "reportingComponent": component, "reportingInstance": ""}
        return event
