# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Check mode: what a node would look like when a step is reached. PRIVATE to the collection.

In check mode no earlier step has written anything. So that a step reports the same changes as in a real run, the
decisions of the steps before it are applied to the observed node, and their waits are taken as ended well.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Callable

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.decision import PATCH, Decision, done
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.pausing import decide_resumed
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import NodeTarget
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.steps import (
    RunContext,
    decide_in_maintenance,
    decide_serving,
    decide_withdrawn,
    not_ours,
)

Decide = Callable[[NodeState, NodeTarget, RunContext], Decision]


def _resumed(node: NodeState, target: NodeTarget, run: RunContext) -> Decision:
    """What a run that is gone has paused, a rollout with a step for MIG has resumed by then."""
    return decide_resumed(node, not_ours(node, run)) if target.mig is not None else done()


_BEFORE: dict[str, tuple[Decide, ...]] = {
    "in_maintenance": (),
    "paused": (decide_in_maintenance,),
    "withdrawn": (decide_in_maintenance,),
    "serving": (decide_in_maintenance, decide_withdrawn),
    "resumed": (decide_in_maintenance, decide_withdrawn, decide_serving),
    "in_service": (decide_in_maintenance, decide_withdrawn, decide_serving, _resumed),
}


def assume_steps_before(step: str, node: NodeState, target: NodeTarget, run: RunContext) -> NodeState:
    """The node as it would be at the beginning of a step."""
    changed = False
    for decide in _BEFORE[step]:
        decision = decide(node, target, run)
        if decision.verdict == PATCH:
            node, changed = node.patched(decision.patch), True
    if step == "in_service" and (changed or node.maintenance is not None):
        return replace(node, not_ready="", allocatable={**node.allocatable, **target.wanted()})
    return node
