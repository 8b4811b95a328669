# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What all steps of a rollout on the API have in common. PRIVATE to the collection."""

from __future__ import annotations

import json
import re
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Callable, Iterator, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.arguments import ArgumentSpec
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError, KubeGpuError
from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube import journal as states
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.arguments import KUBE_AUTH_SPEC
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.events import FAILED, NodeEvents
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import LeaseFence, LeaseLostError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.journal import Journal
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import Nodes, NodeWrite
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.assume import assume_steps_before
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import HELD, PATCH, REFUSED, Decision
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.lease import DEFAULT_DURATION
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget, RolloutPlan, read_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.result import NodeResult, to_outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import RunContext, decide_failure
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.times import format_time

#: A run's name becomes part of objects' names and a label's value.
_RUN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,38}[a-z0-9])?")

#: Options of every module that writes under the lock.
RUN_SPEC = ArgumentSpec(
    options={
        "run": {"type": "str", "required": True},
        "lock_namespace": {"type": "str", "default": "kubegpu-system"},
        "lease_seconds": {"type": "int", "default": DEFAULT_DURATION},
    }
).merge(KUBE_AUTH_SPEC)

#: Options of every module that obeys a plan.
PLAN_SPEC = ArgumentSpec(options={"plan_path": {"type": "path", "required": True}}).merge(RUN_SPEC)

#: Options of every module that works on the nodes of a wave.
WAVE_SPEC = ArgumentSpec(
    options={
        "nodes": {"type": "list", "elements": "str", "default": []},
        "journal_path": {"type": "path"},
        "parallel": {"type": "int", "default": 16},
    }
).merge(PLAN_SPEC)

_NEVER_NEGATIVE = (
    "timeout_seconds",
    "soak_seconds",
    "settle_seconds",
    "return_seconds",
    "wait_seconds",
    "eviction_timeout_seconds",
    "eviction_retry_seconds",
    "grace_period",
)

Decide = Callable[[NodeState, NodeTarget], Decision]
Tell = Callable[[str, NodeWrite], None]


def _say_nothing(_name: str, _written: NodeWrite) -> None:
    """Nobody wants to hear of writes."""


def check_run_options(params: Mapping[str, Any]) -> None:
    """Validate what an argument spec cannot say.

    :raises InputError: all problems at once.
    """
    problems = []
    if not _RUN.fullmatch(params["run"]):
        problems.append(
            f"run is {params['run']!r}: use at most 40 lower-case letters, digits, '-' and '.', such as 20260301-120000-a1b2c3."
        )
    if params["lease_seconds"] < 1:
        problems.append(f"lease_seconds is {params['lease_seconds']}: use 1 or more; 60 is usual.")
    for name in _NEVER_NEGATIVE:
        if params.get(name) is not None and params[name] < 0:
            problems.append(f"{name} is {params[name]}: use 0 or more.")
    for name in ("parallel", "keep"):
        if params.get(name) is not None and params[name] < 1:
            problems.append(f"{name} is {params[name]}: use 1 or more.")
    if problems:
        raise InputError("options", problems)


def load_plan(path: str) -> RolloutPlan:
    """Read a plan file.

    :raises InputError: it cannot be read, or is not to be rolled out.
    """
    try:
        with open(path, encoding="utf-8") as stream:
            document = json.load(stream)
    except OSError as error:
        raise InputError(
            f"plan {path}", [f"it cannot be read ({error.strerror}). Give the file that sharing_plan wrote."]
        ) from error
    except ValueError as error:
        raise InputError(
            f"plan {path}", [f"it is no JSON ({error}). Give the file that sharing_plan wrote."]
        ) from error
    return read_plan(document, path)


@dataclass(frozen=True)
class Session:
    """A module call under the lock: who works on what, and with which means."""

    api: KubeApi
    clock: Clock
    params: Mapping[str, Any]
    check_mode: bool
    fence: LeaseFence

    @classmethod
    def begin(cls, api: KubeApi, clock: Clock, params: Mapping[str, Any], check_mode: bool) -> Session:
        """Validate the options and get ready. Makes no request."""
        check_run_options(params)
        fence = LeaseFence(api, clock, params["lock_namespace"], params["run"], params["lease_seconds"])
        return cls(api, clock, params, check_mode, fence)

    @property
    def run(self) -> str:
        """Name of the run."""
        return self.params["run"]

    def counts(self) -> dict[str, int]:
        """The requests that were made."""
        return self.api.requests.to_dict()


class Wave:
    """The nodes of a wave, and what a step does to them.

    :param step: name of the step, see assume.py.
    """

    def __init__(self, session: Session, plan: RolloutPlan, step: str) -> None:
        params = session.params
        if not params["nodes"]:
            raise InputError("nodes", ["no node is named, so nothing would be done. Name nodes of the plan."])
        self.session = session
        self.plan = plan
        self.step = step
        self.targets = {target.name: target for target in plan.select(params["nodes"])}
        self.nodes = Nodes(session.api, session.fence, session.clock, params["parallel"])
        self.journal = Journal(None if session.check_mode else params["journal_path"], session.run, session.clock)
        self.results = {name: NodeResult(name) for name in self.targets}
        self.writes: dict[str, NodeWrite] = {}
        self._ended: set[str] = set()
        self._warnings: list[str] = []
        self.context = RunContext(session.run, plan.plan_id, since=format_time(session.clock.now()))
        origin = f"run {session.run}, plan {plan.plan_id}" if plan.plan_id else f"run {session.run}"
        self.events = NodeEvents(session.api, session.fence, session.clock, origin, params["parallel"])

    @property
    def names(self) -> list[str]:
        """All nodes of the wave."""
        return list(self.targets)

    def well(self) -> list[str]:
        """Nodes for which nothing has failed so far."""
        return [name for name in self.targets if not self.results[name].failed]

    def unsettled(self) -> list[str]:
        """Nodes that are well and have a step to do, or to wait for."""
        return [name for name in self.well() if name in self.writes and not self.writes[name].decision.settled]

    def in_parallel(self, work: Callable[[str], Any], names: Sequence[str]) -> dict[str, Any]:
        """Results of some work by node."""
        return dict(zip(names, work_through(work, names, self.session.params["parallel"])))

    def observe(self) -> dict[str, NodeState]:
        """Read the nodes of the wave, as far as the plan did not just do so. One that does not exist has failed."""
        known = {name: node for name, node in self.plan.observed.items() if name in self.targets}
        found = {**known, **self.nodes.read([name for name in self.names if name not in known])}
        for name in self.names:
            if name not in found:
                self.fail(
                    name,
                    "the cluster has no node of this name. It was deleted since the plan was made: make a new plan.",
                )
        return found

    def write(self, observed: Mapping[str, NodeState], decide: Decide, tell: Tell = _say_nothing) -> None:
        """Decide for each node, and write the decision unless in check mode. Fills results and ``writes``.

        :param tell: hears of every node that was written to, at that moment and in that thread.
        """

        def work(name: str) -> NodeWrite:
            target = self.targets[name]
            if not self.session.check_mode:
                written = self.nodes.write(observed[name], lambda node: decide(node, target))
                if written.changed:
                    tell(name, written)
                return written
            node = assume_steps_before(self.step, observed[name], target, self.context)
            decision = decide(node, target)
            after = node.patched(decision.patch) if decision.verdict == PATCH else node
            return NodeWrite(decision, node, after)

        def work_and_keep(name: str) -> None:
            done[name] = work(name)

        done: dict[str, NodeWrite] = {}
        names = [name for name in self.well() if name in observed]
        try:
            self.in_parallel(work_and_keep, names)
        finally:  # what was written was written, also where the next node ends the step
            for name in [name for name in names if name in done]:
                self._record(name, done[name])

    def end(self, name: str) -> None:
        """The step has come to its end for a node: later trouble is not this node's."""
        self._ended.add(name)

    @contextmanager
    def carried_through(self) -> Iterator[None]:
        """Trouble of the API in the middle of a step is a failure of the nodes for which it has not come to its end.

        So the step goes on to its outcome, and what was done is told. Only a lost lock ends it at once, as nothing may be
        written any more; what was done until then stands beside the error.
        """
        try:
            yield
        except ApiError as error:
            for name in self.well():
                settled = name in self.writes and self.writes[name].decision.settled
                if name not in self._ended and not settled:
                    self.fail(name, error.msg)
        except LeaseLostError as error:
            done = to_outcome(self.results.values())
            error.facts.update(changed=done.changed, actions=list(done.actions), **done.facts)
            raise

    def fail(self, name: str, reason: str) -> None:
        """The step failed for a node."""
        self.results[name].fail(reason)
        self.journal.note(name, states.FAILED, f"{self.step}: {reason}")

    def warn(self, message: str) -> None:
        """Something to be told that is no failure of a node."""
        self._warnings.append(message)

    def tell(self, name: str, reason: str, message: str) -> None:
        """Have an Event written on a node at the end of the step. In check mode nothing is."""
        if not self.session.check_mode and name in self.writes:
            self.events.collect(self.writes[name].after, reason, message)

    def outcome(self, **facts: Any) -> Outcome:
        """The module's result. Before that, failures are noted on their nodes, and Events are written."""
        if not self.session.check_mode:
            self._close()
        warnings = [*self._warnings, *self.events.warnings()]
        if warnings:
            facts["warnings"] = warnings
        return to_outcome(self.results.values(), requests=self.session.counts(), **facts)

    def _close(self) -> None:
        failed = [name for name in self.names if self.results[name].failed]
        self.in_parallel(self._note_failure, failed)
        self.events.finish()

    def _note_failure(self, name: str) -> None:
        """Let the node itself say why it is out of service, if this run has it. That it cannot is no other failure."""
        reason = f"{self.step} failed: {self.results[name].reason}"
        try:
            node = self.nodes.read_one(name)
            if node is None or node.maintenance is None or node.maintenance.run != self.session.run:
                return
            self.nodes.write(node, lambda present: decide_failure(present, self.context, reason))
        except KubeGpuError as error:
            self.events.trouble(f"The note on node {name} could not be written: {error.msg}")
        else:
            self.events.collect(node, FAILED, reason)

    def _record(self, name: str, written: NodeWrite) -> None:
        self.writes[name] = written
        result, decision = self.results[name], written.decision
        if decision.verdict == REFUSED:
            self.fail(name, decision.reason)
            return
        result.reason = decision.reason or None
        if decision.verdict == HELD:
            result.facts["held"] = True
        if written.changed:
            result.actions = decision.actions
            result.before, result.after = decision.patch.diff(written.before)
