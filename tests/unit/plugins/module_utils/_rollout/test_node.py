# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import (
    Maintenance,
    parse_maintenance,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import (
    NodePatch,
    NodeState,
    observe_node,
    parse_quantity,
)

NOTE = Maintenance(
    run="run-1", since="2026-03-01T12:00:00.000Z", step="cordoned", restore={"key": None, "labels": {"a": "b"}}
)


def node_object(**changes: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": "gpu-1", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"}},
        "spec": {"unschedulable": True},
        "status": {
            "conditions": [{"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}],
            "allocatable": {
                "cpu": "8",
                "nvidia.com/gpu": "8",
                "nvidia.com/hostdev": "2",
                "nvidia.com/mig-1g.12gb": "1k",
            },
        },
        **changes,
    }


def test_observe_node_keeps_what_matters() -> None:
    node = observe_node(node_object())
    assert (node.name, node.uid, node.resource_version, node.unschedulable) == ("gpu-1", "u", "7", True)
    assert node.allocatable == {"nvidia.com/gpu": 8, "nvidia.com/mig-1g.12gb": 1000}
    assert node.not_ready == ""


def test_observe_node_without_status_is_not_ready() -> None:
    node = observe_node({"metadata": {"name": "gpu-1"}})
    assert node.not_ready == "the node has not reported its state yet"
    assert (node.labels, node.annotations, node.unschedulable, dict(node.allocatable)) == ({}, {}, False, {})


def test_observe_node_not_ready_says_why() -> None:
    condition = {"type": "Ready", "status": "Unknown", "reason": "NodeStatusUnknown", "message": "Kubelet stopped"}
    assert (
        observe_node(node_object(status={"conditions": [condition]})).not_ready == "NodeStatusUnknown: Kubelet stopped"
    )


@pytest.mark.parametrize(
    ("text", "number"), [("8", 8), (8, 8), ("1k", 1000), ("2M", 2_000_000), ("0", 0), ("500m", 0), ("", 0)]
)
def test_parse_quantity_reads_whole_numbers(text: object, number: int) -> None:
    assert parse_quantity(text) == number


def test_patch_body_is_conditional_and_whole() -> None:
    patch = NodePatch(labels={"x": None}, annotations={"y": "1"}, unschedulable=True)
    assert patch.body("7") == {
        "metadata": {"resourceVersion": "7", "labels": {"x": None}, "annotations": {"y": "1"}},
        "spec": {"unschedulable": True},
    }


def test_patch_body_uncordons_by_removal_and_leaves_out_what_it_does_not_touch() -> None:
    assert NodePatch(unschedulable=False).body("7") == {
        "metadata": {"resourceVersion": "7"},
        "spec": {"unschedulable": None},
    }
    assert NodePatch(labels={"x": "1"}).body("7") == {"metadata": {"resourceVersion": "7", "labels": {"x": "1"}}}


def test_patch_of_taints_replaces_them_all_and_its_diff_shows_ours() -> None:
    ours = {"key": "kubegpu.sharing/maintenance", "value": "nvml", "effect": "NoSchedule"}
    cordon = {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    node = observe_node(node_object(spec={"taints": [cordon]}))
    assert node.taints == (cordon,)
    patch = NodePatch(taints=(cordon, ours))
    assert patch.body("7") == {"metadata": {"resourceVersion": "7"}, "spec": {"taints": [cordon, ours]}}
    assert NodePatch(taints=()).body("7")["spec"] == {"taints": None}
    assert patch.diff(node) == ({"taints": []}, {"taints": ["kubegpu.sharing/maintenance=nvml:NoSchedule"]})
    assert node.patched(patch).taints == (cordon, ours)


def test_patch_diff_shows_touched_fields_without_times() -> None:
    node = NodeState("gpu-1", labels={"a": "b", "c": "d"})
    patch = NodePatch(
        labels={"a": None}, annotations={names.MAINTENANCE_ANNOTATION: NOTE.to_text()}, unschedulable=True
    )
    before, after = patch.diff(node)
    assert before == {"unschedulable": False, "labels": {"a": "b"}, "maintenance": None}
    assert after == {
        "unschedulable": True,
        "labels": {"a": None},
        "maintenance": {"run": "run-1", "step": "cordoned", "was_unschedulable": False},
    }


def test_maintenance_survives_the_way_through_the_annotation() -> None:
    assert parse_maintenance(NOTE.to_text()) == NOTE


def test_a_note_that_is_cut_short_still_tells_the_step_the_reason_and_the_run() -> None:
    note = Maintenance("20260301-120000-a1b2c3", NOTE.since, step="withdrawn", reason="rollout", restore=NOTE.restore)
    assert note.to_text().startswith(
        '{"step":"withdrawn","reason":"rollout","since":"2026-03-01T12:00:00.000Z","run":"20260301-120000-a1b2c3",'
    )
    assert set(json.loads(note.to_text())) == set(asdict(note))
    assert list(json.loads(note.to_text()))[-1] == "restore"


@pytest.mark.parametrize("text", ["", "nonsense", "[]", '{"run": 5}', "{}"])
def test_maintenance_that_cannot_be_read_is_nobodys(text: str) -> None:
    note = parse_maintenance(text)
    assert note is not None
    assert note.run == ""


def test_maintenance_absent_is_none() -> None:
    assert parse_maintenance(None) is None
