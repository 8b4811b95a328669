"""Pod garbage collector: pods of nodes that are gone."""

from __future__ import annotations

from typing import Any

from simulator.controllers.context import Context
from simulator.controllers.meta import is_finished, key_of, split_key, with_condition
from simulator.store import Change

Object = dict[str, Any]
#: A node that is missing may come back this long, in simulated seconds, before its pods are given up.
QUARANTINE_SECONDS = 40.0


class PodGarbageCollector:
    """Pods bound to a deleted node are marked as failed and removed by force: no kubelet will ever confirm their end."""

    def __init__(self, context: Context) -> None:
        self._context = context
        context.store.subscribe(self._changed)

    def _changed(self, change: Change) -> None:
        if change.resource == "nodes" and change.type == "DELETED":
            self._context.engine.later(QUARANTINE_SECONDS, self._collect, change.obj["metadata"]["name"])

    def _collect(self, node: str) -> None:
        if self._context.store.get("nodes", None, node) is not None:
            return
        for pod in self._context.pods.on_node(node):
            if not is_finished(pod):
                self._mark_failed(pod)
            self._context.registry.delete("pods", *split_key(key_of(pod)), grace_period_seconds=0)

    def _mark_failed(self, pod: Object) -> None:
        reason = {
            "type": "DisruptionTarget",
            "status": "True",
            "lastProbeTime": None,
            "lastTransitionTime": self._context.now(),
            "reason": "DeletionByPodGC",
            "message": "PodGC: node no longer exists",
        }
        status = pod.get("status") or {}
        conditions = with_condition(status.get("conditions"), reason)
        self._context.put_status("pods", pod, {**status, "phase": "Failed", "conditions": conditions})
