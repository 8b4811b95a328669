# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError

from .conftest import Start


def test_lock_result_names_holder_and_times(start: Start) -> None:
    _cluster, driver = start()
    result = driver.lock()
    assert (result["holder"], result["taken_over"], result["changed"]) == ("run-1", None, True)
    assert result["since"] < result["expires"]
    assert result["diff"] == {"before": {"holder": None}, "after": {"holder": "run-1"}}
    assert result["requests"]["write"] == 2


def test_lock_twice_changes_nothing(start: Start) -> None:
    _cluster, driver = start()
    driver.lock()
    assert driver.lock()["changed"] is False


def test_unlock_of_another_runs_lock_leaves_it(start: Start) -> None:
    _cluster, driver = start()
    driver.lock()
    result = driver.of(run="run-2").unlock()
    assert (result["changed"], result["holder"]) == (False, "run-1")


def test_unlock_twice_changes_once(start: Start) -> None:
    _cluster, driver = start()
    driver.lock()
    assert [driver.unlock()["changed"], driver.unlock()["changed"]] == [True, False]


def test_lock_and_unlock_in_check_mode_report_what_the_real_run_does(start: Start) -> None:
    cluster, driver = start()
    foreseen = [driver.of(check_mode=True).lock(), driver.of(check_mode=True).unlock()]
    assert cluster.api.writes == []
    for result, done in zip(foreseen, [driver.lock(), driver.unlock()]):
        assert [result[part] for part in ("changed", "actions", "diff")] == [
            done[part] for part in ("changed", "actions", "diff")
        ]


def test_unlock_in_check_mode_leaves_a_live_run_its_lock(start: Start) -> None:
    _cluster, driver = start()
    driver.lock()
    result = driver.of(run="run-2", check_mode=True).unlock()
    assert (result["changed"], result["holder"]) == (False, "run-1")


def test_lock_in_check_mode_shows_who_holds_it(start: Start) -> None:
    cluster, driver = start()
    result = driver.of(check_mode=True).lock()
    assert (result["changed"], result["holder"], cluster.api.writes) == (True, None, [])


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"run": "Run 1"}, "run is 'Run 1': use at most 40 lower-case letters, digits, '-' and '.'"),
        ({"run": "a" * 41}, "use at most 40"),
        ({"run": ""}, "run is ''"),
        ({"lease_seconds": 0}, "lease_seconds is 0: use 1 or more"),
        ({"wait_seconds": -1.0}, "wait_seconds is -1.0: use 0 or more."),
    ],
)
def test_lock_refuses_bad_options_before_any_request(start: Start, options: dict[str, object], problem: str) -> None:
    cluster, driver = start()
    with pytest.raises(InputError) as caught:
        driver.lock(**options)
    assert problem in caught.value.msg
    assert cluster.api.requests.get == 0
