"""Pods by node and by owner, kept up to date as the store changes: what informers' indexers are to real controllers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.controllers.meta import controller_of, key_of, node_name
from simulator.store import Change, Store

Object = dict[str, Any]
PodCallback = Callable[[Object | None, Object | None], None]


class PodIndex:
    """Pods by namespace/name, by node name and by the uid of their controller.

    Listeners are told (old, new) *after* the index changed; None stands for "not there".
    """

    def __init__(self, store: Store) -> None:
        self._by_node: dict[str, dict[str, Object]] = {}
        self._by_owner: dict[str, dict[str, Object]] = {}
        self._listeners: list[PodCallback] = []
        for pod in store.list("pods"):
            self._add(key_of(pod), pod)
        store.subscribe(self._changed)

    def listen(self, callback: PodCallback) -> None:
        self._listeners.append(callback)

    def on_node(self, name: str) -> list[Object]:
        return list(self._by_node.get(name, {}).values())

    def of_owner(self, uid: str) -> list[Object]:
        return list(self._by_owner.get(uid, {}).values())

    def nodes_with_pods(self) -> list[str]:
        return [name for name, pods in self._by_node.items() if pods and name]

    def _changed(self, change: Change) -> None:
        if change.resource != "pods":
            return
        key = key_of(change.obj)
        if change.old is not None:
            self._remove(key, change.old)
        new = None if change.type == "DELETED" else change.obj
        if new is not None:
            self._add(key, new)
        for listener in self._listeners:
            listener(change.old, new)

    def _add(self, key: str, pod: Object) -> None:
        self._by_node.setdefault(node_name(pod), {})[key] = pod
        owner = controller_of(pod)
        if owner is not None:
            self._by_owner.setdefault(owner["uid"], {})[key] = pod

    def _remove(self, key: str, pod: Object) -> None:
        self._by_node.get(node_name(pod), {}).pop(key, None)
        owner = controller_of(pod)
        if owner is not None:
            pods = self._by_owner.get(owner["uid"], {})
            pods.pop(key, None)
            if not pods:
                self._by_owner.pop(owner["uid"], None)
