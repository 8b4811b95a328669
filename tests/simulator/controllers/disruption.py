"""Disruption controller: how many pods each PodDisruptionBudget allows to be evicted."""

from __future__ import annotations

from typing import Any

from simulator.controllers.context import Context
from simulator.controllers.meta import (
    controller_of,
    is_finished,
    is_ready,
    is_terminating,
    key_of,
    split_key,
    with_condition,
)
from simulator.controllers.rounding import resolve
from simulator.controllers.selectors import matches_labels
from simulator.store import Change

Object = dict[str, Any]
RESOURCE = "policy/poddisruptionbudgets"
#: The controllers whose replica count a percentage refers to, by kind.
SCALED = {"ReplicaSet": "apps/replicasets", "StatefulSet": "apps/statefulsets", "Deployment": "apps/deployments"}
DISRUPTED_POD_SECONDS = 120.0


class DisruptionController:
    """Keyed by namespace/name of the budget."""

    name = "disruption"

    def __init__(self, context: Context) -> None:
        self._context = context
        context.store.subscribe(self._changed)
        context.pods.listen(self._pod_changed)

    def reconcile(self, key: str) -> None:
        budget = self._context.store.get(RESOURCE, *split_key(key))
        if budget is None or is_terminating(budget):
            return
        namespace = budget["metadata"]["namespace"]
        selector = budget["spec"].get("selector")
        pods = [pod for pod in self._context.store.list("pods", namespace) if self._counts(pod, selector)]
        expected, desired = self._sizes(budget, pods)
        disrupted = self._disrupted(budget, pods)
        healthy = sum(
            is_ready(pod) and not is_terminating(pod) and pod["metadata"]["name"] not in disrupted for pod in pods
        )
        allowed = max(0, healthy - desired) if expected > 0 else 0
        self._write(
            budget,
            {
                "disruptionsAllowed": allowed,
                "currentHealthy": healthy,
                "desiredHealthy": desired,
                "expectedPods": expected,
            },
            disrupted,
        )

    def _changed(self, change: Change) -> None:
        if change.resource == RESOURCE and change.type != "DELETED":
            self._context.engine.enqueue(self, key_of(change.obj))

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old
        assert pod is not None
        for budget in self._context.store.list(RESOURCE, pod["metadata"]["namespace"]):
            labels = pod["metadata"].get("labels")
            if matches_labels(budget["spec"].get("selector"), labels) or (
                old and matches_labels(budget["spec"].get("selector"), old["metadata"].get("labels"))
            ):
                self._context.engine.enqueue(self, key_of(budget))

    @staticmethod
    def _counts(pod: Object, selector: Object | None) -> bool:
        return matches_labels(selector, pod["metadata"].get("labels")) and not is_finished(pod)

    def _sizes(self, budget: Object, pods: list[Object]) -> tuple[int, int]:
        """(expected pods, pods that must be healthy)."""
        spec = budget["spec"]
        if "maxUnavailable" in spec:
            expected = self._scale_of(pods)
            return expected, max(0, expected - resolve(spec["maxUnavailable"], expected, round_up=True))
        minimum = spec.get("minAvailable", 1)
        if isinstance(minimum, int):
            return len(pods), minimum
        expected = self._scale_of(pods)
        return expected, resolve(minimum, expected, round_up=True)

    def _scale_of(self, pods: list[Object]) -> int:
        """The replicas that the pods' controllers want; a pod without such a controller counts as itself."""
        wanted: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            resource = SCALED.get(owner["kind"]) if owner else None
            found = (
                self._context.store.get(resource, pod["metadata"]["namespace"], owner["name"])
                if owner and resource
                else None
            )
            while found is not None and (parent := controller_of(found)) and parent["kind"] in SCALED:
                above = self._context.store.get(SCALED[parent["kind"]], found["metadata"]["namespace"], parent["name"])
                if above is None:
                    break
                found = above
            if found is not None:
                wanted[found["metadata"]["uid"]] = found["spec"].get("replicas", 1)
        return sum(wanted.values())

    def _disrupted(self, budget: Object, pods: list[Object]) -> Object:
        """Evictions that were granted and whose pods are not yet seen terminating."""
        present = {pod["metadata"]["name"] for pod in pods if not is_terminating(pod)}
        recorded = (budget.get("status") or {}).get("disruptedPods") or {}
        return {name: moment for name, moment in recorded.items() if name in present}

    def _write(self, budget: Object, numbers: Object, disrupted: Object) -> None:
        generation = budget["metadata"]["generation"]
        enough = numbers["disruptionsAllowed"] > 0
        new = {
            "type": "DisruptionAllowed",
            "status": "True" if enough else "False",
            "observedGeneration": generation,
            "lastTransitionTime": self._context.now(),
            "reason": "SufficientPods" if enough else "InsufficientPods",
            "message": "",
        }
        conditions = with_condition((budget.get("status") or {}).get("conditions"), new)
        status = {"observedGeneration": generation, **numbers, "conditions": conditions}
        if disrupted:
            status["disruptedPods"] = disrupted
        self._context.put_status(RESOURCE, budget, status)
