# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a measurement, in figures: the content of its report.json. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.cluster_view import (
    Cluster,
    allocatable,
    count_slots,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.measured_cards import (
    cards_of_measurement,
    courses_of,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_cards import (
    PodName,
    Shares,
    join_cards,
    name_pods,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.mig_layout import layouts_of
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import in_order

SCHEMA_VERSION = 1
#: Not "measurement": the report lies beside the files that are such.
KIND = "measurement_report"
#: Of a proposal, what report.json has as it is.
_FROM_PROPOSAL = (
    "margin",
    "hosts",
    "measurements",
    "measured_from",
    "measured_to",
    "seconds",
    "configs",
    "workloads",
    "outside",
    "never_ran",
    "warnings",
    "fragment",
)
#: With the proposal, of each node.
_SIZING = ("memory_total_mib", "process_memory_mib", "slot_mib", "headroom_mib", "utilization", "arithmetic")
Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """Everything that is known of a measurement.

    :param proposal: what sizing_proposal made of the samples.
    :param plan: what the configuration as it is leads to; None if no plan was made.
    :param proposed: what it leads to with the proposed sizes; None likewise.
    :param measurements: what was measured on each node, as merge_measurements makes it of one or several samplings.
    :param clusters: cluster files, the latest last.
    :param fragment_path: where the fragment was written.
    :param extra: keys that the caller adds to report.json.
    """

    proposal: Mapping[str, Any]
    plan: Optional[Plan] = None
    proposed: Optional[Plan] = None
    measurements: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    clusters: Sequence[Cluster] = ()
    fragment_path: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def summarise_measurement(measured: Measured, created: str) -> dict[str, Any]:
    """Content of report.json.

    :param created: the time of the report, RFC 3339.
    """
    plan, proposed = measured.plan or {}, measured.proposed or {}
    nodes = {**(plan.get("nodes") or {}), **(proposed.get("nodes") or {})}
    pods = name_pods(*measured.clusters)
    cards = _cards(measured, proposed, pods)
    samplings = {name for measurement in measured.measurements.values() for name in measurement["ids"]}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "created": created,
        "samplings": sorted(samplings),
        **{name: measured.proposal.get(name) for name in _FROM_PROPOSAL},
        "fragment_path": measured.fragment_path or None,
        # a plan that is refused has nodes all the same
        "slots_now": _first(_total(plan, "slots_before"), _total(proposed, "slots_before"), _count(measured.clusters)),
        "slots_configured": None if plan.get("problems") else _total(plan, "slots_after"),
        "slots_proposed": None if proposed.get("problems") else _total(proposed, "slots_after"),
        "plan_problems": _messages(plan),
        "proposal_problems": _messages(proposed),
        "nodes": {name: _node(name, plan, proposed) for name in in_order(nodes)},
        "cards": cards,
        "courses": courses_of(measured.measurements, pods, cards),
        **measured.extra,
    }


def _cards(measured: Measured, proposed: Plan, pods: Mapping[str, PodName]) -> list[dict[str, Any]]:
    """Cards when they were fullest, with the slots that their nodes have now, and with those of the proposal."""
    now: dict[str, dict[str, dict[str, Any]]] = {}
    then: dict[str, dict[str, dict[str, Any]]] = {}
    nodes = {name: node for cluster in measured.clusters for name, node in (cluster.get("nodes") or {}).items()}
    for name in in_order(measured.measurements):
        measurement = measured.measurements[name]
        planned = (proposed.get("nodes") or {}).get(name)
        shares = Shares.of(planned or {}, allocatable(nodes.get(name) or {}))
        now[name] = cards_of_measurement(measurement, shares, pods)
        # where MIG devices change, nothing that was measured is on one that will be there
        if planned and not (planned.get("mig") or {}).get("changes"):
            shares = Shares.of(planned, planned.get("expected_resources") or {})
            then[name] = cards_of_measurement(measurement, shares, pods)
    return join_cards(now, then)


def _total(plan: Plan, name: str) -> Optional[int]:
    return (plan.get("totals") or {}).get(name)


def _count(clusters: Sequence[Cluster]) -> Optional[int]:
    """Slots of the whole cluster, where no plan was made."""
    return count_slots(clusters[-1]) if clusters else None


def _first(*amounts: Optional[int]) -> Optional[int]:
    return next((amount for amount in amounts if amount is not None), None)


def _messages(plan: Plan) -> list[str]:
    return [
        str(entry.get("message") or entry) if isinstance(entry, Mapping) else str(entry)
        for entry in plan.get("problems") or ()
    ]


def _node(name: str, plan: Plan, proposed: Plan) -> dict[str, Any]:
    """A node as it is, as configured and as proposed. Figures that are not known are None."""
    now, then = ((one.get("nodes") or {}).get(name) or {} for one in (plan, proposed))
    either = then or now
    sizing = then.get("sizing") or {}
    return {
        "product": either.get("product"),
        "gpu_count": either.get("gpu_count"),
        "key": either.get("key"),
        "slots_now": either.get("slots_before"),
        "slots_configured": now.get("slots_after"),
        "slots_proposed": then.get("slots_after"),
        **{name: sizing.get(name) for name in _SIZING},
        "by_resource": sizing.get("resources") or {},
        "mig_devices": then.get("mig_devices") or {},
        "mig_layouts": layouts_of(then),
        "changed_by_proposal": now.get("slots_after") != then.get("slots_after"),
    }
