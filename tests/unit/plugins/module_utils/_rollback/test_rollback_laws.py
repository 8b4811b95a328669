# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Laws of rollbacks, on generated fleets: there and back again is where it began."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any, Mapping

from hypothesis import given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._plan import fleet
from unit.plugins.module_utils._plan.test_planner_laws import crowded, requests

from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.past import Past, read_past
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollback.planner import RollbackRequest, build_rollback
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import observe_node
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import read_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.snapshot import (
    SnapshotHead,
    build_snapshot,
    foreign_entry,
    node_entry,
)

KEY, REVISION = "nvidia.com/device-plugin.config", "kubegpu.sharing/revision"
FOREIGN = f"kube-system/{fleet.FOREIGN}"

Cluster = Mapping[str, Any]


def api_node(name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """A node of the cluster file as the API gives it."""
    amounts = {resource: str(one["allocatable"]) for resource, one in entry["resources"].items()}
    return {
        "metadata": {"name": name, "labels": entry["labels"], "annotations": entry["annotations"]},
        "spec": {"unschedulable": entry["unschedulable"]},
        "status": {"allocatable": amounts, "conditions": [{"type": "Ready", "status": "True"}]},
    }


def foreign_daemonset(cluster: Cluster) -> dict[str, Any] | None:
    """The DaemonSet of somebody else as the API gives it, all its pods of its present template."""
    for plugin in cluster["plugins"]:
        if plugin["name"] == fleet.FOREIGN:
            affinity = {"nodeAffinity": plugin["node_affinity"]} if plugin["node_affinity"] else None
            template = {"spec": {"affinity": affinity, "nodeSelector": plugin["node_selector"]}}
            spec = {"updateStrategy": {"type": plugin["update_strategy"]}, "template": template}
            return {"metadata": {"uid": plugin["uid"], "generation": plugin["generation"]}, "spec": spec}
    return None


def record(cluster: Cluster, plan: Mapping[str, Any], objects: list[dict[str, Any]]) -> Past:
    """The snapshot of a rollout of this plan, written and read again."""
    accepted = read_plan(plan, "plan")
    entries = {
        name: node_entry(observe_node(api_node(name, cluster["nodes"][name])), target)
        for name, target in accepted.nodes.items()
    }
    live = foreign_daemonset(cluster)
    foreign = [foreign_entry(release, live) for release in accepted.releases if live]
    head = SnapshotHead("kubegpu-system", "run-1", "0" * 16, "2026-03-01T12:00:00.000Z", "sharing", "kubegpu-system")
    return read_past(build_snapshot(head, entries, foreign, objects), "")


def take_back(cluster: Cluster, past: Past, **options: Any) -> dict[str, Any]:
    return build_rollback(
        RollbackRequest(past, cluster, {FOREIGN: foreign_daemonset(cluster)}, on_overcommit="accept", **options)
    )


def carry_back(before: Cluster, plan: Mapping[str, Any]) -> dict[str, Any]:
    """The cluster as it is when a rollback was carried out."""
    after = copy.deepcopy(dict(before))
    for name, planned in plan["nodes"].items():
        if not planned["changed"]:
            continue
        entry, to = after["nodes"][name], planned["to"]
        for label, value in ((KEY, to["key"]), (REVISION, to["revision"])):
            entry["labels"].pop(label, None)
            entry["labels"].update({label: value} if value else {})
        entry["labels"].update(to["labels"])
        entry.update(key=to["key"], revision=to["revision"], maintenance=None)
        for resource in {*entry["resources"], *to["resources"]}:
            slots = to["resources"].get(resource, 0)
            old = entry["resources"].get(resource, {"requested": 0})
            entry["resources"][resource] = {**old, "capacity": slots, "allocatable": slots}
    for revert in plan["reverts"]:
        for plugin in after["plugins"]:
            if f"{plugin['namespace']}/{plugin['name']}" == revert["daemonset"]:
                affinity = revert["before"]["template"]["spec"]["affinity"] or {}
                plugin["node_affinity"] = affinity.get("nodeAffinity")
                plugin["update_strategy"] = revert["before"]["updateStrategy"]["type"]
    return after


def state_of(entry: Mapping[str, Any]) -> tuple[Any, ...]:
    """What a rollout changes of a node."""
    found = {resource: one["allocatable"] for resource, one in entry["resources"].items() if one["allocatable"]}
    return dict(entry["labels"]), found, entry["unschedulable"]


def plugin_of(cluster: Cluster) -> dict[str, Any] | None:
    live = foreign_daemonset(cluster)
    return live["spec"] if live else None


def served(request: PlanRequest) -> PlanRequest:
    """With a plugin of somebody else that serves every node, as it may be on a cluster whose nodes advertise GPUs."""
    users = request.cluster["label_users"]
    plugin = fleet.foreign_plugin(request.cluster["nodes"])
    nodes = {
        name: {**entry, "labels": {"nvidia-device-enable": "enable", **entry["labels"]}}
        for name, entry in request.cluster["nodes"].items()
    }
    return replace(request, cluster={**request.cluster, "nodes": nodes, "plugins": [plugin], "label_users": users})


@settings(max_examples=100, deadline=None)
@given(st.one_of(requests(), crowded()).map(served))
def test_there_and_back_is_where_it_began_and_a_second_time_there_is_nothing_to_do(request: PlanRequest) -> None:
    before = request.cluster
    plan = build_plan(request)
    past = record(before, plan, [])
    there = fleet.roll_out(before, plan)
    back = take_back(there, past)
    assert sorted(name for wave in back["waves"] for name in wave) == sorted(name for w in plan["waves"] for name in w)
    assert back["skipped"] == []
    again = carry_back(there, back)
    for name, entry in before["nodes"].items():
        assert state_of(again["nodes"][name]) == state_of(entry), name
    assert plugin_of(again) == plugin_of(before)
    nothing = take_back(again, past)
    assert (nothing["empty"], nothing["waves"], nothing["reverts"], nothing["skipped"]) == (True, [], [], [])


@settings(max_examples=60, deadline=None)
@given(requests().map(served), st.integers(2, 9), st.booleans())
def test_back_to_our_own_older_revisions_is_the_state_before_the_second_rollout(
    request: PlanRequest, replicas: int, rename: bool
) -> None:
    first = build_plan(request)
    middle = fleet.roll_out(request.cluster, first)
    shared = {"sharing": "time_slicing", "replicas": replicas, "rename": rename}
    configs = {key: {"match": config["match"], **shared} for key, config in request.configs.items()}
    options = replace(request, configs=configs, cluster=middle, on_overcommit="accept")
    second = build_plan(options)
    objects = [manifest for config in first["configs"].values() for manifest in config["objects"]]
    served_by = {entry["revision"] for entry in middle["nodes"].values()}
    kept = [one for one in objects if one["metadata"]["labels"][REVISION] in served_by]
    past = record(middle, second, kept)
    there = fleet.roll_out(middle, second)
    # The older objects are gone: the snapshot has them.
    gone = {one["metadata"]["name"] for one in kept}
    for beside in ("plugins", "config_maps", "daemon_sets"):
        there[beside] = [one for one in there[beside] if one["name"] not in gone]
    back = take_back(there, past)
    assert back["skipped"] == []
    again = carry_back(there, back)
    for name, entry in middle["nodes"].items():
        assert state_of(again["nodes"][name]) == state_of(entry), name
    assert {one["metadata"]["name"] for one in read_plan(back, "plan").objects} == {
        one["metadata"]["name"]
        for one in kept
        if one["metadata"]["labels"][REVISION] in {node["to"]["revision"] for node in back["nodes"].values()}
    }


@settings(max_examples=60, deadline=None)
@given(requests().map(served), st.data())
def test_of_a_node_that_somebody_changed_meanwhile_nothing_is_touched(request: PlanRequest, data: Any) -> None:
    plan = build_plan(request)
    past = record(request.cluster, plan, [])
    there = fleet.roll_out(request.cluster, plan)
    changed = sorted(name for wave in plan["waves"] for name in wave)
    if not changed:
        return
    name = data.draw(st.sampled_from(changed))
    entry = there["nodes"][name]
    entry["labels"][REVISION] = entry["revision"] = "byhand"
    back = take_back(there, past)
    assert [one["node"] for one in back["skipped"]] == [name]
    assert name not in back["nodes"]
    again = carry_back(there, back)
    assert state_of(again["nodes"][name]) == state_of(entry)
    # It still bears our label, so its own plugin must go on keeping away from it.
    if any(release["patch"] for release in plan["releases"]):
        assert plugin_of(again) == plugin_of(there)
