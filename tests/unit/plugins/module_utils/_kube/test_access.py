# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._cluster.access import (
    MAKE_RUNTIME_CLASS,
    READ_RUNTIME_CLASS,
    Access,
    describe_missing,
    needed_access,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.access import (
    find_missing,
    find_missing_for_runtime_classes,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import MigStep
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import (
    DaemonSetRelease,
    EvictionWish,
    NodeTarget,
    RolloutPlan,
)


def make_plan(method: str) -> RolloutPlan:
    release = DaemonSetRelease(daemonset="kube-system/plugin", method=method, uid="u", generation=1)
    return RolloutPlan(plan_id="0a", namespace="gpu", nodes={}, releases=(release,))


def test_needed_access_covers_what_a_rollout_writes() -> None:
    needs = needed_access(None, "gpu")
    for access in (
        Access("nodes", "patch"),
        Access("leases", "create", "gpu", "coordination.k8s.io"),
        Access("configmaps", "delete", "gpu"),
        Access("daemonsets", "create", "gpu", "apps"),
        Access("namespaces", "create"),
        Access("events", "create", "default"),
        Access("pods", "delete"),
    ):
        assert access in needs
    assert len(needs) == len(set(needs)) <= 30


def test_needed_access_patches_a_foreign_daemonset_only_where_the_plan_does() -> None:
    patch = Access("daemonsets", "patch", "kube-system", "apps")
    assert patch in needed_access(make_plan("affinity"), "gpu")
    assert patch not in needed_access(make_plan("label"), "gpu")
    assert Access("daemonsets", "get", "kube-system", "apps") in needed_access(make_plan("label"), "gpu")


def test_needed_access_evicts_only_where_the_plan_does() -> None:
    evict = Access("pods/eviction", "create")
    assert evict.review()["spec"]["resourceAttributes"] == {
        "verb": "create",
        "resource": "pods",
        "subresource": "eviction",
    }
    plain = NodeTarget("gpu-1", "l20", "0a", {})
    for target, stale, wanted in (
        (plain, "report", False),
        (replace(plain, evict=EvictionWish("affected")), "report", True),
        (replace(plain, recreate=True), "report", True),
        (plain, "recreate", True),
    ):
        needs = needed_access(RolloutPlan("0a", "gpu", {"gpu-1": target}, stale_pods=stale), "gpu")
        assert (evict in needs, Access("poddisruptionbudgets", "list", "", "policy") in needs) == (wanted, wanted)
    assert evict not in needed_access(None, "gpu")


def test_needed_access_lists_all_daemonsets_only_where_a_mig_layout_changes() -> None:
    everywhere = Access("daemonsets", "list", "", "apps")
    for changes in (True, False):
        target = NodeTarget("gpu-1", "h20", "0a", {}, mig=MigStep(changes))
        assert (everywhere in needed_access(RolloutPlan("0a", "gpu", {"gpu-1": target}), "gpu")) == changes
    assert everywhere not in needed_access(None, "gpu")


def test_needed_access_of_a_rollback_reads_who_comes_back_and_patches_what_it_reverts() -> None:
    target = NodeTarget("gpu-1", None, None, {}, plugin="vendor/plugin")
    plan = RolloutPlan("0a", "gpu", {"gpu-1": target}, kind="rollback", reverts=({"daemonset": "kube-system/ds"},))
    needs = needed_access(plan, "gpu")
    assert Access("daemonsets", "get", "vendor", "apps") in needs
    assert Access("daemonsets", "patch", "vendor", "apps") not in needs
    assert Access("daemonsets", "patch", "kube-system", "apps") in needs


def test_find_missing_asks_a_review_each_and_writes_nothing(api: Any) -> None:
    def answer(seen: Any) -> Any:
        attributes = seen.body["spec"]["resourceAttributes"]
        allowed = not (attributes["resource"] == "nodes" and attributes["verb"] == "patch")
        return type(api.replies[0])(status=201, body={"status": {"allowed": allowed}})

    api.serve = answer
    client = api.client()
    needs = needed_access(None, "gpu")
    missing = find_missing(client, needs)
    assert missing == [Access("nodes", "patch")]
    assert client.requests.to_dict() | {"bytes": 0} == {
        "get": 0,
        "write": 0,
        "review": len(needs),
        "dry_run": 0,
        "bytes": 0,
    }
    assert {seen.path for seen in api.seen} == {"/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"}
    leases = [seen.body["spec"]["resourceAttributes"] for seen in api.seen if "leases" in str(seen.body)]
    assert {"verb": "create", "resource": "leases", "group": "coordination.k8s.io", "namespace": "gpu"} in leases


@pytest.mark.parametrize(
    ("status", "allowed", "denied", "reviews"),
    [
        pytest.param(200, False, [], 0, id="there-already"),
        pytest.param(404, True, [], 1, id="may-be-made"),
        pytest.param(404, False, [MAKE_RUNTIME_CLASS], 1, id="may-not-be-made"),
        pytest.param(403, False, [MAKE_RUNTIME_CLASS, READ_RUNTIME_CLASS], 1, id="may-not-be-read"),
        pytest.param(403, True, [READ_RUNTIME_CLASS], 1, id="may-be-made-only"),
    ],
)
def test_making_a_runtime_class_is_asked_for_only_where_it_is_not_there(
    api: Any, status: int, allowed: bool, denied: list[Access], reviews: int
) -> None:
    reply = type(api.replies[0])

    def answer(seen: Any) -> Any:
        if seen.path == "/apis/node.k8s.io/v1/runtimeclasses/nvidia":
            return reply(status=status, body={"metadata": {"name": "nvidia"}})
        assert seen.body["spec"]["resourceAttributes"] == {
            "verb": "create",
            "resource": "runtimeclasses",
            "group": "node.k8s.io",
        }
        return reply(status=201, body={"status": {"allowed": allowed}})

    api.serve = answer
    client = api.client()
    asked, missing = find_missing_for_runtime_classes(client, ["nvidia"])
    assert (asked, missing) == (1 + reviews, denied)
    assert (client.requests.to_dict()["review"], client.requests.to_dict()["write"]) == (reviews, 0)


def test_nothing_is_asked_about_runtime_classes_where_none_is_seen_to(api: Any) -> None:
    assert find_missing_for_runtime_classes(api.client(), []) == (0, [])
    assert api.seen == []


def test_describe_missing_says_what_to_grant_and_where() -> None:
    text = describe_missing([Access("nodes", "patch"), Access("leases", "create", "gpu", "coordination.k8s.io")])
    assert "- patch nodes in the whole cluster\n" in text
    assert "- create leases.coordination.k8s.io in namespace gpu" in text
    assert describe_missing([]) == ""
