# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Why a pod is still there when the time is over. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction import answers
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.budgets import Budget, covering
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.progress import Attempt
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import BLOCKED

FINALIZER, GRACE, NODE_NOT_READY, NOT_CONFIRMED = "finalizer", "grace_period", "node_not_ready", "not_confirmed"
NOT_TRIED, UNANSWERED = "not_tried", "unanswered"
#: A kubelet needs a moment to report that the containers were killed.
_CONFIRM_SECONDS = 5
_LISTED = 5


@dataclass(frozen=True)
class Leftover:
    """A pod that is still there.

    :param reason: one word.
    :param message: a sentence without its pod.
    """

    pod: Candidate
    reason: str
    message: str

    def to_dict(self) -> dict[str, Any]:
        """For ``blocked``."""
        return {**self.pod.identity(), "reason": self.reason, "message": self.message}

    def describe(self) -> str:
        """With its pod."""
        return f"{self.pod.state.full_name} ({self.message})"


@dataclass(frozen=True)
class Situation:
    """What is known around the pods of a node.

    :param not_ready: why the node is not Ready; "" if it is.
    :param budgets: those of the pods' namespaces; None if they may not be read.
    """

    now: datetime
    not_ready: str = ""
    budgets: Sequence[Budget] | None = None


def explain(attempt: Attempt, situation: Situation) -> Leftover:
    """Why one pod is still there."""
    pod = attempt.pod
    if pod.state.terminating:
        return Leftover(pod, *_terminating(pod, situation))
    if attempt.verdict.action == BLOCKED:
        return Leftover(pod, attempt.verdict.reason, attempt.verdict.message.rstrip("."))
    answer = attempt.answer
    if answer is None and not attempt.asked:
        return Leftover(pod, NOT_TRIED, "not asked yet: the deadline came first")
    if answer is None:
        return Leftover(pod, UNANSWERED, "the API has not answered its eviction yet")
    if answer.kind in (answers.ACCEPTED, answers.GONE):
        return Leftover(pod, NOT_CONFIRMED, "its eviction was granted, and nothing of its end has been seen yet")
    return Leftover(pod, answer.kind, _refused(pod, answer, attempt.tries, situation))


def describe_all(leftovers: Sequence[Leftover]) -> str:
    """The first of them in words."""
    more = f" and {len(leftovers) - _LISTED} more" if len(leftovers) > _LISTED else ""
    return "; ".join(leftover.describe() for leftover in leftovers[:_LISTED]) + more


def _refused(pod: Candidate, answer: answers.Answer, tries: int, situation: Situation) -> str:
    known = covering(situation.budgets or (), pod)
    numbers = "; ".join(budget.describe() for budget in known)
    if answer.kind == answers.BUDGET:
        return f"its disruption budget {numbers}" if known else answer.message.rstrip(".")
    if answer.kind == answers.SEVERAL_BUDGETS:
        listed = ", ".join(f"{budget.namespace}/{budget.name}" for budget in known)
        more = f" ({listed})" if known else ""
        return f"it has more than one disruption budget{more}, and the API evicts no such pod; leave it one"
    if answer.kind == answers.NAMESPACE_ENDS:
        return f"namespace {pod.state.namespace} is being deleted, and the pod is still in it"
    if answer.kind == answers.REFUSED:
        return answer.message.rstrip(".")
    return f"tried {'once' if tries == 1 else f'{tries} times'}, last: {answer.message.rstrip('.')}"


def _terminating(pod: Candidate, situation: Situation) -> tuple[str, str]:
    grace, over = pod.grace_seconds or 0, 0.0
    if pod.grace_ends is not None:
        over = (situation.now - pod.grace_ends).total_seconds()
    if situation.not_ready:
        return NODE_NOT_READY, f"terminating; its node is not Ready ({situation.not_ready}), so nobody confirms its end"
    if pod.finalizers and (grace == 0 or over > 0):
        listed = ", ".join(pod.finalizers)
        return FINALIZER, f"terminating, held by finalizer {listed}; find out what should remove it"
    if over < 0:
        return (
            GRACE,
            f"terminating; it has not ended on SIGTERM and has {-over:.0f} s left of its grace period of {grace} s",
        )
    if over <= _CONFIRM_SECONDS:
        return GRACE, f"terminating; its grace period of {grace} s has just ended"
    return (
        NOT_CONFIRMED,
        f"terminating; its grace period ended {over:.0f} s ago and the kubelet has not confirmed its end",
    )
