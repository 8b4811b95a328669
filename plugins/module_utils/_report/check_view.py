# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The end of a run in check mode: what one in earnest would do, and how to start it. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Optional

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import Cluster
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document, Section, capped_items
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.holds import find_holds, holds_section
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.plan_view import describe_plan
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count, join_some

Plan = Mapping[str, Any]
_STEPS = {"in_maintenance": ("pod", "evicted"), "in_service": ("stale pod", "recreated")}


def show_check(plan: Plan, limit: int, cluster: Optional[Cluster] = None) -> Document:
    """What a run in earnest would do.

    :param limit: waves that are listed at most.
    :param cluster: the cluster that the plan was made for, if known.
    """
    holds = find_holds(plan, cluster)
    rehearsal = plan.get("rehearsal") or {}
    waves = {wave.get("wave"): wave for wave in rehearsal.get("waves") or []}
    items = [
        f"Wave {number}, {describe_count(len(names), 'node')}: {join_some(list(names), 8)}; {_describe_pods(waves.get(number))}"
        for number, names in enumerate(plan.get("waves") or [], start=1)
    ]
    sections = [
        Section("What would be done", " ".join(rehearsal.get("summary") or []), items=capped_items(items, limit)),
        holds_section(holds, limit, plan.get("kind")),
    ]
    return Document(
        f"Check of plan {plan.get('plan_id')}: nothing was changed",
        describe_plan(plan, holds),
        [section for section in sections if section],
    )


def _describe_pods(wave: Optional[Mapping[str, Any]]) -> str:
    evictions = (wave or {}).get("evictions") or []
    told = []
    for step, (noun, verb) in _STEPS.items():
        count = sum(1 for eviction in evictions if eviction.get("step") == step)
        if count:
            told.append(f"{describe_count(count, noun)} {verb}")
    return ", ".join(told) or "no pod evicted"
