"""DaemonSets, Deployments, budgets, nodes and namespaces, run by the controllers in virtual time."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.controllers.meta import condition, is_ready, is_terminating
from simulator.simulation import Simulation
from simulator.worlds import GPU, NAMESPACE, config_map, deployment, gpu_node, gpu_pod, plugin, shared_plugin, world

DAEMON_SET, DEPLOYMENT = "apps/daemonsets", "apps/deployments"


def fleet(count: int) -> list[dict[str, Any]]:
    return [gpu_node(f"gpu-{number}", count=1) for number in range(1, count + 1)]


def uids(simulation: Simulation, **labels: str) -> set[str]:
    return {pod["metadata"]["uid"] for pod in simulation.pods(NAMESPACE, **labels)}


def status(simulation: Simulation, resource: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = simulation.get(resource, f"{NAMESPACE}/{name}")["status"]
    return found


# DaemonSets.


def test_rolling_update_never_takes_more_nodes_than_allowed() -> None:
    manifest = plugin(strategy="RollingUpdate")
    manifest["spec"]["updateStrategy"]["rollingUpdate"] = {"maxUnavailable": 2}
    simulation = world(*fleet(5), apply=[manifest])
    before = uids(simulation)
    least = 5
    changed = plugin(strategy="RollingUpdate", version="v0.17.2")
    changed["spec"]["updateStrategy"] = manifest["spec"]["updateStrategy"]
    simulation.apply(changed)
    while uids(simulation) & before and simulation.engine.time < 1e6:
        simulation.engine.advance(0.05)
        least = min(least, sum(is_ready(pod) and not is_terminating(pod) for pod in simulation.pods(NAMESPACE)))
    simulation.engine.settle()
    assert least == 3
    assert status(simulation, DAEMON_SET, "plugin") == {
        "currentNumberScheduled": 5,
        "desiredNumberScheduled": 5,
        "numberAvailable": 5,
        "numberMisscheduled": 0,
        "numberReady": 5,
        "observedGeneration": 2,
        "updatedNumberScheduled": 5,
    }


def test_affinity_that_excludes_a_node_is_enforced_under_on_delete_too() -> None:
    simulation = world(*fleet(3), apply=[plugin()])
    before = uids(simulation)
    manifest = plugin()
    term = {"matchExpressions": [{"key": "kubegpu.sharing/revision", "operator": "DoesNotExist"}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": [term]}}
    manifest["spec"]["template"]["spec"]["affinity"] = {"nodeAffinity": required}
    simulation.apply(manifest)
    simulation.engine.settle()
    assert uids(simulation) == before
    simulation.label("gpu-2", **{"kubegpu.sharing/revision": "withdrawn"})
    simulation.engine.settle()
    assert sorted(pod["spec"]["nodeName"] for pod in simulation.pods(NAMESPACE)) == ["gpu-1", "gpu-3"]
    assert uids(simulation) < before


def test_untolerated_taint_keeps_new_pods_away_and_leaves_running_ones() -> None:
    simulation = world(*fleet(2), apply=[plugin()])
    simulation.patch_node("gpu-2", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    simulation.engine.advance(10)
    assert len(simulation.pods(NAMESPACE)) == 2
    (there,) = [pod for pod in simulation.pods(NAMESPACE) if pod["spec"]["nodeName"] == "gpu-2"]
    simulation.registry.delete("pods", NAMESPACE, there["metadata"]["name"])
    simulation.engine.advance(10)
    assert [pod["spec"]["nodeName"] for pod in simulation.pods(NAMESPACE)] == ["gpu-1"]
    simulation.patch_node("gpu-2", {"spec": {"taints": None}})
    assert simulation.engine.run_until(lambda: len(simulation.pods(NAMESPACE)) == 2, 5)


def test_daemon_pod_that_tolerates_the_taint_is_made_again() -> None:
    manifest = plugin()
    manifest["spec"]["template"]["spec"]["tolerations"] = [{"operator": "Exists"}]
    simulation = world(*fleet(1), apply=[manifest])
    simulation.patch_node("gpu-1", {"spec": {"taints": [{"key": "k", "effect": "NoSchedule"}]}})
    (there,) = simulation.pods(NAMESPACE)
    simulation.registry.delete("pods", NAMESPACE, there["metadata"]["name"])
    simulation.engine.advance(10)
    (again,) = simulation.pods(NAMESPACE)
    assert again["metadata"]["uid"] != there["metadata"]["uid"]


def test_daemon_pod_waits_for_devices_of_its_own_node_and_a_failed_one_is_replaced() -> None:
    simulation = world(*fleet(2), apply=[plugin(), gpu_pod("holder", node="gpu-1")])
    greedy = plugin("greedy")
    greedy["spec"]["template"]["spec"]["containers"][0] |= {
        "image": "registry.example.com/agent:1",
        "resources": {"limits": {GPU: 1}},
    }
    simulation.apply(greedy)
    simulation.engine.advance(30)
    waiting, running = sorted(simulation.pods(NAMESPACE, plugin="greedy"), key=is_ready)
    message = (condition(waiting, "PodScheduled") or {})["message"]
    assert message.startswith(
        "0/2 nodes are available: 1 Insufficient nvidia.com/gpu, 1 node(s) didn't satisfy plugin(s) [NodeAffinity]."
    )
    assert running["spec"]["nodeName"] == "gpu-2"
    failed = {**running, "status": {**running["status"], "phase": "Failed"}}
    simulation.registry.update("pods", failed, subresource="status")
    simulation.engine.advance(30)
    (fresh,) = [pod for pod in simulation.pods(NAMESPACE, plugin="greedy") if pod["spec"].get("nodeName") == "gpu-2"]
    assert fresh["metadata"]["uid"] != running["metadata"]["uid"]
    assert is_ready(fresh)


def test_missing_config_map_holds_the_plugin_until_it_is_there() -> None:
    source, manifest = shared_plugin(3)
    simulation = world(apply=[manifest])
    (pod,) = simulation.pods(NAMESPACE)
    assert not is_ready(pod)
    reasons = [event["message"] for event in simulation.store.list("events") if event["reason"] == "FailedMount"]
    assert reasons == ['MountVolume.SetUp failed for volume "config" : configmap "plugin-config" not found']
    simulation.apply(source)
    simulation.engine.advance(150)
    assert simulation.allocatable("gpu-1") == 6


# Deletion.


@pytest.mark.parametrize(("propagation", "left"), [("Background", 0), ("Foreground", 0), ("Orphan", 2)])
def test_deletion_of_a_daemon_set_treats_its_pods_as_asked(propagation: str, left: int) -> None:
    simulation = world(*fleet(2), apply=[plugin()])
    simulation.registry.delete(DAEMON_SET, NAMESPACE, "plugin", propagation=propagation)
    simulation.engine.settle()
    assert simulation.store.get(DAEMON_SET, NAMESPACE, "plugin") is None
    pods = simulation.pods(NAMESPACE)
    assert len(pods) == left
    assert not any(pod["metadata"].get("ownerReferences") for pod in pods)
    assert len(simulation.store.list("apps/controllerrevisions")) == (1 if left else 0)


def test_deleted_deployment_takes_replica_sets_and_pods_along() -> None:
    simulation = world(apply=[plugin(), deployment(replicas=2)])
    simulation.registry.delete(DEPLOYMENT, NAMESPACE, "app")
    simulation.engine.settle()
    assert simulation.store.list("apps/replicasets") == []
    assert simulation.pods(NAMESPACE, app="app") == []


def test_deleted_namespace_is_emptied_first() -> None:
    simulation = world(apply=[plugin(), deployment(), config_map(a="b")])
    simulation.registry.delete("namespaces", None, NAMESPACE)
    simulation.engine.advance(0)
    assert simulation.registry.get("namespaces", None, NAMESPACE)["status"]["phase"] == "Terminating"
    simulation.engine.settle()
    assert simulation.store.get("namespaces", None, NAMESPACE) is None
    assert simulation.pods(NAMESPACE) == []
    assert simulation.store.list("configmaps", NAMESPACE) == []


# Deployments.


def test_rolling_update_without_room_waits_and_says_so_and_goes_on_when_there_is_room() -> None:
    surge = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    first = deployment(replicas=2, strategy=surge)
    simulation = world(apply=[*shared_plugin(2, "shared", key="shared"), plugin(), first])
    old = uids(simulation, app="app")
    simulation.apply(deployment(replicas=2, strategy=surge, image="registry.example.com/app:2"))
    simulation.engine.advance(700)
    stalled = status(simulation, DEPLOYMENT, "app")
    assert (
        stalled["replicas"],
        stalled["updatedReplicas"],
        stalled["availableReplicas"],
        stalled["unavailableReplicas"],
    ) == (3, 1, 2, 1)
    conditions = {item["type"]: (item["status"], item["reason"]) for item in stalled["conditions"]}
    assert conditions == {
        "Available": ("True", "MinimumReplicasAvailable"),
        "Progressing": ("False", "ProgressDeadlineExceeded"),
    }
    simulation.label("gpu-1", **{"nvidia.com/device-plugin.config": None})
    simulation.engine.advance(15)
    simulation.label("gpu-1", **{"nvidia.com/device-plugin.config": "shared"})
    simulation.engine.advance(60)
    finished = status(simulation, DEPLOYMENT, "app")
    assert finished["updatedReplicas"] == finished["replicas"] == finished["availableReplicas"] == 2
    progressing = next(item for item in finished["conditions"] if item["type"] == "Progressing")
    assert (progressing["status"], progressing["reason"]) == ("True", "NewReplicaSetAvailable")
    assert not uids(simulation, app="app") & old


def test_going_back_to_an_earlier_template_reuses_its_replica_set() -> None:
    simulation = world(apply=[plugin(), deployment(gpus=0)])
    (original,) = simulation.store.list("apps/replicasets")
    simulation.apply(deployment(gpus=0, image="registry.example.com/app:2"))
    simulation.engine.settle()
    simulation.apply(deployment(gpus=0))
    simulation.engine.settle()
    sets = {item["metadata"]["name"]: item["spec"]["replicas"] for item in simulation.store.list("apps/replicasets")}
    assert len(sets) == 2
    assert sets[original["metadata"]["name"]] == 1
    metadata = simulation.get(DEPLOYMENT, f"{NAMESPACE}/app")["metadata"]
    assert metadata["annotations"]["deployment.kubernetes.io/revision"] == "3"


def test_scaling_down_prefers_pods_that_do_not_run() -> None:
    simulation = world(apply=[plugin(), deployment(replicas=3)])
    running = {pod["metadata"]["name"] for pod in simulation.pods(NAMESPACE, app="app") if is_ready(pod)}
    assert len(running) == 2
    simulation.apply(deployment(replicas=2))
    simulation.engine.settle()
    assert {pod["metadata"]["name"] for pod in simulation.pods(NAMESPACE, app="app")} == running


# Budgets.


def test_budget_counts_healthy_pods_of_the_wanted_number() -> None:
    budget = {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": "b", "namespace": NAMESPACE},
        "spec": {"maxUnavailable": "50%", "selector": {"matchLabels": {"app": "app"}}},
    }
    simulation = world(apply=[plugin(), deployment(replicas=3), budget])
    found = status(simulation, "policy/poddisruptionbudgets", "b")
    # Three wanted, half of them (rounded up) may be away, two run.
    assert {
        name: found[name] for name in ("expectedPods", "desiredHealthy", "currentHealthy", "disruptionsAllowed")
    } == {
        "expectedPods": 3,
        "desiredHealthy": 1,
        "currentHealthy": 2,
        "disruptionsAllowed": 1,
    }


# Nodes.


def test_cordon_puts_a_taint_on_and_uncordon_takes_it_off_later() -> None:
    simulation = world()
    simulation.patch_node("gpu-1", {"spec": {"unschedulable": True}})
    assert "taints" not in simulation.get("nodes", "gpu-1")["spec"]
    simulation.engine.advance(1)
    (taint,) = simulation.get("nodes", "gpu-1")["spec"]["taints"]
    assert (taint["key"], taint["effect"]) == ("node.kubernetes.io/unschedulable", "NoSchedule")
    simulation.patch_node("gpu-1", {"spec": {"unschedulable": None}})
    simulation.engine.advance(1)
    assert "taints" not in simulation.get("nodes", "gpu-1")["spec"]


def test_pod_decided_before_the_cordon_still_lands_on_the_node() -> None:
    simulation = world(apply=[plugin()])
    simulation.apply(gpu_pod("late"))
    simulation.engine.advance(0.05)
    simulation.patch_node("gpu-1", {"spec": {"unschedulable": True}})
    assert not simulation.get("pods", f"{NAMESPACE}/late")["spec"].get("nodeName")
    simulation.engine.advance(1)
    assert simulation.get("pods", f"{NAMESPACE}/late")["spec"]["nodeName"] == "gpu-1"


def test_silent_kubelet_makes_the_node_unknown_and_its_pods_go_when_their_patience_ends() -> None:
    simulation = world(*fleet(2), apply=[plugin(), deployment()])
    (pod,) = simulation.pods(NAMESPACE, app="app")
    node = pod["spec"]["nodeName"]
    simulation.agent(node).outage.go_silent()
    simulation.engine.advance(60)
    ready = condition(simulation.get("nodes", node), "Ready")
    assert ready is not None
    assert ready["status"] == "Unknown"
    assert {taint["key"] for taint in simulation.get("nodes", node)["spec"]["taints"]} == {
        "node.kubernetes.io/unreachable"
    }
    simulation.engine.advance(320)
    replacements = [
        item for item in simulation.pods(NAMESPACE, app="app") if is_ready(item) and not is_terminating(item)
    ]
    assert [item["spec"]["nodeName"] != node for item in replacements] == [True]
    simulation.agent(node).outage.speak_again()
    simulation.engine.advance(30)
    assert "taints" not in simulation.get("nodes", node)["spec"]
    assert len(simulation.pods(NAMESPACE, app="app")) == 1


def test_node_made_by_a_client_has_no_kubelet_and_keeps_what_was_written() -> None:
    simulation = world(apply=[plugin()])
    made = simulation.registry.create(
        "nodes", {"metadata": {"name": "bare", "labels": {"kubernetes.io/hostname": "bare"}}}
    )
    assert made["spec"]["taints"] == [{"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}]
    ready = {
        "type": "Ready",
        "status": "True",
        "reason": "KubeletReady",
        "message": "",
        "lastHeartbeatTime": None,
        "lastTransitionTime": None,
    }
    room = {"cpu": "4", "memory": "8Gi", "pods": "10", GPU: "1"}
    simulation.registry.patch(
        "nodes",
        None,
        "bare",
        {"status": {"conditions": [ready], "capacity": room, "allocatable": room}},
        "merge",
        subresource="status",
    )
    simulation.engine.advance(1)
    assert "taints" not in simulation.get("nodes", "bare")["spec"]
    simulation.apply(
        {**gpu_pod("there"), "spec": {**gpu_pod()["spec"], "nodeSelector": {"kubernetes.io/hostname": "bare"}}}
    )
    simulation.engine.advance(600)
    pod = simulation.get("pods", f"{NAMESPACE}/there")
    assert (pod["spec"]["nodeName"], pod["status"]["phase"]) == ("bare", "Pending")
    assert simulation.allocatable("bare") == 1


# Kubelet.


def test_pod_ends_within_its_grace_period() -> None:
    pod = gpu_pod("slow")
    pod["metadata"]["annotations"]["simulator.kubegpu/stop-seconds"] = "100"
    pod["spec"]["terminationGracePeriodSeconds"] = 7
    simulation = world(apply=[plugin(), pod])
    simulation.registry.delete("pods", NAMESPACE, "slow")
    simulation.engine.advance(6.9)
    assert is_terminating(simulation.get("pods", f"{NAMESPACE}/slow"))
    simulation.engine.advance(0.2)
    assert simulation.pods(NAMESPACE, app="slow") == []


def test_pod_that_does_not_fit_its_node_is_rejected_by_the_kubelet() -> None:
    pod = gpu_pod("big", node="gpu-1", gpus=0)
    pod["spec"]["containers"][0]["resources"] = {"requests": {"cpu": "1000"}}
    simulation = world(apply=[pod])
    found = simulation.get("pods", f"{NAMESPACE}/big")["status"]
    assert (found["phase"], found["reason"]) == ("Failed", "OutOfcpu")
    assert (
        found["message"]
        == "Pod was rejected: Node didn't have enough resource: cpu, requested: 1000000, used: 0, capacity: 16000"
    )


def test_pods_deleted_around_a_reboot_are_gone_after_it() -> None:
    simulation = world(apply=[plugin(), gpu_pod("ending"), gpu_pod("late", gpus=0), gpu_pod("staying")])
    simulation.registry.delete("pods", NAMESPACE, "ending")
    simulation.engine.advance(0.1)
    simulation.agent("gpu-1").reboot()
    simulation.engine.advance(1)
    simulation.registry.delete("pods", NAMESPACE, "late")
    simulation.engine.advance(120)
    names = {pod["metadata"]["name"] for pod in simulation.pods(NAMESPACE) if "plugin" not in pod["metadata"]["labels"]}
    assert names == {"staying"}
    assert all(is_ready(pod) for pod in simulation.pods(NAMESPACE))


def test_crashing_plugin_backs_off_and_recovers() -> None:
    simulation = world(apply=[plugin()])
    agent = simulation.agent("gpu-1")
    assert agent.crash_plugins() == 1
    simulation.engine.advance(0.5)
    assert not is_ready(simulation.pods(NAMESPACE)[0])
    simulation.engine.advance(15)
    assert simulation.allocatable("gpu-1") == 2
    assert simulation.pods(NAMESPACE)[0]["status"]["containerStatuses"][0]["restartCount"] == 1


def test_nothing_in_these_worlds_makes_a_controller_fail() -> None:
    simulation = world(*fleet(3), apply=[*shared_plugin(2), deployment(replicas=8)])
    simulation.agent("gpu-1").reboot()
    simulation.engine.advance(3600)
    assert simulation.engine.failures == []
