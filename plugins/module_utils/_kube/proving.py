# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waiting until nodes of a wave are seen to be as a step wants them, and what is said about it. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Callable, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Wave
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.waiting import ClusterView, Waiter
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.proof import (
    NodeWait,
    Timing,
    describe_allocatable,
)

DaemonSets = Mapping[str, Optional[Mapping[str, Any]]]
Unmet = Callable[[NodeState, Sequence[PodState], NodeTarget], "list[str]"]


@dataclass(frozen=True)
class Wait:
    """The wait of a step.

    :param expected: what is waited for on a node, in words.
    :param state: the journal's word for its success.
    :param cure: what to do if it fails.
    """

    timing: Timing
    unmet: Unmet
    expected: Callable[[NodeTarget], str]
    state: str
    cure: str

    def foretell(self, target: NodeTarget) -> str:
        """What a real run would wait for."""
        return f"{self.expected(target)}, within {self.timing.timeout:g} s"


def steadily_advertised(timing: Timing) -> Callable[[NodeTarget], str]:
    """What a soak waits for, in words."""
    return lambda target: (
        f"allocatable {describe_allocatable(target.expected, target.resources)} for {timing.soak:g} s on end"
    )


def await_nodes(
    wave: Wave, names: Sequence[str], wait: Wait, daemonsets: DaemonSets, proven: Callable[[str], None]
) -> None:
    """Wait for all of these nodes at once. One for which it takes too long has failed.

    :param daemonsets: the foreign DaemonSets that matter, by "namespace/name"; None for one that is gone.
    :param proven: told of each node that is as it should be.
    """
    if not names:
        return
    clock, started = wave.session.clock, wave.session.clock.monotonic()
    waits = {name: NodeWait(started, wait.timing) for name in names}
    last: dict[str, dict[str, int]] = {}

    def unmet_on(name: str) -> Callable[[NodeState, Sequence[PodState]], list[str]]:
        target = wave.targets[name]

        def unmet(node: NodeState, pods: Sequence[PodState]) -> list[str]:
            last[name] = {resource: node.allocatable.get(resource, 0) for resource in target.resources}
            return wait.unmet(node, pods, target)

        return unmet

    def ended(name: str, node_wait: NodeWait) -> None:
        wave.results[name].facts.update(waited_seconds=node_wait.waited, allocatable=last.get(name, {}))
        if node_wait.proven:
            proven(name)
            wave.journal.note(
                name, wait.state, f"allocatable {describe_allocatable(last[name], wave.targets[name].resources)}"
            )
        else:
            wave.fail(name, f"{node_wait.explain(wait.expected(wave.targets[name]))}. {wait.cure}")

    with ClusterView(wave.session.api, daemonsets) as view:
        Waiter(view, wave.session.fence, clock).wait(waits, {name: unmet_on(name) for name in names}, ended)
