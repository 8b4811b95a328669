# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ordered faults: which requests they hit."""

from __future__ import annotations

import pytest

from simulator.apiserver.faults import Faults


def hits(faults: Faults, *requests: tuple[str, str]) -> list[int]:
    return [len(faults.strike(method, path)) for method, path in requests]


def test_fault_hits_by_method_path_and_number() -> None:
    faults = Faults()
    faults.add({"method": "PATCH", "path": r"/nodes/a\b", "nth": 2, "count": 1, "status": 409})
    patch, other = ("PATCH", "/api/v1/nodes/a?x=1"), ("PATCH", "/api/v1/nodes/ab")
    assert hits(faults, patch, other, ("GET", "/api/v1/nodes/a"), patch, patch) == [0, 0, 0, 1, 0]
    assert faults.listing()[0]["hits"] == 1


def test_fault_remembers_the_first_request_that_it_hit() -> None:
    faults = Faults()
    faults.add({"path": "/nodes/", "nth": 2, "count": 0, "struck": "nothing of that"})
    hits(faults, ("PATCH", "/nodes/a"))
    assert faults.listing()[0]["struck"] == ""
    hits(faults, ("PATCH", "/nodes/b?x=1"), ("PATCH", "/nodes/c"))
    assert faults.listing()[0]["struck"] == "PATCH /nodes/b?x=1"


def test_fault_hits_several_methods_of_one_client() -> None:
    faults = Faults()
    faults.add({"method": "POST|PATCH", "agent": "^mine/", "count": 0, "status": 500})
    requests = [("POST", "mine/1"), ("GET", "mine/1"), ("PATCH", "theirs"), ("PATCH", "mine/1")]
    assert [len(faults.strike(method, "/api", agent)) for method, agent in requests] == [1, 0, 0, 1]


def test_fault_without_end_hits_until_cleared() -> None:
    faults = Faults()
    faults.add({"count": 0, "status": 503})
    assert hits(faults, *[("GET", "/")] * 5) == [1] * 5
    faults.clear()
    assert hits(faults, ("GET", "/")) == [0]


def test_answer_is_a_status_unless_given() -> None:
    faults = Faults()
    fault = faults.add({"status": 429, "retry_after": 3})
    assert fault.status_body()["reason"] == "TooManyRequests"
    assert fault.status_body()["details"] == {"retryAfterSeconds": 3}
    assert faults.add({"body": {"a": 1}}).status_body() == {"a": 1}


@pytest.mark.parametrize("order", [{"action": "explode"}, {"colour": "red"}])
def test_unknown_orders_are_refused(order: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="explode|colour"):
        Faults().add(order)
