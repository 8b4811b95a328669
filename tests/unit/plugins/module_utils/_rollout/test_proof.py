# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import (
    NodeWait,
    Timing,
    unmet_serving,
    unmet_withdrawn,
)

GPU = "nvidia.com/gpu"
TARGET = NodeTarget("gpu-1", "l20", "0a1b2c3d4e", {GPU: 8}, (GPU,))
LABELS = {"nvidia.com/device-plugin.config": "l20", "kubegpu.sharing/revision": "0a1b2c3d4e"}
NODE = NodeState("gpu-1", labels=LABELS, unschedulable=True, allocatable={GPU: 8})
OURS = PodState("s", "ours", "1", "gpu-1", "Running", ready=True, labels={"kubegpu.sharing/revision": "0a1b2c3d4e"})
OLD = PodState("s", "old", "2", "gpu-1", "Running", ready=True)


@pytest.mark.parametrize(
    ("node", "pods", "expected"),
    [
        pytest.param(replace(NODE, allocatable={}), [], [], id="absent counts as 0"),
        pytest.param(replace(NODE, allocatable={GPU: 0}), [], [], id="0"),
        pytest.param(NODE, [], ["allocatable nvidia.com/gpu is 8, expected 0"], id="number not yet gone"),
        pytest.param(
            replace(NODE, allocatable={}),
            [OLD],
            ["plugin pod is still there (s/old: Running)"],
            id="object not yet gone",
        ),
        pytest.param(
            replace(NODE, allocatable={}),
            [replace(OLD, terminating=True)],
            ["plugin pod is still there (s/old: terminating)"],
            id="object going",
        ),
        pytest.param(
            replace(NODE, allocatable={}), [replace(OLD, phase="Failed")], [], id="a finished pod holds no socket"
        ),
    ],
)
def test_unmet_withdrawn(node: NodeState, pods: list[PodState], expected: list[str]) -> None:
    assert unmet_withdrawn(node, pods, TARGET) == expected


@pytest.mark.parametrize(
    ("node", "pods", "expected"),
    [
        pytest.param(NODE, [OURS], [], id="proven"),
        pytest.param(NODE, [OURS, replace(OLD, phase="Failed")], [], id="a finished pod does not count"),
        pytest.param(NODE, [], ["no plugin pod of revision 0a1b2c3d4e is on the node"], id="no pod"),
        pytest.param(
            replace(NODE, allocatable={GPU: 7}),
            [OURS],
            ["allocatable nvidia.com/gpu is 7, expected 8"],
            id="other number",
        ),
        pytest.param(
            NODE,
            [replace(OURS, ready=False)],
            ["plugin pod is not ready (s/ours: Running, not ready)"],
            id="not ready",
        ),
        pytest.param(NODE, [OURS, OLD], ["another plugin pod is on the node (s/old: Running)"], id="two plugins"),
        pytest.param(
            NODE,
            [replace(OURS, terminating=True)],
            [
                "no plugin pod of revision 0a1b2c3d4e is on the node",
                "another plugin pod is on the node (s/ours: terminating)",
            ],
            id="ours is going",
        ),
        pytest.param(
            replace(NODE, not_ready="KubeletNotReady: x"),
            [OURS],
            ["node is not Ready (KubeletNotReady: x)"],
            id="NotReady",
        ),
        pytest.param(
            replace(NODE, labels={}),
            [OURS],
            ["labels are key None and revision None, not 'l20' and '0a1b2c3d4e'"],
            id="labels",
        ),
    ],
)
def test_unmet_serving(node: NodeState, pods: list[PodState], expected: list[str]) -> None:
    assert unmet_serving(node, pods, TARGET) == expected


BACK = NodeTarget("gpu-1", "old", None, {GPU: 1}, (GPU,), labels={"enable": "yes"}, plugin="s/ds")
FORMER = NodeState("gpu-1", labels={"nvidia.com/device-plugin.config": "old", "enable": "yes"}, allocatable={GPU: 1})
THEIRS = replace(OLD, owner=("DaemonSet", "ds"))
NOBODY = NodeTarget("gpu-1", None, None, {}, (GPU,))


@pytest.mark.parametrize(
    ("node", "pods", "target", "expected"),
    [
        pytest.param(FORMER, [THEIRS], BACK, [], id="proven"),
        pytest.param(FORMER, [], BACK, ["no plugin pod of DaemonSet s/ds is on the node"], id="no pod"),
        pytest.param(
            FORMER,
            [replace(THEIRS, ready=False)],
            BACK,
            ["plugin pod is not ready (s/old: Running, not ready)"],
            id="not ready",
        ),
        pytest.param(
            FORMER,
            [THEIRS, OURS],
            BACK,
            ["another plugin pod is on the node (s/ours: Running)"],
            id="ours is still there",
        ),
        pytest.param(
            FORMER,
            [replace(THEIRS, owner=("DaemonSet", "other"))],
            BACK,
            ["no plugin pod of DaemonSet s/ds is on the node", "another plugin pod is on the node (s/old: Running)"],
            id="somebody else's",
        ),
        pytest.param(
            replace(FORMER, labels={**FORMER.labels, "enable": "no"}),
            [THEIRS],
            BACK,
            ["labels are not as planned: enable is 'no', not 'yes'"],
            id="a label of theirs",
        ),
        pytest.param(NodeState("gpu-1"), [], NOBODY, [], id="nobody"),
        pytest.param(
            NodeState("gpu-1"),
            [THEIRS],
            NOBODY,
            ["another plugin pod is on the node (s/old: Running)"],
            id="somebody where nobody is to be",
        ),
        pytest.param(NODE, [], replace(TARGET, as_is=True), [], id="as it is, whoever serves it"),
        pytest.param(
            replace(NODE, allocatable={GPU: 0}),
            [OURS],
            replace(TARGET, as_is=True),
            ["allocatable nvidia.com/gpu is 0, expected 8"],
            id="not as it was",
        ),
    ],
)
def test_unmet_serving_of_what_is_not_ours(
    node: NodeState, pods: list[PodState], target: NodeTarget, expected: list[str]
) -> None:
    assert unmet_serving(node, pods, target) == expected


def test_unmet_serving_wants_vanished_resources_at_zero() -> None:
    target = replace(TARGET, expected={"nvidia.com/gpu.shared": 8})
    node = replace(NODE, allocatable={GPU: 1, "nvidia.com/gpu.shared": 8})
    assert unmet_serving(node, [OURS], target) == ["allocatable nvidia.com/gpu is 1, expected 0"]


def follow(timing: Timing, *observations: tuple[float, bool]) -> NodeWait:
    wait = NodeWait(0.0, timing)
    for now, met in observations:
        wait.observe(now, [] if met else ["not yet"])
    return wait


@pytest.mark.parametrize(
    ("observations", "proven", "ended"),
    [
        pytest.param([(0, True), (29, True)], False, None, id="soaking"),
        pytest.param([(0, True), (30, True)], True, 30, id="soaked"),
        pytest.param([(0, True), (20, False), (21, True), (50, True)], False, None, id="a break begins the soak anew"),
        pytest.param([(0, True), (20, False), (21, True), (51, True)], True, 51, id="soaked after a break"),
        pytest.param([(299, False)], False, None, id="still time"),
        pytest.param([(300, False)], False, 300, id="too late"),
        pytest.param([(290, True), (300, True), (320, True)], True, 320, id="a soak begun in time may end"),
        pytest.param([(290, True), (310, False)], False, 310, id="a break after the deadline is the end"),
    ],
)
def test_node_wait(observations: list[tuple[float, bool]], proven: bool, ended: float | None) -> None:
    wait = follow(Timing(300, 30), *observations)
    assert (wait.proven, wait.ended) == (proven, ended)


def test_node_wait_without_soak_ends_at_once() -> None:
    assert follow(Timing(300), (0, True)).proven


def test_node_wait_knows_when_to_look_again() -> None:
    assert follow(Timing(300, 30), (10, False)).next_look() == 300
    assert follow(Timing(300, 30), (10, True)).next_look() == 40


def test_node_wait_explains_what_it_saw_last() -> None:
    wait = follow(Timing(300, 30), (10, True), (20, False), (300, False))
    assert wait.explain("8") == (
        "expected 8, within 300 s; last seen: not yet; it had been met once and broke within 30 s"
    )


def test_node_wait_given_up_keeps_its_reason() -> None:
    wait = NodeWait(0.0, Timing(300))
    wait.give_up(5, "the node is gone")
    assert (wait.waited, wait.explain("8")) == (5.0, "expected 8, within 300 s; last seen: the node is gone")
    assert wait.observe(6, [])  # ended is ended
    assert not wait.proven


def test_timing_is_shown_without_needless_digits() -> None:
    details: dict[str, Any] = {"timeout": 300.0, "soak": 30.0}
    assert "within 300 s" in follow(Timing(**details), (300, False)).explain("8")
