"""The scheduler's own picture of the nodes, a little behind the real ones."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.controllers.context import Context
from simulator.controllers.meta import is_finished, node_name
from simulator.controllers.quantities import Amounts, amounts, pod_requests
from simulator.store import Change

Object = dict[str, Any]
#: How long a change of a node takes to reach the scheduler's cache, in simulated seconds.
LAG_SECONDS = 0.02


class NodeInfo:
    """A node with what its pods have reserved."""

    __slots__ = ("name", "node", "allocatable", "requested", "pods", "requests")

    def __init__(self, node: Object) -> None:
        self.name: str = node["metadata"]["name"]
        self.requested: Amounts = {}
        self.pods: dict[str, Object] = {}
        self.requests: dict[str, Amounts] = {}
        self.update(node)

    def update(self, node: Object) -> None:
        self.node = node
        self.allocatable = amounts((node.get("status") or {}).get("allocatable"))

    def add(self, pod: Object) -> None:
        uid = pod["metadata"]["uid"]
        if uid not in self.requests:
            wanted = self.requests[uid] = pod_requests(pod)
            for resource, number in wanted.items():
                self.requested[resource] = self.requested.get(resource, 0) + number
        self.pods[uid] = pod

    def remove(self, uid: str) -> None:
        self.pods.pop(uid, None)
        for resource, number in self.requests.pop(uid, {}).items():
            self.requested[resource] -= number


class SchedulerView:
    """Nodes as last seen; pods count on a node from the decision on, not from the binding."""

    def __init__(self, context: Context, on_change: Callable[[], None]) -> None:
        self._context = context
        self._on_change = on_change
        self.nodes: dict[str, NodeInfo] = {}
        self._place_of: dict[str, str] = {}
        for node in context.store.list("nodes"):
            self._see(node)
        for name in context.pods.nodes_with_pods():
            for pod in context.pods.on_node(name):
                self._pod_changed(None, pod)
        context.store.subscribe(self._node_changed)
        context.pods.listen(self._pod_changed)

    def assume(self, pod: Object, node: str) -> None:
        uid = pod["metadata"]["uid"]
        self._place_of[uid] = node
        self.nodes[node].add(pod)

    def forget(self, uid: str) -> None:
        place = self._place_of.pop(uid, None)
        if place in self.nodes:
            self.nodes[place].remove(uid)

    def _node_changed(self, change: Change) -> None:
        if change.resource != "nodes":
            return
        if change.type == "ADDED":
            self._see(change.obj)
            self._on_change()
        elif change.type == "DELETED":
            self.nodes.pop(change.obj["metadata"]["name"], None)
        elif change.old is None or _relevant(change.old) != _relevant(change.obj):
            self._context.engine.later(LAG_SECONDS, self._see_later, change.obj["metadata"]["name"], change.obj)

    def _see_later(self, name: str, node: Object) -> None:
        info = self.nodes.get(name)
        if info is not None and info.node["metadata"]["uid"] == node["metadata"]["uid"] and _is_newer(node, info.node):
            info.update(node)
            self._on_change()

    def _see(self, node: Object) -> None:
        info = NodeInfo(node)
        self.nodes[info.name] = info
        for pod in self._context.pods.on_node(info.name):
            if not is_finished(pod):
                self._place_of[pod["metadata"]["uid"]] = info.name
                info.add(pod)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        uid = pod["metadata"]["uid"]
        if new is None or is_finished(new):
            known = uid in self._place_of
            self.forget(uid)
            if known:
                self._on_change()
            return
        place = node_name(new)
        if not place:
            return
        if self._place_of.get(uid) not in (None, place):
            self.forget(uid)
        self._place_of[uid] = place
        if place in self.nodes:
            self.nodes[place].add(new)


def _relevant(node: Object) -> tuple[Any, ...]:
    spec = node["spec"]
    allocatable = (node.get("status") or {}).get("allocatable")
    return node["metadata"].get("labels"), spec.get("taints"), spec.get("unschedulable"), allocatable


def _is_newer(node: Object, seen: Object) -> bool:
    """A request acts at the time of day, and a timer that is late at the moment for which it was set: an older change may come last."""
    return int(node["metadata"]["resourceVersion"]) > int(seen["metadata"]["resourceVersion"])
