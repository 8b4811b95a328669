# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the emptying of a node goes on, by what is seen and answered."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.answers import Answer, accepted
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.progress import NodeProgress, Timing
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import Scope
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import EvictionWish

from .conftest import Make

GOING = {"deletionTimestamp": "2026-03-01T12:00:30Z", "deletionGracePeriodSeconds": 30}
GPU_PODS = Scope(EvictionWish("gpu_pods"))


def begin(settle: float | None = 1.0) -> NodeProgress:
    return NodeProgress("gpu-1", GPU_PODS, Timing(timeout=60.0, retry=5.0, settle=settle), started=0.0)


def test_all_are_due_at_once_and_awaited_until_their_objects_are_gone(pod: Make) -> None:
    progress, pods = begin(), [pod("a"), pod("b"), pod("web", gpus=0)]
    progress.look(0.0, pods)
    attempts = progress.due(0.0)
    assert [attempt.pod.state.name for attempt in attempts] == ["a", "b"]
    assert progress.due(0.1) == []
    for attempt in attempts:
        progress.answered(attempt, accepted(), 0.2)
    progress.look(2.0, [pod("a", metadata=GOING), pods[2]])
    assert (progress.ended, progress.due(2.0)) == (False, [])
    progress.look(3.0, [pods[2]])
    assert (progress.ended, progress.failed) == (True, False)
    assert sorted(one.state.name for one in progress.evicted()) == ["a", "b"]


def test_budget_is_asked_again_in_time_and_others_are_not_held_up(pod: Make) -> None:
    progress, pods = begin(), [pod("a"), pod("b")]
    progress.look(0.0, pods)
    kept, other = progress.due(0.0)
    progress.answered(kept, Answer("budget"), 1.0)
    progress.answered(other, Answer("busy", pause=2.0), 1.0)
    assert progress.next_look(1.0) == 3.0
    assert progress.due(3.0) == [other]
    assert progress.due(5.9) == []
    assert progress.due(6.0) == [kept]


def test_trouble_is_retried_soon_and_then_later_each_time(pod: Make) -> None:
    progress = begin()
    progress.look(0.0, [pod("a")])
    pauses = []
    for _try in range(6):
        (attempt,) = progress.due(1000.0)
        progress.answered(attempt, Answer("api_trouble"), 10.0)
        pauses.append(round(attempt.due - 10.0, 1))
    assert pauses == [0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_deadline_fails_what_is_left(pod: Make) -> None:
    progress = begin()
    progress.look(0.0, [pod("a")])
    progress.look(60.0, [pod("a")])
    assert (progress.ended, progress.failed, list(progress.left)) == (True, True, ["uid-a"])


def test_refusal_for_good_ends_it_once_the_others_are_gone(pod: Make) -> None:
    progress, pods = begin(), [pod("a"), pod("b")]
    progress.look(0.0, pods)
    first, second = progress.due(0.0)
    progress.answered(first, Answer("more_than_one_budget"), 0.1)
    progress.answered(second, accepted(), 0.1)
    progress.look(1.0, [pods[0], pod("b", metadata=GOING)])
    assert progress.ended is False
    progress.look(2.0, [pods[0]])
    assert (progress.ended, progress.failed) == (True, True)


def test_lost_answer_counts_as_an_eviction_once_the_pod_goes(pod: Make) -> None:
    progress = begin()
    progress.look(0.0, [pod("a")])
    (attempt,) = progress.due(0.0)
    progress.answered(attempt, Answer("api_trouble", unsure=True), 0.1)
    progress.look(0.2, [pod("a", metadata=GOING)])
    assert (len(progress.evicted()), progress.due(50.0)) == (1, [])


def test_pod_that_somebody_else_deletes_was_not_evicted(pod: Make) -> None:
    progress = begin()
    progress.look(0.0, [pod("a"), pod("b", metadata=GOING)])
    (attempt,) = progress.due(0.0)
    progress.answered(attempt, Answer("gone"), 0.1)
    progress.look(2.0, [])
    assert (progress.ended, progress.failed, progress.evicted()) == (True, False, [])


def test_same_name_with_another_uid_is_another_pod(pod: Make) -> None:
    progress = begin()
    progress.look(0.0, [pod("db-0")])
    (attempt,) = progress.due(0.0)
    progress.answered(attempt, accepted(), 0.1)
    progress.look(1.0, [pod("db-0", metadata={"uid": "another"})])
    assert [attempt.pod.uid for attempt in progress.due(1.0)] == ["another"]


def test_new_pods_must_have_stopped_coming(pod: Make) -> None:
    progress, web = begin(), pod("web", gpus=0)
    progress.look(0.5, [web])
    assert (progress.ended, progress.next_look(0.5)) == (False, 1.0)
    progress.look(0.9, [web, pod("late", gpus=0)])
    progress.look(1.5, [web, pod("late", gpus=0)])
    assert progress.ended is False
    progress.look(2.0, [web, pod("late", gpus=0), pod("daemon", owner="DaemonSet")])
    assert (progress.ended, progress.failed) == (True, False)


def test_in_service_pods_may_come(pod: Make) -> None:
    progress = begin(settle=None)
    progress.look(0.0, [pod("web", gpus=0)])
    assert (progress.ended, progress.failed) == (True, False)


def test_node_is_not_found_empty_by_what_may_be_old(pod: Make) -> None:
    progress, web = begin(), pod("web", gpus=0)
    progress.look(0.0, [web], current=False)
    assert (progress.ended, progress.doubtful) == (False, False)  # pods may still come, so there is nothing to doubt
    progress.look(1.0, [web], current=False)
    assert (progress.ended, progress.doubtful) == (False, True)
    progress.look(1.1, [web, pod("late")])
    assert (progress.ended, progress.doubtful, len(progress.due(1.1))) == (False, False, 1)


def test_node_of_which_nothing_current_is_ever_seen_fails(pod: Make) -> None:
    progress = begin()
    for now in (0.0, 1.0, 59.0):
        progress.look(now, [], current=False)
        assert progress.ended is False
    progress.look(60.0, [], current=False)
    assert (progress.ended, progress.failed, progress.waiting) == (True, True, [])


def test_node_in_service_is_done_with_once_the_pods_are_gone_whatever_else_comes(pod: Make) -> None:
    progress = begin(settle=None)
    progress.look(0.0, [], current=False)
    assert (progress.ended, progress.failed) == (True, False)


def test_pods_are_going_once_each_was_evicted_or_ends_alone(pod: Make) -> None:
    progress = begin()
    progress.look(0.0, [pod("a"), pod("b", metadata=GOING)])
    assert progress.going is False
    (attempt,) = progress.due(0.0)
    progress.answered(attempt, accepted(), 0.1)
    assert progress.going is True
    progress.look(0.2, [])
    assert progress.going is False
