# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

DEPLOYMENT = {"kind": "ReplicaSet", "name": "train-5d9", "uid": "x"}


def report(request: PlanRequest) -> dict[str, list[tuple[str, str, str]]]:
    found: dict[str, list[tuple[str, str, str]]] = {}
    for entry in build_plan(request)["compatibility"]:
        found.setdefault(entry["code"], []).append((entry["severity"], entry["object"], entry["message"]))
    return found


def in_cluster(request: PlanRequest, **fields: Any) -> PlanRequest:
    return replace(request, cluster={**request.cluster, **fields})


def spread(cards: int = 2, pods: Any = (), **config: Any) -> PlanRequest:
    """A node with T4s that are to be shared in 3."""
    wanted = {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "replicas": 3, **config}
    return PlanRequest(
        configs={"t4": wanted},
        cluster=fleet.cluster({"n": fleet.node(cards, pods)}),
        host_facts={"n": fleet.host_facts([fleet.gpu(index=index) for index in range(cards)])},
        hosts={"n": ""},
    )


def test_reference_cluster_has_nothing_to_warn_of() -> None:
    assert [entry["severity"] for entry in build_plan(fleet.reference())["compatibility"]] == ["info"]


def test_pods_that_ask_for_more_than_one_are_told_by_workload() -> None:
    pods = [fleet.pod("train-1", 2, owner=DEPLOYMENT)]
    request = spread(pods=pods)
    request = in_cluster(
        request, pending=[fleet.pod("train-2", 2, owner=DEPLOYMENT), fleet.pod("alone", 4), fleet.pod("one", 1)]
    )
    found = report(request)["requests_more_than_one"]
    assert [entry[:2] for entry in found] == [("warning", "Pod ml/alone"), ("warning", "ReplicaSet ml/train-5d9")]
    assert "asks for more than one GPU (ml/train-1, ml/train-2)" in found[1][2]
    assert "requests_more_than_one" not in report(
        replace(request, configs={"t4": {**request.configs["t4"], "fail_requests_greater_than_one": False}})
    )


def test_pods_whose_resource_vanishes_are_told() -> None:
    request = spread(pods=[fleet.pod("a")], rename=True)
    # b waits for what no node ever had, as it did before.
    request = in_cluster(request, pending=[fleet.pod("b", {"nvidia.com/mig-1g.5gb": 1}), fleet.pod("c", 1)])
    found = report(replace(request, on_overcommit="accept"))["resource_vanishes"]
    assert [entry[:2] for entry in found] == [("warning", "Pod ml/a"), ("warning", "Pod ml/c")]
    assert "nvidia.com/gpu (ml/a), which no node will advertise any more; its next pod stays pending." in found[0][2]
    assert "Let it ask for one of nvidia.com/gpu.shared." in found[0][2]


def test_pods_whose_resource_stays_elsewhere_need_room_there() -> None:
    request = spread(pods=[fleet.pod("a")], rename=True)
    nodes = {**request.cluster["nodes"], "whole": fleet.node(1, labels=fleet.labelled("NVIDIA-L20", 46068))}
    request = replace(request, cluster={**request.cluster, "nodes": nodes}, on_overcommit="accept")
    [found] = report(request)["resource_vanishes"]
    assert found[:2] == ("info", "Pod ml/a")
    assert (
        "which its node will no longer advertise; its next pod needs room on one of the nodes that still do."
        in found[2]
    )
    assert "Let it ask for one of nvidia.com/gpu.shared if it is to come back." in found[2]


def test_workloads_that_select_by_product_are_told() -> None:
    request = spread()
    request = in_cluster(request, label_users={"nvidia.com/gpu.product": ["Deployment ml/train"]})
    assert report(request)["selects_product_label"][0][1] == "Deployment ml/train"


@pytest.mark.parametrize(
    ("resource", "told"), [("requests.nvidia.com/gpu", True), ("requests.nvidia.com/hostdev", False)]
)
def test_quotas_count_slots_from_now_on(resource: str, told: bool) -> None:
    request = spread()
    request = in_cluster(
        request, quotas=[{"namespace": "ml", "name": "gpus", "resource": resource, "hard": 2, "used": 1}]
    )
    assert ("quota_counts_slots" in report(request)) is told


def test_one_name_for_whole_and_shared_is_told() -> None:
    request = spread()
    nodes = copy.deepcopy(request.cluster["nodes"])
    nodes["whole"] = fleet.node(1, labels=fleet.labelled("NVIDIA-L20", 46068))
    request = replace(request, cluster={**request.cluster, "nodes": nodes})
    found = report(request)["one_name_for_whole_and_shared"]
    assert found[0][:2] == ("warning", "nvidia.com/gpu")
    assert found[0][2].startswith("is a whole card on whole and a slot on n;")
    renamed = replace(request, configs={"t4": {**request.configs["t4"], "rename": True}})
    assert "one_name_for_whole_and_shared" not in report(renamed)


def test_nothing_shared_nothing_to_report() -> None:
    request = replace(spread(), configs={"t4": {"match": {"product": "Tesla T4"}}})
    request = in_cluster(request, label_users={"nvidia.com/gpu.product": ["Deployment ml/train"]})
    request = in_cluster(
        request, quotas=[{"namespace": "ml", "name": "q", "resource": "requests.nvidia.com/gpu", "hard": 2, "used": 1}]
    )
    assert report(request) == {}
