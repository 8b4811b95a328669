# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the module that plans a rollback returns, in the words of every plan's task. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._core.outcome import Outcome
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.planner import plan_diff

#: With more nodes than this the result leaves out what stands in the file, for Ansible copies results many times.
LARGE_FLEET = 100


def to_result(plan: Mapping[str, Any], dest: str | None, requests: Mapping[str, int]) -> Outcome:
    """The outcome. The plan is nested, for Ansible has a meaning of its own for "skipped" and "warnings"."""
    shown = dict(plan)
    if dest and len(plan["nodes"]) > LARGE_FLEET:
        del shown["nodes"]
        shown["configs"] = {
            key: {word: value for word, value in config.items() if word not in ("objects", "nodes")}
            for key, config in plan["configs"].items()
        }
        shown["rehearsal"] = {word: value for word, value in (plan.get("rehearsal") or {}).items() if word != "waves"}
    diff = plan_diff(plan)
    return Outcome(
        before=diff["before"],
        after=diff["after"],
        facts={
            **{word: plan[word] for word in ("plan_id", "empty", "kind", "snapshot", "waves", "wave_sizes")},
            "wave_hosts": [
                {"node": node, "host": plan["nodes"][node]["host"] or node} for wave in plan["waves"] for node in wave
            ],
            "plan": shown,
            "dest": dest,
            "requests": dict(requests),
        },
    )
