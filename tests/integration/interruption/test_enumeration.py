# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the enumeration of requests says of itself."""

from __future__ import annotations

import pytest

from simulator.apiserver.faults import Faults

from .enumeration import Aim, Verdict, enumerate_requests, enumerate_writes, kind_of, requests_at

REQUESTS = [
    "POST /api/v1/namespaces?fieldManager=a",
    "PATCH /api/v1/nodes/a",
    "PATCH /api/v1/nodes/b?fieldManager=a",
    "PATCH /api/v1/nodes/b/status",
    "POST /api/v1/namespaces/default/pods",
    "PATCH /apis/apps/v1/namespaces/default/daemonsets/a",
    "POST /api/v1/namespaces/default/pods/model/eviction",
]
NUMBERED = REQUESTS[:-1]


@pytest.mark.parametrize(
    ("request_line", "kind"),
    [
        ("POST /api/v1/namespaces", "POST namespaces"),
        ("PATCH /api/v1/namespaces/kubegpu-system", "PATCH namespaces"),
        ("PATCH /api/v1/nodes/a?fieldManager=x", "PATCH nodes"),
        ("PATCH /api/v1/nodes/a/status", "PATCH nodes/status"),
        ("POST /api/v1/namespaces/default/pods/model-1/eviction", "POST pods/eviction"),
        ("POST /api/v1/namespaces/default/events", "POST events"),
        ("PATCH /apis/coordination.k8s.io/v1/namespaces/kubegpu-system/leases/kubegpu-rollout", "PATCH leases"),
        ("DELETE /apis/apps/v1/namespaces/kubegpu-system/daemonsets/a", "DELETE daemonsets"),
    ],
)
def test_kind_of_a_write_is_verb_resource_and_subresource(request_line: str, kind: str) -> None:
    assert kind_of(request_line) == kind


@pytest.mark.parametrize("line", REQUESTS)
def test_fault_that_aims_at_a_kind_hits_what_is_of_it_and_nothing_else(line: str) -> None:
    def hit(method: str, path: str) -> bool:
        return bool(faults.strike(method, path))

    faults = Faults()
    faults.add({**requests_at(kind_of(line)), "count": 0})
    assert [other for other in REQUESTS if hit(*other.split(" "))] == [
        other for other in REQUESTS if kind_of(other) == kind_of(line)
    ]
    assert not hit(line.partition(" ")[0], f"{line.partition(' ')[2]}?dryRun=All")


def case(number: Aim) -> Verdict:
    """A rollout of seven writes, one of which no number comes upon."""
    if number == "POST pods/eviction":
        return Verdict(True, request=REQUESTS[-1])
    assert isinstance(number, int)
    if number > len(NUMBERED):
        return Verdict(False, wrote=frozenset(map(kind_of, REQUESTS)))
    return Verdict(True, ["a cordon was lifted"] if number == 2 else [], NUMBERED[number - 1])


def test_problem_is_told_with_the_request_that_was_hit() -> None:
    found = enumerate_requests(case, 1, 1)
    assert found.reached == [1, 2, 3, 4, 5, 6]
    assert found.describe() == "request 2 (PATCH /api/v1/nodes/a): a cordon was lifted"


def test_kind_of_write_that_no_number_came_upon_is_missed_and_aimed_at() -> None:
    assert enumerate_requests(case, 1, 1).missed == {"POST pods/eviction"}
    found = enumerate_writes(case)
    assert found.missed == set()
    assert found.verdicts["POST pods/eviction"].reached


def test_enumeration_without_a_whole_rollout_proves_nothing() -> None:
    with pytest.raises(AssertionError, match="no rollout went through"):
        len(enumerate_requests(lambda number: Verdict(number in (1, 2, 3)), 1, 1).missed)
