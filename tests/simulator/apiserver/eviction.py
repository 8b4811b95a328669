"""The eviction subresource of pods, and what disruption budgets allow."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.apiserver import errors
from simulator.apiserver.deletion import FINISHED, check_preconditions
from simulator.apiserver.options import DeleteOptions, parse_delete_options
from simulator.apiserver.selectors import label_selector_matches
from simulator.clock import rfc3339

if TYPE_CHECKING:
    from simulator.registry import Registry

Object = dict[str, Any]

BUDGETS = "policy/poddisruptionbudgets"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."
TWO_BUDGETS = "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
STALE_RETRY_SECONDS = 10


class Evictions:
    def __init__(self, registry: Registry) -> None:
        self._registry = registry

    def evict(self, namespace: str, name: str, eviction: Object, *, dry_run: bool) -> None:
        """The budget comes before the preconditions: an old uid is told a 409 only once the budget allows an eviction.

        So whoever waits for a pod that came back under the same name is told 429 on account of its successor.
        """
        options = parse_delete_options(eviction.get("deleteOptions") or {}, dry_run=dry_run)
        self._registry.check_namespace(self._registry.resources.by_key("pods"), namespace, name)
        pod = self._registry.get("pods", namespace, name)
        if not _needs_no_budget(pod):
            self._spend_budget(pod, dry_run=options.dry_run)
            check_preconditions(self._registry.resources.by_key("pods"), pod, options.preconditions)
            if not options.dry_run:
                self._mark_disrupted(pod)
        self._delete(namespace, name, options)

    def _delete(self, namespace: str, name: str, options: DeleteOptions) -> None:
        self._registry.delete(
            "pods",
            namespace,
            name,
            grace_period_seconds=options.grace_period_seconds,
            propagation=options.propagation,
            preconditions=options.preconditions,
            dry_run=options.dry_run,
        )

    def _spend_budget(self, pod: Object, *, dry_run: bool) -> None:
        """Take one disruption from the pod's budget, if it has one. ApiError 429 or 500."""
        metadata = pod["metadata"]
        labels = metadata.get("labels") or {}
        budgets = [
            budget
            for budget in self._registry.store.list(BUDGETS, metadata["namespace"])
            if label_selector_matches(budget["spec"].get("selector"), labels)
        ]
        if len(budgets) > 1:
            raise errors.internal_error(TWO_BUDGETS)
        if budgets and not _may_go_unready(pod, budgets[0]):
            self._spend(budgets[0], metadata["name"], dry_run=dry_run)

    def _spend(self, budget: Object, pod_name: str, *, dry_run: bool) -> None:
        name, status = budget["metadata"]["name"], budget.get("status") or {}
        if status.get("observedGeneration", 0) < budget["metadata"]["generation"]:
            why = f"The disruption budget {name} is still being processed by the server."
            raise _too_many(why, retry_seconds=STALE_RETRY_SECONDS)
        allowed, desired, healthy = (
            status.get(key, 0) for key in ("disruptionsAllowed", "desiredHealthy", "currentHealthy")
        )
        if allowed <= 0:
            why = f"The disruption budget {name} needs {desired} healthy pods and has {healthy} currently"
            if healthy > desired:
                why = f"The disruption budget {name} does not allow evicting pods currently"
            failure = _failed_sync(status)
            if failure:
                why = f"The disruption budget {name} does not allow evicting pods currently because it failed sync: {failure}"
            raise _too_many(why)
        if dry_run:
            return
        now = rfc3339(self._registry.clock.now())
        disrupted = {**(status.get("disruptedPods") or {}), pod_name: now}
        spent = {**status, "disruptionsAllowed": allowed - 1, "disruptedPods": disrupted}
        self._registry.update(BUDGETS, {**budget, "status": spent}, subresource="status")

    def _mark_disrupted(self, pod: Object) -> None:
        status = dict(pod.get("status") or {})
        condition = {"type": "DisruptionTarget", "status": "True", "lastProbeTime": None}
        condition |= {"lastTransitionTime": rfc3339(self._registry.clock.now())}
        condition |= {"reason": "EvictionByEvictionAPI", "message": "Eviction API: evicting"}
        others = [item for item in status.get("conditions") or [] if item["type"] != "DisruptionTarget"]
        status["conditions"] = [*others, condition]
        self._registry.update("pods", {**pod, "status": status}, subresource="status")


def _needs_no_budget(pod: Object) -> bool:
    """Pods that are over, not yet running, or going anyway."""
    phase = pod.get("status", {}).get("phase")
    return phase in FINISHED or phase == "Pending" or "deletionTimestamp" in pod["metadata"]


def _is_ready(pod: Object) -> bool:
    conditions = pod.get("status", {}).get("conditions") or []
    return any(item["type"] == "Ready" and item["status"] == "True" for item in conditions)


def _may_go_unready(pod: Object, budget: Object) -> bool:
    """An unready pod may go if the policy says so, or by default if the budget is met without it."""
    if _is_ready(pod):
        return False
    if budget["spec"].get("unhealthyPodEvictionPolicy") == "AlwaysAllow":
        return True
    status = budget.get("status") or {}
    met = status.get("currentHealthy", 0) >= status.get("desiredHealthy", 0)
    return bool(met and status.get("desiredHealthy", 0) > 0)


def _failed_sync(status: Object) -> str:
    """Why the controller could not compute the budget; its numbers mean nothing then."""
    failed = [item for item in status.get("conditions") or [] if item.get("reason") == "SyncFailed"]
    return str(failed[0].get("message", "")) if failed else ""


def _too_many(why: str, *, retry_seconds: int = 0) -> errors.ApiError:
    details: Object = {"causes": [{"reason": "DisruptionBudget", "message": why}]}
    headers = {}
    if retry_seconds:
        details["retryAfterSeconds"] = retry_seconds
        headers["Retry-After"] = str(retry_seconds)
    return errors.ApiError(429, "TooManyRequests", REFUSED, details, headers=headers)
