# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Evicting pods from many nodes at once, and awaiting their end. PRIVATE to the collection."""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Mapping, Protocol, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.answers import Answer, accepted, read_refusal
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.budgets import Budget, observe_budget
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.leftovers import Leftover, Situation, explain
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.progress import Attempt, NodeProgress
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.node_pods import NodePods
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import observe_node

_BUDGET_API = "apis/policy/v1"
#: So often the lease is looked after.
_TICK_SECONDS = 1.0
#: Pods end in bursts: so long is waited at least between two looks.
_BURST_SECONDS = 0.01
#: The same while answers to evictions are awaited, which a look would only hold up.
_ASKING_SECONDS = 0.05


class Listener(Protocol):
    """Hears how it goes on."""

    def evicted(self, node: str, pod: Candidate) -> None:
        """The API granted an eviction. Told in the thread that sent it."""

    def going(self, progress: NodeProgress) -> None:
        """All pods that must leave a node are on their way out. Told again and again while they are."""


class Evictor:
    """Empties nodes. Evictions are sent by a bounded number of threads; what waits for a budget holds up none of them.

    :param grace: seconds for the containers to end, 0 among them; None: what each pod says itself.
    """

    def __init__(self, session: Session, pods: NodePods, grace: int | None, listener: Listener) -> None:
        self._session = session
        self._pods = pods
        self._grace = grace
        self._listener = listener
        self._sent: dict[Future[Answer | None], tuple[NodeProgress, Attempt]] = {}
        self._lists: dict[str, Future[list[Candidate] | None]] = {}

    def empty(self, nodes: Mapping[str, NodeProgress]) -> None:
        """Return when each node's emptying has ended, one way or the other.

        :raises LeaseLostError: this run may not write any more. No eviction is sent after that.
        :raises ApiError: the pods cannot be watched, or may not be listed.
        """
        going_on = dict(nodes)
        pool = ThreadPoolExecutor(max_workers=self._session.params["parallel"], thread_name_prefix="evict")
        try:
            while going_on:
                self._session.fence.check()
                self._pods.changes.look()
                _raise_first(self._take_answers())
                now = self._session.clock.monotonic()
                for progress in list(going_on.values()):
                    self._look(progress, now)
                    self._send(pool, progress, now)
                    self._list_if_doubtful(pool, progress)
                    if progress.going:
                        self._listener.going(progress)
                    if progress.ended:
                        del going_on[progress.node]
                if going_on:
                    self._wait(min(progress.next_look(now) for progress in going_on.values()) - now)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            # Of nodes that were given up while an answer was on its way, and what was granted before the lock was lost.
            troubles = self._take_answers()
        _raise_first(troubles)

    def _look(self, progress: NodeProgress, now: float) -> None:
        """By a list that was read for it, then by what the watch has shown."""
        if progress.node in self._lists and self._lists[progress.node].done():
            listed = self._lists.pop(progress.node).result()
            if listed is not None:
                progress.look(now, listed)
        current = self._pods.current(progress.node)  # asked first: what is read after it is no older
        progress.look(now, self._pods.of(progress.node), current)

    def _list_if_doubtful(self, pool: ThreadPoolExecutor, progress: NodeProgress) -> None:
        """Nothing is taken for empty while its watch is down, or was: a list tells."""
        if progress.doubtful and progress.node not in self._lists:
            future = pool.submit(self._list, progress)
            self._lists[progress.node] = future
            future.add_done_callback(self._note)

    def _list(self, progress: NodeProgress) -> list[Candidate] | None:
        try:
            listed = self._pods.list_anew(progress.node)
        except ApiError as error:
            if error.status in (401, 403):
                raise
            progress.trouble = error.msg
            self._session.clock.sleep(_TICK_SECONDS)
            return None
        progress.trouble = ""
        return listed

    def _send(self, pool: ThreadPoolExecutor, progress: NodeProgress, now: float) -> None:
        for attempt in progress.due(now):
            future = pool.submit(self._evict, progress, attempt)
            self._sent[future] = (progress, attempt)
            future.add_done_callback(self._note)

    def _note(self, _future: Future[Any]) -> None:
        with self._pods.changes.guard:
            self._pods.changes.note()

    def _wait(self, seconds: float) -> None:
        looked = time.monotonic()
        if self._pods.changes.wait(max(0.0, min(seconds, _TICK_SECONDS, self._session.fence.patience))):
            time.sleep(max(0.0, looked + (_ASKING_SECONDS if self._sent else _BURST_SECONDS) - time.monotonic()))

    def _take_answers(self) -> list[BaseException]:
        """All that are there.

        :returns: why others will never be. That hides none that the API has given.
        """
        troubles = []
        for future in [future for future in self._sent if future.done()]:
            progress, attempt = self._sent.pop(future)
            if future.cancelled():
                continue
            trouble = future.exception()
            if trouble is not None:
                troubles.append(trouble)
                continue
            answer = future.result()
            if answer is not None:
                progress.answered(attempt, answer, self._session.clock.monotonic())
        return troubles

    def _evict(self, progress: NodeProgress, attempt: Attempt) -> Answer | None:
        """Ask for one eviction. None: its node was given up before its turn came."""
        if progress.ended:
            return None
        self._session.fence.check()
        pod, attempt.asked = attempt.pod, True
        try:
            path = api_path("pods", pod.state.namespace, pod.state.name, "eviction")
            self._session.api.create(path, eviction(pod, self._grace))
        except ApiError as error:
            return read_refusal(error)
        self._listener.evicted(progress.node, pod)
        return accepted()


def _raise_first(troubles: Sequence[BaseException]) -> None:
    for trouble in troubles:
        raise trouble


def eviction(pod: Candidate, grace: int | None) -> dict[str, Any]:
    """The request: this very pod, and none that has come under the same name."""
    options: dict[str, Any] = {"preconditions": {"uid": pod.uid}}
    if grace is not None:
        options["gracePeriodSeconds"] = grace
    return {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"namespace": pod.state.namespace, "name": pod.state.name},
        "deleteOptions": options,
    }


def explain_leftovers(session: Session, nodes: Mapping[str, NodeProgress]) -> dict[str, list[Leftover]]:
    """Why pods are still on nodes, by node. What cannot be read for that is left unsaid."""
    left = {name: list(progress.left.values()) for name, progress in nodes.items()}
    namespaces = {attempt.pod.state.namespace for attempts in left.values() for attempt in attempts}
    workers = session.params["parallel"]
    readings = work_through(lambda namespace: _budgets(session, namespace), sorted(namespaces), workers)
    budgets = [budget for reading in readings for budget in reading]
    states = dict(zip(left, work_through(lambda name: _not_ready(session, name), left, workers)))
    now = session.clock.now()
    return {
        name: [explain(attempt, Situation(now, states[name], budgets)) for attempt in attempts]
        for name, attempts in left.items()
    }


def _budgets(session: Session, namespace: str) -> list[Budget]:
    path = api_path("poddisruptionbudgets", namespace, api=_BUDGET_API)
    try:
        return [observe_budget(obj) for page in session.api.pages(path) for obj in page.items]
    except ApiError:
        return []


def _not_ready(session: Session, name: str) -> str:
    try:
        obj = session.api.get_or_none(api_path("nodes", name=name))
    except ApiError:
        return ""
    return observe_node(obj).not_ready if obj else "the node was deleted"
