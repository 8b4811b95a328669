"""Where a DaemonSet's pods belong and where they are, kept up to date node by node.

A fleet's label changes come one by one. Looking at all nodes for each of them would make every change cost as much
as the fleet is large; so only the nodes that changed, or whose pods did, are looked at again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from simulator.controllers.daemonset_update import is_available, is_updated
from simulator.controllers.meta import is_ready, is_terminating, key_of, node_name

Object = dict[str, Any]
#: (a pod should be started there, a pod there may stay)
Place = tuple[bool, bool]
NOWHERE: Place = (False, False)


@dataclass
class Standing:
    """One DaemonSet's standing with every node. ``dirty`` are the nodes to look at again."""

    version: tuple[int, str]
    places: dict[str, Place] = field(default_factory=dict)
    dirty: set[str] = field(default_factory=set)
    totals: Counter[str] = field(default_factory=Counter)
    _pods: dict[str, dict[str, Object]] = field(default_factory=dict)
    _shares: dict[str, Counter[str]] = field(default_factory=dict)

    def pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None:
            self._pods.get(intended_node(old), {}).pop(key_of(old), None)
            self.dirty.add(intended_node(old))
        if new is not None:
            self._pods.setdefault(intended_node(new), {})[key_of(new)] = new
            self.dirty.add(intended_node(new))

    def pods_on(self, node: str) -> list[Object]:
        """The DaemonSet's pods on, or on their way to, the node, the oldest first."""
        pods = self._pods.get(node, {}).values()
        return sorted(pods, key=lambda pod: (pod["metadata"]["creationTimestamp"], pod["metadata"]["name"]))

    def pods_by_node(self) -> dict[str, list[Object]]:
        return {node: self.pods_on(node) for node, pods in self._pods.items() if pods}

    def place(self, node: str, place: Place | None) -> None:
        """None: the node does not exist."""
        if place is None:
            self.places.pop(node, None)
        else:
            self.places[node] = place

    def count(self, nodes: Iterable[str], revision: str) -> None:
        """Bring the nodes' shares of the totals up to date."""
        for node in nodes:
            self.totals.subtract(self._shares.pop(node, Counter()))
            share = self._shares[node] = _share(self.places.get(node), self.pods_on(node), revision)
            self.totals.update(share)


def _share(place: Place | None, pods: list[Object], revision: str) -> Counter[str]:
    share: Counter[str] = Counter(old=sum(not is_terminating(pod) and not is_updated(pod, revision) for pod in pods))
    if place is None:
        return share
    should_run, _unused = place
    share["desiredNumberScheduled"] = int(should_run)
    if pods:
        share["currentNumberScheduled" if should_run else "numberMisscheduled"] = 1
    if pods and should_run:
        share["numberReady"] = int(is_ready(pods[0]))
        share["numberAvailable"] = int(is_available(pods[0]))
        share["updatedNumberScheduled"] = int(is_updated(pods[0], revision))
    return share


def intended_node(pod: Object) -> str:
    """Where the pod is, or where its affinity sends it."""
    if node_name(pod):
        return node_name(pod)
    required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    name: str = required["nodeSelectorTerms"][0]["matchFields"][0]["values"][0]
    return name
