# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Container runtimes in words: what a plan does about them, and who is disturbed by it. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count, join_some

Node = Mapping[str, Any]

HEADING = "Container runtimes"
_NOTE = (
    "Each node is out of service meanwhile. If a runtime does not come back with its new files, the old ones do, the wave fails and the "
    "node stays out of service."
)
_SERVERS_NOTE = " No wave has two servers of the control plane."
_GONE = {
    "all": "all pods of the node evicted",
    "gpu_pods": "all GPU pods of the node evicted",
}


def runtime_section(plan: Mapping[str, Any], names: Sequence[str], limit: int) -> Optional[Section]:
    """What is done about container runtimes, alike nodes in one row; None if nothing is."""
    alike: dict[tuple[str, str, str], list[str]] = {}
    for name in names:
        runtime = plan["nodes"][name].get("runtime")
        if runtime:
            row = (_title(runtime), "; ".join(map(str, runtime["actions"])), _describe_units(runtime))
            alike.setdefault(row, []).append(name)
    if not alike:
        return None
    columns = [
        Column("Nodes", wrap=True),
        Column("Runtime", wrap=True),
        Column("What is done", wrap=True),
        Column("Restarted", wrap=True),
    ]
    rows = [(join_some(nodes, 8), *row) for row, nodes in alike.items()]
    servers = any(plan["nodes"][name]["runtime"].get("server") for nodes in alike.values() for name in nodes)
    return Section(HEADING, f"{_NOTE}{_SERVERS_NOTE if servers else ''}", capped_table(columns, rows, limit))


def set_up_runtime(name: str, planned: Node) -> dict[str, Any]:
    """Of a node whose runtime was set up as planned, for the report."""
    runtime = planned["runtime"]
    units = [str(unit) for unit in runtime.get("units") or ()] if runtime.get("restart") else []
    return {"node": name, "runtime": _title(runtime), "restarted": units}


def done_section(runtimes: Sequence[Mapping[str, Any]], limit: int) -> Optional[Section]:
    """The runtimes that a rollout has set up; None if there are none.

    :param runtimes: as :func:`set_up_runtime` tells them.
    """
    items = [
        f"{one['node']}: {one['runtime']}" + (f", {', '.join(one['restarted'])} restarted" if one["restarted"] else "")
        for one in runtimes
    ]
    return Section("Container runtimes that were set up", items=capped_items(items, limit)) if items else None


def _title(runtime: Mapping[str, Any]) -> str:
    return " ".join(str(runtime[word]) for word in ("engine", "version") if runtime.get(word))


def _describe_units(runtime: Mapping[str, Any]) -> str:
    return (", ".join(map(str, runtime.get("units") or ())) or "yes") if runtime.get("restart") else "no"


def describe_runtime_disruption(node: Node, switches: bool) -> str:
    """Who is disturbed on a node whose runtime is set up, and in which order things are done there.

    :param switches: its device plugin changes too.
    """
    evict, runtime, mig = node.get("evict") or {}, node["runtime"], node.get("mig") or {}
    going = len(evict.get("pods") or [])
    if evict.get("scope") in _GONE:
        pods = f"{_GONE[evict['scope']]} ({going})"
    else:
        pods = f"{describe_count(going, 'pod')} evicted" if going else "nothing evicted"
    verb = "restarted" if runtime.get("restart") else "set up"
    return ", ".join(
        [
            "cordoned",
            pods,
            f"{runtime.get('engine')} {verb}",
            *(["MIG devices laid out"] if mig.get("changes") else []),
            *(["plugin switched"] if switches else ["the plugin stays"]),
        ]
    )
