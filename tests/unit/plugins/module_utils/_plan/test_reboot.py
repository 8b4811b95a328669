# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Nodes whose host may have to be rebooted for its MIG mode: all their pods go, if the operator lets it be rebooted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet
from unit.plugins.module_utils._plan.mig_fleet import OWNED, allocation, h20, request

from ansible_collections.kubegpu.sharing.plugins.filter.mig_steps import mig_steps
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._rehearsal.rehearsal import rehearse
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_changes import changes_section

A100, DAEMON = "NVIDIA A100-PCIE-40GB", {"kind": "DaemonSet", "name": "ds"}
# One that the table of cards does not have.
UNKNOWN = "NVIDIA A999"
PROFILE = {
    "name": "1g.5gb",
    "id": 19,
    "memory_mib": 4864,
    "compute_slices": 1,
    "max_instances": 7,
    "placements": [{"start": start, "size": 1} for start in range(7)],
}


def card(product: str = A100, index: int = 0, **mig: Any) -> dict[str, Any]:
    fields = {"mode": "disabled", "pending": "disabled", "instances": [], "devices": [], "profiles": [PROFILE], **mig}
    gpu = fleet.gpu(product, index, "h20", compute_capability="8.0", memory_total_mib=40960)
    return {**gpu, "mig": {"capable": True, "max_devices": 7, **fields}}


def wanted(*gpus: dict[str, Any], pods: Any = (), reboot: bool = True, held: Any = (), **fields: Any) -> PlanRequest:
    """Pods on a node whose GPUs get MIG devices."""
    gpus = gpus or (card(),)
    made = request(gpus, {"devices": {"1g.5gb": 7}}, fleet.node(len(gpus), pods), list(held))
    configs = {"h20": {**made.configs["h20"], "match": {"product": gpus[0]["product"]}}}
    return replace(made, configs=configs, mig_allow_reboot=reboot, **fields)


def node_of(made: PlanRequest) -> dict[str, Any]:
    entry: dict[str, Any] = build_plan(made)["nodes"]["h20"]
    return entry


def scope_of(made: PlanRequest) -> tuple[str, str]:
    entry = node_of(made)
    return entry["evict"]["scope"], entry["disruption"]


JOB = fleet.pod("job", owner=OWNED)
ON_NODE = [
    JOB,
    fleet.pod("web", {}, owner=OWNED),
    fleet.pod("exporter", {}, owner=DAEMON),
    fleet.pod("static", {}, mirror=True),
    fleet.pod("done", {}, owner=OWNED, phase="Succeeded"),
]
HELD = [allocation(JOB, "GPU-h20-0", resource="nvidia.com/gpu")]


def test_all_pods_leave_a_node_that_may_have_to_be_rebooted() -> None:
    plan = build_plan(wanted(pods=ON_NODE, held=HELD))
    entry = plan["nodes"]["h20"]
    assert entry["evict"]["scope"] == entry["disruption"] == "all"
    assert entry["evict"]["devices"] == ["GPU-h20-0"]
    assert [pod["name"] for pod in entry["evict"]["pods"]] == ["job", "web"]
    assert (
        "node h20: it may have to be rebooted to change the MIG mode of GPU 0 (kubegpu_mig_allow_reboot), so all its pods but those of "
        "DaemonSets will be evicted: ml/job, ml/web."
    ) in plan["warnings"]
    assert not [warning for warning in plan["warnings"] if "the devices that they hold go" in warning]


def test_without_leave_to_reboot_only_those_go_whose_devices_go() -> None:
    made = wanted(pods=ON_NODE, held=HELD, reboot=False)
    entry = node_of(made)
    assert entry["evict"]["scope"] == entry["disruption"] == "affected"
    assert [pod["name"] for pod in entry["evict"]["pods"]] == ["job"]
    plans = [build_plan(replace(made, mig_allow_reboot=reboot)) for reboot in (False, True)]
    assert plans[0]["plan_id"] != plans[1]["plan_id"]


def test_a_card_of_which_it_is_not_known_may_need_a_reboot() -> None:
    assert scope_of(wanted(card(UNKNOWN))) == ("all", "all")
    assert "so no pod is to stay on it." in "".join(build_plan(wanted(card(UNKNOWN)))["warnings"])


def test_a_card_that_switches_at_once_needs_none() -> None:
    pods = ON_NODE
    made = request([h20()], {"devices": {"1g.12gb": 7}}, fleet.node(1, pods), HELD)
    assert scope_of(replace(made, mig_allow_reboot=True)) == ("affected", "affected")


def test_a_mode_that_stays_needs_none() -> None:
    compute = [{"id": 0, "slices": 1, "start": 0}]
    instance = {"id": 1, "profile": "1g.5gb", "start": 0, "size": 1, "compute": compute}
    gpu = card(mode="enabled", pending="enabled", instances=[instance])
    entry = node_of(wanted(gpu, pods=[fleet.pod("web", {}, owner=OWNED)]))
    assert entry["mig"]["changes"]
    assert entry["evict"]["scope"] == "none"


def test_a_mode_that_waits_since_a_killed_run_may_need_one() -> None:
    assert scope_of(wanted(card(pending="enabled"))) == ("all", "all")


@pytest.mark.parametrize(
    ("pod", "problem", "allowed"),
    [
        (fleet.pod("bare", {}), "no controller would make them anew", {"evict_force": True}),
        (
            fleet.pod("cache", {}, owner=OWNED, emptydir=True),
            "their emptyDir volumes would go with them",
            {"evict_delete_emptydir_data": True},
        ),
    ],
)
def test_a_pod_that_would_be_lost_is_a_problem_unless_allowed(pod: Any, problem: str, allowed: Any) -> None:
    made = wanted(pods=[pod])
    with pytest.raises(InputError) as refused:
        build_plan(made)
    [told] = refused.value.problems
    assert told.startswith(
        "node h20: it may have to be rebooted for its MIG mode, but of the pods that would have to go"
    )
    assert f"(ml/{pod['name']}) {problem}" in told
    assert [one["name"] for one in node_of(replace(made, **allowed))["evict"]["pods"]] == [pod["name"]]
    assert node_of(replace(made, mig_allow_reboot=False))["evict"]["pods"] == []


def test_a_daemonset_pod_that_holds_what_goes_is_still_a_problem() -> None:
    stays = fleet.pod("stays", owner=DAEMON)
    with pytest.raises(InputError) as refused:
        build_plan(wanted(pods=[stays], held=[allocation(stays, "GPU-h20-0", resource="nvidia.com/gpu")]))
    assert "ml/stays holds GPU 0 of GPU 0, which has to go, and nobody evicts it" in str(refused.value)


def test_overcommit_reckons_with_all_pods_gone() -> None:
    """The name that they ask for vanishes, which nobody has to make room for."""
    pods = [fleet.pod(name, owner=OWNED) for name in ("a", "b")]
    made = wanted(card(), card(index=1), pods=pods)
    for policy in ("refuse", "evict", "accept"):
        entry = node_of(replace(made, on_overcommit=policy))
        assert (entry["evict"]["scope"], entry["evict"]["fit"], entry["stale_pods"]) == ("all", None, [])


def test_host_is_told_that_its_node_is_emptied(tmp_path: Path) -> None:
    path = tmp_path / "plan.json"
    for reboot, emptied in ((True, "all"), (False, "none")):
        path.write_text(json.dumps(build_plan(wanted(pods=ON_NODE, held=HELD, reboot=reboot))))
        assert mig_steps(str(path), ["h20"])["h20"]["node_emptied"] == emptied


def test_rehearsal_does_not_reckon_where_pods_without_gpu_go() -> None:
    made = wanted(pods=ON_NODE, held=HELD)
    told = rehearse(build_plan(made), made.cluster)
    [wave] = told["waves"]
    assert [(one["name"], one["verdict"], one["target"]) for one in wave["evictions"]] == [
        ("job", "no_place", None),
        ("web", "no_gpu", None),
    ]
    assert "2 pods are evicted: 1 has no place, 1 has no GPU, so that other nodes may take them." in told["summary"]
    alone = wanted(pods=[ON_NODE[1]])
    assert (
        "1 pod is evicted: it has no GPU, so that other nodes may take it."
        in rehearse(build_plan(alone), alone.cluster)["summary"]
    )


def test_plan_shows_that_all_pods_go_and_why() -> None:
    plan = build_plan(wanted(pods=ON_NODE, held=HELD))
    section = changes_section(plan, ["h20"], 10)
    assert section
    assert section.table
    [row] = section.table.rows
    assert "cordoned, all pods of the node evicted (2), host rebooted if it must be, MIG devices laid out" in str(row)
