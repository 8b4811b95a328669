# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A rehearsal against a small cluster that is played through pod by pod."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._plan import fleet

from .test_rehearsal import GPU, OWNER, planned, play, pod

ZONES = ("x", "y")


@dataclass
class Node:
    """Every pod on it, by name."""

    zone: str
    slots: int
    pods: list[str]
    is_open: bool = True
    came: list[str] = field(default_factory=list)

    def surplus(self, fit: int | None) -> list[str]:
        """Takes away those who came last, until the rest fits."""
        taken = []
        while fit is not None and self.came and len(self.pods) > fit:
            taken.append(self.came.pop())
            self.pods.remove(taken[-1])
        return taken


@dataclass
class Turn:
    """What a plan makes of a node: slots afterwards, the pods that it names, and how many may stay."""

    slots: int
    gone: list[str]
    fit: int | None


class Table:
    """The same game on a table: each pod is a stone of one slot, and every figure is counted anew.

    The scheduler's choice among nodes with room is free; the rehearsal asks them in the order in which they got room.
    """

    def __init__(self, nodes: dict[str, Node], waiting: list[str], zone_of: Mapping[str, str]) -> None:
        self.nodes, self.zone_of = nodes, zone_of
        self.older, self.evicted = waiting, list[str]()
        self.lines: dict[str, list[str]] = {}
        for stone in waiting:
            self._line(zone_of[stone])

    def _line(self, zone: str) -> list[str]:
        fitting = [name for name in sorted(self.nodes) if zone in ("", self.nodes[name].zone)]
        return self.lines.setdefault(zone, fitting)

    def offer(self, name: str) -> None:
        for zone, line in self.lines.items():
            if zone in ("", self.nodes[name].zone):
                line.append(name)

    def put(self, stone: str) -> bool:
        line = self._line(self.zone_of[stone])
        while line:
            node = self.nodes[line[0]]
            if node.is_open and len(node.pods) < node.slots:
                node.pods.append(stone)
                node.came.append(stone)
                return True
            line.pop(0)
        return False

    def wave(self, plan: Mapping[str, Turn], lost: set[str]) -> tuple[int, int]:
        """Slots that evicted pods lack at worst, and when the wave is done."""
        for name in plan:
            self.nodes[name].is_open = False
        for name, turn in plan.items():
            for stone in turn.gone:
                self.nodes[name].pods.remove(stone)
                self.move([] if stone in lost else [stone])
        for name, turn in plan.items():
            self.move(self.nodes[name].surplus(turn.fit))
        worst = len(self.evicted)
        for name, turn in plan.items():
            self.nodes[name].slots, self.nodes[name].is_open = turn.slots, True
            self.offer(name)
        self.seat(self.older)
        self.seat(self.evicted)
        return max(worst, len(self.evicted)), len(self.evicted)

    def move(self, stones: list[str]) -> None:
        self.evicted += [stone for stone in stones if not self.put(stone)]

    def seat(self, queue: list[str]) -> None:
        for zone in sorted(self.lines):
            for stone in [stone for stone in queue if self.zone_of[stone] == zone]:
                if not self.put(stone):
                    break
                queue.remove(stone)


@st.composite
def games(draw: Any) -> tuple[dict[str, Any], dict[str, Any], list[list[str]], list[dict[str, Any]]]:
    """Nodes, what a plan makes of them, its waves, and pods that wait already."""
    nodes, target = {}, {}
    names = [f"n{number}" for number in range(draw(st.integers(2, 6)))]
    for name in names:
        slots = draw(st.integers(0, 4))
        pods = [
            pod(
                f"{name}-{number}",
                owner=draw(st.sampled_from([OWNER, OWNER, OWNER, None])),
                node_selector=draw(st.sampled_from([{}, {"zone": "x"}, {"zone": "y"}])),
            )
            for number in range(draw(st.integers(0, slots)))
        ]
        nodes[name] = fleet.node(slots, pods, labels={"zone": draw(st.sampled_from(ZONES))})
        nodes[name]["resources"].setdefault(GPU, dict.fromkeys(("capacity", "allocatable", "requested", "free"), 0))
        after = draw(st.integers(0, 4))
        gone = pods[: max(0, len(pods) - after)]
        target[name] = planned(after, gone)
        target[name]["evict"]["fit"] = {GPU: after} if gone or draw(st.booleans()) else None
    waves: list[list[str]] = []
    for name in draw(st.permutations(names)):
        if waves and draw(st.sampled_from([True, False, False])):
            waves[-1].append(name)
        else:
            waves.append([name])
    # They wait since there is no room for them.
    free = {entry["labels"]["zone"] for entry in nodes.values() if entry["resources"][GPU]["free"]}
    full = [zone for zone in ZONES if zone not in free]
    waiting = [
        pod(f"old-{number}", node_selector={"zone": draw(st.sampled_from(full))})
        for number in range(draw(st.integers(0, 2)) if full else 0)
    ]
    return nodes, target, waves, waiting


@settings(max_examples=400, deadline=None)
@given(games())
def test_slots_that_are_missing_are_those_that_are_counted_pod_by_pod(game: Any) -> None:
    nodes, target, waves, waiting = game
    pods = [one for entry in nodes.values() for one in entry["pods"]] + waiting
    table = Table(
        {
            name: Node(
                entry["labels"]["zone"], entry["resources"][GPU]["capacity"], [one["name"] for one in entry["pods"]]
            )
            for name, entry in nodes.items()
        },
        [one["name"] for one in waiting],
        {one["name"]: one["node_selector"].get("zone", "") for one in pods},
    )
    lost = {one["name"] for one in pods if not one["owner"]}
    found = play(nodes, target, waves, pending=[{**one, "seconds": 9} for one in waiting])
    by_uid = {one["uid"]: one["name"] for one in pods}
    for names, wave in zip(waves, found["waves"]):
        plan = {
            name: Turn(
                target[name]["to"]["resources"][GPU],
                [by_uid[one["uid"]] for one in target[name]["evict"]["pods"]],
                (target[name]["evict"]["fit"] or {}).get(GPU),
            )
            for name in names
        }
        assert table.wave(plan, lost) == (wave["slots_missing_at_worst"], wave["slots_missing"]), wave["wave"]
