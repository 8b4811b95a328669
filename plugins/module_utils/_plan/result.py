# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task that makes a plan returns of it, of whatever kind the plan is. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

#: With more nodes than this the result leaves out what stands in the file, for Ansible copies results many times.
LARGE_FLEET = 100


def plan_facts(plan: Mapping[str, Any], dest: str | None) -> dict[str, Any]:
    """The plan, and what a role needs of it.

    The plan is nested, for Ansible has a meaning of its own for "skipped" and "warnings".

    :param dest: the file that has it all; None if none was written.
    """
    return {
        "plan_id": plan["plan_id"],
        "empty": plan["empty"],
        "waves": plan["waves"],
        "wave_sizes": plan["wave_sizes"],
        "wave_hosts": [
            {"node": node, "host": plan["nodes"][node]["host"] or node} for wave in plan["waves"] for node in wave
        ],
        "mig_differences": mig_differences(plan),
        "mig_nodes": sorted(node for wave in plan["waves"] for node in wave if plan["nodes"][node].get("mig")),
        "runtime_differences": runtime_differences(plan),
        "runtime_nodes": sorted(node for wave in plan["waves"] for node in wave if plan["nodes"][node].get("runtime")),
        "plan": _shorten(plan) if dest and len(plan["nodes"]) > LARGE_FLEET else dict(plan),
        "dest": dest,
    }


def mig_differences(plan: Mapping[str, Any]) -> list[str]:
    """How GPUs differ from their MIG layout: a device plugin goes on advertising devices that are there no more."""
    return [
        f"{name}: {difference}"
        for name, node in sorted(plan["nodes"].items())
        for difference in (node.get("mig") or {}).get("differences") or ()
    ]


def runtime_differences(plan: Mapping[str, Any]) -> list[str]:
    """How container runtimes are not as wanted: nothing in the cluster tells of it."""
    return [
        f"{name}: {difference}"
        for name, node in sorted(plan["nodes"].items())
        for difference in (node.get("runtime") or {}).get("differences") or ()
    ]


def _shorten(plan: Mapping[str, Any]) -> dict[str, Any]:
    shown = {word: value for word, value in plan.items() if word != "nodes"}
    shown["configs"] = {key: _without(config, "objects", "nodes") for key, config in plan["configs"].items()}
    shown["rehearsal"] = _without(plan.get("rehearsal") or {}, "waves")
    return shown


def _without(mapping: Mapping[str, Any], *words: str) -> dict[str, Any]:
    return {word: value for word, value in mapping.items() if word not in words}
