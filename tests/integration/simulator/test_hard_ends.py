"""Pods that do not go, kubelets that do not answer, nodes that are gone."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.apiserver.errors import ApiError
from simulator.controllers.meta import condition, is_ready, is_terminating, key_of
from simulator.node_faults import NodeFaults, OrderError
from simulator.simulation import Simulation
from simulator.worlds import NAMESPACE, budget, cards_in_use, deployment, gpu_node, gpu_pod, shared_plugin, world

BUDGETS = "policy/poddisruptionbudgets"


def stage(*manifests: dict[str, Any], nodes: int = 1) -> Simulation:
    fleet = [gpu_node(f"gpu-{number}", count=1) for number in range(1, nodes + 1)]
    return world(*fleet, apply=[*shared_plugin(8), *manifests])


def stubborn(name: str = "job", *, grace: int = 20, annotations: dict[str, str] | None = None) -> dict[str, Any]:
    manifest = gpu_pod(name)
    manifest["metadata"]["annotations"] |= annotations or {"simulator.kubegpu/ignores-sigterm": "true"}
    manifest["spec"]["terminationGracePeriodSeconds"] = grace
    return manifest


def find(simulation: Simulation, name: str = "job") -> dict[str, Any] | None:
    return simulation.store.get("pods", NAMESPACE, name)


def delete(simulation: Simulation, name: str = "job", **options: Any) -> None:
    simulation.registry.delete("pods", NAMESPACE, name, **options)


def seconds_until_gone(simulation: Simulation, name: str = "job") -> float:
    began = simulation.engine.time
    assert simulation.engine.run_until(lambda: find(simulation, name) is None)
    return simulation.engine.time - began


# Ends.


def test_pod_that_ignores_sigterm_goes_when_its_grace_period_is_over() -> None:
    simulation = stage(stubborn(grace=20))
    delete(simulation)
    assert cards_in_use(simulation) == {0: 1}
    assert seconds_until_gone(simulation) == pytest.approx(20)
    assert cards_in_use(simulation) == {0: 0}


@pytest.mark.parametrize(("asked", "expected"), [(5, 5), (0, 0), (3600, 3600)])
def test_eviction_may_ask_for_another_grace_period(asked: int, expected: float) -> None:
    simulation = stage(stubborn(grace=20))
    simulation.registry.evict(NAMESPACE, "job", {"deleteOptions": {"gracePeriodSeconds": asked}})
    began = simulation.engine.time
    assert simulation.engine.run_until(lambda: find(simulation) is None, limit=7200)
    assert simulation.engine.time - began == pytest.approx(expected)


def test_shorter_grace_period_while_it_ends_is_heeded_and_a_longer_one_is_not() -> None:
    simulation = stage(stubborn(grace=100))
    delete(simulation)
    simulation.engine.advance(10)
    delete(simulation, grace_period_seconds=3600)
    simulation.engine.advance(10)
    delete(simulation, grace_period_seconds=5)
    assert seconds_until_gone(simulation) == pytest.approx(5)


def test_pod_that_needs_a_while_goes_after_it_or_with_its_grace_period() -> None:
    simulation = stage(
        stubborn("short", annotations={"simulator.kubegpu/stop-seconds": "7"}),
        stubborn("long", grace=9, annotations={"simulator.kubegpu/stop-seconds": "70"}),
    )
    delete(simulation, "short")
    delete(simulation, "long")
    assert seconds_until_gone(simulation, "short") == pytest.approx(7)
    assert seconds_until_gone(simulation, "long") == pytest.approx(2)


@pytest.mark.parametrize(("ignores", "phase", "code"), [("false", "Succeeded", 0), ("true", "Failed", 137)])
def test_finalizer_keeps_the_ended_pod_until_it_is_taken_off(ignores: str, phase: str, code: int) -> None:
    manifest = stubborn(grace=5, annotations={"simulator.kubegpu/ignores-sigterm": ignores})
    manifest["metadata"]["finalizers"] = ["example.com/held"]
    simulation = stage(manifest)
    delete(simulation)
    simulation.engine.advance(600)
    pod = find(simulation)
    assert pod is not None
    assert (pod["metadata"]["deletionGracePeriodSeconds"], pod["status"]["phase"]) == (0, phase)
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code
    assert not is_ready(pod)
    assert cards_in_use(simulation) == {0: 0}
    simulation.registry.patch("pods", NAMESPACE, "job", {"metadata": {"finalizers": None}})
    assert find(simulation) is None


# A kubelet that does not answer.


def kubelet(simulation: Simulation, action: str, node: str = "gpu-1") -> None:
    NodeFaults(simulation).order("kubelet", {"node": node, "action": action})


def test_silent_kubelet_makes_its_node_unknown_after_the_grace_and_its_pods_unready() -> None:
    simulation = stage(gpu_pod(), budget(app="job", minAvailable=1))
    kubelet(simulation, "down")
    simulation.engine.advance(39)
    node = simulation.get("nodes", "gpu-1")
    assert (condition(node, "Ready") or {})["status"] == "True"
    simulation.engine.advance(2)
    node = simulation.get("nodes", "gpu-1")
    assert {item["type"]: (item["status"], item["reason"]) for item in node["status"]["conditions"]}["Ready"] == (
        "Unknown",
        "NodeStatusUnknown",
    )
    taints = {(taint["key"], taint["effect"]) for taint in node["spec"]["taints"]}
    assert taints == {("node.kubernetes.io/unreachable", effect) for effect in ("NoSchedule", "NoExecute")}
    pod = find(simulation)
    assert pod is not None
    assert (is_ready(pod), pod["status"]["phase"]) == (False, "Running")
    assert simulation.get(BUDGETS, f"{NAMESPACE}/budget")["status"]["currentHealthy"] == 0
    kubelet(simulation, "up")
    simulation.engine.advance(2)
    pod = find(simulation)
    assert pod is not None
    assert is_ready(pod)
    assert "taints" not in simulation.get("nodes", "gpu-1")["spec"]


def test_kubelet_that_is_back_in_time_is_never_missed() -> None:
    simulation = stage()
    kubelet(simulation, "down")
    simulation.engine.advance(30)
    kubelet(simulation, "up")
    simulation.engine.advance(60)
    assert (condition(simulation.get("nodes", "gpu-1"), "Ready") or {})["status"] == "True"


def test_reboot_brings_a_silent_kubelet_back() -> None:
    simulation = stage(gpu_pod())
    kubelet(simulation, "down")
    simulation.agent("gpu-1").reboot()
    simulation.engine.advance(120)
    assert (condition(simulation.get("nodes", "gpu-1"), "Ready") or {})["status"] == "True"
    assert is_ready(simulation.get("pods", f"{NAMESPACE}/job"))


def test_pod_that_came_under_its_name_while_the_node_was_off_is_looked_at_after_the_boot() -> None:
    simulation = stage(gpu_pod())
    old = simulation.get("pods", f"{NAMESPACE}/job")["metadata"]["uid"]
    simulation.agent("gpu-1").reboot()
    simulation.engine.advance(1)
    delete(simulation, grace_period_seconds=0)
    simulation.registry.create("pods", gpu_pod(), NAMESPACE)
    simulation.engine.advance(120)
    new = simulation.get("pods", f"{NAMESPACE}/job")
    assert new["metadata"]["uid"] != old
    # As on a real node: it is not one that was there before the boot, so it does not wait for the plugin.
    assert (new["status"]["phase"], new["status"]["reason"]) == ("Failed", "UnexpectedAdmissionError")


def test_silent_kubelet_confirms_no_end_until_it_is_back() -> None:
    simulation = stage(gpu_pod("before"), gpu_pod("after"))
    delete(simulation, "before")
    kubelet(simulation, "down")
    delete(simulation, "after")
    simulation.engine.advance(3600)
    assert [
        is_terminating(pod) for pod in simulation.pods(NAMESPACE) if pod["metadata"]["name"] in ("before", "after")
    ] == [
        True,
        True,
    ]
    kubelet(simulation, "up")
    simulation.engine.advance(2)
    assert find(simulation, "before") is None
    assert find(simulation, "after") is None
    assert cards_in_use(simulation) == {0: 0}


def test_pod_deleted_by_force_goes_on_using_its_card_while_its_kubelet_is_silent() -> None:
    simulation = stage(gpu_pod())
    kubelet(simulation, "down")
    delete(simulation, grace_period_seconds=0)
    simulation.engine.advance(10)
    assert (find(simulation), cards_in_use(simulation)) == (None, {0: 1})
    kubelet(simulation, "up")
    simulation.engine.advance(2)
    assert cards_in_use(simulation) == {0: 0}


def assert_starts_when_kubelet_is_back(simulation: Simulation, name: str) -> None:
    simulation.engine.advance(30)
    assert simulation.get("pods", f"{NAMESPACE}/{name}")["status"]["phase"] == "Pending"
    kubelet(simulation, "up")
    simulation.engine.advance(5)
    assert is_ready(simulation.get("pods", f"{NAMESPACE}/{name}"))


def test_pod_bound_to_a_silent_kubelet_starts_when_it_is_back() -> None:
    simulation = stage(gpu_pod("slow"))
    kubelet(simulation, "down")
    simulation.apply(gpu_pod("late", node="gpu-1"))
    assert_starts_when_kubelet_is_back(simulation, "late")


def test_pod_that_was_starting_goes_on_when_its_kubelet_is_back() -> None:
    simulation = stage()
    simulation.apply(gpu_pod())
    simulation.engine.advance(1)
    kubelet(simulation, "down")
    assert_starts_when_kubelet_is_back(simulation, "job")


def test_taint_of_a_lost_node_deletes_pods_when_their_patience_ends() -> None:
    simulation = stage(deployment(replicas=1), nodes=2)
    (pod,) = simulation.pods(NAMESPACE, app="app")
    kubelet(simulation, "down", pod["spec"]["nodeName"])
    simulation.engine.advance(40 + 299)
    assert not is_terminating(simulation.pods(NAMESPACE, app="app")[0])
    simulation.engine.advance(10)
    old, new = sorted(simulation.pods(NAMESPACE, app="app"), key=is_terminating, reverse=True)
    assert (old["metadata"]["uid"], is_terminating(old)) == (pod["metadata"]["uid"], True)
    assert (is_ready(new), new["spec"]["nodeName"] != pod["spec"]["nodeName"]) == (True, True)


@pytest.mark.parametrize("kind", ["container-crash", "kubelet", "plugin-crash"])
def test_fault_without_what_it_needs_says_what_that_is(kind: str) -> None:
    with pytest.raises(OrderError, match=f"fault {kind} needs node; it takes node"):
        NodeFaults(stage()).order(kind, {})


def test_kubelet_order_without_a_direction_is_refused() -> None:
    with pytest.raises(OrderError, match="action must be down or up, not 'sideways'"):
        NodeFaults(stage()).order("kubelet", {"node": "gpu-1", "action": "sideways"})


# A node that is gone.


def test_pods_of_a_deleted_node_are_collected_after_the_quarantine() -> None:
    simulation = stage(deployment(replicas=1), nodes=2)
    (pod,) = simulation.pods(NAMESPACE, app="app")
    node = pod["spec"]["nodeName"]
    simulation.registry.delete("nodes", None, node)
    simulation.engine.advance(39)
    assert simulation.pods(NAMESPACE, app="app") == [pod]
    assert cards_in_use(simulation, node) == {0: 0}
    simulation.engine.advance(5)
    (new,) = simulation.pods(NAMESPACE, app="app")
    assert new["spec"]["nodeName"] != node
    assert is_ready(new)
    assert all(pod["spec"]["nodeName"] != node for pod in simulation.pods())


def test_deleted_node_comes_back_with_its_kubelet_under_a_new_uid() -> None:
    simulation = stage(nodes=2)
    before = simulation.get("nodes", "gpu-1")
    simulation.registry.delete("nodes", None, "gpu-1")
    simulation.engine.settle()
    with pytest.raises(ApiError):
        simulation.get("nodes", "gpu-1")
    kubelet(simulation, "up")
    simulation.engine.settle()
    after = simulation.get("nodes", "gpu-1")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]
    assert simulation.allocatable("gpu-1") == 8


# A crowded node.


def test_node_takes_as_many_pods_as_it_says_and_is_emptied_at_once() -> None:
    here = {"nodeSelector": {"kubernetes.io/hostname": "gpu-1"}}
    node = gpu_node(count=8, pods=501, cpu="64", memory="512Gi")
    apps = [deployment("gpu", replicas=100, pod=here), deployment("cpu", replicas=401, gpus=0, pod=here)]
    simulation = world(node, apply=[*shared_plugin(25), *apps])
    placed = [pod for pod in simulation.pods(NAMESPACE) if pod["spec"].get("nodeName")]
    (left_over,) = [pod for pod in simulation.pods(NAMESPACE) if not pod["spec"].get("nodeName")]
    assert (len(placed), "Too many pods" in (condition(left_over, "PodScheduled") or {})["message"]) == (501, True)
    simulation.patch_node("gpu-1", {"spec": {"unschedulable": True}})
    simulation.engine.advance(0.5)
    uids = {pod["metadata"]["uid"] for pod in simulation.pods(NAMESPACE, app="gpu")}
    for pod in simulation.pods(NAMESPACE, app="gpu"):
        simulation.registry.evict(NAMESPACE, pod["metadata"]["name"])
    began = simulation.engine.time
    assert simulation.engine.run_until(
        lambda: not uids & {pod["metadata"]["uid"] for pod in simulation.pods(NAMESPACE, app="gpu")}
    )
    assert simulation.engine.time - began == pytest.approx(1.0)
    assert cards_in_use(simulation) == dict.fromkeys(range(8), 0)
    apps_left = {
        runtime.pod["metadata"]["labels"].get("app") for runtime in simulation.agent("gpu-1").runtimes.values()
    }
    assert apps_left == {"cpu", None}


# A pod that the scheduler had decided on before the cordon.


@pytest.mark.parametrize("seconds", [0, 2.5])
def test_late_pod_is_bound_to_the_cordoned_node_once(seconds: float) -> None:
    manifest = deployment("late", pod={"nodeSelector": {"example.com/never": "x"}})
    simulation = stage(manifest)
    (pending,) = simulation.pods(NAMESPACE, app="late")
    faults = NodeFaults(simulation)
    faults.order("late-pod", {"node": "gpu-1", "pod": f"{NAMESPACE}/late-", "seconds": seconds})
    faults.order("late-pod", {"node": "gpu-1", "pod": gpu_pod("bare")})
    simulation.patch_node("gpu-1", {"metadata": {"labels": {"example.com/a": "b"}}})
    assert find(simulation, "bare") is None
    simulation.patch_node("gpu-1", {"spec": {"unschedulable": True}})
    assert simulation.get("pods", f"{NAMESPACE}/bare")["spec"]["nodeName"] == "gpu-1"
    assert (simulation.get("pods", key_of(pending))["spec"].get("nodeName") == "gpu-1") is (seconds == 0)
    simulation.engine.advance(5)
    assert is_ready(simulation.get("pods", key_of(pending)))
    assert simulation.get("pods", key_of(pending))["spec"]["nodeName"] == "gpu-1"
    simulation.patch_node("gpu-1", {"spec": {"unschedulable": None}})
    simulation.patch_node("gpu-1", {"spec": {"unschedulable": True}})
    assert len(simulation.pods(NAMESPACE, app="late")) == 1
    assert simulation.engine.failures == []


def test_late_pod_without_a_pod_is_refused() -> None:
    with pytest.raises(OrderError, match="pod must be a manifest or namespace/name, not None"):
        NodeFaults(stage()).order("late-pod", {"node": "gpu-1"})
