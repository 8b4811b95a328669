# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading and changing nodes. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Callable, Iterable, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.clock import Clock
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.errors import ApiError
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.fencing import Fence
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.parallel import work_through
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.protocol import KubeApi
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.retrying import TRIES, passes, pause
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import DONE, PATCH, Decision, refuse
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState, observe_node

#: Up to so many nodes are read one by one; for more the whole list is the smaller effort.
_SINGLE_READS = 20

NODES_PATH = api_path("nodes")


@dataclass(frozen=True)
class NodeWrite:
    """What became of a decision.

    :param before: the node that the decision was made on.
    :param after: the node as the API answered; equal to ``before`` if nothing was written.
    """

    decision: Decision
    before: NodeState
    after: NodeState

    @property
    def changed(self) -> bool:
        """A patch was written, or in check mode would be."""
        return self.decision.verdict == PATCH


class Nodes:
    """The nodes of a cluster."""

    def __init__(self, api: KubeApi, fence: Fence, clock: Clock, parallel: int) -> None:
        self._api = api
        self._fence = fence
        self._clock = clock
        self._parallel = parallel

    def read(self, wanted: Sequence[str]) -> dict[str, NodeState]:
        """The nodes of these names; one that does not exist is left out."""
        if len(wanted) <= _SINGLE_READS:
            found: Iterable[NodeState | None] = work_through(self.read_one, wanted, self._parallel)
        else:
            names = set(wanted)
            found = [node for node in self.read_all() if node.name in names]
        return {node.name: node for node in found if node is not None}

    def read_one(self, name: str) -> NodeState | None:
        """A node, None if it does not exist."""
        obj = self._api.get_or_none(api_path("nodes", name=name))
        return observe_node(obj) if obj else None

    def read_all(self) -> list[NodeState]:
        """All nodes, of each only what a rollout needs."""
        return [observe_node(obj) for page in self._api.pages(NODES_PATH) for obj in page.items]

    def write(self, node: NodeState, decide: Callable[[NodeState], Decision]) -> NodeWrite:
        """Decide and write. The patch holds only for the very node that was decided on; otherwise the node is read and
        decided on anew, a bounded number of times.

        :raises LeaseLostError: this run may not write any more.
        :raises ApiError: not authenticated or not permitted, which no other node will be either.
        """
        unsure: NodeWrite | None = None  # a patch that was sent and not answered
        for attempt in range(TRIES):
            decision = decide(node)
            if decision.verdict != PATCH:
                return self._unwritten(decision, node, unsure)
            self._fence.check()
            try:
                obj = self._api.patch(api_path("nodes", name=node.name), decision.patch.body(node.resource_version))
            except ApiError as error:
                if not passes(error):
                    return self._failed(error, node)
                if error.outcome_unknown:
                    unsure = NodeWrite(decision, node, node)
                trouble = error
            else:
                return NodeWrite(decision, node, observe_node(obj))
            pause(self._clock, attempt, trouble)
            present = self.read_one(node.name)
            if present is None:
                return NodeWrite(refuse("the node was deleted meanwhile"), node, node)
            node = present
        return NodeWrite(refuse(f"gave up after {TRIES} tries: {trouble.msg}"), node, node)

    def _unwritten(self, decision: Decision, node: NodeState, unsure: NodeWrite | None) -> NodeWrite:
        if decision.verdict == DONE and unsure is not None:
            return replace(unsure, after=node)  # the unanswered patch did arrive
        return NodeWrite(decision, node, node)

    def _failed(self, error: ApiError, node: NodeState) -> NodeWrite:
        if error.status in (401, 403):
            raise error
        if error.status == 404:
            return NodeWrite(refuse("the node was deleted meanwhile"), node, node)
        return NodeWrite(refuse(error.msg), node, node)
