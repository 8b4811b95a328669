# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where pods find free GPU slots. PRIVATE to the collection.

Of what the scheduler looks at this knows GPU resources, node selectors, required node affinity and taints. CPU, memory,
affinity between pods, topology spread and preemption are left out.
"""

from __future__ import annotations

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any, Deque, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.names import TAINT_KEY
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.placement import tolerates
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.selection import selects
from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin.names import is_plugin_resource

_KEEPS_AWAY = ("NoSchedule", "NoExecute")
# The cordon itself, and what the node controller adds for it: told by other fields. And what a run sets for a time, and lifts.
_FOR_A_TIME = ("node.kubernetes.io/unschedulable", TAINT_KEY)


def kind_of(pod: Mapping[str, Any]) -> str:
    """Pods of one kind are alike to the scheduler, as far as it is imitated here."""
    words = ("node_selector", "tolerations", "node_affinity")
    return json.dumps([gpu_requests(pod), *(pod.get(word) or None for word in words)], sort_keys=True)


def gpu_requests(pod: Mapping[str, Any]) -> dict[str, int]:
    """What the pod asks of the device plugin."""
    return {name: count for name, count in (pod.get("requests") or {}).items() if is_plugin_resource(name) and count}


@dataclass
class _Node:
    """A node with GPUs: what is free on it, whether pods come to it, and those that came."""

    labels: Mapping[str, str]
    taints: Iterable[Mapping[str, Any]]
    free: dict[str, int]
    is_open: bool
    came: list[Mapping[str, Any]] = field(default_factory=list)


@dataclass
class _Kind:
    """Nodes that may have room for pods of one kind.

    Room only shrinks until a node is opened again, and that puts it back: so a node that has no room is dropped, and no
    node is looked at for each pod.
    """

    key: str
    example: Mapping[str, Any]
    requests: Mapping[str, int]
    nodes: Deque[str] = field(default_factory=deque)


class Places:
    """The free GPU slots of a cluster."""

    def __init__(self, nodes: Mapping[str, Mapping[str, Any]]) -> None:
        """:param nodes: of the cluster file."""
        self._nodes = {name: _read_node(nodes[name]) for name in sorted(nodes) if nodes[name].get("resources")}
        self._kinds: dict[str, _Kind] = {}
        # By a label that the pods select; under None those that select none. A node is offered to few kinds then.
        self._kinds_by_label: dict[tuple[str, str] | None, list[_Kind]] = {}
        self._offered: set[str] = set()
        self._by_label: dict[str, dict[str, list[str]]] = {}

    def is_open(self, name: str) -> bool:
        """Whether new pods come to the node."""
        return name in self._nodes and self._nodes[name].is_open

    def close(self, name: str) -> None:
        """The node is taken out of service."""
        if name in self._nodes:
            self._nodes[name].is_open = False

    def open(self, name: str, free: Mapping[str, int], labels: Mapping[str, str]) -> None:
        """The node is in service, with so much free.

        :param labels: those that it has got besides.
        """
        node = self._nodes.setdefault(name, _Node({}, (), {}, True))
        node.labels, node.free, node.is_open = {**node.labels, **labels}, dict(free), True
        # What bears a label is looked up anew from now on.
        for label in labels:
            self._by_label.pop(label, None)
        self._offer(name)

    def came_to(self, name: str) -> list[Mapping[str, Any]]:
        """Pods that were put on the node and are still there, the newest last. Who takes one away takes it out of the list."""
        return self._nodes[name].came if name in self._nodes else []

    def give_back(self, name: str, requests: Mapping[str, int]) -> None:
        """A pod has left the node."""
        if name in self._nodes:
            node = self._nodes[name]
            for resource, count in requests.items():
                node.free[resource] = node.free.get(resource, 0) + count
            self._offer(name)

    def expect(self, pod: Mapping[str, Any]) -> _Kind:
        """Keep an eye on nodes for pods of this kind."""
        key = kind_of(pod)
        if key not in self._kinds:
            self._kinds[key] = self._look_around(key, pod)
        return self._kinds[key]

    def offered(self) -> set[str]:
        """Kinds of pods for which there may be more room than when this was asked last."""
        offered, self._offered = self._offered, set()
        return offered

    def take(self, pod: Mapping[str, Any]) -> str | None:
        """Put a pod on a node that has room for it and that it may use; None if there is none."""
        kind = self.expect(pod)
        while kind.nodes:
            node = self._nodes[kind.nodes[0]]
            if node.is_open and all(node.free.get(name, 0) >= count for name, count in kind.requests.items()):
                for name, count in kind.requests.items():
                    node.free[name] -= count
                node.came.append(pod)
                return kind.nodes[0]
            kind.nodes.popleft()
        return None

    def _look_around(self, key: str, pod: Mapping[str, Any]) -> _Kind:
        kind = _Kind(key, pod, gpu_requests(pod))
        label = self._rarest_label(pod)
        suspects: Iterable[str] = self._bearers(label[0]).get(label[1], ()) if label else self._nodes
        kind.nodes.extend(name for name in suspects if self._admits(name, kind))
        self._kinds_by_label.setdefault(label, []).append(kind)
        return kind

    def _rarest_label(self, pod: Mapping[str, Any]) -> tuple[str, str] | None:
        """Of those that the pod selects, the one that fewest nodes bear, so that pods bound to one node each cost little."""
        selector = sorted((pod.get("node_selector") or {}).items())
        return min(selector, key=lambda one: len(self._bearers(one[0]).get(one[1], ())), default=None)

    def _bearers(self, label: str) -> dict[str, list[str]]:
        if label not in self._by_label:
            index = self._by_label.setdefault(label, {})
            for name, node in self._nodes.items():
                if label in node.labels:
                    index.setdefault(node.labels[label], []).append(name)
        return self._by_label[label]

    def _offer(self, name: str) -> None:
        for label in (None, *self._nodes[name].labels.items()):
            for kind in self._kinds_by_label.get(label, ()):
                if self._admits(name, kind):
                    kind.nodes.append(name)
                    self._offered.add(kind.key)

    def _admits(self, name: str, kind: _Kind) -> bool:
        """Whether the node is one for such pods, free or not."""
        node, pod = self._nodes[name], kind.example
        if not selects(pod, name, node.labels):
            return False
        given = pod.get("tolerations") or ()
        return all(any(tolerates(one, taint) for one in given) for taint in node.taints)


def _read_node(entry: Mapping[str, Any]) -> _Node:
    free = {name: int(one.get("free") or 0) for name, one in entry["resources"].items() if is_plugin_resource(name)}
    taints = [
        taint
        for taint in entry.get("taints") or ()
        if taint.get("effect") in _KEEPS_AWAY and taint.get("key") not in _FOR_A_TIME
    ]
    in_service = not entry.get("unschedulable") and bool(entry.get("ready", True))
    return _Node(entry.get("labels") or {}, taints, free, in_service)
