# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module that plans a rollback returns, in the words of every plan's task. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import plan_diff
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.result import plan_facts


def to_result(plan: Mapping[str, Any], dest: str | None, requests: Mapping[str, int]) -> Outcome:
    """The outcome."""
    facts = {**plan_facts(plan, dest), "kind": plan["kind"], "snapshot": plan["snapshot"], "requests": dict(requests)}
    return Outcome(**plan_diff(plan), facts=facts)
