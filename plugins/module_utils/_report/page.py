# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The report as one HTML page that needs nothing else. PRIVATE to the collection."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Any, Mapping, Optional, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Document
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.ending import (
    FINISHED,
    describe_stop,
    list_failures,
)
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_bars import draw_bars
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.memory_figure import draw_memory
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.page_template import STYLE, TEMPLATE
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.palette import Palette
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.slots_figure import draw_slots
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.summary import describe_verdict
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.svg import Figure
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.timeline_figure import draw_timeline
from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import describe_count, describe_seconds
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.plan import ROLLBACK

# Comes with Ansible itself.
with contextlib.suppress(ImportError):
    from jinja2 import Environment, StrictUndefined


@dataclass(frozen=True)
class Head:
    """What a page begins with.

    :param of: what ``identity`` is the identity of.
    :param cluster: name of the cluster, None if nobody named it.
    :param mood: "good", "bad" or "": how the verdict is coloured.
    :param cards: figures that stand for the whole, as value and words.
    :param problems: sentences that explain a bad verdict.
    :param steps: what to do about it, as words and commands.
    """

    title: str
    of: str
    identity: str
    verdict: str
    mood: str
    cards: Sequence[Mapping[str, str]]
    footnote: str
    cluster: Optional[Any] = None
    problems: Sequence[str] = ()
    steps: Sequence[Mapping[str, Any]] = ()


def render_page(figures: Mapping[str, Any], documents: Sequence[Document]) -> str:
    """The page of a rollout.

    :param figures: content of report.json.
    :param documents: views whose tables go below the figures.
    """
    what = "Rollback" if figures["kind"] == ROLLBACK else "GPU sharing"
    head = Head(
        title=f"{what}: {figures['slots_before']} → {figures['slots_after']} slots",
        of="plan",
        identity=str(figures["plan_id"]),
        verdict=_verdict(figures),
        mood="good" if figures["as_planned"] and figures["outcome"] in (None, FINISHED) else "bad",
        cards=_cards(figures),
        footnote="Slots are what nodes advertise of the GPU plugin's resources, summed over resources and nodes.",
        cluster=figures.get("cluster"),
        problems=list_failures(figures),
        steps=(figures.get("stop") or {}).get("next") or (),
    )
    drawings = [
        drawing("slots", [draw_slots(figures["nodes"])]),
        drawing("memory", [draw_memory(figures["nodes"])]),
        *draw_cards(figures["cards"], ("before", "after")),
        # a phone and paper get a narrow drawing with the same size of letters
        drawing("timeline", [draw_timeline(figures["timeline"], 940), draw_timeline(figures["timeline"], 440)]),
    ]
    return compose_page(head, drawings, documents, figures["created"])


def draw_cards(
    cards: Sequence[Mapping[str, Any]],
    whens: tuple[str, str],
    palette: Optional[Palette] = None,
    title: str = "Who holds the memory of each card",
) -> list[dict[str, Any]]:
    """The figure of each card's memory; none where no card was read."""
    if not cards:
        return []
    return [drawing("cards-memory", [draw_bars(cards, whens, width, palette, title) for width in (940, 440)])]


def compose_page(head: Head, drawings: Sequence[Mapping[str, Any]], documents: Sequence[Document], created: str) -> str:
    """A page of a head, drawings and tables. :param created: RFC 3339."""
    # Names and messages come from the API and may hold anything: the template escapes everything but
    # the style sheet and the drawings, which escape what they show themselves.
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    return environment.from_string(TEMPLATE).render(
        style=STYLE,
        head=head,
        drawings=drawings,
        documents=documents,
        created=created,
        time=created.replace("T", " ").replace("Z", " UTC"),
    )


def _verdict(figures: Mapping[str, Any]) -> str:
    words = describe_verdict(figures)
    return f"{describe_stop(figures)}{words[0].upper()}{words[1:]}."


def drawing(name: str, variants: Sequence[Figure]) -> dict[str, Any]:
    """A figure as the template takes it. :param variants: one, or a wide and a narrow one."""
    classes = ("wide", "narrow") if len(variants) > 1 else ("only",)
    return {
        "name": name,
        "figure": variants[0],
        "svg": [
            {"style": style, "markup": figure.render(f"{name}-{style}")} for style, figure in zip(classes, variants)
        ],
    }


def _cards(figures: Mapping[str, Any]) -> list[dict[str, str]]:
    duration = figures.get("duration_seconds")
    return [
        {"value": f"{figures['slots_before']} → {figures['slots_after']}", "words": "GPU slots"},
        {"value": f"{figures['pending_before']} → {figures['pending_after']}", "words": "pending GPU pods"},
        {"value": str(figures["evicted_pods"]), "words": "pods evicted"},
        {"value": str(figures["admission_errors"]), "words": "admission errors"},
        {"value": str(figures["pods_restarted"]), "words": "pods restarted"},
        {
            "value": "-" if duration is None else describe_seconds(duration),
            "words": _describe_span(figures),
        },
    ]


def _describe_span(figures: Mapping[str, Any]) -> str:
    """What the duration is of."""
    left = len(figures["left_out_of_service"])
    if left:
        return f"until the stop; {describe_count(left, 'node')} still out"
    return f"for {describe_count(sum(1 for node in figures['nodes'].values() if node['changed']), 'changed node')}"
