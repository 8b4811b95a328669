# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.fakes.fake_cluster import FOREIGN, FOREIGN_PATH, GPU, MAINTENANCE, FakeCluster, plan_document

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.maintenance import Maintenance
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import (
    EvictionWish,
    RolloutPlan,
    read_plan,
)


def document(**changes: Any) -> dict[str, Any]:
    cluster = FakeCluster({"gpu-1": "l20", "gpu-2": "t4"})
    cluster.settle()
    return {**plan_document(cluster.keys, "label", cluster.api.objects[FOREIGN_PATH]), **changes}


def accepted(**changes: Any) -> RolloutPlan:
    return read_plan(document(**changes), "plan.json")


def test_read_plan_gives_targets() -> None:
    target = accepted().nodes["gpu-1"]
    assert (target.key, target.revision, dict(target.expected)) == ("l20", "0a1b2c3d4e", {GPU: 8})
    assert target.release is not None
    assert (target.release.method, target.release.daemonset) == ("label", FOREIGN)


def test_read_plan_waits_for_resources_that_vanish() -> None:
    plan = document()
    plan["nodes"]["gpu-1"]["resources_before"] = {GPU: 1, "nvidia.com/gpu.shared": 4}
    assert read_plan(plan, "p").nodes["gpu-1"].wanted() == {GPU: 8, "nvidia.com/gpu.shared": 0}


def test_read_plan_orders_configs_before_what_mounts_them() -> None:
    assert [manifest["kind"] for manifest in accepted().objects] == ["ConfigMap", "ConfigMap", "DaemonSet", "DaemonSet"]


def test_read_plan_leaves_out_nodes_without_a_revision() -> None:
    plan = document()
    plan["nodes"]["gpu-2"]["to"] = {"key": None, "revision": None}
    read = read_plan(plan, "p")
    assert list(read.nodes) == ["gpu-1"]
    assert len(read.objects) == 2


def test_read_plan_of_a_rollback_knows_who_comes_back() -> None:
    plan = document(kind="rollback", snapshot={"run": "r", "name": "s"}, reverts=[{"daemonset": FOREIGN}])
    labels = {"nvidia-device-enable": "enable", "gone": None}
    plan["nodes"]["gpu-1"].update(to={"key": None, "revision": None, "labels": labels, "plugin": FOREIGN})
    plan["nodes"]["gpu-2"].update(to={"key": None, "revision": None}, release=None, ids_change=True)
    read = read_plan(plan, "p")
    first, second = read.nodes["gpu-1"], read.nodes["gpu-2"]
    assert (first.key, first.revision, first.plugin) == (None, None, FOREIGN)
    assert (first.labels, first.ids_change) == ({"nvidia-device-enable": "enable"}, False)
    assert (first.title, second.title) == (f"DaemonSet {FOREIGN}", "no device plugin")
    assert (second.ids_change, second.foreign) == (True, frozenset())
    assert (read.kind, read.snapshot, read.reverts[0]["daemonset"]) == ("rollback", {"run": "r", "name": "s"}, FOREIGN)
    assert (read.objects, read.revisions) == ((), set())
    assert read.foreign_of([first, second]) == [FOREIGN]


def test_as_is_takes_nodes_for_what_they_are_and_were_before_their_maintenance() -> None:
    labels = {"nvidia.com/device-plugin.config": "l20", "kubegpu.sharing/revision": "0a"}
    plain = NodeState("gpu-1", labels=labels, allocatable={GPU: 8})
    restore = {"key": "t4", "revision": "0b", "labels": {"x": "y", "z": None}, "resources": {GPU: 3}}
    note = Maintenance(run="r", restore=restore).to_text()
    taken = replace(plain, annotations={MAINTENANCE: note})
    plan = RolloutPlan.as_is("kubegpu-system", {"gpu-1": plain, "gpu-2": taken, "gone": None}, EvictionWish("all"))
    one, two, gone = plan.select(["gpu-1", "gpu-2", "gone"])
    assert (one.key, one.revision, one.expected, one.as_is) == ("l20", "0a", {GPU: 8}, True)
    assert (two.key, two.revision, two.expected, two.labels) == ("t4", "0b", {GPU: 3}, {"x": "y"})
    assert (gone.as_is, gone.expected) == (True, {})
    assert (two.title, gone.title) == ("as before", "as before")
    assert plan.observed == {"gpu-1": plain, "gpu-2": taken}
    assert {target.evict.scope for target in plan.nodes.values()} == {"all"}
    assert (plan.plan_id, plan.kind) == ("", "as_is")


def test_select_gives_each_node_once_in_order() -> None:
    assert [target.name for target in accepted().select(["gpu-2", "gpu-1", "gpu-2"])] == ["gpu-2", "gpu-1"]


def test_select_names_every_unknown_node() -> None:
    with pytest.raises(InputError) as caught:
        accepted().select(["gpu-1", "x", "y"])
    assert caught.value.problems == [
        "node 'x' is not in plan 0123456789abcdef, which has gpu-1, gpu-2. Name nodes of this plan, or make a new plan.",
        "node 'y' is not in plan 0123456789abcdef, which has gpu-1, gpu-2. Name nodes of this plan, or make a new plan.",
    ]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ([], "this is no plan"),
        (None, "this is no plan"),
        ({}, "schema_version is None, this version of the collection reads 1. Make a new plan."),
        (document(schema_version=2), "schema_version is 2, this version of the collection reads 1. Make a new plan."),
        (
            document(problems=["replicas is 1"]),
            "plan p was refused: 1 problem, nothing was changed.\n  1. replicas is 1",
        ),
        (document(problems=[{"message": "replicas is 1"}]), "1. replicas is 1"),
        (document(plugin={"backend": "helm"}), "backend 'helm' cannot be rolled out yet"),
        (document(nodes={"x": {"to": {"revision": "0a"}}}), "it is incomplete (KeyError: 'key')"),
        ({"schema_version": 1, "nodes": []}, "it is incomplete"),
    ],
)
def test_read_plan_refuses(plan: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        read_plan(plan, "p")
    assert message in caught.value.msg


def test_read_plan_names_the_owner_of_a_foreign_daemonset() -> None:
    assert accepted().releases[0].owner == "helm nvidia-gpu"
