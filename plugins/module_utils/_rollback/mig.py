# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How the MIG instances of a node go back to a recorded layout. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.errors import InputError
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.planner import Rules
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.record import layout_of, read_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.restoring import plan_layout
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_entry import mig_entry
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_node import NodeMig, read_gpus, unread_gpus
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.mig_words import MIXED, MigWords
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.mig import is_whole, same_devices, same_layout

_WHERE = "the layout that is to come back"
_UNREAD = (
    "its MIG instances are to go back, and what its GPUs are like now could not be read. Let its host be reached, name it in the "
    "inventory (kubegpu_node_name tells which node a host is), and run again with kubegpu_facts auto or nodes"
)


@dataclass(frozen=True)
class MigBack:
    """What is to be done about the MIG instances of a node that goes back.

    :param recorded: the layout before the run, as a document.
    :param standing: the one that was found; None if the GPUs could not be read.
    :param node: what becomes of its GPUs; None if that cannot be told, for which ``problems`` are the reasons.
    """

    recorded: Mapping[str, Any]
    standing: Mapping[str, Any] | None = None
    node: NodeMig | None = None
    problems: Sequence[str] = ()

    @property
    def changes(self) -> bool:
        """Something of it differs."""
        return self.node is not None and bool(self.node.changing)

    def entry(self) -> dict[str, Any] | None:
        """As it stands at a node of a plan. What holds the GPUs is looked for when they change."""
        if self.node is None:
            return None
        request = (
            {"state": "absent", "gpus": "all"}
            if is_whole(self.recorded)
            else {"state": "present", "layout": self.recorded, "enable": "when_needed"}
        )
        return {**mig_entry(self.node), "strategy": "as before", "request": request, "holders": None}

    def is_of_others(self, set_by_run: Mapping[str, Any] | None) -> bool:
        """Somebody has laid the GPUs out anew: they are neither what the run had made of them nor what they were before."""
        known = self.standing is not None and set_by_run is not None
        return known and self.changes and not same_devices(self.standing, set_by_run)


def plan_mig_back(
    recorded: Mapping[str, Any] | None,
    made: Mapping[str, Any] | None,
    facts: Mapping[str, Any] | None,
    state: NodeState,
) -> MigBack | None:
    """What becomes of the MIG instances of a node.

    :param recorded: the layout before the run; None where that left MIG alone.
    :param made: the layout that the run was to make of it.
    :param facts: what gpu_info found on the node; None if it could not be read.
    """
    if not recorded:
        return None
    if not facts or not facts.get("gpus"):
        # What the run was to leave as it is keeps no node from going back.
        return None if made and same_layout(recorded, made) else MigBack(recorded, problems=[_UNREAD])
    gpus = read_gpus(facts["gpus"], facts.get("allocations"), state)
    standing = layout_of(gpu for gpu in gpus if gpu.capable)
    problems = unread_gpus(facts["gpus"], _WHERE)
    try:
        plans = plan_layout(_WHERE, gpus, read_layout(_WHERE, recorded), Rules(assume_idle=True))
    except InputError as error:
        problems += error.problems
    if problems:
        return MigBack(recorded, standing, problems=problems)
    node = NodeMig(MigWords(MIXED), facts["gpus"], gpus, tuple(plans), {})
    if node.check_reset():
        return MigBack(recorded, standing, problems=node.check_reset())
    return MigBack(recorded, standing, node)
