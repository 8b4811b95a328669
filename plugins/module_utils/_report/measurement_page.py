# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The page of a measurement. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.page import Head, compose_page
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import (
    NOTHING,
    describe_count,
    describe_duration,
    join_some,
)

_FOOTNOTE = (
    "Slots are what a plan makes of the planned nodes' GPUs, summed over resources and nodes. A peak is the highest of all samples: what "
    "happened between two of them is not in it."
)


def render_measurement(figures: Mapping[str, Any], documents: Sequence[Document]) -> str:
    """The page.

    :param figures: content of the measurement's report.json.
    :param documents: views whose tables go below the figures.
    """
    now, proposed = figures["slots_now"], figures["slots_proposed"]
    known = now is not None and proposed is not None
    samplings = list(figures["samplings"])
    head = Head(
        title=f"GPU memory measured: {now} slots now, {proposed} as proposed" if known else "GPU memory measured",
        of="measurement" if len(samplings) == 1 else "measurements",
        identity=join_some(samplings) or NOTHING,
        verdict=documents[0].subtitle if documents else "",
        mood="bad" if figures["proposal_problems"] else "",
        cards=_cards(figures),
        footnote=_FOOTNOTE,
        cluster=figures.get("cluster"),
    )
    return compose_page(head, [], documents, figures["created"])


def _cards(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    warnings = [one for one in figures["warnings"] or () if one.get("severity") == "warning"]
    hosts = int(figures["hosts"] or 0)
    return [
        {"value": NOTHING if figures["slots_now"] is None else str(figures["slots_now"]), "words": "GPU slots now"},
        {
            "value": NOTHING if figures["slots_proposed"] is None else str(figures["slots_proposed"]),
            "words": "with the proposal",
        },
        {"value": str(len(figures["workloads"] or ())), "words": "workloads measured"},
        {"value": describe_duration(figures["seconds"] or 0), "words": f"of samples, {describe_count(hosts, 'host')}"},
        {"value": str(len(figures["never_ran"] or ())), "words": "GPU pods not measured"},
        {"value": str(len(warnings)), "words": "warnings"},
    ]
