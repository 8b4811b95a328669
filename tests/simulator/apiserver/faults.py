"""Faults that tests order: answers with an error, latency, cut connections, requests that never end."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Any

Object = dict[str, Any]

ACTIONS = ("status", "flow-control", "latency", "cut", "hang")
#: What a server answers that is busy: no Status object, and nothing about any budget.
FLOW_CONTROL_STATUS, FLOW_CONTROL_TEXT = 429, "Too many requests, please try again later.\n"
FLOW_CONTROL_RETRY_SECONDS = 1
DEFAULT_REASONS = {
    409: "Conflict",
    429: "TooManyRequests",
    500: "InternalError",
    503: "ServiceUnavailable",
    504: "Timeout",
}


@dataclass
class Fault:
    """Hits requests whose method and path (with query) match: the ``nth`` such request and the ``count - 1`` after it.

    ``count`` 0 is for ever. ``method`` may name several ("POST|PATCH"); ``agent`` says whose requests, by User-Agent.
    ``action``: ``status`` answers ``status`` with ``body`` (or a Status), ``flow-control`` 429 in plain text with
    ``retry_after`` (default 1 s), as API priority and fairness does, ``latency`` waits ``latency_ms`` and goes on,
    ``cut`` closes the connection (of a watch: after ``after_ms``), ``hang`` answers nothing. With ``late`` it acts
    after the write has been stored: then only the answer is lost. ``taken`` counts the requests on which it has begun
    to act, with ``late`` those that have been carried out; ``struck`` is the first that it hit. ``detached`` carries the request out even if its client is
    gone by then, as if it had been on its way for so long.
    """

    action: str = "status"
    method: str = ""
    path: str = ".*"
    agent: str = ""
    nth: int = 1
    count: int = 1
    status: int = 500
    body: Object | None = None
    reason: str = ""
    message: str = "simulated fault"
    retry_after: int | None = None
    latency_ms: float = 0
    after_ms: float = 0
    late: bool = False
    detached: bool = False
    id: int = 0
    seen: int = 0
    hits: int = 0
    taken: int = 0
    struck: str = ""

    def __post_init__(self) -> None:
        if self.action not in ACTIONS:
            raise ValueError(f"fault action {self.action!r}: choose one of {', '.join(ACTIONS)}")
        self._methods = frozenset(filter(None, self.method.upper().split("|")))
        self._pattern = re.compile(self.path)
        self._agent = re.compile(self.agent)

    def strikes(self, method: str, path: str, agent: str) -> bool:
        if self._methods and method not in self._methods:
            return False
        if not self._pattern.search(path) or not self._agent.search(agent):
            return False
        self.seen += 1
        hit = self.seen >= self.nth and (self.count == 0 or self.seen < self.nth + self.count)
        self.hits += hit
        if hit and not self.struck:
            self.struck = f"{method} {path}"
        return hit

    def status_body(self) -> Object:
        if self.body is not None:
            return self.body
        reason = self.reason or DEFAULT_REASONS.get(self.status, "InternalError")
        status: Object = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        status |= {"message": self.message, "reason": reason, "code": self.status}
        if self.retry_after is not None:
            status["details"] = {"retryAfterSeconds": self.retry_after}
        return status


class Faults:
    """The faults in force, and the latency of every request (milliseconds)."""

    def __init__(self) -> None:
        self.latency_ms: float = 0
        self._faults: list[Fault] = []
        self._next = 1

    def add(self, order: Object) -> Fault:
        """ValueError for unknown keys or actions."""
        unknown = set(order) - set(Fault.__dataclass_fields__)
        if unknown:
            raise ValueError(f"unknown fault fields: {', '.join(sorted(unknown))}")
        fault = Fault(**{**order, "id": self._next, "seen": 0, "hits": 0, "taken": 0, "struck": ""})
        self._next += 1
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()
        self.latency_ms = 0

    def strike(self, method: str, path: str, agent: str = "") -> list[Fault]:
        """The faults that hit this request; every matching fault counts it."""
        return [fault for fault in self._faults if fault.strikes(method, path, agent)]

    def is_taken(self, number: int) -> bool:
        """Whether a fault has begun to act; one that was cleared has not."""
        return any(fault.id == number and fault.taken for fault in self._faults)

    def listing(self) -> list[Object]:
        return [asdict(fault) for fault in self._faults]
