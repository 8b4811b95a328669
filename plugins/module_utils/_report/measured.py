# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What came of a measurement, in figures: the content of its report.json. PRIVATE to the collection."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import in_order

SCHEMA_VERSION = 1
KIND = "measurement"
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
Plan = Mapping[str, Any]


@dataclass(frozen=True)
class Measured:
    """Everything that is known of a measurement.

    :param proposal: what sizing_proposal made of the samples.
    :param plan: what the configuration as it is leads to; None if no plan was made.
    :param proposed: what it leads to with the proposed sizes; None likewise.
    :param samplings: ids of the samplings that were used.
    :param cards: memory of each card, see memory_cards.
    :param courses: memory over time, see usage_over_time.
    :param fragment_path: where the fragment was written.
    :param extra: keys that the caller adds to report.json.
    """

    proposal: Mapping[str, Any]
    plan: Optional[Plan] = None
    proposed: Optional[Plan] = None
    samplings: Sequence[str] = ()
    cards: Sequence[Mapping[str, Any]] = ()
    courses: Sequence[Mapping[str, Any]] = ()
    fragment_path: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def summarise_measurement(measured: Measured, created: str) -> dict[str, Any]:
    """Content of report.json.

    :param created: the time of the report, RFC 3339.
    """
    plan, proposed = measured.plan or {}, measured.proposed or {}
    nodes = {**(plan.get("nodes") or {}), **(proposed.get("nodes") or {})}
    return {
        "schema_version": SCHEMA_VERSION,
        "kind": KIND,
        "created": created,
        "samplings": list(measured.samplings),
        **{name: measured.proposal.get(name) for name in _FROM_PROPOSAL},
        "fragment_path": measured.fragment_path or None,
        "slots_now": _total(plan, "slots_before"),
        "slots_configured": None if plan.get("problems") else _total(plan, "slots_after"),
        "slots_proposed": None if proposed.get("problems") else _total(proposed, "slots_after"),
        "plan_problems": _messages(plan),
        "proposal_problems": _messages(proposed),
        "nodes": {name: _node(name, plan, proposed) for name in in_order(nodes)},
        "cards": list(measured.cards),
        "courses": list(measured.courses),
        **measured.extra,
    }


def _total(plan: Plan, name: str) -> Optional[int]:
    return (plan.get("totals") or {}).get(name)


def _messages(plan: Plan) -> list[str]:
    return [
        str(entry.get("message") or entry) if isinstance(entry, Mapping) else str(entry)
        for entry in plan.get("problems") or ()
    ]


def _node(name: str, plan: Plan, proposed: Plan) -> dict[str, Any]:
    """A node as it is, as configured and as proposed. Figures that are not known are None."""
    now, then = ((one.get("nodes") or {}).get(name) or {} for one in (plan, proposed))
    either = then or now
    return {
        "product": either.get("product"),
        "gpu_count": either.get("gpu_count"),
        "key": either.get("key"),
        "slots_now": either.get("slots_before"),
        "slots_configured": now.get("slots_after"),
        "slots_proposed": then.get("slots_after"),
        "arithmetic": (then.get("sizing") or {}).get("arithmetic"),
        "changed_by_proposal": now.get("slots_after") != then.get("slots_after"),
    }
