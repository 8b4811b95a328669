# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan decides about running pods: who is evicted, who is stale, who is made anew."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.eviction import refuse_overcommit
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

OWNER = {"kind": "ReplicaSet", "name": "rs", "uid": "rs"}


def one_node(slots: int = 1, pods: Any = ()) -> PlanRequest:
    """A node t4-1 with a T4 that is to be shared by three, read by NVML."""
    return PlanRequest(
        configs={"t4": fleet.REFERENCE_CONFIGS["t4"]},
        cluster=fleet.cluster({"t4-1": fleet.node(slots, pods)}),
        host_facts={"t4-1": fleet.host_facts([fleet.gpu("Tesla T4", 0, "t4-1")])},
        hosts={"t4-1": ""},
    )


def refusal(request: PlanRequest) -> list[str]:
    with pytest.raises(InputError) as raised:
        build_plan(request)
    return raised.value.problems


def after_rollout(request: PlanRequest) -> PlanRequest:
    return replace(request, cluster=fleet.roll_out(request.cluster, build_plan(request)))


def crowded_node(**pods: dict[str, Any]) -> PlanRequest:
    """A T4 shared by five, to be shared by three; each of five pods with fields of its own."""
    names = [f"p{number}" for number in range(5)]
    listed = [fleet.pod(name, **{"owner": OWNER, **pods.get(name, {})}) for name in names]
    request = one_node(slots=5, pods=listed)
    return replace(request, on_overcommit="evict")


def test_evict_takes_the_least_important_and_youngest_until_the_rest_fits() -> None:
    request = crowded_node(p0={"priority": -1}, p3={"created": "2026-02-01T00:00:00Z"})
    plan = build_plan(request)
    node = plan["nodes"]["t4-1"]
    assert [pod["name"] for pod in node["evict"]["pods"]] == ["p0", "p3"]
    assert {word: node["evict"][word] for word in ("scope", "devices", "fit")} == {
        "scope": "affected",
        "devices": [],
        "fit": {"nvidia.com/gpu": 3},
    }
    assert (node["disruption"], plan["totals"]["evicted_pods"]) == ("affected", 2)
    assert plan["plan_id"] != build_plan(replace(request, on_overcommit="accept"))["plan_id"]
    assert any(
        "By kubegpu_on_overcommit: evict ml/p0, ml/p3 will be evicted." in warning for warning in plan["warnings"]
    )


def test_evict_leaves_a_node_alone_whose_pods_fit() -> None:
    request = replace(one_node(slots=1, pods=[fleet.pod("p", owner=OWNER)]), on_overcommit="evict")
    node = build_plan(request)["nodes"]["t4-1"]
    assert node["evict"] == {"scope": "none", "devices": [], "fit": None, "pods": []}
    assert node["disruption"] == "switch"


@pytest.mark.parametrize(
    ("fields", "option", "cure"),
    [
        ({"owner": None}, "evict_force", "no controller would make them anew. Remove them, or set kubegpu_evict_force"),
        ({"emptydir": True}, "evict_delete_emptydir_data", "set kubegpu_evict_delete_emptydir_data"),
    ],
)
def test_evict_of_what_would_be_lost_is_refused_unless_allowed(fields: Any, option: str, cure: str) -> None:
    request = crowded_node(**{f"p{number}": fields for number in range(4)})
    (problem,) = refusal(request)
    assert cure in problem
    assert problem.startswith("node t4-1: kubegpu_on_overcommit is evict, but of the pods that would have to go (ml/p")
    assert "ml/p4" not in problem, "the pod that nothing keeps goes without a word"
    allowed: dict[str, Any] = {option: True}
    assert len(build_plan(replace(request, **allowed))["nodes"]["t4-1"]["evict"]["pods"]) == 2


def test_evict_of_pods_that_cannot_move_is_refused() -> None:
    daemon = {"owner": {"kind": "DaemonSet", "name": "d", "uid": "d"}}
    (problem,) = refusal(crowded_node(p0=daemon, p1=daemon, p2={"mirror": True}, p3=daemon))
    assert "(ml/p0, ml/p1, ml/p2, ml/p3) hold 4 nvidia.com/gpu, it would advertise 3, and none of them" in problem


def served_with_stale_pods(**fields: Any) -> PlanRequest:
    """A T4 that serves as planned since February, read without allocations, with an old pod and a new one."""
    request = one_node(slots=3)
    served = after_rollout(request)
    pods = [
        fleet.pod("old", bound="2026-01-31T23:59:59Z", **{"owner": OWNER, **fields}),
        fleet.pod("new", bound="2026-02-01T00:00:00Z", owner=OWNER),
        fleet.pod("unknown", owner=OWNER),
    ]
    entry = served.cluster["nodes"]["t4-1"]
    entry["annotations"]["kubegpu.sharing/devices-since"] = "2026-02-01T00:00:00.700Z"
    entry["pods"] = pods
    entry["resources"]["nvidia.com/gpu"]["requested"] = len(pods)
    return served


def test_stale_pods_are_told_of_a_node_that_does_not_change() -> None:
    plan = build_plan(served_with_stale_pods())
    node = plan["nodes"]["t4-1"]
    assert [pod["name"] for pod in node["stale_pods"]] == ["old"]
    assert (plan["empty"], plan["stale_pods"], node["recreate"]) == (True, "report", False)


def test_stale_pods_to_recreate_are_a_change_of_their_own() -> None:
    plan = build_plan(replace(served_with_stale_pods(), stale_pods="recreate"))
    node = plan["nodes"]["t4-1"]
    assert node["reasons"] == ["1 stale pod to recreate"]
    assert (node["changed"], node["recreate"], node["disruption"]) == (True, True, "affected")
    assert (node["from"], node["ids_change"], node["release"]) == (node["to"], False, None)
    assert plan["waves"] == [["t4-1"]]


@pytest.mark.parametrize(
    "fields",
    [{"owner": None}, {"emptydir": True}, {"owner": {"kind": "DaemonSet", "name": "d", "uid": "d"}}],
    ids=["no controller", "emptyDir", "DaemonSet"],
)
def test_stale_pods_that_would_not_be_recreated_do_not_keep_a_plan_from_being_empty(fields: Any) -> None:
    request = replace(served_with_stale_pods(**fields), stale_pods="recreate", evict_force=True)
    assert build_plan(request)["empty"]
    assert build_plan(replace(request, evict_delete_emptydir_data=True))["empty"] is not bool(fields.get("emptydir"))


def test_stale_pods_on_a_node_that_a_person_cordoned_are_that_persons() -> None:
    request = replace(served_with_stale_pods(), stale_pods="recreate")
    request.cluster["nodes"]["t4-1"]["unschedulable"] = True
    assert build_plan(request)["empty"]


def test_device_ids_change_where_an_interrupted_run_found_other_slots() -> None:
    # Six minutes after the plugin went, only the note tells what the node had.
    note = {"run": "r1", "restore": {"resources": {"nvidia.com/gpu": 1}}}
    request = one_node(slots=3)
    entry = request.cluster["nodes"]["t4-1"]
    entry.update(maintenance=note, unschedulable=True, resources={})
    assert build_plan(request)["nodes"]["t4-1"]["ids_change"] is True
    entry["maintenance"] = {"run": "r1"}
    assert build_plan(request)["nodes"]["t4-1"]["ids_change"] is False


@pytest.mark.parametrize(
    ("slots", "changes"), [(1, True), (2, False), (5, True)], ids=["whole", "more slots", "fewer slots"]
)
def test_device_ids_change_as_slots_do(slots: int, changes: bool) -> None:
    assert build_plan(one_node(slots=slots))["nodes"]["t4-1"]["ids_change"] is changes


def test_privileges_that_the_present_plugin_has_and_ours_will_not_are_warned_of() -> None:
    plugin = fleet.foreign_plugin(["t4-1"], privileged=True)
    request = one_node()
    request = replace(request, cluster={**request.cluster, "plugins": [plugin]})
    (warning,) = [one for one in build_plan(request)["warnings"] if "privileged" in one]
    assert warning.startswith(
        "node t4-1: DaemonSet kube-system/nvidia-device-plugin-daemonset runs privileged, and ours"
    )
    kept = build_plan(replace(request, device_plugin={"privileged": True}))
    assert not [one for one in kept["warnings"] if "privileged" in one]


def test_stale_pods_option_is_checked() -> None:
    assert "kubegpu_stale_pods is 'kill'; give one of report, recreate." in refusal(
        replace(fleet.reference(), stale_pods="kill")
    )


def test_where_no_pod_can_leave_evict_is_no_way_out() -> None:
    agent = {"owner": {"kind": "DaemonSet", "name": "agent"}}
    state = NodeState("n", fleet.node(4, [fleet.pod(f"p{number}", **agent) for number in range(4)]))
    (problem,) = refuse_overcommit(state, {"nvidia.com/gpu": 3})
    assert problem.endswith("Remove or move some of them first, or set kubegpu_on_overcommit to accept.")
