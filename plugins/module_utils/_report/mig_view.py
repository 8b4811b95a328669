# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""MIG devices in words: what GPUs are divided into, what a plan makes of it, and who has to pause for it. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterable, Iterator, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.daemonsets import title_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.kinds import kind_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.names import compute_name
from ansible_collections.kubegpu.sharing.plugins.module_utils._mig.nearest import show_numbers
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import (
    Column,
    Row,
    Section,
    capped_items,
    capped_table,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count, in_order, natural

Gpu = Mapping[str, Any]

HEADING = "MIG devices"
_UNITS_NOTE = (
    "Places are counted in memory units. GPU instances that are kept are not touched, and neither are pods on them; who holds one "
    "that is destroyed is evicted first."
)


def describe_layout(layout: Mapping[str, Any]) -> str:
    """Mode and instances, such as "7 × 1g.12gb at 0-6", "MIG on, empty" or "MIG off".

    :param layout: mode, and instances with profile, start and compute: sizes, or mappings with slices.
    """
    if layout.get("mode") != "enabled":
        return "MIG off"
    starts: dict[str, list[int]] = {}
    for instance in layout.get("instances") or ():
        starts.setdefault(_name(instance), []).append(int(instance["start"]))
    parts = [
        f"{len(places)} × {name} at {show_numbers(sorted(places))}"
        for name, places in sorted(starts.items(), key=lambda one: natural(one[0]), reverse=True)
    ]
    return ", ".join(parts) or "MIG on, empty"


def _name(instance: Mapping[str, Any]) -> str:
    """A GPU instance by its profile, with its compute instances where it is not one device as a whole."""
    profile = str(instance.get("profile"))
    sizes = [one["slices"] if isinstance(one, Mapping) else one for one in instance.get("compute") or ()]
    if not sizes:
        return f"{profile} without compute instance"
    devices = [compute_name(profile, size) for size in sizes]
    return profile if devices == [profile] else f"{profile} ({' + '.join(devices)})"


def describe_steps(gpu: Gpu) -> str:
    """What a plan does to the GPU instances of a GPU."""
    return f"keeps {len(gpu['keep'])}, destroys {len(gpu['destroy'])}, creates {len(gpu['create'])}"


def mig_section(plan: Mapping[str, Any], names: Sequence[str], limit: int) -> Optional[Section]:
    """What becomes of MIG; None if the plan has nothing to do with it."""
    nodes = {name: plan["nodes"][name]["mig"] for name in names if plan["nodes"][name].get("mig")}
    rows = [row for name, mig in nodes.items() for row in _rows(name, mig)]
    if not rows:
        return None
    columns = [Column("Node"), Column("GPU", wrap=True), Column("Now", wrap=True), Column("MIG devices", wrap=True)]
    items = [line for name, mig in nodes.items() if mig.get("changes") for line in _pauses(name, mig)]
    return Section(HEADING, _UNITS_NOTE, capped_table(columns, rows, limit), capped_items(items, limit))


def _rows(name: str, mig: Mapping[str, Any]) -> Iterator[Row]:
    """A row for each way in which GPUs of a node are treated."""
    alike: dict[tuple[str, str], list[str]] = {}
    for gpu in mig.get("gpus") or ():
        now, after = describe_layout(gpu["before"]), describe_layout(gpu["after"])
        alike.setdefault((now, f"{after} ({describe_steps(gpu)})"), []).append(str(gpu["index"]))
    for (now, after), indices in alike.items():
        yield (name, ", ".join(indices), now, after)


def _pauses(name: str, mig: Mapping[str, Any]) -> Iterator[str]:
    holders = mig.get("holders") or {}
    sets = [f"{one['daemonset']} (by {_method(one)})" for one in holders.get("daemonsets") or ()]
    units = _unique(one.get("unit") or one.get("command") for one in holders.get("host") or ())
    paused = [
        *([f"DaemonSets {', '.join(sets)}"] if sets else []),
        *([f"on the host {', '.join(units)}"] if units else []),
    ]
    if paused:
        yield f"{name}: paused meanwhile, since they keep the driver open: {'; '.join(paused)}."
    if holders.get("ignored"):
        yield f"{name}: left as they are, though they may keep the driver open: {', '.join(holders['ignored'])}."
    if mig.get("reset"):
        together = ", coupled by NVLink, together" if mig.get("reset_coupled") else ""
        yield f"{name}: {describe_count(len(mig['reset']), 'GPU')} reset{together}."


def _method(holder: Mapping[str, Any]) -> str:
    return (
        f"label {holder['label']}"
        if holder.get("method") == "label" and holder.get("label")
        else str(holder.get("method"))
    )


def _unique(names: Iterable[Any]) -> list[str]:
    return in_order({str(name) for name in names if name})


def paused_daemonsets(plan: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, set[str]]:
    """DaemonSets, "namespace/name", that leave a node while its MIG devices change, by node.

    A plan that goes back to a layout names none: what is known to keep the driver open is taken for paused then.
    """
    known = {title_of(one) for one in cluster.get("daemonsets") or () if kind_of(one)}
    paused = {}
    for name, node in (plan.get("nodes") or {}).items():
        mig = node.get("mig") or {}
        if mig.get("changes"):
            holders = mig.get("holders")
            named = {one["daemonset"] for one in (holders or {}).get("daemonsets") or ()}
            paused[name] = named if holders is not None else known
    return paused
