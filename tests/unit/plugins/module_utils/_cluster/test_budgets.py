# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What decides on a GPU pod's move, as the cluster file has it."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.inventory import Inventory, InventoryOptions

NOW = datetime(2026, 1, 29, tzinfo=timezone.utc)
USUAL = [
    *("namespace", "name", "uid", "phase", "reason", "requests", "node_selector", "owner", "controller_hash"),
    *("priority_class", "created", "restarts", "terminating", "mirror"),
]


def make_budget(name: str, selector: Any, allowed: int = 1, namespace: str = "default") -> dict[str, Any]:
    status = {"disruptionsAllowed": allowed, "currentHealthy": 2, "desiredHealthy": 2 - allowed, "expectedPods": 2}
    return {"metadata": {"namespace": namespace, "name": name}, "spec": {"selector": selector}, "status": status}


@pytest.fixture
def inventory(node: Any) -> Inventory:
    found = Inventory(InventoryOptions(), NOW)
    found.add_nodes([node("gpu-1", gpus=4)])
    return found


def pods_of(inventory: Inventory) -> dict[str, dict[str, Any]]:
    return {entry["name"]: entry for entry in inventory.to_dict()["nodes"]["gpu-1"]["pods"]}


def test_gpu_pods_know_their_budgets_whatever_comes_first(inventory: Inventory, pod: Any) -> None:
    inventory.add_budgets([make_budget("nlp", {"matchLabels": {"app": "nlp"}}, 0), make_budget("all", {})])
    inventory.add_pods([pod("a", node="gpu-1", gpus=1, labels={"app": "nlp"}), pod("b", node="gpu-1", gpus=1)])
    inventory.add_budgets(
        [make_budget("far", {}, namespace="other"), make_budget("web", {"matchLabels": {"app": "web"}})]
    )
    inventory.add_pods([pod("web", node="gpu-1", labels={"app": "web"})])
    found = pods_of(inventory)
    assert found["a"]["budgets"] == ["default/all", "default/nlp"]
    assert found["b"]["budgets"] == ["default/all"]
    assert "budgets" not in found["web"], "only pods with GPUs are looked at"
    listed = inventory.to_dict()["budgets"]
    assert [(budget["name"], budget["pods"]) for budget in listed] == [("all", 2), ("nlp", 1)]
    assert listed[1] == {
        "namespace": "default",
        "name": "nlp",
        "allowed": 0,
        "current_healthy": 2,
        "desired_healthy": 2,
        "expected": 2,
        "pods": 1,
    }


def test_budgets_that_may_not_be_listed_are_null(inventory: Inventory, pod: Any) -> None:
    inventory.add_pods([pod("a", node="gpu-1", gpus=1)])
    assert inventory.to_dict()["budgets"] is None
    inventory.add_budgets([])
    assert inventory.to_dict()["budgets"] == []


def test_pods_without_gpus_and_usual_ones_tell_nothing_more(inventory: Inventory, pod: Any) -> None:
    usual = [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute"}]
    spec = {"tolerations": usual, "priority": 0, "volumes": [{"name": "c", "configMap": {"name": "c"}}]}
    rich = {"priority": 9, "tolerations": [{"operator": "Exists"}], "volumes": [{"name": "s", "emptyDir": {}}]}
    inventory.add_pods([pod("a", node="gpu-1", gpus=1, spec=spec), pod("web", node="gpu-1", spec=rich)])
    inventory.add_pods(
        [pod("plain", node="gpu-1", spec=spec), pod("ds", node="gpu-1", spec=rich, owner=("DaemonSet", "ds", "u"))]
    )
    found = pods_of(inventory)
    # Whether it would lose data is asked where a node is emptied, which takes no pod of a DaemonSet.
    assert (list(found["web"]), found["web"]["emptydir"]) == ([*USUAL, "emptydir"], True)
    assert list(found["plain"]) == list(found["ds"]) == USUAL
    assert list(found["a"]) == [*USUAL, "bound", "workload", "containers"]
    assert found["a"]["bound"] is None


def test_gpu_pods_tell_what_decides_on_their_move(inventory: Inventory, pod: Any) -> None:
    terms = {"nodeSelectorTerms": [{"matchExpressions": [{"key": "zone", "operator": "Exists"}]}]}
    required = {"requiredDuringSchedulingIgnoredDuringExecution": terms}
    preferred = {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 1, "preference": {}}]}
    toleration = {"key": "nvidia.com/gpu", "operator": "Exists"}
    spec = {
        "tolerations": [toleration],
        "priority": 1000,
        "affinity": {"nodeAffinity": {**required, **preferred}},
        "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory"}}],
    }
    bound = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "2026-01-03T00:00:00Z"}
    status = {"conditions": [bound], "startTime": "2026-01-04T00:00:00Z"}
    inventory.add_pods([pod("a", node="gpu-1", gpus=1, spec=spec, status=status)])
    inventory.add_pods([pod("b", node="gpu-1", gpus=1, status={"startTime": "2026-01-04T00:00:00Z"})])
    found = pods_of(inventory)
    assert found["a"]["bound"] == "2026-01-03T00:00:00Z"
    assert found["b"]["bound"] == "2026-01-04T00:00:00Z"
    told = ("tolerations", "node_affinity", "priority", "emptydir")
    assert [found["a"][word] for word in told] == [[toleration], required, 1000, True]


def test_pending_pods_tell_where_they_may_go(inventory: Inventory, pod: Any) -> None:
    spec = {"nodeSelector": {"zone": "a"}, "tolerations": [{"operator": "Exists"}]}
    inventory.add_pods([pod("waiting", gpus=1, phase="Pending", spec=spec)])
    (waiting,) = inventory.to_dict()["pending"]
    assert (waiting["node_selector"], waiting["tolerations"]) == ({"zone": "a"}, [{"operator": "Exists"}])
    assert "node_affinity" not in waiting
