# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which pods of a node must leave it, and which stay, with the reason. PRIVATE to the collection.

Pods are sorted as ``kubectl drain`` sorts them, with one difference: a pod that has finished stays. It holds nothing, and
to delete it would only lose its log.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Callable, Collection, Iterable, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.pod import Candidate
from ansible_collections.kubegpu.sharing.plugins.module_utils._eviction.use import NodeUse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import EvictionWish

#: The pod must leave.
EVICT = "evict"
#: The pod must leave, and may not be evicted without a word of the operator.
BLOCKED = "blocked"
#: The pod has no part in it.
STAY = "stay"

DAEMONSET, MIRROR, FINISHED, OUT_OF_SCOPE = "daemonset", "mirror", "finished", "out_of_scope"
NEEDS_FORCE, NEEDS_EMPTYDIR = "needs_force", "needs_delete_emptydir_data"

NONE, AFFECTED, GPU_PODS, ALL = "none", "affected", "gpu_pods", "all"


@dataclass(frozen=True)
class Verdict:
    """What is to become of a pod.

    :param reason: one word: why it stays, or what it would need.
    :param message: the same in a sentence, if there is something to say.
    :param assumed: it goes because nobody knows which devices it holds.
    """

    pod: Candidate
    action: str
    reason: str = ""
    message: str = ""
    assumed: bool = False


#: Decides on all pods of a node together. The second parameter: UIDs of pods that were already told to leave.
Judge = Callable[[Sequence[Candidate], Collection[str]], "list[Verdict]"]


@dataclass(frozen=True)
class Rules:
    """Pods that are lost with their node's data, and whether the operator agreed to that, as with ``kubectl drain``."""

    force: bool = False
    delete_emptydir_data: bool = False

    def objection(self, pod: Candidate) -> tuple[str, str]:
        """(reason, message) that keep a pod from being evicted; empty if nothing does. Both are asked where both apply."""
        orphan = pod.state.owner is None and not self.force
        data = pod.emptydir and not self.delete_emptydir_data
        if orphan:
            also = " It has emptyDir volumes as well: delete_emptydir_data too." if data else ""
            return NEEDS_FORCE, f"no controller would make it anew; set force to evict it all the same.{also}"
        if data:
            return NEEDS_EMPTYDIR, "its emptyDir volumes go with it; set delete_emptydir_data to evict it all the same."
        return "", ""


@dataclass(frozen=True)
class Scope:
    """The judge of a node in maintenance.

    :param use: what is known of its devices.
    :param gpu_users: pods that use a GPU without asking for one count as GPU pods.
    :param expected: resources that the node is to advertise; tells which devices will be gone.
    """

    wish: EvictionWish
    rules: Rules = Rules()
    use: NodeUse = field(default_factory=NodeUse)
    gpu_users: bool = False
    expected: Mapping[str, int] = field(default_factory=dict)

    def __call__(self, pods: Sequence[Candidate], leaving: Collection[str] = ()) -> list[Verdict]:
        """A verdict on each pod, in the order given."""
        surplus = self._surplus(pods, leaving)
        return [self._judge(pod, surplus) for pod in pods]

    def _judge(self, pod: Candidate, surplus: Collection[str]) -> Verdict:
        stays = _always_stays(pod)
        if stays:
            return Verdict(pod, STAY, stays)
        assumed = self._assumed(pod)
        if not (assumed or pod.uid in surplus or self._in_scope(pod)):
            return Verdict(pod, STAY, OUT_OF_SCOPE)
        return _leave(pod, self.rules, assumed)

    def _in_scope(self, pod: Candidate) -> bool:
        kind = self.wish.scope
        if kind == ALL:
            return True
        if kind == GPU_PODS:
            return bool(pod.requests) or (self.gpu_users and self.use.uses(pod.uid))
        if kind == AFFECTED and self.wish.devices:
            uses = self.gpu_users and self.use.uses(pod.uid, self.wish.devices)
            return uses or bool(self.use.holds(pod.uid, self.wish.devices))
        return False

    def _assumed(self, pod: Candidate) -> bool:
        """A GPU pod of which nobody knows what it holds may hold a device that goes, so it counts as if it did."""
        named = self.wish.scope == AFFECTED and bool(self.wish.devices)
        return named and bool(pod.requests) and self.use.holds(pod.uid, self.wish.devices) is None

    def _surplus(self, pods: Sequence[Candidate], leaving: Collection[str]) -> set[str]:
        """UIDs of the pods that go so that the rest fits the wished number of slots."""
        if self.wish.scope != AFFECTED or self.wish.fit is None:
            return set()
        holders = [pod for pod in pods if pod.requests and not pod.state.finished]
        going = {pod.uid for pod in holders if pod.state.terminating or pod.uid in leaving}
        going |= {pod.uid for pod in holders if pod.movable and (self._in_scope(pod) or self._assumed(pod))}
        for resource, slots in sorted(self.wish.fit.items()):
            held = sum(pod.requests.get(resource, 0) for pod in holders if pod.uid not in going)
            for pod in sorted(holders, key=self._preference):
                if held <= slots:
                    break
                if pod.uid not in going and pod.movable and pod.requests.get(resource):
                    going.add(pod.uid)
                    held -= pod.requests[resource]
        return going

    def _preference(self, pod: Candidate) -> tuple[bool, bool, int, float, str]:
        """Who goes first: whom nothing keeps, who will lose its devices anyway, the least important, the newest."""
        blocked = bool(self.rules.objection(pod)[0])
        created = pod.created.timestamp() if pod.created else 0.0
        return blocked, self.use.loses(pod.uid, self.expected) is not True, pod.priority, -created, pod.uid


@dataclass(frozen=True)
class Chosen:
    """The judge of a node in service: these pods go if something makes them anew, and no others."""

    uids: frozenset[str]
    rules: Rules = Rules()

    def __call__(self, pods: Sequence[Candidate], _leaving: Collection[str] = ()) -> list[Verdict]:
        """A verdict on each pod, in the order given."""
        return [self._judge(pod) for pod in pods]

    def _judge(self, pod: Candidate) -> Verdict:
        stays = _always_stays(pod) or ("" if pod.uid in self.uids else OUT_OF_SCOPE)
        return Verdict(pod, STAY, stays) if stays else _leave(pod, self.rules)


def _leave(pod: Candidate, rules: Rules, assumed: bool = False) -> Verdict:
    reason, message = ("", "") if pod.state.terminating else rules.objection(pod)
    return Verdict(pod, BLOCKED if reason else EVICT, reason, message, assumed)


def _always_stays(pod: Candidate) -> str:
    if pod.mirror:
        return MIRROR
    if pod.daemon:
        return DAEMONSET
    return FINISHED if pod.state.finished else ""


def count_staying(verdicts: Iterable[Verdict]) -> dict[str, int]:
    """Number of pods that stay, by reason."""
    counts: dict[str, int] = {}
    for verdict in verdicts:
        if verdict.action == STAY:
            counts[verdict.reason] = counts.get(verdict.reason, 0) + 1
    return dict(sorted(counts.items()))
