# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far the emptying of a node has come, and what is to be done next. PRIVATE to the collection.

Knows neither threads nor requests: it is told what was seen and what the API answered, and says what is due.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.answers import ACCEPTED, BUDGET, GONE, Answer
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.scope import (
    BLOCKED,
    EVICT,
    STAY,
    Judge,
    Verdict,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState, unsettled

_FIRST_PAUSE_SECONDS = 0.2


@dataclass(frozen=True)
class Timing:
    """Seconds.

    :param timeout: for all pods of a node to be gone.
    :param retry: between two tries that a budget refused.
    :param settle: for which no new pod must have come. None: pods may come, the node is in service.
    :param admission: for pods that stay to be admitted, once the others are gone.
    """

    timeout: float
    retry: float = 5.0
    settle: float | None = None
    admission: float = 60.0


@dataclass
class Attempt:
    """The eviction of one pod. Times are those of a clock that only grows.

    :param answer: the API's last word; None before the first.
    :param verdict: why it must leave, or what keeps it from being evicted.
    :param asked: a request for its eviction was sent. Whoever sends it says so.
    """

    pod: Candidate
    verdict: Verdict
    due: float
    answer: Answer | None = None
    in_flight: bool = False
    asked: bool = False
    unsure: bool = False
    evicted: bool = False
    tries: int = 0

    @property
    def stuck(self) -> bool:
        """No more will be done about it, and nothing lets it go."""
        if self.pod.state.terminating or self.in_flight or self.evicted:
            return False
        return self.verdict.action == BLOCKED or (self.answer is not None and self.answer.final)

    def ready(self, now: float) -> bool:
        """It is to be evicted now."""
        if self.in_flight or self.evicted or self.pod.state.terminating or self.verdict.action == BLOCKED:
            return False
        return now >= self.due and (self.answer is None or self.answer.retried)


@dataclass
class NodeProgress:
    """The emptying of one node.

    :param judge: says which pods must leave.
    :param doubtful: it looks empty and at rest, but pods may have come that were not seen: it is to be looked at anew.
    :param trouble: why that could not be done; "" if it could.
    """

    node: str
    judge: Judge
    timing: Timing
    started: float
    attempts: dict[str, Attempt] = field(default_factory=dict)
    left: dict[str, Attempt] = field(default_factory=dict)
    verdicts: list[Verdict] = field(default_factory=list)
    waiting: list[PodState] = field(default_factory=list)
    ended: bool = False
    failed: bool = False
    doubtful: bool = False
    trouble: str = ""
    _seen: set[str] = field(default_factory=set)
    _quiet_since: float = 0.0
    _free_since: float | None = None

    def look(self, now: float, pods: Sequence[Candidate], current: bool = True) -> None:
        """Take an observation of all pods of the node.

        :param current: there are certainly no others. Only then can the node be found empty.
        """
        if self.ended:
            return
        self.verdicts = self.judge(pods, self.attempts.keys())
        self._note_new(now, pods)
        for verdict in self.verdicts:
            self._follow(verdict, now)
        present = {pod.uid for pod in pods}
        for uid, attempt in self.attempts.items():
            attempt.evicted |= attempt.unsure and uid not in present
        self.left = {uid: attempt for uid, attempt in self.attempts.items() if uid in present and _holds_up(attempt)}
        self._judge_end(now, current)

    @property
    def going(self) -> bool:
        """Every pod that must leave is on its way out, and nothing is left to be asked for."""
        return bool(self.left) and all(one.evicted or one.pod.state.terminating for one in self.left.values())

    def due(self, now: float) -> list[Attempt]:
        """Evictions to be sent now. They count as under way from here on."""
        if self.ended:
            return []
        ready = [attempt for attempt in self.left.values() if attempt.ready(now)]
        for attempt in ready:
            attempt.in_flight, attempt.tries = True, attempt.tries + 1
        return ready

    def answered(self, attempt: Attempt, answer: Answer, now: float) -> None:
        """The API answered an eviction."""
        attempt.in_flight, attempt.answer = False, answer
        attempt.unsure |= answer.unsure
        attempt.evicted |= answer.kind == ACCEPTED or (answer.kind == GONE and attempt.unsure)
        if answer.retried:
            attempt.due = now + self._pause(attempt, answer)

    def next_look(self, now: float) -> float:
        """When time alone will change something."""
        if not self.left:
            settled = self._quiet_since + (self.timing.settle or 0.0)
            return settled if settled > now else self._admission_deadline(now)
        tries = [attempt.due for attempt in self.left.values() if attempt.answer is not None and attempt.answer.retried]
        return min([self.started + self.timing.timeout, *tries])

    def evicted(self) -> list[Candidate]:
        """Pods that the API was asked to evict, and did."""
        return [attempt.pod for attempt in self.attempts.values() if attempt.evicted]

    def _pause(self, attempt: Attempt, answer: Answer) -> float:
        if answer.pause is not None:
            return answer.pause
        longest = self.timing.retry
        return longest if answer.kind == BUDGET else min(_FIRST_PAUSE_SECONDS * 2.0 ** min(attempt.tries, 10), longest)

    def _follow(self, verdict: Verdict, now: float) -> None:
        uid = verdict.pod.uid
        if uid in self.attempts:
            attempt = self.attempts[uid]
            attempt.pod = verdict.pod
            attempt.evicted |= attempt.unsure and verdict.pod.state.terminating
            if verdict.action != STAY:
                attempt.verdict = verdict
        elif verdict.action in (EVICT, BLOCKED):
            self.attempts[uid] = Attempt(verdict.pod, verdict, due=now)

    def _note_new(self, now: float, pods: Sequence[Candidate]) -> None:
        # A DaemonSet puts pods on a cordoned node at any time; that says nothing about the scheduler.
        movable = {pod.uid for pod in pods if pod.movable}
        if not self._seen or movable - self._seen:
            self._quiet_since = now if self._seen else self.started
        self._seen |= movable

    def _judge_end(self, now: float, current: bool) -> None:
        self.doubtful = False
        if self.left:
            self._free_since = None
            stuck = all(attempt.stuck for attempt in self.left.values())
            self.failed = stuck or now >= self.started + self.timing.timeout
            self.ended = self.failed
            return
        if any(attempt.in_flight for attempt in self.attempts.values()):
            return  # who was evicted is known only with the answer
        self._free_since = now if self._free_since is None else self._free_since
        if self.timing.settle is None:
            self.ended = True
            return
        self.waiting = unsettled(verdict.pod.state for verdict in self.verdicts)
        at_rest = now - self._quiet_since >= self.timing.settle and not self.waiting
        self.doubtful = at_rest and not current
        settled = at_rest and current
        self.failed = not settled and now >= self._admission_deadline(now)
        self.ended = self.failed or settled

    def _admission_deadline(self, now: float) -> float:
        return (now if self._free_since is None else self._free_since) + self.timing.admission


def _holds_up(attempt: Attempt) -> bool:
    """A pod that has finished on its own holds nothing any more; one that was evicted counts until its object is gone."""
    return not attempt.pod.state.finished or attempt.evicted or attempt.pod.state.terminating
