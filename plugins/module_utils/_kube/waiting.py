# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting for many nodes at once. PRIVATE to the collection."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Any, Callable, Mapping, Protocol, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import Fence
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import NODES_PATH
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.plugin_pods import pod_selectors
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.watching import Changes, WatchedList
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState, observe_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState, observe_pod
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import GONE, NodeWait

#: So often the lease is looked after and deadlines are noticed.
_TICK_SECONDS = 1.0
#: What is seen may be so old. A watch that is begun anew takes far less.
_STALE_SECONDS = 1.0
#: So often it is looked whether what was too old for a proof is so no more.
_STALE_LOOK_SECONDS = 0.1
#: Events of many nodes come in bursts: they are looked at together.
_BURST_SECONDS = 0.02

UNSEEN = "no watch of the nodes and their plugins can be kept open, so that nobody sees how they are"

Unmet = Callable[[NodeState, Sequence[PodState]], "list[str]"]


class View(Protocol):
    """The cluster as it is at the moment."""

    def nodes(self) -> dict[str, NodeState]:
        """Nodes by name. To be asked first: what changes after it ends the next wait at once."""

    def passed(self) -> list[NodeState]:
        """Nodes as they were since this was asked last, in order."""

    def gaps(self) -> int:
        """How often it was not known for a while what happened."""

    def current(self) -> bool:
        """What the view shows is what is, and not what was once. To be asked before the others."""

    def pods(self) -> list[PodState]:
        """Plugin pods."""

    def wait(self, seconds: float) -> None:
        """Return when something has changed, or after so many seconds."""


class ClusterView:
    """Cordoned nodes and plugin pods, by watches. Use it as a context manager.

    :param daemonsets: the foreign DaemonSets that matter, by "namespace/name"; None for one that is gone.
    """

    def __init__(self, api: KubeApi, daemonsets: Mapping[str, Mapping[str, Any] | None]) -> None:
        self._daemonsets = list(daemonsets)
        self._changes = Changes()
        # Nodes in maintenance are cordoned, so the selection is small, and one that leaves it is noticed at once.
        self._nodes = WatchedList(
            api, NODES_PATH, {"fieldSelector": "spec.unschedulable=true"}, observe_node, self._changes
        )
        self._pods = [
            WatchedList(api, api_path("pods", namespace), {"labelSelector": selector}, observe_pod, self._changes)
            for namespace, selector in pod_selectors(daemonsets)
        ]
        self._open = ExitStack()

    def __enter__(self) -> ClusterView:
        with ExitStack() as entered:
            entered.enter_context(self._nodes)
            for watched in self._pods:
                entered.enter_context(watched)
            self._open = entered.pop_all()
        return self

    def __exit__(self, *_details: object) -> None:
        self._open.close()

    def nodes(self) -> dict[str, NodeState]:
        """Cordoned nodes by name."""
        self._changes.look()
        return {node.name: node for node in self._nodes.things()}

    def passed(self) -> list[NodeState]:
        """Cordoned nodes as they were since this was asked last, in order."""
        return self._nodes.passed()

    def gaps(self) -> int:
        """How often the nodes had to be read anew."""
        return self._nodes.gaps

    def current(self) -> bool:
        """No watch has been down for longer than it takes to begin it anew."""
        oldest = max([self._nodes.age, *(watched.age for watched in self._pods)])
        return oldest < _STALE_SECONDS

    def pods(self) -> list[PodState]:
        """Plugin pods of the DaemonSets that matter, each once. Other pods that a selector catches as well are left out."""
        pods = {pod.uid: pod for watched in self._pods for pod in watched.things()}
        return [pod for pod in pods.values() if pod.may_serve(self._daemonsets)]

    def wait(self, seconds: float) -> None:
        """Return when something has changed, or after so many seconds."""
        if self._changes.wait(seconds):
            time.sleep(_BURST_SECONDS)


class Waiter:
    """Waits for a condition on each of many nodes."""

    def __init__(self, view: View, fence: Fence, clock: Clock) -> None:
        self._view = view
        self._fence = fence
        self._clock = clock
        self._gaps = view.gaps()

    def wait(
        self, waits: Mapping[str, NodeWait], unmet: Mapping[str, Unmet], ended: Callable[[str, NodeWait], None]
    ) -> None:
        """Return when every wait has ended, one way or the other.

        :param unmet: by node, what its condition still lacks.
        :param ended: told of each wait as it ends.
        :raises LeaseLostError: the lock was lost meanwhile.
        """
        going_on = dict(waits)
        while going_on:
            self._fence.check()
            current = self._look(going_on, unmet)
            for name in [name for name, wait in going_on.items() if wait.ended is not None]:
                ended(name, going_on.pop(name))
            if going_on:
                until = min(wait.next_look() for wait in going_on.values()) - self._clock.monotonic()
                longest = min(_TICK_SECONDS, self._fence.patience)
                self._view.wait(max(0.0, min(until, longest)) if current else min(_STALE_LOOK_SECONDS, longest))

    def _look(self, waits: Mapping[str, NodeWait], unmet: Mapping[str, Unmet]) -> bool:
        """Take an observation. Nothing is proven, and no node is missed, by what may be old.

        :returns: it is not old.
        """
        current = self._view.current()
        nodes, passed, pods = self._view.nodes(), self._view.passed(), _by_node(self._view.pods())
        now = self._clock.monotonic()
        if self._view.gaps() != self._gaps:
            self._gaps = self._view.gaps()
            for wait in waits.values():
                wait.interrupt()
        # What was wrong for a moment is a break, even if it is right again by now.
        for node in passed:
            if node.name in waits and unmet[node.name](node, pods.get(node.name, [])):
                waits[node.name].interrupt()
        for name, wait in waits.items():
            lacking = unmet[name](nodes[name], pods.get(name, [])) if name in nodes else [GONE]
            if name in nodes and (lacking or current):
                wait.observe(now, lacking)
            elif current:
                wait.give_up(now, GONE)
            elif now >= wait.started + wait.timing.timeout + wait.timing.soak:
                wait.give_up(now, UNSEEN)
        return current


def _by_node(pods: Sequence[PodState]) -> dict[str, list[PodState]]:
    grouped: dict[str, list[PodState]] = {}
    for pod in pods:
        grouped.setdefault(pod.node, []).append(pod)
    return grouped
