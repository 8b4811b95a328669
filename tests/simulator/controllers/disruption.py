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
from simulator.controllers.waking import wake_on_objects

Object = dict[str, Any]
RESOURCE = "policy/poddisruptionbudgets"
#: The controllers whose replica count a percentage refers to, by kind.
SCALED = {"ReplicaSet": "apps/replicasets", "StatefulSet": "apps/statefulsets", "Deployment": "apps/deployments"}
#: Controllers that cannot be scaled: a budget that needs their size never allows anything.
UNSCALABLE = {"DaemonSet": "daemonsets.apps", "Job": "jobs.batch"}
DISRUPTED_POD_SECONDS = 120.0


class UnscalableError(Exception):
    """The budget's size cannot be computed; the text says why."""


class DisruptionController:
    """Keyed by namespace/name of the budget."""

    name = "disruption"

    def __init__(self, context: Context) -> None:
        self._context = context
        self._granted: dict[tuple[str, str, str], float] = {}
        wake_on_objects(context, self, RESOURCE)
        context.pods.listen(self._pod_changed)

    def reconcile(self, key: str) -> None:
        budget = self._context.store.get(RESOURCE, *split_key(key))
        if budget is None or is_terminating(budget):
            return
        namespace = budget["metadata"]["namespace"]
        selector = budget["spec"].get("selector")
        pods = [pod for pod in self._context.store.list("pods", namespace) if self._counts(pod, selector)]
        try:
            expected, desired = self._sizes(budget, pods)
        except UnscalableError as problem:
            self._write_failure(budget, str(problem))
            return
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
        """The replicas that the pods' controllers want; pods without a controller do not count. Raises UnscalableError."""
        wanted: dict[str, int] = {}
        for pod in pods:
            owner = controller_of(pod)
            if owner and owner["kind"] in UNSCALABLE:
                raise UnscalableError(f"{UNSCALABLE[owner['kind']]} does not implement the scale subresource")
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
        """Evictions that were granted and whose pods are not yet seen terminating; a pod that never goes counts again."""
        present = {pod["metadata"]["name"] for pod in pods if not is_terminating(pod)}
        recorded = (budget.get("status") or {}).get("disruptedPods") or {}
        kept = {}
        for name, moment in recorded.items():
            if name in present and not self._overdue(budget, name, moment):
                kept[name] = moment
        return kept

    def _overdue(self, budget: Object, pod: str, moment: str) -> bool:
        """Whether the eviction was granted two minutes ago, in simulated time."""
        engine, mark = self._context.engine, (budget["metadata"]["uid"], pod, moment)
        if mark not in self._granted:
            self._granted[mark] = engine.time
            engine.later(DISRUPTED_POD_SECONDS, engine.enqueue, self, key_of(budget), settles=False)
        return engine.time - self._granted[mark] >= DISRUPTED_POD_SECONDS

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

    def _write_failure(self, budget: Object, why: str) -> None:
        """The failsafe allows nothing and leaves the observed generation, so that evictions are told to come again."""
        status = budget.get("status") or {}
        new = {
            "type": "DisruptionAllowed",
            "status": "False",
            "lastTransitionTime": self._context.now(),
            "reason": "SyncFailed",
            "message": why,
        }
        numbers = {name: status.get(name, 0) for name in ("currentHealthy", "desiredHealthy", "expectedPods")}
        conditions = with_condition(status.get("conditions"), new)
        self._context.put_status(
            RESOURCE, budget, {**status, **numbers, "disruptionsAllowed": 0, "conditions": conditions}
        )
        self._context.event(
            budget,
            "CalculateExpectedPodCountFailed",
            f"Failed to calculate the number of expected pods: {why}",
            "controllermanager",
            warning=True,
        )
