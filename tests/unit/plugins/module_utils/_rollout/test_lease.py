# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone

import pytest

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import lease as rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.lease import (
    LeaseState,
    LockDecision,
    Sighting,
    acquire_patch,
    decide_lock,
    observe_lease,
    release_patch,
    renew_patch,
)

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=timezone.utc)


def lease(holder: str | None = "other", age: float = 10, duration: int = 60) -> LeaseState:
    """A lease that was renewed ``age`` seconds ago; a negative age is a holder whose clock is ahead."""
    renewed = NOW - timedelta(seconds=age)
    return LeaseState(holder, duration, renewed, renewed, 2, "7")


@pytest.mark.parametrize(
    ("found", "unchanged", "expected"),
    [
        pytest.param(lease(None, age=-900), 0, LockDecision(rules.TAKE), id="free, whatever its times say"),
        pytest.param(None, 0, LockDecision(rules.CREATE), id="none there"),
        pytest.param(lease(None), 0, LockDecision(rules.TAKE), id="free"),
        pytest.param(lease("me", age=1), 0, LockDecision(rules.KEEP), id="mine and fresh"),
        pytest.param(lease("me", age=25), 0, LockDecision(rules.RENEW), id="mine and older than a third"),
        pytest.param(lease("me", age=600), 0, LockDecision(rules.RENEW), id="mine and run out"),
        pytest.param(lease("me", age=-5), 0, LockDecision(rules.RENEW), id="mine and from the future"),
        pytest.param(lease("me", age=1, duration=30), 0, LockDecision(rules.RENEW), id="mine of another length"),
        pytest.param(lease(age=10), 0, LockDecision(rules.WAIT, 60, False), id="another's and alive"),
        pytest.param(lease(age=10), 45, LockDecision(rules.WAIT, 15, False), id="another's, silent for a while"),
        pytest.param(lease(age=10), 60, LockDecision(rules.TAKE_OVER), id="another's, silent for its length"),
        pytest.param(lease(age=-3000), 60, LockDecision(rules.TAKE_OVER), id="another's clock is ahead, but silent"),
        pytest.param(lease(age=70), 0, LockDecision(rules.WAIT, 60, True), id="run out just now"),
        pytest.param(lease(age=70), 15, LockDecision(rules.WAIT, 45, True), id="run out, watched for a while"),
        pytest.param(lease(age=70), 60, LockDecision(rules.TAKE_OVER), id="run out and silent for its length"),
        pytest.param(lease(age=9000), 59, LockDecision(rules.WAIT, 1, True), id="run out long ago, by our clock"),
        pytest.param(
            LeaseState("other", 60, None, None, 0, "7"), 0, LockDecision(rules.WAIT, 60, True), id="never renewed"
        ),
    ],
)
def test_decide_lock(found: LeaseState | None, unchanged: float, expected: LockDecision) -> None:
    assert decide_lock(found, "me", NOW, 60, Sighting(unchanged)) == expected


def test_decide_lock_takes_a_renewal_for_life_whatever_the_clocks_say() -> None:
    decision = decide_lock(lease(age=9000), "me", NOW, 60, Sighting(5, renewed=True))
    assert decision == LockDecision(rules.WAIT, 55, False)


def test_acquire_patch_raises_transitions_and_holds_only_for_what_was_seen() -> None:
    body = acquire_patch(lease(), "me", NOW, 60, {"user": "u", "host": "h"})
    assert body["metadata"]["resourceVersion"] == "7"
    assert body["spec"] == {
        "holderIdentity": "me",
        "leaseDurationSeconds": 60,
        "acquireTime": "2026-03-01T12:00:00.000000Z",
        "renewTime": "2026-03-01T12:00:00.000000Z",
        "leaseTransitions": 3,
    }


def test_acquire_patch_for_a_new_lease_is_unconditional() -> None:
    body = acquire_patch(None, "me", NOW, 60, {})
    assert "resourceVersion" not in body["metadata"]
    assert body["spec"]["leaseTransitions"] == 0


def test_renew_patch_changes_the_length_only_if_asked() -> None:
    assert renew_patch(lease(), NOW)["spec"] == {"renewTime": "2026-03-01T12:00:00.000000Z"}
    assert renew_patch(lease(), NOW, 90)["spec"]["leaseDurationSeconds"] == 90


def test_release_patch_frees_and_leaves_a_trace() -> None:
    body = release_patch(lease("me"), "me", NOW)
    assert body["spec"] == {"holderIdentity": None}
    note = json.loads(body["metadata"]["annotations"]["kubegpu.sharing/released"])
    assert note == {"run": "me", "at": "2026-03-01T12:00:00.000Z"}


def test_observe_lease_says_who_stands_behind_it() -> None:
    body = acquire_patch(None, "me", NOW, 60, {"user": "ada", "host": "control-1"})
    observed = observe_lease({**body, "metadata": {**body["metadata"], "resourceVersion": "8"}})
    assert observed.describe() == (
        "run me (ada@control-1) since 2026-03-01T12:00:00.000Z, last renewed 2026-03-01T12:00:00.000Z, for 60 s"
    )


def test_observe_lease_ignores_a_note_of_another_holder() -> None:
    body = acquire_patch(None, "me", NOW, 60, {"user": "ada", "host": "control-1"})
    body["spec"]["holderIdentity"] = "other"
    assert observe_lease(body).by == ""


@pytest.mark.parametrize("spec", [{}, {"holderIdentity": ""}, {"holderIdentity": None}])
def test_observe_lease_without_holder_is_free(spec: dict[str, object]) -> None:
    observed = observe_lease({"metadata": {"resourceVersion": "1"}, "spec": spec})
    assert observed.holder is None
    assert observed.describe() == "nobody"
    assert observed.expired(NOW)
