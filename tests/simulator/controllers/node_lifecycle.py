"""Node lifecycle controller: taints that follow a node's conditions and its cordon, and evictions by taint."""

from __future__ import annotations

from typing import Any

from simulator.clock import rfc3339
from simulator.controllers.context import Context
from simulator.controllers.engine import Timer
from simulator.controllers.meta import condition, is_ready, is_terminating, split_key, with_condition
from simulator.controllers.selectors import tolerates
from simulator.store import Change

Object = dict[str, Any]
NOT_READY = "node.kubernetes.io/not-ready"
UNREACHABLE = "node.kubernetes.io/unreachable"
UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
TTL_ANNOTATION = "node.alpha.kubernetes.io/ttl"
#: The cordon's taint follows asynchronously.
TAINT_DELAY_SECONDS = 0.05
#: A node without any Ready condition loses the taint of its creation: no condition asks for it.
UNREPORTED_SECONDS = 0.5
#: Without news from a kubelet its node becomes Unknown after this many simulated seconds.
GRACE_SECONDS = 40.0
COMPONENT = "node-controller"


class NodeLifecycleController:
    """Keyed by node name. Nodes of clients that have no kubelet are not aged: their status is what was written last."""

    name = "node-lifecycle"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._born: dict[str, float] = {}
        context.store.subscribe(self._changed)

    def reconcile(self, key: str) -> None:
        node = self._context.store.get("nodes", None, key)
        if node is None or is_terminating(node):
            return
        node = self._annotate(node)
        taints = self._taints(node)
        if taints != (node["spec"].get("taints") or []):
            spec = {**node["spec"], "taints": taints}
            if not taints:
                del spec["taints"]
            node = self._context.store.put("nodes", {**node, "spec": spec})
        for taint in taints:
            if taint["effect"] == "NoExecute":
                self._evict(node, taint)

    def kubelet_silent(self, name: str) -> Timer:
        """The kubelet stopped reporting; after the grace period, unless the caller cancels, its node is unknown."""
        return self._context.engine.later(GRACE_SECONDS, self._mark_unknown, name, settles=False)

    def _changed(self, change: Change) -> None:
        if change.resource != "nodes" or change.type == "DELETED":
            return
        if change.type == "ADDED":
            name = change.obj["metadata"]["name"]
            self._born[name] = self._context.engine.time
            self._context.engine.later(UNREPORTED_SECONDS, self._context.engine.enqueue, self, name)
        if change.old is None or _watched(change.old) != _watched(change.obj):
            name = change.obj["metadata"]["name"]
            self._context.engine.later(TAINT_DELAY_SECONDS, self._context.engine.enqueue, self, name)

    def _annotate(self, node: Object) -> Object:
        annotations = node["metadata"].get("annotations") or {}
        if TTL_ANNOTATION in annotations:
            return node
        metadata = {**node["metadata"], "annotations": {**annotations, TTL_ANNOTATION: "0"}}
        return self._context.store.put("nodes", {**node, "metadata": metadata})

    def _taints(self, node: Object) -> list[Object]:
        """The node's taints with the controller's own ones brought in line."""
        present: list[Object] = node["spec"].get("taints") or []
        ready = condition(node, "Ready")
        wanted: list[tuple[str, str]] = []
        if node["spec"].get("unschedulable"):
            wanted.append((UNSCHEDULABLE, "NoSchedule"))
        managed = [(UNSCHEDULABLE, "NoSchedule")]
        if ready is not None:
            managed += [(key, effect) for key in (NOT_READY, UNREACHABLE) for effect in ("NoSchedule", "NoExecute")]
        elif self._context.engine.time - self._born.get(node["metadata"]["name"], 0.0) >= UNREPORTED_SECONDS:
            managed.append((NOT_READY, "NoSchedule"))
        if ready is not None and ready["status"] != "True":
            key = UNREACHABLE if ready["status"] == "Unknown" else NOT_READY
            wanted += [(key, "NoSchedule"), (key, "NoExecute")]
        kept = [taint for taint in present if _mark(taint) not in managed or _mark(taint) in wanted]
        known = {_mark(taint) for taint in kept}
        now = self._context.now()
        return kept + [
            {"key": key, "effect": effect, "timeAdded": now} for key, effect in wanted if (key, effect) not in known
        ]

    def _evict(self, node: Object, taint: Object) -> None:
        """NoExecute: pods that do not tolerate the taint go at once, the others when their patience ends."""
        for pod in self._context.pods.on_node(node["metadata"]["name"]):
            matching = [item for item in pod["spec"].get("tolerations") or [] if tolerates([item], taint)]
            patience = [item["tolerationSeconds"] for item in matching if "tolerationSeconds" in item]
            if matching and not patience:
                continue
            key = f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"
            wait = min(patience) if patience else 0
            self._context.engine.later(
                wait, self._evict_pod, key, pod["metadata"]["uid"], _instance(taint), settles=False
            )

    def _evict_pod(self, key: str, uid: str, mark: tuple[str, str, str]) -> None:
        pod = self._context.store.get("pods", *split_key(key))
        if pod is None or pod["metadata"]["uid"] != uid or is_terminating(pod):
            return
        node = self._context.store.get("nodes", None, pod["spec"]["nodeName"])
        if node is not None and mark in {_instance(taint) for taint in node["spec"].get("taints") or []}:
            self._context.event(
                pod, "TaintManagerEviction", f"Marking for deletion Pod {key}", "taint-eviction-controller"
            )
            self._context.registry.delete("pods", *split_key(key))

    def _mark_unknown(self, name: str) -> None:
        node = self._context.store.get("nodes", None, name)
        if node is None:
            return
        now = rfc3339(self._context.clock.now())
        conditions = [
            {
                **item,
                "status": "Unknown",
                "reason": "NodeStatusUnknown",
                "message": "Kubelet stopped posting node status.",
                "lastTransitionTime": now,
            }
            for item in (node.get("status") or {}).get("conditions") or []
        ]
        self._context.put_status("nodes", node, {**node["status"], "conditions": conditions})
        self._context.event(node, "NodeNotReady", f"Node {name} status is now: NodeNotReady", COMPONENT)
        for pod in self._context.pods.on_node(name):
            if is_ready(pod):
                self._mark_unready(pod)

    def _mark_unready(self, pod: Object) -> None:
        """Nobody knows whether the pod still works: it serves no Service and counts for no budget any more."""
        old = condition(pod, "Ready") or {}
        unready = {**old, "status": "False", "lastTransitionTime": self._context.now()}
        conditions = with_condition(pod["status"].get("conditions"), unready)
        self._context.put_status("pods", pod, {**pod["status"], "conditions": conditions})
        self._context.event(pod, "NodeNotReady", "Node is not ready", COMPONENT, warning=True)


def _mark(taint: Object) -> tuple[str, str]:
    return taint["key"], taint["effect"]


def _instance(taint: Object) -> tuple[str, str, str]:
    """A taint that went and came back is another one: patience with it starts anew."""
    return taint["key"], taint["effect"], taint.get("timeAdded", "")


def _watched(node: Object) -> tuple[Any, ...]:
    ready = condition(node, "Ready")
    spec = node["spec"]
    annotated = TTL_ANNOTATION in (node["metadata"].get("annotations") or {})
    return spec.get("unschedulable"), spec.get("taints"), ready and ready["status"], annotated
