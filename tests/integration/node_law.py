# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The law of every rollout: at no moment does a node take pods while it advertises something else than its revision stands for.

Nor does anybody lift a cordon of somebody else. Judged on all that was seen of the nodes, in its order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

REVISION = "kubegpu.sharing/revision"
MAINTENANCE = "kubegpu.sharing/maintenance"
PREFIX = "nvidia.com/"
#: What a node advertises that has none of ours on it, or nothing that is known.
NOTHING: Mapping[str, int] = {}
#: What each revision of a node stands for, by node and revision (None: no plugin of ours).
StandsFor = Mapping[tuple[str, "str | None"], Mapping[str, int]]


@dataclass(frozen=True)
class Sight:
    """A node at a moment.

    :param event: LISTED, ADDED, MODIFIED or DELETED.
    :param noted: it bears the note of a run.
    :param advertised: allocatable GPUs by resource, without those of which there are none.
    """

    node: str
    event: str
    revision: str | None
    unschedulable: bool
    noted: bool
    advertised: Mapping[str, int]

    @classmethod
    def of(cls, obj: Mapping[str, Any], event: str) -> Sight:
        metadata = obj["metadata"]
        return cls(
            node=metadata["name"],
            event=event,
            revision=(metadata.get("labels") or {}).get(REVISION),
            unschedulable=obj["spec"].get("unschedulable") is True,
            noted=MAINTENANCE in (metadata.get("annotations") or {}),
            advertised=counted((obj.get("status") or {}).get("allocatable") or {}),
        )


def counted(resources: Mapping[str, Any]) -> dict[str, int]:
    """GPUs by resource, without those of which there are none."""
    counts = {name: int(amount) for name, amount in resources.items() if name.startswith(PREFIX)}
    return {name: count for name, count in counts.items() if count}


def lies(seen: Iterable[Sight], stands_for: StandsFor) -> list[str]:
    """Moments at which a node took pods while it advertised something else. Nodes of which nothing is known are not judged."""
    known = {name for name, _revision in stands_for}
    found = []
    for sight in seen:
        if sight.node not in known or sight.unschedulable or sight.event == "DELETED":
            continue
        expected = stands_for.get((sight.node, sight.revision))
        if expected is None or counted(expected) != sight.advertised:
            wanted = "which stands for nothing known" if expected is None else f"which stands for {counted(expected)}"
            found.append(
                f"{sight.node} is schedulable with revision {sight.revision}, {wanted}, and advertises {dict(sight.advertised)}"
            )
    return list(dict.fromkeys(found))


def foreign_cordons(seen: Iterable[Sight]) -> set[str]:
    """Nodes that were cordoned at the beginning, and not by a run."""
    return {sight.node for sight in seen if sight.event == "LISTED" and sight.unschedulable and not sight.noted}


def lifted(seen: Collection[Sight]) -> list[str]:
    """Of these, those that took pods at any moment."""
    cordoned = foreign_cordons(seen)
    nodes = sorted({sight.node for sight in seen if sight.node in cordoned and not sight.unschedulable})
    return [f"the cordon of {name} was lifted, which was somebody else's" for name in nodes]


def come_and_gone(seen: Iterable[Sight], expected: Collection[str]) -> list[str]:
    """Nodes that joined or left the cluster, which nobody had announced."""
    words = {"ADDED": "joined", "DELETED": "left"}
    found = [
        f"node {sight.node} {words[sight.event]} the cluster"
        for sight in seen
        if sight.event in words and sight.node not in expected
    ]
    return list(dict.fromkeys(found))


def most_out_of_service(seen: Iterable[Sight]) -> int:
    """The largest number of nodes that were unschedulable at the same time."""
    out: set[str] = set()
    most = 0
    for sight in seen:
        if sight.unschedulable and sight.event != "DELETED":
            out.add(sight.node)
        else:
            out.discard(sight.node)
        most = max(most, len(out))
    return most
