# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.comparison import (
    Expectation,
    compare_node,
    could_be_placed,
    finished_waves,
    held_nodes,
    unfinished_deployment,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, Release
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState

GPU = "nvidia.com/gpu"
LABEL = {"nvidia-device-enable": "enable"}
REVISION = "0a1b2c3d4e"
TARGET = NodeTarget(
    name="gpu-1",
    key="l20",
    revision=REVISION,
    expected={GPU: 8},
    previous=(GPU,),
    release=Release("label", "kube-system/plugin", LABEL),
)
NODE = NodeState(
    name="gpu-1",
    labels={"nvidia.com/device-plugin.config": "l20", "kubegpu.sharing/revision": REVISION},
    allocatable={GPU: 8},
)
POD = PodState(
    namespace="kubegpu-system",
    name="p",
    uid="p",
    node="gpu-1",
    phase="Running",
    ready=True,
    labels={"kubegpu.sharing/revision": REVISION},
)
FOREIGN = PodState(namespace="kube-system", name="old", uid="o", node="gpu-1", phase="Running", ready=True)
HOLD = {"kubegpu.sharing/hold": "Kim: bench"}
NOTE = json.dumps({"run": "r1", "since": "2026-01-01T00:00:00Z", "step": "serving"})


def test_compare_node_as_planned_matches() -> None:
    found = compare_node(Expectation(TARGET), NODE, [POD])
    assert (found["matches"], found["differences"], found["settling"]) == (True, [], False)
    assert (found["allocatable"], found["expected_resources"]) == ({GPU: 8}, {GPU: 8})
    assert found["in_maintenance"] is False
    json.dumps(found)


@pytest.mark.parametrize(
    ("change", "pods", "words", "settling"),
    [
        pytest.param(
            {"allocatable": {}},
            [POD],
            "allocatable nvidia.com/gpu is 0, expected 8",
            True,
            id="allocatable is not there yet",
        ),
        pytest.param({"not_ready": "KubeletNotReady: x"}, [POD], "node is not Ready", True, id="not Ready"),
        pytest.param({"labels": {}}, [POD], "labels are key None and revision None", False, id="labels are missing"),
        pytest.param({}, [], f"no plugin pod of revision {REVISION}", True, id="no plugin pod"),
        pytest.param({}, [replace(POD, ready=False)], "plugin pod is not ready", True, id="plugin pod is not ready"),
        pytest.param(
            {},
            [POD, FOREIGN],
            "another plugin pod is on the node (kube-system/old",
            True,
            id="the old plugin is still there",
        ),
        pytest.param(
            {"unschedulable": True},
            [POD],
            "is cordoned, and was not when the plan was made",
            False,
            id="cordoned by somebody",
        ),
        pytest.param(
            {"labels": {**NODE.labels, **LABEL}},
            [POD],
            "label nvidia-device-enable=enable is back",
            False,
            id="label came back",
        ),
        pytest.param(
            {"unschedulable": True, "annotations": {"kubegpu.sharing/maintenance": NOTE}},
            [POD],
            "is still in maintenance (since 2026-01-01T00:00:00Z) of run r1, last step serving",
            False,
            id="in maintenance",
        ),
    ],
)
def test_compare_node_says_what_differs(
    change: dict[str, Any], pods: list[PodState], words: str, settling: bool
) -> None:
    found = compare_node(Expectation(TARGET), replace(NODE, **change), pods)
    (difference,) = found["differences"]
    assert difference.startswith("node gpu-1: ")
    assert words in difference
    assert (found["matches"], found["settling"]) == (False, settling)


@pytest.mark.parametrize("annotations", [HOLD, {**HOLD, "kubegpu.sharing/maintenance": NOTE}])
def test_compare_node_that_serves_its_target_and_is_held_is_finished(annotations: dict[str, str]) -> None:
    found = compare_node(Expectation(TARGET), replace(NODE, unschedulable=True, annotations=annotations), [POD])
    assert (found["matches"], found["differences"], found["hold"]) == (True, [], "Kim: bench")
    assert found["in_maintenance"] is ("kubegpu.sharing/maintenance" in annotations)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        pytest.param({"labels": {}}, "labels are key None", id="does not bear it"),
        pytest.param({"allocatable": {GPU: 1}}, "allocatable nvidia.com/gpu is 1, expected 8", id="advertises less"),
        pytest.param({"labels": {**NODE.labels, **LABEL}}, "nvidia-device-enable=enable is back", id="label came back"),
    ],
)
def test_compare_node_that_is_held_before_it_serves_its_target_differs(change: dict[str, Any], words: str) -> None:
    annotations = {**HOLD, "kubegpu.sharing/maintenance": NOTE}
    found = compare_node(
        Expectation(TARGET), replace(NODE, unschedulable=True, annotations=annotations, **change), [POD]
    )
    assert found["matches"] is False
    assert any(words in difference for difference in found["differences"])
    assert found["differences"][-1].endswith("held by a person: Kim: bench")


def test_held_nodes_are_those_that_are_finished() -> None:
    nodes: dict[str, dict[str, Any]] = {
        "a": {"matches": True, "hold": "Kim: bench"},
        "b": {"matches": True, "hold": ""},
        "c": {"matches": False, "hold": "not yet"},
        "d": {"matches": True, "hold": None},
    }
    assert held_nodes(nodes) == {"a": "Kim: bench", "b": "no reason given"}


def test_compare_node_that_is_gone() -> None:
    found = compare_node(Expectation(TARGET), None, [])
    assert found["differences"] == ["node gpu-1 is not in the cluster"]


@pytest.mark.parametrize("unschedulable", [True, False])
def test_compare_node_leaves_a_cordon_of_before_to_who_made_it(unschedulable: bool) -> None:
    expected = Expectation(TARGET, was_unschedulable=True)
    assert compare_node(expected, replace(NODE, unschedulable=unschedulable), [POD])["matches"]


def deployment(status: dict[str, int], replicas: int = 2) -> dict[str, Any]:
    return {
        "metadata": {"generation": 2},
        "spec": {"replicas": replicas},
        "status": {"observedGeneration": 2, **status},
    }


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ({"updatedReplicas": 2, "replicas": 2, "availableReplicas": 2}, None),
        ({"updatedReplicas": 1, "replicas": 3, "availableReplicas": 2}, "1 of 2 replicas is updated"),
        ({"updatedReplicas": 2, "replicas": 3, "availableReplicas": 3}, "1 old replica is still there"),
        ({"updatedReplicas": 2, "replicas": 2, "availableReplicas": 1}, "1 of 2 updated replicas is available"),
        ({"observedGeneration": 1}, "its controller has not seen its latest change yet"),
    ],
)
def test_unfinished_deployment_is_told_as_kubectl_does(status: dict[str, int], words: str | None) -> None:
    assert unfinished_deployment(deployment(status)) == words


def test_unfinished_deployment_scaled_to_nothing_is_done() -> None:
    assert unfinished_deployment(deployment({}, replicas=0)) is None


def test_could_be_placed_needs_one_node_with_all() -> None:
    free = [{GPU: 1}, {"nvidia.com/mig-1g.5gb": 4, GPU: 0}]
    assert could_be_placed({GPU: 1}, free)
    assert not could_be_placed({GPU: 2}, free)
    assert not could_be_placed({GPU: 1, "nvidia.com/mig-1g.5gb": 1}, free)


def test_finished_waves_tells_of_the_waves_that_were_compared() -> None:
    nodes = {"a": {"matches": True}, "b": {"matches": False}}
    assert finished_waves([["a"], ["b", "c"], ["d"]], nodes) == [
        {"wave": 1, "nodes": ["a"], "finished": True},
        {"wave": 2, "nodes": ["b"], "finished": False},
    ]
