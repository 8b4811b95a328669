"""StatefulSets: every pod comes back under its own name, and not before the old object is gone."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.apiserver.errors import ApiError
from simulator.controllers.meta import is_ready, is_terminating
from simulator.simulation import Simulation
from simulator.worlds import NAMESPACE, budget, gpu_node, shared_plugin, stateful_set, world

SETS = "apps/statefulsets"


def stage(manifest: dict[str, Any], *more: dict[str, Any]) -> Simulation:
    simulation = world(gpu_node(count=2), apply=[*shared_plugin(4), *more])
    simulation.apply(manifest)
    return simulation


def pods(simulation: Simulation) -> dict[str, dict[str, Any]]:
    return {pod["metadata"]["name"]: pod for pod in simulation.pods(NAMESPACE, app="db")}


def status(simulation: Simulation) -> dict[str, Any]:
    found: dict[str, Any] = simulation.get(SETS, f"{NAMESPACE}/db")["status"]
    return found


def delete(simulation: Simulation, name: str, **options: Any) -> None:
    simulation.registry.delete("pods", NAMESPACE, name, **options)


def test_ordered_pods_start_one_after_the_other() -> None:
    simulation = stage(stateful_set())
    seen: list[list[str]] = []
    while len(seen) < 3:
        names = sorted(pods(simulation))
        if names and (not seen or names != seen[-1]):
            seen.append(names)
            assert all(is_ready(pods(simulation)[name]) for name in names[:-1])
        simulation.engine.advance(0.1)
    assert seen == [["db-0"], ["db-0", "db-1"], ["db-0", "db-1", "db-2"]]
    simulation.engine.settle()
    revision = status(simulation)["updateRevision"]
    assert status(simulation) == {
        "availableReplicas": 3,
        "collisionCount": 0,
        "currentReplicas": 3,
        "currentRevision": revision,
        "observedGeneration": 1,
        "readyReplicas": 3,
        "replicas": 3,
        "updateRevision": revision,
        "updatedReplicas": 3,
    }
    labels = pods(simulation)["db-1"]["metadata"]["labels"]
    assert labels == {
        "app": "db",
        "apps.kubernetes.io/pod-index": "1",
        "controller-revision-hash": revision,
        "statefulset.kubernetes.io/pod-name": "db-1",
    }
    assert (pods(simulation)["db-1"]["spec"]["hostname"], pods(simulation)["db-1"]["spec"]["subdomain"]) == (
        "db-1",
        "db",
    )


def test_parallel_pods_start_at_once() -> None:
    simulation = stage(stateful_set(policy="Parallel"))
    simulation.engine.advance(0.0)
    assert sorted(pods(simulation)) == ["db-0", "db-1", "db-2"]


@pytest.mark.parametrize("policy", ["OrderedReady", "Parallel"])
def test_pod_comes_back_under_its_name_only_after_the_old_object_is_gone(policy: str) -> None:
    manifest = stateful_set(policy=policy)
    manifest["spec"]["template"]["metadata"]["annotations"]["simulator.kubegpu/stop-seconds"] = "5"
    simulation = stage(manifest)
    simulation.engine.settle()
    before = {name: pod["metadata"]["uid"] for name, pod in pods(simulation).items()}
    simulation.registry.evict(NAMESPACE, "db-1")
    simulation.engine.advance(4.5)
    assert is_terminating(pods(simulation)["db-1"])
    assert pods(simulation)["db-1"]["metadata"]["uid"] == before["db-1"]
    assert status(simulation)["replicas"] == 3
    simulation.engine.settle()
    after = {name: pod["metadata"]["uid"] for name, pod in pods(simulation).items()}
    assert [name for name in before if before[name] != after[name]] == ["db-1"]
    assert is_ready(pods(simulation)["db-1"])


def test_finalizer_keeps_the_name_taken() -> None:
    simulation = stage(stateful_set(replicas=1))
    simulation.engine.settle()
    path = "pods", NAMESPACE, "db-0"
    old = simulation.registry.patch(*path, {"metadata": {"finalizers": ["example.com/held"]}})["metadata"]["uid"]
    delete(simulation, "db-0", grace_period_seconds=0)
    simulation.engine.advance(60)
    assert pods(simulation)["db-0"]["metadata"]["uid"] == old
    simulation.registry.patch(*path, {"metadata": {"finalizers": None}})
    simulation.engine.settle()
    assert pods(simulation)["db-0"]["metadata"]["uid"] != old
    assert is_ready(pods(simulation)["db-0"])


def test_old_name_with_new_uid_is_not_evicted_by_the_old_uid() -> None:
    simulation = stage(stateful_set(replicas=1))
    simulation.engine.settle()
    old = pods(simulation)["db-0"]["metadata"]["uid"]
    delete(simulation, "db-0")
    simulation.engine.settle()
    new = pods(simulation)["db-0"]["metadata"]["uid"]
    with pytest.raises(ApiError) as refused:
        simulation.registry.evict(NAMESPACE, "db-0", {"deleteOptions": {"preconditions": {"uid": old}}})
    assert refused.value.code == 409
    assert refused.value.message == (
        f'Operation cannot be fulfilled on Pod "db-0": the UID in the precondition ({old}) does not match the UID in record'
        f" ({new}). The object might have been deleted and then recreated"
    )


def test_pod_that_failed_is_made_again() -> None:
    simulation = stage(stateful_set(replicas=1))
    simulation.engine.settle()
    pod = pods(simulation)["db-0"]
    simulation.registry.update("pods", {**pod, "status": {**pod["status"], "phase": "Failed"}}, subresource="status")
    simulation.engine.settle()
    assert pods(simulation)["db-0"]["metadata"]["uid"] != pod["metadata"]["uid"]
    assert is_ready(pods(simulation)["db-0"])


def test_fewer_replicas_take_the_highest_away_first() -> None:
    simulation = stage(stateful_set())
    simulation.engine.settle()
    simulation.registry.patch(SETS, NAMESPACE, "db", {"spec": {"replicas": 1}})
    simulation.engine.advance(0.0)
    assert [name for name, pod in pods(simulation).items() if is_terminating(pod)] == ["db-2"]
    simulation.engine.settle()
    assert sorted(pods(simulation)) == ["db-0"]


@pytest.mark.parametrize(("strategy", "partition", "changed"), [("RollingUpdate", 1, 2), ("OnDelete", 0, 0)])
def test_new_template_replaces_what_the_strategy_says(strategy: str, partition: int, changed: int) -> None:
    manifest = stateful_set(updateStrategy={"type": strategy})
    if partition:
        manifest["spec"]["updateStrategy"]["rollingUpdate"] = {"partition": partition}
    simulation = stage(manifest)
    simulation.engine.settle()
    before = {pod["metadata"]["uid"] for pod in pods(simulation).values()}
    manifest["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example.com/app:2"
    simulation.apply(manifest)
    simulation.engine.settle()
    after = {pod["metadata"]["uid"] for pod in pods(simulation).values()}
    assert len(after - before) == changed
    assert (status(simulation).get("updatedReplicas", 0), status(simulation)["replicas"]) == (changed, 3)
    delete(simulation, "db-0")
    simulation.engine.settle()
    image = pods(simulation)["db-0"]["spec"]["containers"][0]["image"]
    assert image == f"registry.example.com/app:{1 if partition else 2}"


def test_budget_counts_the_replicas_that_the_set_wants() -> None:
    simulation = stage(stateful_set(), budget(app="db", maxUnavailable=1))
    simulation.engine.settle()
    found = simulation.get("policy/poddisruptionbudgets", f"{NAMESPACE}/budget")["status"]
    assert {
        name: found[name] for name in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    } == {
        "expectedPods": 3,
        "desiredHealthy": 2,
        "currentHealthy": 3,
        "disruptionsAllowed": 1,
    }
    simulation.registry.evict(NAMESPACE, "db-2")
    with pytest.raises(ApiError) as refused:
        simulation.registry.evict(NAMESPACE, "db-1")
    assert (refused.value.details or {})["causes"][0]["reason"] == "DisruptionBudget"
    simulation.engine.settle()
    simulation.registry.evict(NAMESPACE, "db-1")
