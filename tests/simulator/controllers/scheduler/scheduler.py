"""The scheduling queue: which pod is next, when to try again, binding."""

from __future__ import annotations

import heapq
from typing import Any

from simulator.apiserver.errors import ApiError
from simulator.controllers.context import Context
from simulator.controllers.meta import is_finished, is_terminating, key_of, node_name, split_key, with_condition
from simulator.controllers.quantities import pod_requests
from simulator.controllers.scheduler.filters import NOT_NAMED, Refusal, Wish, refusal
from simulator.controllers.scheduler.messages import unschedulable_message
from simulator.controllers.scheduler.scoring import best
from simulator.controllers.scheduler.view import NodeInfo, SchedulerView
from simulator.controllers.selectors import named_nodes

Object = dict[str, Any]
COMPONENT = "default-scheduler"
#: Between a decision and its binding: a node that is cordoned in between still gets the pod.
BIND_SECONDS = 0.1
FIRST_BACKOFF_SECONDS = 1.0
MAX_BACKOFF_SECONDS = 10.0


class Scheduler:
    """Active pods by priority and age; unschedulable ones wait for a change of nodes or pods, and back off."""

    name = "scheduler"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._active: list[tuple[int, int, str]] = []
        self._waiting: dict[str, float] = {}
        self._attempts: dict[str, int] = {}
        self._deciding: set[str] = set()
        self._sequence = 0
        self.view = SchedulerView(context, self._something_changed)
        context.pods.listen(self._pod_changed)
        for pod in context.pods.on_node(""):
            self._pod_changed(None, pod)

    def reconcile(self, key: str) -> None:
        """One scheduling cycle: the next active pod."""
        if not self._active:
            return
        _unused, _unused, pod_key = heapq.heappop(self._active)
        if self._active:
            self._context.engine.enqueue(self, "cycle")
        pod = self._context.store.get("pods", *split_key(pod_key))
        if pod is not None and _is_pending(pod) and pod["metadata"]["uid"] not in self._deciding:
            self._schedule(pod_key, pod)

    def try_again(self) -> None:
        """Look at all waiting pods once more, as happens from time to time without any change."""
        for key in list(self._waiting):
            self._retry(key)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            if old is not None and not node_name(old):
                self._drop(key_of(old))
            return
        if _is_pending(new) and (old is None or _spec_changed(old, new)):
            self._activate(key_of(new), new)

    def _drop(self, key: str) -> None:
        self._waiting.pop(key, None)
        self._attempts.pop(key, None)

    def _activate(self, key: str, pod: Object) -> None:
        self._sequence += 1
        self._waiting.pop(key, None)
        heapq.heappush(self._active, (-int(pod["spec"].get("priority") or 0), self._sequence, key))
        self._context.engine.enqueue(self, "cycle")

    def _something_changed(self) -> None:
        """Nodes or bound pods changed: what waits is tried again, not before its backoff is over."""
        now = self._context.engine.time
        for key, retry_at in list(self._waiting.items()):
            if retry_at <= now:
                self._retry(key)
            elif self._waiting[key] != float("inf"):
                self._waiting[key] = float("inf")
                self._context.engine.later(retry_at - now, self._retry, key)

    def _retry(self, key: str) -> None:
        pod = self._context.store.get("pods", *split_key(key))
        if key in self._waiting and pod is not None and _is_pending(pod):
            self._activate(key, pod)

    def _schedule(self, key: str, pod: Object) -> None:
        wish = Wish(pod, pod_requests(pod), self.view.nodes)
        candidates = self._candidates(pod)
        fitting, refusals = [], []
        for info in candidates:
            found = refusal(wish, info)
            if found is None:
                fitting.append(info)
            else:
                refusals.append(found)
        if fitting:
            self._decide(key, pod, best(wish, fitting).name)
        else:
            refusals += [NOT_NAMED] * (len(self.view.nodes) - len(candidates))
            self._refuse(key, pod, refusals)

    def _candidates(self, pod: Object) -> list[NodeInfo]:
        """All nodes, or those that the required affinity names, as the DaemonSet controller writes it."""
        named = named_nodes(pod["spec"])
        if named is None:
            return list(self.view.nodes.values())
        return [self.view.nodes[name] for name in sorted(named) if name in self.view.nodes]

    def _decide(self, key: str, pod: Object, node: str) -> None:
        self.view.assume(pod, node)
        self._deciding.add(pod["metadata"]["uid"])
        self._context.engine.later(BIND_SECONDS, self._bind, key, pod, node)

    def _bind(self, key: str, pod: Object, node: str) -> None:
        uid = pod["metadata"]["uid"]
        self._deciding.discard(uid)
        stored = self._context.store.get("pods", *split_key(key))
        if stored is None or stored["metadata"]["uid"] != uid or not _is_pending(stored):
            self.view.forget(uid)
            return
        try:
            self._context.registry.bind(*split_key(key), node)
        except ApiError:
            self.view.forget(uid)
            self._activate(key, stored)
            return
        self._drop(key)
        message = f"Successfully assigned {key} to {node}"
        self._context.event(stored, "Scheduled", message, COMPONENT)

    def _refuse(self, key: str, pod: Object, refusals: list[Refusal]) -> None:
        may_preempt = pod["spec"].get("preemptionPolicy") != "Never"
        message = unschedulable_message(refusals, may_preempt=may_preempt)
        attempts = self._attempts[key] = self._attempts.get(key, 0) + 1
        backoff = min(MAX_BACKOFF_SECONDS, FIRST_BACKOFF_SECONDS * 2 ** (attempts - 1))
        self._waiting[key] = self._context.engine.time + backoff
        self._context.event(pod, "FailedScheduling", message, COMPONENT, warning=True)
        condition = {
            "type": "PodScheduled",
            "observedGeneration": pod["metadata"].get("generation", 1),
            "status": "False",
            "lastProbeTime": None,
            "lastTransitionTime": self._context.now(),
            "reason": "Unschedulable",
            "message": message,
        }
        status = pod.get("status") or {}
        self._context.put_status(
            "pods", pod, {**status, "conditions": with_condition(status.get("conditions"), condition)}
        )


def _is_pending(pod: Object) -> bool:
    if node_name(pod) or is_terminating(pod) or is_finished(pod):
        return False
    return not pod["spec"].get("schedulingGates") and pod["spec"].get("schedulerName", COMPONENT) == COMPONENT


def _spec_changed(old: Object, new: Object) -> bool:
    return old["spec"] != new["spec"] or old["metadata"].get("labels") != new["metadata"].get("labels")
