"""Evictions against budgets that the disruption controller keeps."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.apiserver.errors import ApiError
from simulator.controllers.meta import condition, is_ready, is_terminating
from simulator.simulation import Simulation
from simulator.worlds import NAMESPACE, budget, deployment, plugin, stateful_set, world

BUDGETS = "policy/poddisruptionbudgets"
REFUSED = "Cannot evict pod as it would violate the pod's disruption budget."


def app(replicas: int = 2, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    manifest = deployment(replicas=replicas, gpus=0)
    manifest["spec"]["template"]["metadata"]["annotations"] |= annotations or {}
    return manifest


def names(simulation: Simulation, label: str = "app") -> list[str]:
    return [pod["metadata"]["name"] for pod in simulation.pods(NAMESPACE, app=label)]


def refusal(simulation: Simulation, name: str, **options: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        simulation.registry.evict(NAMESPACE, name, {"deleteOptions": options})
    return refused.value


def budget_status(simulation: Simulation, name: str = "budget") -> dict[str, Any]:
    found: dict[str, Any] = simulation.get(BUDGETS, f"{NAMESPACE}/{name}")["status"]
    return found


def test_exhausted_budget_refuses_with_its_numbers_and_without_a_time() -> None:
    simulation = world(apply=[app(), budget(minAvailable=2)])
    answer = refusal(simulation, names(simulation)[0])
    cause = {
        "reason": "DisruptionBudget",
        "message": "The disruption budget budget needs 2 healthy pods and has 2 currently",
    }
    assert (answer.code, answer.reason, answer.message) == (429, "TooManyRequests", REFUSED)
    assert (answer.details, answer.headers) == ({"causes": [cause]}, {})


def test_budget_not_yet_seen_refuses_and_says_when_to_come_again() -> None:
    simulation = world(apply=[app()])
    simulation.apply(budget(minAvailable=0))
    answer = refusal(simulation, names(simulation)[0])
    text = "The disruption budget budget is still being processed by the server."
    details = {"causes": [{"reason": "DisruptionBudget", "message": text}], "retryAfterSeconds": 10}
    assert (answer.code, answer.details, answer.headers) == (429, details, {"Retry-After": "10"})


def test_budget_allows_the_next_one_when_the_replacement_is_ready() -> None:
    simulation = world(apply=[app(3, {"simulator.kubegpu/stop-seconds": "9"}), budget(maxUnavailable=1)])
    first, second = names(simulation)[:2]
    simulation.registry.evict(NAMESPACE, first)
    assert budget_status(simulation)["disruptedPods"].keys() == {first}
    assert refusal(simulation, second).code == 429
    simulation.engine.advance(1)
    assert "disruptedPods" not in budget_status(simulation)
    assert refusal(simulation, second).code == 429
    simulation.engine.advance(3)
    assert is_terminating(simulation.get("pods", f"{NAMESPACE}/{first}"))
    simulation.registry.evict(NAMESPACE, second)


def test_two_budgets_for_one_pod_are_an_error_of_the_server() -> None:
    simulation = world(apply=[app(), budget(minAvailable=0), budget("other", minAvailable=0)])
    answer = refusal(simulation, names(simulation)[0])
    assert (answer.code, answer.reason, answer.details) == (500, "", None)
    assert (
        answer.message
        == "This pod has more than one PodDisruptionBudget, which the eviction subresource does not support."
    )


def test_successor_of_the_same_name_is_never_evicted_by_the_old_uid() -> None:
    """The budget is asked first, so that the answer to an old uid is a 429 as long as the successor may not go."""
    simulation = world(apply=[stateful_set(gpus=0, replicas=1), budget(app="db", minAvailable=1)])
    old = simulation.get("pods", f"{NAMESPACE}/db-0")["metadata"]["uid"]
    simulation.registry.delete("pods", NAMESPACE, "db-0")
    simulation.engine.settle()
    successor = simulation.get("pods", f"{NAMESPACE}/db-0")
    assert refusal(simulation, "db-0", preconditions={"uid": old}).code == 429
    simulation.registry.patch(BUDGETS, NAMESPACE, "budget", {"spec": {"minAvailable": 0}})
    simulation.engine.settle()
    assert refusal(simulation, "db-0", preconditions={"uid": old}).code == 409
    assert not is_terminating(successor)
    assert simulation.get("pods", f"{NAMESPACE}/db-0")["metadata"]["uid"] == successor["metadata"]["uid"]


def test_eviction_that_was_granted_and_not_carried_out_is_given_back_after_two_minutes() -> None:
    simulation = world(apply=[app(), budget(minAvailable=1)])
    first, second = names(simulation)
    assert refusal(simulation, first, preconditions={"uid": "another"}).code == 409
    simulation.engine.advance(60)
    assert refusal(simulation, second).code == 429
    simulation.engine.advance(70)
    simulation.registry.evict(NAMESPACE, second)


def test_pod_that_is_going_needs_no_budget() -> None:
    simulation = world(apply=[app(annotations={"simulator.kubegpu/stop-seconds": "20"}), budget(minAvailable=2)])
    name = names(simulation)[0]
    simulation.registry.delete("pods", NAMESPACE, name)
    simulation.engine.advance(1)
    simulation.registry.evict(NAMESPACE, name)
    uid = simulation.get("pods", f"{NAMESPACE}/{name}")["metadata"]["uid"]
    answer = refusal(simulation, name, preconditions={"uid": "another"})
    assert (answer.code, uid in answer.message) == (409, True)


@pytest.mark.parametrize(("policy", "code"), [("AlwaysAllow", 0), ("IfHealthyBudget", 429), (None, 429)])
def test_pod_that_is_not_ready_goes_as_the_policy_says(policy: str | None, code: int) -> None:
    spec = {"unhealthyPodEvictionPolicy": policy} if policy else {}
    simulation = world(apply=[app(), budget(minAvailable=2, **spec)])
    pod = simulation.pods(NAMESPACE, app="app")[0]
    conditions = [{**item, "status": "False"} for item in pod["status"]["conditions"]]
    simulation.registry.update(
        "pods", {**pod, "status": {**pod["status"], "conditions": conditions}}, subresource="status"
    )
    simulation.engine.advance(0.5)
    assert not is_ready(simulation.get("pods", f"{NAMESPACE}/{pod['metadata']['name']}"))
    if code:
        assert refusal(simulation, pod["metadata"]["name"]).code == code
    else:
        simulation.registry.evict(NAMESPACE, pod["metadata"]["name"])


def test_namespace_that_goes_away_takes_no_evictions() -> None:
    simulation = world(apply=[app(annotations={"simulator.kubegpu/stop-seconds": "20"}), budget(minAvailable=2)])
    name = names(simulation)[0]
    simulation.registry.delete("namespaces", None, NAMESPACE)
    answer = refusal(simulation, name)
    why = f"unable to create new content in namespace {NAMESPACE} because it is being terminated"
    assert (answer.code, answer.reason, answer.message) == (403, "Forbidden", f'pods "{name}" is forbidden: {why}')
    assert answer.details == {
        "name": name,
        "kind": "pods",
        "causes": [
            {
                "reason": "NamespaceTerminating",
                "message": f"namespace {NAMESPACE} is being terminated",
                "field": "metadata.namespace",
            }
        ],
    }


def test_budget_of_what_cannot_be_scaled_never_allows_anything() -> None:
    manifest = plugin()
    simulation = world(apply=[manifest])
    guard = budget(maxUnavailable=1)
    guard["spec"]["selector"] = {"matchLabels": {"plugin": "plugin"}}
    simulation.apply(guard)
    simulation.engine.settle()
    found = simulation.get(BUDGETS, f"{NAMESPACE}/budget")
    failed = condition(found, "DisruptionAllowed") or {}
    assert (failed["status"], failed["reason"], failed["message"]) == (
        "False",
        "SyncFailed",
        "daemonsets.apps does not implement the scale subresource",
    )
    (pod,) = simulation.pods(NAMESPACE, plugin="plugin")
    assert refusal(simulation, pod["metadata"]["name"]).code == 429
