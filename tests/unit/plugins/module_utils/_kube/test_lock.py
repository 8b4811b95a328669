# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import threading
from typing import Any, Mapping

import pytest
from unit.plugins.fakes.fake_api import FakeApi, lost_answer
from unit.plugins.fakes.fake_clock import FakeClock, HastyClock

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import lease_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.lock import Lock, LockRequest

NAMESPACE = "kubegpu-system"
PATH = lease_path(NAMESPACE)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


def lock(api: FakeApi, clock: FakeClock, run: str = "run-1", wait: float = 0) -> Lock:
    return Lock(api, clock, LockRequest(NAMESPACE, run, 60, wait))


def test_acquire_creates_namespace_and_lease(api: FakeApi, clock: FakeClock) -> None:
    change = lock(api, clock).acquire(check_mode=False)
    assert change.actions == (
        "create Namespace kubegpu-system",
        "create Lease kubegpu-system/kubegpu-rollout: held by run run-1",
    )
    assert change.lease is not None
    assert change.lease.holder == "run-1"
    assert api.objects["/api/v1/namespaces/kubegpu-system"]["metadata"]["labels"]


def test_acquire_in_check_mode_writes_nothing_and_says_the_same(api: FakeApi, clock: FakeClock) -> None:
    foreseen = lock(api, clock).acquire(check_mode=True)
    assert api.writes == []
    assert lock(api, clock).acquire(check_mode=False).actions == foreseen.actions


def test_acquire_again_writes_nothing(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    before = len(api.writes)
    clock.sleep(10)
    assert lock(api, clock).acquire(check_mode=False).actions == ()
    assert len(api.writes) == before


def test_acquire_later_renews_without_a_change(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    clock.sleep(100)
    change = lock(api, clock).acquire(check_mode=False)
    assert change.actions == ()
    assert api.objects[PATH]["spec"]["renewTime"] == "2026-03-01T12:01:40.000000Z"
    assert api.objects[PATH]["spec"]["acquireTime"] == "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize("check_mode", [False, True])
def test_acquire_while_another_run_lives_says_who_and_since_when(
    api: FakeApi, clock: FakeClock, check_mode: bool
) -> None:
    lock(api, clock).acquire(check_mode=False)
    clock.sleep(30)
    with pytest.raises(KubeGpuError) as caught:
        lock(api, clock, "run-2").acquire(check_mode)
    assert (
        "Cannot take the lock kubegpu-system/kubegpu-rollout for run run-2: it is held by run run-1 ("
        in caught.value.msg
    )
    assert "since 2026-03-01T12:00:00.000Z, last renewed 2026-03-01T12:00:00.000Z, for 60 s" in caught.value.msg
    assert (
        "set kubegpu_lock_wait (wait_seconds) to wait for it. If it is dead, a run that is started after "
        "2026-03-01T12:01:00.000Z takes the lock over, once it has seen no sign of life for 60 s." in caught.value.msg
    )
    assert caught.value.facts == {
        "holder": "run-1",
        "since": "2026-03-01T12:00:00.000Z",
        "expires": "2026-03-01T12:01:00.000Z",
    }


def test_acquire_waits_for_a_run_that_ends(api: FakeApi, clock: FakeClock) -> None:
    first = lock(api, clock)
    first.acquire(check_mode=False)

    def release_at_ten(method: str, path: str) -> None:
        if clock.seconds >= 10:
            api.faults.clear()
            first.release(check_mode=False)

    api.faults.append(release_at_ten)
    change = lock(api, clock, "run-2", wait=60).acquire(check_mode=False)
    assert change.lease is not None
    assert change.lease.holder == "run-2"
    assert change.taken_over is None
    assert 10 <= clock.seconds < 15
    assert "kubegpu.sharing/released" not in api.objects[PATH]["metadata"]["annotations"]


def test_acquire_gives_up_after_its_wait(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    with pytest.raises(KubeGpuError, match=r"It was waited for 6 s\."):
        lock(api, clock, "run-2", wait=5).acquire(check_mode=False)
    assert clock.seconds == pytest.approx(6, abs=1)


def test_acquire_takes_over_a_lease_that_ran_out_long_ago(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    clock.sleep(3600)
    change = lock(api, clock, "run-2").acquire(check_mode=False)
    assert change.taken_over == "run-1"
    assert change.actions == (
        "patch Lease kubegpu-system/kubegpu-rollout: run run-2 takes it over from dead run run-1",
    )
    assert api.objects[PATH]["spec"]["leaseTransitions"] == 1
    assert clock.seconds == pytest.approx(3660)


def test_acquire_makes_sure_of_a_lease_that_ran_out_just_now(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    clock.sleep(70)
    assert lock(api, clock, "run-2").acquire(check_mode=False).taken_over == "run-1"
    assert clock.seconds == pytest.approx(130)


def test_acquire_never_takes_a_live_lease_for_dead_by_its_own_clock_alone(api: FakeApi) -> None:
    """The clock of the machine that wants the lock is 130 s ahead; the holder renews every 20 s, as runs do."""
    behind, ahead = FakeClock(), FakeClock()
    first = lock(api, behind)
    first.acquire(check_mode=False)
    ahead.seconds, since = 130.0, 130.0

    def renew(_method: str, _path: str) -> None:
        if ahead.seconds - since - behind.seconds >= 20:
            behind.seconds = ahead.seconds - since
            first.acquire(check_mode=False)

    api.faults.append(renew)
    with pytest.raises(KubeGpuError, match="It was renewed meanwhile, so that run is alive"):
        lock(api, ahead, "run-2").acquire(check_mode=False)
    assert ahead.seconds - since == pytest.approx(20, abs=2)
    assert api.objects[PATH]["spec"]["holderIdentity"] == "run-1"


def test_acquire_is_not_kept_away_by_a_note_on_a_dead_lease(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    clock.sleep(600)

    def annotate(_method: str, _path: str) -> None:
        if len(api.faults) and clock.seconds > 630:
            api.faults.clear()
            api.change(PATH, {"metadata": {"annotations": {"somebody": "looked"}}})

    api.faults.append(annotate)
    assert lock(api, clock, "run-2").acquire(check_mode=False).taken_over == "run-1"
    assert clock.seconds == pytest.approx(660)


def test_acquire_in_check_mode_waits_for_nothing(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    with pytest.raises(KubeGpuError, match="it is held by run run-1"):
        lock(api, clock, "run-2", wait=600).acquire(check_mode=True)
    clock.sleep(70)
    assert lock(api, clock, "run-2").acquire(check_mode=True).taken_over == "run-1"
    assert clock.slept == [70]


def test_acquire_heeds_a_sign_of_life(api: FakeApi, clock: FakeClock) -> None:
    """The holder's clock is a minute behind, but it renews."""
    first = lock(api, clock)
    first.acquire(check_mode=False)
    clock.sleep(70)

    def renew(method: str, path: str) -> None:
        if clock.seconds > 80:
            api.faults.clear()
            first.acquire(check_mode=False)

    api.faults.append(renew)
    with pytest.raises(KubeGpuError, match="it is held by run run-1"):
        lock(api, clock, "run-2").acquire(check_mode=False)


def test_acquire_takes_over_from_a_clock_ahead_that_stays_silent(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    api.change(PATH, {"spec": {"renewTime": "2026-03-01T13:00:00.000000Z"}})
    change = lock(api, clock, "run-2", wait=120).acquire(check_mode=False)
    assert change.taken_over == "run-1"
    assert clock.seconds == pytest.approx(60)


@pytest.mark.parametrize("prepare", [None, "free", "dead"])
def test_acquire_race_is_won_by_exactly_one(prepare: str | None) -> None:
    api, clock = FakeApi(), HastyClock()
    if prepare:
        owner = Lock(api, clock, LockRequest(NAMESPACE, "run-0"))
        owner.acquire(check_mode=False)
        if prepare == "free":
            owner.release(check_mode=False)
        else:
            api.change(PATH, {"spec": {"renewTime": "2020-01-01T00:00:00.000000Z"}})
    won: list[str] = []
    lost: list[str] = []

    def try_it(run: str) -> None:
        try:
            Lock(api, clock, LockRequest(NAMESPACE, run)).acquire(check_mode=False)
            won.append(run)
        except KubeGpuError as error:
            lost.append(error.msg)

    threads = [threading.Thread(target=try_it, args=[f"run-{number}"]) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == 1
    assert all(f"held by run {won[0]}" in message for message in lost)
    assert api.objects[PATH]["spec"]["holderIdentity"] == won[0]


class Forgetful(FakeApi):
    """Creates a Lease, but breaks the connection before its answer."""

    def create(self, path: str, body: Mapping[str, Any], *, dry_run: bool = False) -> dict[str, Any]:
        answer = super().create(path, body, dry_run=dry_run)
        if path.endswith("/leases"):
            raise lost_answer("POST", path)
        return answer


def test_acquire_whose_answer_is_lost_finds_itself_the_holder(clock: FakeClock) -> None:
    api = Forgetful()
    change = lock(api, clock).acquire(check_mode=False)
    assert change.lease is not None
    assert change.lease.holder == "run-1"


def test_release_frees_only_its_own(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    assert lock(api, clock, "run-2").release(check_mode=False).actions == ()
    assert api.objects[PATH]["spec"]["holderIdentity"] == "run-1"
    change = lock(api, clock).release(check_mode=False)
    assert change.actions == ("patch Lease kubegpu-system/kubegpu-rollout: released by run run-1",)
    assert "holderIdentity" not in api.objects[PATH]["spec"]
    assert lock(api, clock).release(check_mode=False).actions == ()


def test_release_in_check_mode_takes_what_the_run_could_have_had_as_its_own(api: FakeApi, clock: FakeClock) -> None:
    foreseen = lock(api, clock).release(check_mode=True).actions
    lock(api, clock).acquire(check_mode=False)
    assert lock(api, clock, "run-2").release(check_mode=True).actions == ()
    clock.sleep(61)
    assert lock(api, clock, "run-2").release(check_mode=True).actions
    assert lock(api, clock).release(check_mode=False).actions == foreseen
    assert lock(api, clock).release(check_mode=True).actions == foreseen


def test_release_without_a_lease_does_nothing(api: FakeApi, clock: FakeClock) -> None:
    assert lock(api, clock).release(check_mode=False).actions == ()
    assert api.writes == []


def test_release_in_check_mode_writes_nothing(api: FakeApi, clock: FakeClock) -> None:
    lock(api, clock).acquire(check_mode=False)
    before = len(api.writes)
    assert lock(api, clock).release(check_mode=True).actions
    assert len(api.writes) == before
