# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Fleets of which the truth is known: sizes and plans follow from the samples alone."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from math import ceil
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from unit.plugins.module_utils._measure import world
from unit.plugins.module_utils._measure.world import Node, Proc
from unit.plugins.module_utils._plan import fleet

from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.overlay import lay_over
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.proposal import build_proposal
from ansible_collections.kubegpu.sharing.plugins.module_utils._measure.request import ProposalRequest
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import build_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.request import PlanRequest

KEYS = {"l20": "NVIDIA L20", "t4": "Tesla T4"}
CEILING = Fraction(9, 10)
# The recorder is tried elsewhere; here a few samples say enough.
LENGTH = 4
quick = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass(frozen=True)
class Fleet:
    """:param truth: MiB that a slot needs, by key; keys that nothing ran under are left out."""

    nodes: tuple[Node, ...]
    truth: dict[str, int]
    margin: Decimal


def courses(most: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(1, most), min_size=LENGTH, max_size=LENGTH)


@st.composite
def fleets(draw: Any) -> Fleet:
    truth: dict[str, int] = {}
    nodes = []
    for number in range(draw(st.integers(1, 3))):
        key = draw(st.sampled_from(sorted(KEYS)))
        procs: list[Proc] = []
        pods, slots = [], {}
        for pod_number in range(draw(st.integers(0, 3))):
            name = f"p{number}-{pod_number}"
            many = draw(st.integers(1, 2))
            mine = [
                Proc(draw(courses(2500)), name, pid=100 * number + 10 * pod_number + one + 1)
                for one in range(draw(st.integers(1, 2)))
            ]
            # What a person would do with the samples on paper: the highest sum at one moment, divided among its slots.
            peak = max(sum(proc.mib[moment] for proc in mine) for moment in range(LENGTH))
            truth[key] = max(truth.get(key, 0), ceil(Fraction(peak, many)))
            procs += mine
            slots[name] = many
            pods.append(world.pod(name, draw(st.sampled_from(["Deployment/a", "Job/b", ""])), gpus=many))
        nodes.append(Node(f"n{number}", KEYS[key], procs=tuple(procs), pods=tuple(pods), slots=slots))
    margin = draw(st.sampled_from(["0.00", "0.05", "0.15", "0.5"]))
    return Fleet(tuple(nodes), truth, Decimal(margin))


def configs_of(fleet_of: Fleet) -> dict[str, Any]:
    return {key: {"match": {"product": KEYS[key]}, "sharing": "time_slicing"} for key in KEYS}


def request_of(made: Fleet, **more: Any) -> ProposalRequest:
    return world.request(*made.nodes, configs=configs_of(made), margin=str(made.margin), **more)


def sizes(proposal: dict[str, Any]) -> dict[str, Any]:
    return {
        key: config["process_memory_mib"]
        for key, config in proposal["configs"].items()
        if config["process_memory_mib"] is not None
    }


def expected(made: Fleet) -> dict[str, int]:
    return {key: ceil(peak * (1 + Fraction(made.margin))) for key, peak in made.truth.items()}


@quick
@given(fleets())
def test_sizes_are_what_the_samples_say(made: Fleet) -> None:
    assert sizes(build_proposal(request_of(made))) == expected(made)


@quick
@given(fleets())
def test_the_plan_follows_from_the_samples_alone(made: Fleet) -> None:
    proposal = json.loads(json.dumps(build_proposal(request_of(made))))
    overlay = lay_over(configs_of(made), proposal, "p.json")
    # Of what was not measured there is nothing to plan with.
    configs = {key: words for key, words in overlay.configs.items() if key in overlay.applied}
    if not configs:
        return
    cluster = world.cluster([replace(node, pods=()) for node in made.nodes])
    plan = build_plan(PlanRequest(configs=configs, cluster=cluster, facts="labels"))
    for node in made.nodes:
        key = next(key for key, product in KEYS.items() if product == node.product)
        if key in made.truth:
            process = expected(made)[key]
            assert plan["nodes"][node.name]["replicas"] == max(1, int(CEILING * fleet.CARDS[node.product] // process))
    # With the proposal taken over, measuring again changes nothing.
    again = replace(request_of(made), configs=overlay.configs)
    assert [config["changed"] for config in build_proposal(again)["configs"].values()] == [False] * len(KEYS)


@quick
@given(fleets(), st.randoms(use_true_random=False))
def test_the_order_of_measurements_does_not_matter(made: Fleet, random: Any) -> None:
    request = request_of(made)
    shuffled = list(request.measurements.items())
    random.shuffle(shuffled)
    assert build_proposal(replace(request, measurements=dict(shuffled))) == build_proposal(request)


@quick
@given(fleets(), st.integers(1, LENGTH - 1))
def test_two_runs_say_what_one_would_have_said(made: Fleet, cut: int) -> None:
    measurements = {}
    for run, part in (("r1", slice(0, cut)), ("r2", slice(cut, LENGTH))):
        for node in made.nodes:
            parts = tuple(replace(proc, mib=proc.mib[part]) for proc in node.procs)
            measurements[f"{run}/{node.name}.json"] = world.measure(replace(node, procs=parts), run=run)
    proposal = build_proposal(request_of(made, measurements=measurements))
    assert sizes(proposal) == expected(made)
    whole = build_proposal(request_of(made))
    assert [one["peak_mib"] for one in proposal["workloads"]] == [one["peak_mib"] for one in whole["workloads"]]


@quick
@given(fleets(), courses(20000))
def test_what_holds_no_device_is_never_sized(made: Fleet, course: list[int]) -> None:
    strangers = (
        Proc(course, pid=9001, command="Xorg"),
        Proc(course, "spy", pid=9002),
    )
    nodes = tuple(
        replace(
            node,
            procs=(*node.procs, *strangers),
            pods=(*node.pods, world.pod("spy", containers={"main": 0})),
        )
        for node in made.nodes
    )
    proposal = build_proposal(request_of(replace(made, nodes=nodes)))
    assert sizes(proposal) == expected(made)
    assert {one["peak_mib"] for one in proposal["outside"]} == {max(course)}
    assert len(proposal["outside"]) == 2 * len(nodes)


@quick
@given(fleets(), st.data())
def test_memory_that_is_not_told_at_times_never_lowers_a_size(made: Fleet, data: Any) -> None:
    hidden = data.draw(st.integers(0, LENGTH - 1))
    nodes = tuple(
        replace(
            node,
            procs=tuple(replace(proc, mib=[*proc.mib[:hidden], None, *proc.mib[hidden + 1 :]]) for proc in node.procs),
        )
        for node in made.nodes
    )
    proposal = build_proposal(request_of(replace(made, nodes=nodes)))
    for key, size in sizes(proposal).items():
        assert 0 < size <= expected(made)[key]
        assert proposal["configs"][key]["confidence"] == "untold"
