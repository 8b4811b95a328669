# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from unit.plugins.fakes.driver import Driver
from unit.plugins.fakes.fake_cluster import FakeCluster

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.modules import rollout_snapshot_info

from .conftest import Start

APPROVED = "0123456789abcdef"


def ask(cluster: FakeCluster, plan_path: str, plan_id: str = APPROVED) -> dict[str, Any]:
    params = {"plan_path": plan_path, "plan_id": plan_id, "lock_namespace": "kubegpu-system"}
    return rollout_snapshot_info.run(params, cluster.api).to_result()


def begin(driver: Driver) -> None:
    driver.lock()
    driver.snapshot()


def test_resumable_by_the_snapshot_of_the_approved_plan(start: Start, tmp_path: Path) -> None:
    cluster, driver = start()
    assert ask(cluster, driver.plan_path)["resumable"] is False
    begin(driver)
    before = len(cluster.api.writes)
    rest = cluster.plan(tmp_path / "rest.json", plan_id="rest0of0the0plan")
    result = ask(cluster, rest)
    assert (result["resumable"], result["snapshot"], result["changed"]) == (True, "kubegpu-snapshot-run-1", False)
    assert result["reason"] == (
        "Plan 0123456789abcdef was begun by run run-1, and what is left (2 nodes) is a part of it."
    )
    assert cluster.api.writes[before:] == []


def test_resumable_with_nothing_left(start: Start, tmp_path: Path) -> None:
    cluster, driver = start()
    begin(driver)
    empty = cluster.plan(tmp_path / "empty.json", plan_id="empty", empty=True, nodes={}, releases=[])
    assert ask(cluster, empty)["resumable"] is True


def test_not_resumable_under_another_id(start: Start) -> None:
    cluster, driver = start()
    begin(driver)
    result = ask(cluster, driver.plan_path, "fedcba9876543210")
    assert (result["resumable"], result["snapshot"]) == (False, None)


@pytest.mark.parametrize("plan", ["", "/nonexistent/plan.json"])
def test_bad_input_is_refused_before_any_request(start: Start, plan: str) -> None:
    cluster, driver = start()
    with pytest.raises(InputError):
        ask(cluster, plan or driver.plan_path, APPROVED if plan else "")
    assert cluster.api.requests.get == 0
