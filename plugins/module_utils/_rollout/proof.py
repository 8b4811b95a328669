# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When a step has taken effect on a node: conditions, and how long they have held. PRIVATE to the collection.

The kubelet reports allocatable about every 10 s, so a number is worth something only when it has held for longer than that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pod import PodState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import bears_target, foreign_label

GONE = "the node was deleted or is no longer cordoned"


def unmet_withdrawn(node: NodeState, pods: Iterable[PodState], target: NodeTarget) -> list[str]:
    """What is still to happen until no plugin serves the node: its pod object gone, then allocatable 0.

    The object, not only the process: the kubelet's socket is removed when the old plugin ends, and a new plugin that
    registered before that moment would be cut off for good.
    """
    unmet = [f"plugin pod is still there ({pod.describe()})" for pod in pods if not pod.finished]
    zero = dict.fromkeys(target.resources, 0)
    return [*unmet, *_allocatable_differs(node, zero)]


def unmet_serving(node: NodeState, pods: Iterable[PodState], target: NodeTarget) -> list[str]:
    """What is still to happen until the node serves as planned: the right plugin's pod ready, no other, allocatable as planned.

    Of a node that is to come back as it is, only the node itself is looked at: whoever serves it is its owner's affair.
    """
    if target.as_is:
        return unmet_node(node, target)
    alive = [pod for pod in pods if not pod.finished]
    right = [pod for pod in alive if _serves(pod, target) and not pod.terminating]
    unmet = (
        []
        if right or not (target.revision or target.plugin)
        else [f"no plugin pod of {_wanted(target)} is on the node"]
    )
    unmet += [f"plugin pod is not ready ({pod.describe()})" for pod in right if not pod.ready]
    unmet += [f"another plugin pod is on the node ({pod.describe()})" for pod in alive if pod not in right]
    return [*unmet, *unmet_node(node, target)]


def _serves(pod: PodState, target: NodeTarget) -> bool:
    if target.revision is not None:
        return pod.revision == target.revision
    return bool(target.plugin) and pod.revision is None and pod.owned_by(target.plugin)


def _wanted(target: NodeTarget) -> str:
    return f"revision {target.revision}" if target.revision is not None else target.title


def unmet_node(node: NodeState, target: NodeTarget) -> list[str]:
    """The part of it that shows on the node itself."""
    unmet = [f"node is not Ready ({node.not_ready})"] if node.not_ready else []
    if not bears_target(node, target):
        unmet.append(
            f"labels are key {node.key!r} and revision {node.revision!r}, not {target.key!r} and {target.revision!r}"
            if (node.key, node.revision) != (target.key, target.revision)
            else f"labels are not as planned: {_labels_differ(node, target)}"
        )
    return [*unmet, *_allocatable_differs(node, target.wanted())]


def _labels_differ(node: NodeState, target: NodeTarget) -> str:
    absent = [
        f"{label} is {node.labels.get(label)!r}, not {value!r}"
        for label, value in target.labels.items()
        if node.labels.get(label) != value
    ]
    return ", ".join([*absent, *(f"{label}={value} is there" for label, value in foreign_label(node, target).items())])


def describe_allocatable(amounts: Mapping[str, int], resources: Sequence[str]) -> str:
    """Amounts in words: "nvidia.com/gpu 8"."""
    return ", ".join(f"{resource} {amounts.get(resource, 0)}" for resource in resources) or "no GPU resource"


def _allocatable_differs(node: NodeState, wanted: Mapping[str, int]) -> list[str]:
    return [
        f"allocatable {resource} is {node.allocatable.get(resource, 0)}, expected {count}"
        for resource, count in sorted(wanted.items())
        if node.allocatable.get(resource, 0) != count
    ]


@dataclass(frozen=True)
class Timing:
    """Seconds that a wait may take, and for how long its condition must hold without a break."""

    timeout: float
    soak: float = 0.0


@dataclass
class NodeWait:
    """The wait for one node. Times are those of a clock that only grows.

    A condition that is met in time may finish its soak after the deadline; one that breaks after it has failed.
    """

    started: float
    timing: Timing
    unmet: list[str] = field(default_factory=list)
    met_since: float | None = None
    ended: float | None = None
    proven: bool = False
    breaks: int = 0

    def observe(self, now: float, unmet: list[str]) -> bool:
        """Take an observation.

        :returns: the wait is over, with ``proven`` telling how.
        """
        if self.ended is not None:
            return True
        if unmet:
            self.interrupt()
            self.unmet = unmet
        elif self.met_since is None:
            self.met_since = now
        if self.met_since is not None:
            self.proven = now - self.met_since >= self.timing.soak
        if self.proven or (self.met_since is None and now >= self.started + self.timing.timeout):
            self.ended = now
        return self.ended is not None

    def interrupt(self) -> None:
        """The condition did not hold, or nobody saw whether it did: it must hold from now on."""
        self.breaks += self.met_since is not None
        self.met_since = None

    def give_up(self, now: float, reason: str) -> None:
        """End without success, whatever the time."""
        self.ended, self.proven, self.unmet = now, False, [reason]

    def next_look(self) -> float:
        """When time alone will change the answer."""
        if self.met_since is not None:
            return self.met_since + self.timing.soak
        return self.started + self.timing.timeout

    @property
    def waited(self) -> float:
        """Seconds from begin to end."""
        return round((self.ended or self.started) - self.started, 1)

    def explain(self, expected: str) -> str:
        """Why it failed: what was expected and what was seen last."""
        seen = "; ".join(self.unmet) or "the condition did not hold"
        broke = (
            f"; it had been met {'once' if self.breaks == 1 else f'{self.breaks} times'} and broke within {self.timing.soak:g} s"
            if self.breaks
            else ""
        )
        return f"expected {expected}, within {self.timing.timeout:g} s; last seen: {seen}{broke}"
