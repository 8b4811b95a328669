# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When each node was in which state, by the journal of a rollout. PRIVATE to the collection."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Iterable, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import format_time, parse_time

#: States in the order in which a node goes through them, and what each means.
STATES = {
    "schedulable": "in service, before the rollout",
    "cordoned": "cordoned: running pods go on, no new ones come",
    "evicting": "evicting: pods that must leave are ending",
    "withdrawn": "withdrawn: no plugin, no GPU is advertised",
    "serving": "serving: the new plugin comes, not yet proven",
    "proven": "proven: advertises what was planned",
    "in_service": "back in service",
    "healthy": "in service, and well",
    "unhealthy": "in service, and not well: pods restart, or GPUs report errors",
    "restored": "restored: back in service as before the rollout",
    "held": "held: proven, kept out of service by a person",
    "failed": "failed: left out of service",
}
#: States in which the scheduler may place pods on the node.
_IN_SERVICE = ("schedulable", "in_service", "healthy", "unhealthy", "restored")
#: What the watch over nodes in service ends with: no change of theirs.
_WATCHED = ("healthy", "unhealthy")
#: After which a run goes on with a node only to put it back as it was.
_NOT_WELL = ("failed", "unhealthy")
#: States of a pod, which are told of its node.
_POD_STATES = ("evicted", "recreated")


@dataclass(frozen=True)
class Segment:
    """A node in one state. Seconds are counted from the timeline's start."""

    state: str
    begin: float
    end: float
    message: str = ""

    @property
    def seconds(self) -> float:
        return self.end - self.begin


@dataclass(frozen=True)
class Mark:
    """A pod that was sent away from a node, ``seconds`` after the timeline's start. ``state``: evicted or recreated."""

    seconds: float
    state: str
    pod: str


@dataclass(frozen=True)
class Timeline:
    """States of all nodes, from the journal's first entry to its last.

    :param settled: seconds until the last change of a node's state. Pods may be recreated after that, and nodes are watched.
    """

    start: datetime
    seconds: float
    settled: float
    nodes: Mapping[str, Sequence[Segment]]
    marks: Mapping[str, Sequence[Mark]]

    def out_of_service(self, node: str) -> float:
        """Seconds in which no pod could be placed on the node."""
        return sum(segment.seconds for segment in self.nodes.get(node, ()) if segment.state not in _IN_SERVICE)

    def watched(self) -> Optional[float]:
        """Seconds from a node's return into service to the verdict on it, the longest; None if none was watched."""
        lasted = [
            later.begin - sooner.begin
            for segments in self.nodes.values()
            for sooner, later in zip(segments, segments[1:])
            if sooner.state == "in_service" and later.state in _WATCHED
        ]
        return max(lasted, default=None)

    def left_out(self, node: str) -> bool:
        """Whether the node was out of service when the journal ended."""
        segments = self.nodes.get(node)
        return segments is not None and segments[-1].state not in _IN_SERVICE

    def to_dict(self) -> dict[str, Any]:
        """As it stands in report.json: seconds since the start."""
        return {
            "start": format_time(self.start),
            "seconds": round(self.seconds, 3),
            "nodes": {
                name: [
                    {"state": s.state, "begin": round(s.begin, 3), "end": round(s.end, 3), "message": s.message}
                    for s in segments
                ]
                for name, segments in self.nodes.items()
            },
            "pods": {
                name: [{"state": mark.state, "at": round(mark.seconds, 3), "pod": mark.pod} for mark in marks]
                for name, marks in self.marks.items()
            },
        }


def read_journal(text: str) -> list[dict[str, Any]]:
    """Entries of a journal in order of time. A last line that a killed process left unfinished is passed over."""
    entries = []
    for line in text.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and parse_time(entry.get("time")) is not None:
            entries.append(entry)
    return sorted(entries, key=lambda entry: parse_time(entry["time"]) or datetime.min)


def build_timeline(entries: Iterable[Mapping[str, Any]]) -> Optional[Timeline]:
    """The timeline of the nodes' states; None if the journal has none.

    A node lasts in a state until its next entry, and in its last one until the end of the journal. Before its first entry it
    is schedulable.
    """
    moments = [
        (moment, entry)
        for entry in entries
        if entry.get("state") in (*STATES, *_POD_STATES)
        and entry.get("node")
        and (moment := parse_time(entry.get("time")))
    ]
    if not any(entry["state"] in STATES for _moment, entry in moments):
        return None
    start = moments[0][0]
    points: dict[str, list[tuple[float, str, str]]] = {}
    marks: dict[str, list[Mark]] = {}
    for moment, entry in moments:
        seconds, node, state = (moment - start).total_seconds(), str(entry["node"]), str(entry["state"])
        found = points.setdefault(node, [])
        if state in _POD_STATES:
            marks.setdefault(node, []).append(Mark(seconds, state, _pod_name(entry)))
            # the scheduler leaves the node alone before, during and after it
            if found and found[-1][1] == "cordoned":
                found.append((seconds, "evicting", ""))
        else:
            state = "restored" if state == "in_service" and _has_failed(found) else state
            found.append((seconds, state, str(entry.get("message") or "")))
    total = (moments[-1][0] - start).total_seconds()
    changes = [second for found in points.values() for second, state, _message in found if state not in _WATCHED]
    settled = max(changes, default=total)
    nodes = {node: _segments(found, total) for node, found in points.items() if found}
    return Timeline(start, total, settled, nodes, marks)


def _pod_name(entry: Mapping[str, Any]) -> str:
    pod = entry.get("pod") or {}
    return f"{pod.get('namespace')}/{pod.get('name')}"


def _has_failed(points: Sequence[tuple[float, str, str]]) -> bool:
    """A run never goes on with a node that failed, but to put it back as it was."""
    return any(state in _NOT_WELL for _seconds, state, _message in points)


def _segments(points: Sequence[tuple[float, str, str]], total: float) -> list[Segment]:
    segments: list[Segment] = []
    if points[0][0] > 0:
        points = [(0.0, "schedulable", ""), *points]
    for (begin, state, message), following in zip(points, [*points[1:], (total, "", "")]):
        if segments and segments[-1].state == state:
            segments[-1] = Segment(state, segments[-1].begin, following[0], segments[-1].message or message)
        else:
            segments.append(Segment(state, begin, following[0], message))
    return segments
