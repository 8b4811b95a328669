"""What every controller is given."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.clock import Clock
from simulator.controllers.engine import Engine
from simulator.controllers.facts import ALL, Facts
from simulator.controllers.index import PodIndex
from simulator.controllers.meta import stamp
from simulator.registry import Registry
from simulator.store import Store

Object = dict[str, Any]
#: The API server forgets events after an hour: what a replayed history did before is not recorded at all.
EVENT_TTL = timedelta(hours=1)


@dataclass
class EventFilter:
    """Events before ``since`` are not recorded."""

    since: datetime | None = None

    def present_is(self, moment: datetime) -> None:
        self.since = moment - EVENT_TTL


@dataclass(frozen=True)
class Context:
    """The registry, the engine that runs everything, and the facts that hold."""

    registry: Registry
    engine: Engine
    pods: PodIndex
    facts: Facts = ALL
    events: EventFilter = field(default_factory=EventFilter)

    @classmethod
    def create(cls, registry: Registry, facts: Facts = ALL) -> Context:
        return cls(registry, Engine(registry.clock), PodIndex(registry.store), facts)

    @property
    def store(self) -> Store:
        return self.registry.store

    @property
    def clock(self) -> Clock:
        return self.registry.clock

    def now(self) -> str:
        return stamp(self.registry.clock)

    def put_status(self, resource: str, obj: Object, status: Object) -> Object:
        """Write the status of an object if it still exists as that object; other fields are the stored ones."""
        metadata = obj["metadata"]
        stored = self.store.get(resource, metadata.get("namespace"), metadata["name"])
        if stored is None or stored["metadata"]["uid"] != metadata["uid"]:
            return obj
        return self.store.put(resource, {**stored, "status": status})

    def event(self, involved: Object, reason: str, message: str, component: str, *, warning: bool = False) -> None:
        if self.events.since is not None and self.clock.now() < self.events.since:
            return
        kind = "Warning" if warning else "Normal"
        # Recorders do not insist: in a namespace that is going away, for one, events are refused.
        with contextlib.suppress(ApiError):
            self.registry.record_event(involved, reason=reason, message=message, type=kind, component=component)
