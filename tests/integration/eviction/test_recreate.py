# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a switch leaves behind is mended once the node is back: stale pods, and pods that its kubelet refused."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from unit.plugins.fakes.driver import Driver

from .conftest import Open
from .stage import NODE, Stage, pod_spec

SINCE = "kubegpu.sharing/devices-since"
SOON = "2100-01-01T00:00:00Z"


def in_maintenance(stage: Stage, **options: Any) -> Driver:
    """A node whose device ids have changed under its pods, proven and still cordoned."""
    driver = stage.driver(**options).of(plan_path=None)
    assert driver.in_maintenance()["failed_nodes"] == []
    stage.client.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"annotations": {SINCE: SOON}}})
    return driver


def apps(pods: list[dict[str, Any]]) -> list[str]:
    return sorted(pod["name"].split("-")[0] for pod in pods)


def test_stale_pods_are_reported_and_left_alone(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 2)
    stage.deployment("web", 1, gpus=0)
    uids = stage.uids()
    node = in_maintenance(stage).in_service()["nodes"][NODE]
    assert (node["failed"], apps(node["stale"]), node["recreated"]) == (False, ["gpu", "gpu"], [])
    assert (stage.uids(), stage.evictions()) == (uids, [])


def test_stale_pods_are_recreated_within_budgets_while_the_node_serves(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 3, start=20)  # a successor is not ready before the next eviction is tried
    stage.deployment("web", 1, gpus=0)
    stage.pod("bare")
    stage.budget("gpu", maxUnavailable=1)
    old, web = stage.uids("gpu"), stage.uids("web")
    driver = in_maintenance(stage, stale_pods="recreate")
    stage.client.patch(f"/api/v1/nodes/{NODE}", {"metadata": {"annotations": {SINCE: "2100-01-01T00:00:00Z"}}})
    foreseen = driver.of(check_mode=True).in_service()["nodes"][NODE]
    node = driver.in_service()["nodes"][NODE]
    assert (node["failed"], node["in_service"], apps(node["recreated"])) == (False, True, ["gpu"] * 3)
    assert {pod["uid"] for pod in node["recreated"]} == old
    assert [(pod["name"], pod["reason"]) for pod in node["stale"]] == [("bare", "no_controller")]
    assert (foreseen["recreated"], foreseen["stale"]) == (node["recreated"], node["stale"])
    assert {line["pod"]["uid"] for line in stage.journal("recreated")} == old
    stage.ready("gpu", 3)
    assert stage.uids("web") == web
    assert len(stage.uids("bare")) == 1
    assert 429 in [item["status"] for item in stage.evictions()]


def test_recreation_that_takes_too_long_fails_the_step_and_leaves_the_node_in_service(open_stage: Open) -> None:
    stage = open_stage()
    stage.deployment("gpu", 1)
    stage.budget("gpu", minAvailable=1)
    driver = in_maintenance(stage, stale_pods="recreate")
    result = driver.in_service(eviction_timeout_seconds=3.0)
    node = result["nodes"][NODE]
    assert (result["failed_nodes"], node["recreated"], stage.unschedulable()) == ([NODE], [], False)
    assert node["reason"].startswith("stale pods: 1 pod is still there after 3 s: default/gpu-")
    assert "its disruption budget default/gpu allows 0 now" in node["reason"]
    assert node["reason"].endswith("The node is in service.")


def test_allocations_tell_which_pods_are_stale(open_stage: Open) -> None:
    """320 slots on 8 GPUs: slots 0 to 39 of each exist."""
    stage = open_stage()
    for name in ("valid", "whole", "beyond"):
        stage.deployment(name, 1)
    (valid,), (whole,), (beyond,) = (stage.uids(name) for name in ("valid", "whole", "beyond"))
    facts = stage.write_facts(NODE, {valid: ["GPU-1::39"], whole: ["GPU-2"], beyond: ["GPU-3::40"]})
    node = in_maintenance(stage, facts_dir=facts).in_service()["nodes"][NODE]
    assert apps(node["stale"]) == ["beyond", "whole"]


@pytest.mark.parametrize("removed", [True, False])
def test_pods_that_the_kubelet_refused_are_removed_if_something_replaces_them(open_stage: Open, removed: bool) -> None:
    stage = open_stage()
    driver = stage.driver(remove_failed_pods=removed).of(plan_path=None)
    assert driver.in_maintenance()["failed_nodes"] == []
    spec = {"template": {"spec": {**pod_spec(1, ""), "restartPolicy": "Never"}}}
    job = stage.client.create("/apis/batch/v1/namespaces/default/jobs", {"metadata": {"name": "train"}, "spec": spec})
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": "train", "controller": True}
    owner["uid"] = job["metadata"]["uid"]
    for name, references in (("replaced", [owner]), ("bare", [])):
        # More than the node has, and bound to it past the scheduler.
        body = {"metadata": {"name": name}, "spec": {**pod_spec(1000, ""), "nodeName": NODE}}
        stage.client.create("/api/v1/namespaces/default/pods", body)
        stage.cluster.wait_until(partial(failed, stage, name), what="the kubelet's refusal")
        if references:
            patch = {"metadata": {"ownerReferences": references}}
            stage.client.patch(f"/api/v1/namespaces/default/pods/{name}", patch)
    node = driver.in_service()["nodes"][NODE]
    found = {pod["name"]: (pod["reason"], pod["removed"]) for pod in node["admission_failures"]}
    assert found == {"replaced": ("UnexpectedAdmissionError", removed), "bare": ("UnexpectedAdmissionError", False)}
    left = {pod["metadata"]["name"] for pod in stage.client.items("/api/v1/namespaces/default/pods")}
    assert left == ({"bare"} if removed else {"bare", "replaced"})


def failed(stage: Stage, name: str) -> bool:
    return stage.client.get(f"/api/v1/namespaces/default/pods/{name}")["status"].get("phase") == "Failed"
