# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Maintenance for its own sake: what nodes are to be again at its end. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.nodes import Nodes
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.step import Session
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import RolloutPlan


def plan_as_is(session: Session) -> RolloutPlan:
    """The plan that changes nothing about the nodes of the call."""
    params = session.params
    names = list(dict.fromkeys(params["nodes"]))
    found = Nodes(session.api, session.fence, session.clock, params["parallel"]).read(names)
    return RolloutPlan.as_is(params["lock_namespace"], {name: found.get(name) for name in names})
