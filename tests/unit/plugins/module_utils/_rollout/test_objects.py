# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from typing import Any

import pytest
from unit.plugins.fakes.fake_api import merge
from unit.plugins.fakes.fake_cluster import LABEL, affinity_patch, manifests

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import objects as rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.objects import (
    covers,
    difference,
    lost_release,
    plan_object,
    plan_release,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import DaemonSetRelease
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.prune import borne_revisions, plan_prune

CONFIG, DAEMONSET = manifests("l20")


def live(manifest: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The object as the API server keeps it: with its own additions."""
    body = copy.deepcopy(manifest)
    body["metadata"].update({"uid": "u", "resourceVersion": "7", "generation": 1})
    if body["kind"] == "DaemonSet":
        body["spec"]["revisionHistoryLimit"] = 10
        body["spec"]["template"]["spec"].update({"dnsPolicy": "ClusterFirst", "restartPolicy": "Always"})
        body["spec"]["template"]["spec"]["containers"][0].update({"imagePullPolicy": "IfNotPresent"})
    return merge(body, changes)


@pytest.mark.parametrize("manifest", [CONFIG, DAEMONSET], ids=["ConfigMap", "DaemonSet"])
def test_plan_object_absent_is_created(manifest: dict[str, Any]) -> None:
    assert plan_object(manifest, None).kind == rules.CREATE


@pytest.mark.parametrize("manifest", [CONFIG, DAEMONSET], ids=["ConfigMap", "DaemonSet"])
def test_plan_object_present_is_left_alone(manifest: dict[str, Any]) -> None:
    change = plan_object(manifest, live(manifest))
    assert (change.kind, change.before, change.after) == (rules.NOTHING, {}, {})


def test_plan_object_of_someone_else_is_refused_with_a_cure() -> None:
    foreign = live(CONFIG, metadata={"labels": {"app.kubernetes.io/managed-by": "Helm"}})
    change = plan_object(CONFIG, foreign)
    assert change.kind == rules.REFUSED
    assert change.problem == (
        "ConfigMap kubegpu-system/kubegpu-device-plugin-l20-0a1b2c3d4e exists and was not made by this collection (label "
        "app.kubernetes.io/managed-by is 'Helm'). Rename or remove it, or choose another namespace for the plugin."
    )


def test_plan_object_being_deleted_is_refused() -> None:
    going = live(CONFIG, metadata={"deletionTimestamp": "2026-03-01T12:00:00Z"})
    assert "is being deleted" in plan_object(CONFIG, going).problem


def test_plan_object_daemonset_drift_is_patched_back() -> None:
    drifted = live(DAEMONSET, spec={"updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {}}})
    change = plan_object(DAEMONSET, drifted)
    assert change.kind == rules.REPLACE
    assert (change.before, change.after) == (
        {"spec": {"updateStrategy": {"type": "RollingUpdate"}}},
        {"spec": {"updateStrategy": {"type": "OnDelete"}}},
    )
    assert plan_object(DAEMONSET, merge(drifted, change.after)).kind == rules.NOTHING


def test_plan_object_surplus_node_selector_is_drift() -> None:
    drifted = live(DAEMONSET, spec={"template": {"spec": {"nodeSelector": {"zone": "b"}}}})
    change = plan_object(DAEMONSET, drifted)
    assert change.after == {"spec": {"template": {"spec": {"nodeSelector": {"zone": None}}}}}
    assert plan_object(DAEMONSET, merge(drifted, change.after)).kind == rules.NOTHING


@pytest.mark.parametrize(
    "change",
    [{"data": {"config.yaml": "x"}}, {"data": {"more": "x"}}, {"immutable": None}],
    ids=["other", "surplus", "mutable"],
)
def test_plan_object_config_that_differs_is_made_anew(change: dict[str, Any]) -> None:
    assert plan_object(CONFIG, live(CONFIG, **change)).kind == rules.RECREATE


def test_plan_object_other_selector_is_refused_for_its_pods_would_go() -> None:
    other = live(DAEMONSET, spec={"selector": {"matchLabels": {"kubegpu.sharing/key": "x"}}})
    change = plan_object(DAEMONSET, other)
    assert change.kind == rules.REFUSED
    assert "to delete it would stop the plugin on the nodes that it serves" in change.problem


@pytest.mark.parametrize(
    ("have", "wanted", "expected"),
    [
        ({"a": 1, "b": 2}, {"a": 1}, True),
        ({}, {"a": None}, True),
        ({}, {"a": {}}, True),
        ({}, {"a": []}, True),
        ({}, {"a": False}, True),
        ({"a": True}, {"a": False}, False),
        ({"a": 1}, {"a": True}, False),
        ({"a": [{"x": 1, "y": 2}]}, {"a": [{"x": 1}]}, True),
        ({"a": [{"x": 1}, {"x": 2}]}, {"a": [{"x": 1}]}, False),
        ({"a": "s"}, {"a": {"x": 1}}, False),
        ({"nodeSelector": {"a": "1", "b": "2"}}, {"nodeSelector": {"a": "1"}}, False),
    ],
)
def test_covers(have: Any, wanted: Any, expected: bool) -> None:
    assert covers(have, wanted) is expected
    assert (difference(have, wanted)[1] == {}) is expected


# Foreign DaemonSets


def release(method: str = "affinity") -> DaemonSetRelease:
    patch = affinity_patch() if method == "affinity" else None
    label = LABEL if method == "label" else {}
    return DaemonSetRelease("kube-system/ds", method, "u", 3, "helm nvidia-gpu", label, patch)


def foreign(**changes: Any) -> dict[str, Any]:
    body = {
        "metadata": {"namespace": "kube-system", "name": "ds", "uid": "u", "generation": 3, "resourceVersion": "7"},
        "spec": {
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1}},
            "template": {"spec": {"nodeSelector": dict(LABEL)}},
        },
    }
    return merge(body, changes)


def test_plan_release_patches_once() -> None:
    change = plan_release(release(), foreign())
    assert change is not None
    assert change.kind == rules.REPLACE
    patched = merge(foreign(metadata={"generation": 4}), affinity_patch())
    again = plan_release(release(), patched)
    assert again is not None
    assert again.kind == rules.NOTHING


def test_plan_release_by_label_leaves_the_daemonset_alone() -> None:
    assert plan_release(release("label"), foreign()) is None


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (
            None,
            "DaemonSet kube-system/ds is gone since the plan was made. Its owner is helm nvidia-gpu. Make a new plan.",
        ),
        (
            foreign(metadata={"uid": "v"}),
            "DaemonSet kube-system/ds was deleted and made anew since the plan was made. Its owner is helm nvidia-gpu. "
            "Make a new plan.",
        ),
        (
            foreign(metadata={"generation": 5}),
            "DaemonSet kube-system/ds was changed since the plan was made (generation 3 then, 5 now). Its owner is helm "
            "nvidia-gpu. Find out what the owner does to it, then make a new plan.",
        ),
    ],
)
def test_plan_release_refuses_a_daemonset_that_changed(found: dict[str, Any] | None, message: str) -> None:
    change = plan_release(release(), found)
    assert change is not None
    assert (change.kind, change.problem) == (rules.REFUSED, message)


def test_lost_release_by_affinity_needs_our_fields_to_hold() -> None:
    patched = merge(foreign(metadata={"generation": 4}), affinity_patch())
    assert lost_release(release(), patched) == ""
    taken_back = lost_release(release(), foreign(metadata={"generation": 5}))
    assert taken_back.startswith(
        "DaemonSet kube-system/ds does not stay away from released nodes: helm nvidia-gpu has taken it back"
    )


@pytest.mark.parametrize(
    ("found", "lost"),
    [
        pytest.param(foreign(), False, id="as planned"),
        pytest.param(foreign(metadata={"generation": 9}), False, id="changed, but still needs the label"),
        pytest.param(None, False, id="gone"),
        pytest.param(
            foreign(metadata={"generation": 9}, spec={"template": {"spec": {"nodeSelector": None}}}),
            True,
            id="needs it no more",
        ),
    ],
)
def test_lost_release_by_label_needs_the_selector_to_need_the_label(found: dict[str, Any] | None, lost: bool) -> None:
    assert bool(lost_release(release("label"), found)) is lost


# Pruning


def node(revision: str | None, note: str | None = None) -> NodeState:
    labels = {"kubegpu.sharing/revision": revision} if revision else {}
    annotations = {"kubegpu.sharing/maintenance": note} if note else {}
    return NodeState("n", labels=labels, annotations=annotations)


def test_borne_revisions_counts_what_a_node_may_have_to_go_back_to() -> None:
    nodes = [node("a"), node(None), node("withdrawn", '{"run": "r", "restore": {"revision": "b"}}'), node("withdrawn")]
    assert borne_revisions(nodes) == {"a", "b"}


def test_plan_prune_takes_only_our_objects_of_unwanted_revisions() -> None:
    old = live(CONFIG, metadata={"name": "old", "labels": {"kubegpu.sharing/revision": "ffff"}})
    snapshot = live(CONFIG, metadata={"name": "snapshot", "labels": {"kubegpu.sharing/revision": None}})
    theirs = live(old, metadata={"name": "theirs", "labels": {"app.kubernetes.io/managed-by": "Helm"}})
    found = plan_prune([live(CONFIG), old, snapshot, theirs], {"0a1b2c3d4e"})
    assert [obj["metadata"]["name"] for obj in found] == ["old"]
