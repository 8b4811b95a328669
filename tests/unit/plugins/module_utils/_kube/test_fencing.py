# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from unit.plugins.fakes.fake_api import FakeApi, api_error
from unit.plugins.fakes.fake_clock import FakeClock

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import (
    LeaseFence,
    LeaseLostError,
    ask_ahead,
    lease_path,
)

PATH = lease_path("kubegpu-system")


def lease(clock: FakeClock, holder: str | None = "run-1", seconds: int = 60) -> dict[str, Any]:
    moment = f"{clock.now():%Y-%m-%dT%H:%M:%S.%f}Z"
    return {
        "spec": {"holderIdentity": holder, "leaseDurationSeconds": seconds, "acquireTime": moment, "renewTime": moment}
    }


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api(clock: FakeClock) -> FakeApi:
    api = FakeApi()
    api.put(PATH, lease(clock))
    return api


def fence(api: FakeApi, clock: FakeClock, run: str = "run-1") -> LeaseFence:
    return LeaseFence(api, clock, "kubegpu-system", run, 60)


def test_check_of_a_fresh_lease_reads_once_and_writes_nothing(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    for _check in range(5):
        fenced.check()
        clock.sleep(3)
    assert (api.requests.get, api.requests.write) == (1, 0)


def test_check_makes_no_request_before_it_is_asked(api: FakeApi, clock: FakeClock) -> None:
    fence(api, clock)
    assert api.requests.get == 0


def test_check_renews_after_a_third(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    fenced.check()
    clock.sleep(20)
    fenced.check()
    assert api.objects[PATH]["spec"]["renewTime"] == "2026-03-01T12:00:20.000000Z"
    assert api.requests.write == 1


@pytest.mark.parametrize("seconds", [1, 60])
def test_wait_that_asks_as_often_as_the_fence_wants_never_lets_two_thirds_go_by(
    api: FakeApi, clock: FakeClock, seconds: int
) -> None:
    api.put(PATH, lease(clock, seconds=seconds))
    fenced = LeaseFence(api, clock, "kubegpu-system", "run-1", seconds)
    ages = []
    for _wait in range(50):
        fenced.check()
        clock.sleep(fenced.patience)
        renewed = datetime.fromisoformat(api.objects[PATH]["spec"]["renewTime"].replace("Z", "+00:00"))
        ages.append((clock.now() - renewed).total_seconds())
    assert max(ages) < seconds * 2 / 3


def test_check_renews_an_old_lease_at_once(api: FakeApi, clock: FakeClock) -> None:
    clock.sleep(45)
    fence(api, clock).check()
    assert api.requests.write == 1


def test_check_renews_its_own_lease_though_it_has_run_out(api: FakeApi, clock: FakeClock) -> None:
    clock.sleep(600)
    fence(api, clock).check()
    assert api.objects[PATH]["spec"]["renewTime"] == "2026-03-01T12:10:00.000000Z"


def test_check_after_a_takeover_names_the_new_holder_and_stays_closed(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    fenced.check()
    clock.sleep(90)
    api.put(PATH, lease(clock, "run-2"))
    with pytest.raises(LeaseLostError) as caught:
        fenced.check()
    assert caught.value.msg.startswith(
        "Cannot write for run run-1: the lock kubegpu-system/kubegpu-rollout is held by run run-2 since 2026-03-01T12:01:30.000Z"
    )
    assert caught.value.facts["holder"] == "run-2"
    api.put(PATH, lease(clock, "run-1"))
    with pytest.raises(LeaseLostError):
        fenced.check()


@pytest.mark.parametrize("state", ["absent", "free"])
def test_check_without_a_lock_says_to_take_it(api: FakeApi, clock: FakeClock, state: str) -> None:
    if state == "absent":
        api.remove(PATH)
    else:
        api.put(PATH, lease(clock, None))
    with pytest.raises(LeaseLostError, match=r"nobody holds the lock kubegpu-system/kubegpu-rollout\. Take it first"):
        fence(api, clock).check()


def test_check_bears_a_passing_trouble_while_the_lease_runs(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    fenced.check()

    def fail(method: str, path: str) -> None:
        raise api_error(method, path, 503, "ServiceUnavailable")

    api.faults.append(fail)
    clock.sleep(30)
    fenced.check()
    clock.sleep(15)
    with pytest.raises(ApiError):
        fenced.check()
    api.faults.clear()
    fenced.check()
    assert api.requests.write == 1


def refuse_renewals(api: FakeApi, status: int, reason: str) -> None:
    def fail(method: str, path: str) -> None:
        if method == "PATCH":
            raise api_error(method, path, status, reason)

    api.faults.append(fail)


def test_first_check_of_a_step_bears_it_as_long_as_a_later_one(api: FakeApi, clock: FakeClock) -> None:
    """What an earlier step has left is an old lease."""
    refuse_renewals(api, 503, "ServiceUnavailable")
    clock.sleep(30)
    fenced = fence(api, clock)
    fenced.check()
    clock.sleep(11)
    with pytest.raises(ApiError):
        fenced.check()


@pytest.mark.parametrize(
    ("age", "seconds"),
    [
        pytest.param(45, 60, id="two thirds of it have gone by"),
        pytest.param(-5, 60, id="it was written by a clock that is ahead"),
        pytest.param(15, 30, id="of another length than the run's"),
    ],
)
def test_first_check_of_a_step_does_not_bear_it_with_a_lease_that_proves_too_little(
    api: FakeApi, clock: FakeClock, age: float, seconds: int
) -> None:
    moment = clock.now() - timedelta(seconds=age)
    written = lease(clock, seconds=seconds)
    written["spec"]["renewTime"] = f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
    api.put(PATH, written)
    refuse_renewals(api, 503, "ServiceUnavailable")
    with pytest.raises(ApiError):
        fence(api, clock).check()


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize(
    ("status", "reason"), [(401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (422, "Invalid")]
)
def test_check_does_not_bear_what_does_not_pass(
    api: FakeApi, clock: FakeClock, status: int, reason: str, first: bool
) -> None:
    fenced = fence(api, clock)
    if not first:
        fenced.check()
    refuse_renewals(api, status, reason)
    clock.sleep(30)
    with pytest.raises(ApiError):
        fenced.check()


def test_check_does_not_bear_that_it_cannot_see_who_wrote(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    fenced.check()

    def conflict_then_fail(method: str, path: str) -> None:
        if method == "PATCH":
            api.faults[:] = [fail]
            raise api_error(method, path, 409, "Conflict")

    def fail(method: str, path: str) -> None:
        raise api_error(method, path, 503, "ServiceUnavailable")

    api.faults.append(conflict_then_fail)
    clock.sleep(30)
    with pytest.raises(ApiError):
        fenced.check()


def test_check_that_conflicts_looks_who_wrote(api: FakeApi, clock: FakeClock) -> None:
    clock.sleep(30)

    def annotate(method: str, path: str) -> None:
        if method == "PATCH":
            api.faults.clear()
            api.change(PATH, {"metadata": {"annotations": {"by": "somebody"}}})

    api.faults.append(annotate)
    fence(api, clock).check()
    assert api.objects[PATH]["spec"]["renewTime"] == "2026-03-01T12:00:30.000000Z"


def test_check_that_loses_a_race_is_lost(api: FakeApi, clock: FakeClock) -> None:
    clock.sleep(70)

    def take(method: str, path: str) -> None:
        if method == "PATCH":
            api.faults.clear()
            api.put(PATH, lease(clock, "run-2"))

    api.faults.append(take)
    with pytest.raises(LeaseLostError):
        fence(api, clock).check()


def delay(api: FakeApi, clock: FakeClock, *seconds: float, taken_by: str | None = None) -> None:
    """Let the answers to renewals come late; with a run that takes the lease over before they come."""
    renew, delays = api.patch, iter(seconds)

    def patch(path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        answer = renew(path, *args, **kwargs)
        clock.sleep(next(delays))
        if taken_by:
            api.put(PATH, lease(clock, taken_by))
        return answer

    api.patch = patch  # type: ignore[method-assign]  # the fake, made slow


def test_check_does_not_believe_a_renewal_whose_answer_came_when_the_lease_had_gone(
    api: FakeApi, clock: FakeClock
) -> None:
    fenced = fence(api, clock)
    fenced.check()
    delay(api, clock, 90, taken_by="run-2")
    clock.sleep(20)
    with pytest.raises(LeaseLostError, match="held by run run-2"):
        fenced.check()


def test_check_renews_again_after_a_late_answer_if_the_lease_is_still_its_own(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    fenced.check()
    delay(api, clock, 90, 0)
    clock.sleep(20)
    fenced.check()
    assert api.requests.write == 2
    assert api.objects[PATH]["spec"]["renewTime"] == "2026-03-01T12:01:50.000000Z"


def test_check_refuses_where_every_answer_comes_too_late(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    fenced.check()
    delay(api, clock, 45, 45, 45)
    clock.sleep(20)
    with pytest.raises(
        LeaseLostError, match=r"3 times the answer .* came so late .* \(it lasts 60 s\)\. See what holds"
    ):
        fenced.check()
    assert api.requests.write == 3


def test_check_goes_on_with_slow_answers_that_still_prove_the_lease(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    fenced.check()
    delay(api, clock, 25, 25, 25)
    clock.sleep(20)
    fenced.check()
    assert api.requests.write == 3


def test_fence_that_was_asked_ahead_is_open_without_another_request(api: FakeApi, clock: FakeClock) -> None:
    fenced = fence(api, clock)
    ask_ahead(fenced)
    fenced.check()
    assert api.requests.get == 1


def test_fence_that_was_asked_ahead_tells_whoever_writes_first(api: FakeApi, clock: FakeClock) -> None:
    api.remove(PATH)
    fenced = fence(api, clock)
    ask_ahead(fenced)
    with pytest.raises(LeaseLostError, match="nobody holds the lock"):
        fenced.check()
