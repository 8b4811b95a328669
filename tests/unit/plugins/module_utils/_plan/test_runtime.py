# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plans in which container runtimes are set up: who leaves for it, what is refused, and in which order nodes go."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from typing import Any, Mapping

import pytest
from unit.plugins.module_utils._plan import fleet, mig_fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan, plan_diff
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.result import plan_facts
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.waves import plan_waves, read_limits

OWNED = {"kind": "ReplicaSet", "name": "web-1"}
AS_WANTED = {"engine": "containerd", "version": "1.6.20~ds1", "changed": False, "restart": False}
OWED: dict[str, Any] = {
    **AS_WANTED,
    "changed": True,
    "restart": True,
    "actions": ["add the runtime nvidia to /etc/containerd/config.toml", "restart containerd"],
    "units": ["containerd"],
    "digest": "0" * 64,
    "live_restore": None,
}


def request(
    documents: Mapping[str, Mapping[str, Any]] | None, settled: bool = True, pods: Any = (), **fields: Any
) -> PlanRequest:
    """Nodes n0, n1… with a T4 each; settled ones bear their config already."""
    names = sorted(documents or {"n0": {}})
    nodes = {name: fleet.node(1, pods if name == "n0" else ()) for name in names}
    made = PlanRequest(
        configs={"t4": {"match": {"product": "Tesla T4"}, "sharing": "time_slicing", "replicas": 2}},
        cluster=fleet.cluster(nodes),
        host_facts={name: fleet.host_facts([fleet.gpu(node=name)], []) for name in names},
        hosts=dict.fromkeys(names, ""),
        on_overcommit="accept",
        **{"wave": "100%", "max_unavailable": "100%", **fields},
    )
    if settled:
        made = replace(made, cluster=fleet.roll_out(made.cluster, build_plan(replace(made, on_overcommit="accept"))))
    return replace(made, runtimes=documents)


def refusal(wanted: PlanRequest) -> list[str]:
    with pytest.raises(InputError) as raised:
        build_plan(wanted)
    return raised.value.problems


def entry_of(wanted: PlanRequest) -> dict[str, Any]:
    found: dict[str, Any] = build_plan(wanted)["nodes"]["n0"]
    return found


def test_node_whose_runtime_is_to_be_restarted_changes_though_it_is_shared_as_planned() -> None:
    plan = build_plan(request({"n0": OWED}))
    entry = plan["nodes"]["n0"]
    assert entry["changed"]
    assert plan["waves"] == [["n0"]]
    assert entry["reasons"] == ["containerd 1.6.20~ds1 to be set up and restarted"]
    assert entry["runtime"] == {
        "engine": "containerd",
        "version": "1.6.20~ds1",
        "restart": True,
        "actions": OWED["actions"],
        "units": ["containerd"],
        "digest": "0" * 64,
        "disruption": "all",
        "server": False,
        "live_loss": True,
        "differences": [f"containerd 1.6.20~ds1 is not set up as wanted: {', '.join(OWED['actions'])}"],
    }
    assert (entry["disruption"], entry["evict"]["scope"], entry["ids_change"]) == ("all", "all", False)
    assert json.loads(json.dumps(plan)) == plan
    facts = plan_facts(plan, None)
    assert facts["runtime_nodes"] == ["n0"]
    assert facts["mig_nodes"] == []
    assert facts["runtime_differences"] == [f"n0: {entry['runtime']['differences'][0]}"]
    assert plan_diff(plan)["after"]["n0"]["runtime"] == OWED["actions"]


def test_plan_on_runtimes_that_are_as_wanted_is_empty_and_the_plan_that_it_would_be_without_them() -> None:
    wanted = request({"n0": AS_WANTED, "n1": AS_WANTED})
    plan = build_plan(wanted)
    assert plan["empty"]
    assert plan["nodes"]["n0"]["runtime"] is None
    assert plan == build_plan(replace(wanted, runtimes=None))


@pytest.mark.parametrize(
    ("disruption", "scope", "gone", "word"),
    [
        ("all", "all", ["ml/job", "ml/web"], "all"),
        ("gpu_pods", "gpu_pods", ["ml/job"], "gpu_pods"),
        ("none", "none", [], "switch"),
    ],
)
def test_pods_leave_before_the_restart_as_far_as_the_operator_says(
    disruption: str, scope: str, gone: list[str], word: str
) -> None:
    pods = [
        fleet.pod("job", owner=OWNED),
        fleet.pod("web", {}, owner=OWNED),
        fleet.pod("agent", {}, owner={"kind": "DaemonSet", "name": "agent"}),
    ]
    wanted = request({"n0": OWED}, pods=pods, runtime_disruption=disruption)
    plan = build_plan(wanted)
    entry = plan["nodes"]["n0"]
    assert (entry["evict"]["scope"], entry["disruption"]) == (scope, word)
    assert [f"{pod['namespace']}/{pod['name']}" for pod in entry["evict"]["pods"]] == gone
    told = [warning for warning in plan["warnings"] if "is restarted, so" in warning]
    assert [", ".join(gone) in warning for warning in told] == ([True] if gone else [])


def test_runtime_that_is_not_restarted_takes_no_pod() -> None:
    entry = entry_of(request({"n0": {**OWED, "restart": False, "units": []}}, pods=[fleet.pod("job", owner=OWNED)]))
    assert (entry["disruption"], entry["evict"]["scope"], entry["evict"]["pods"]) == ("none", "none", [])
    assert entry["reasons"] == ["containerd 1.6.20~ds1 to be set up"]


@pytest.mark.parametrize("settled", [True, False])
def test_pods_that_an_eviction_would_lose_refuse_the_plan_until_the_operator_agrees(settled: bool) -> None:
    wanted = request({"n0": OWED}, settled, pods=[fleet.pod("job")])
    assert refusal(wanted) == [
        "node n0: containerd 1.6.20~ds1 is restarted, but of the pods that would have to go (ml/job) no controller would make them "
        "anew. Remove them, or set kubegpu_evict_force to lose them."
    ]
    assert entry_of(replace(wanted, evict_force=True))["evict"]["pods"]
    assert build_plan(replace(wanted, runtime_disruption="none"))["nodes"]["n0"]["changed"]


def test_mig_devices_and_runtime_change_together() -> None:
    pods = [fleet.pod("job", owner=OWNED), fleet.pod("web", {}, owner=OWNED)]
    held = [mig_fleet.allocation(pods[0], "GPU-h20-0", resource="nvidia.com/gpu")]
    wanted = mig_fleet.request([mig_fleet.h20()], {"devices": {"1g.12gb": 7}}, fleet.node(1, pods), held)
    plan = build_plan(replace(wanted, runtimes={"h20": OWED}))
    evict = plan["nodes"]["h20"]["evict"]
    assert (evict["scope"], evict["devices"]) == ("all", ["GPU-h20-0"])
    assert [pod["name"] for pod in evict["pods"]] == ["job", "web"]
    told = [warning for warning in plan["warnings"] if "will be evicted" in warning]
    assert ["ml/web" in warning and "is restarted, so" in warning for warning in told] == [False, True]
    alone = build_plan(wanted)["nodes"]["h20"]
    assert plan["nodes"]["h20"]["mig"] == alone["mig"]
    assert (alone["evict"]["scope"], [pod["name"] for pod in alone["evict"]["pods"]]) == ("affected", ["job"])


def test_sharing_and_runtime_change_together() -> None:
    entry = entry_of(request({"n0": OWED}, settled=False, pods=[fleet.pod("job", owner=OWNED)]))
    assert entry["reasons"][0] == "new config t4"
    assert entry["reasons"][-1] == "containerd 1.6.20~ds1 to be set up and restarted"
    assert (entry["evict"]["scope"], entry["stale_pods"]) == ("all", [])


def test_plan_id_follows_what_is_done_to_a_runtime_and_not_what_is_said_of_it() -> None:
    def plan_id(**fields: Any) -> str:
        return str(build_plan(request({"n0": {**OWED, **fields}}))["plan_id"])

    assert plan_id(warnings=["x"], actions=["in other words"]) == plan_id()
    assert len({plan_id(), plan_id(digest="1" * 64), plan_id(units=["docker"]), plan_id(restart=False)}) == 4


def test_problems_of_hosts_refuse_the_plan_all_at_once() -> None:
    documents = {
        "n0": {**OWED, "problems": ["line 3 is no TOML.", "no binary."]},
        "n1": {**AS_WANTED, "problems": ["x."]},
    }
    assert refusal(request(documents)) == [
        "node n0: its container runtime: line 3 is no TOML.",
        "node n0: its container runtime: no binary.",
        "node n1: its container runtime: x.",
    ]


def test_runtime_that_is_to_be_taken_out_is_none_of_a_rollouts() -> None:
    [problem] = refusal(request({"n0": {**OWED, "state": "absent"}}))
    assert problem.startswith(
        "node n0: kubegpu_runtime_state is absent, and a rollout only makes container runtimes ready."
    )


def test_docker_whose_restart_ends_containers_takes_an_empty_node() -> None:
    docker = {**OWED, "engine": "docker", "version": "20.10.24", "live_restore": False}
    wanted = request({"n0": docker}, runtime_disruption="gpu_pods")
    assert refusal(wanted) == [
        "node n0: docker 20.10.24 runs without live-restore, so its restart ends every container of the node, and "
        "kubegpu_runtime_disruption is gpu_pods. Set it to all, or live-restore in Docker's daemon.json."
    ]
    for allowed in (
        replace(wanted, runtime_disruption="all"),
        replace(wanted, runtimes={"n0": {**docker, "live_restore": True}}),
    ):
        assert entry_of(allowed)["changed"]


def test_runtime_that_nobody_looked_at_refuses_where_the_host_was_read_and_is_told_elsewhere() -> None:
    wanted = request({"n0": AS_WANTED, "n1": AS_WANTED})
    unread = replace(wanted, runtimes={"n0": AS_WANTED})
    assert refusal(unread) == [
        "node n1: its host n1 was read, but not its container runtime: the task that reads it has told why. Put that right, or leave "
        "container runtimes alone (kubegpu_runtime_manage: false)."
    ]
    labels = {**wanted.cluster["nodes"]["n1"], "labels": fleet.labelled("Tesla-T4", 15360)}
    labels["labels"].update(wanted.cluster["nodes"]["n1"]["labels"])
    cluster = {**wanted.cluster, "nodes": {**wanted.cluster["nodes"], "n1": labels}}
    host_facts = {"n0": wanted.host_facts["n0"]}
    plan = build_plan(replace(unread, cluster=cluster, host_facts=host_facts))
    assert (
        "node n1: its container runtime was not read, and stays as it is: no host of this run that could be reached is it."
        in plan["warnings"]
    )


def test_node_that_is_left_alone_is_told_of_though_its_runtime_is_not_as_wanted() -> None:
    wanted = request({"n0": OWED, "n1": {**OWED, "problems": ["x."]}, "n2": AS_WANTED})
    nodes = {name: {**node, "hold": "" if name == "n2" else "tests"} for name, node in wanted.cluster["nodes"].items()}
    nodes["n2"]["hold"] = None
    plan = build_plan(replace(wanted, cluster={**wanted.cluster, "nodes": nodes}))
    assert plan["empty"]
    assert (
        "nodes n0, n1: containerd 1.6.20~ds1 is not set up as wanted, but the node was left alone: on hold: tests."
        in plan["warnings"]
    )


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"runtime_disruption": "most"}, "kubegpu_runtime_disruption is 'most'; give one of all, gpu_pods, none."),
        (
            {"facts": "labels"},
            "kubegpu_runtime_manage looks at the hosts themselves, and kubegpu_facts is labels; give auto or nodes, or leave container "
            "runtimes alone.",
        ),
    ],
)
def test_wishes_that_cannot_be_are_refused(fields: dict[str, Any], problem: str) -> None:
    assert problem in refusal(replace(request({"n0": AS_WANTED}), **fields))


@pytest.mark.parametrize(
    "server",
    [{"engine": "k3s", "units": ["k3s.service"]}, {"engine": "rke2", "units": ["rke2-server"]}, {"server": True}],
)
def test_servers_of_a_control_plane_are_never_out_of_service_together(server: dict[str, Any]) -> None:
    servers = {f"n{number}": {**OWED, **server} for number in range(3)}
    agents = {f"n{number}": {**OWED, "engine": "k3s", "units": ["k3s-agent.service"]} for number in range(3, 6)}
    plan = build_plan(request({**servers, **agents}))
    assert plan["waves"] == [["n0"], ["n1", "n3", "n4", "n5"], ["n2"]]
    assert plan["wave_sizes"] == [1, 4, 1]
    unchanged = {name: {**document, "changed": False, "restart": False} for name, document in servers.items()}
    assert build_plan(request({**unchanged, **agents}))["waves"] == [["n3"], ["n4", "n5"]]


@pytest.mark.parametrize("out", [(), ("n0", "n2", "n4")])
def test_waves_have_every_node_once_and_at_most_one_of_those_that_are_kept_apart(out: tuple[str, ...]) -> None:
    names = [f"n{number}" for number in range(6)]
    for size, most in itertools.product((1, 3, "100%"), (1, 2, 6)):
        limits, _problems = read_limits(size, "100%")
        for apart in map(frozenset, itertools.combinations(names, 3)):
            keys = {name: str(number % 2) for number, name in enumerate(names)}
            waves = plan_waves(keys, frozenset(out), limits, most, apart)
            assert sorted(name for wave in waves for name in wave) == names
            assert all(wave and len(apart.intersection(wave)) <= 1 for wave in waves)
