# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of a wave that failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wave_verdict
short_description: Say what became of a wave with nodes that failed
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Makes a headline and a line for each node that failed.
  - The headline counts those that are really not in service. A node that failed may have been restored, or may never have
    been taken out of service.
positional: nodes, outcome, in_service
options:
  _input:
    description: Reason by node, as P(kubegpu.sharing.step_failures#filter) returns it.
    type: dict
    required: true
  nodes:
    description: The nodes of the wave.
    type: list
    elements: str
    required: true
  outcome:
    description: What P(kubegpu.sharing.restore_outcome#filter) returns.
    type: dict
    required: true
  in_service:
    description: Those of the nodes that failed that are in service now. The restored ones need not be among them.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Fail with the number of nodes that are not in service
  ansible.builtin.fail:
    msg: "{{ (failures | kubegpu.sharing.wave_verdict(wave_nodes, outcome, in_service)).headline }}"
"""

RETURN = r"""
_value:
  description:
    - C(headline) is a text of one or two sentences, C(lines) has a text for each node that failed, C(reasons) the same by
      node.
    - C(brief) is the headline with the beginning of the reasons, for the one line that an error leaves in a log.
  type: dict
  sample:
    headline: 1 of 2 nodes of this wave is not in service, so no further wave is begun.
    brief: >-
      1 of 2 nodes of this wave is not in service, so no further wave is begun. gpu-1: allocatable nvidia.com/gpu is 0 after 300 s,
      expected 8.
    lines: ["gpu-1: allocatable nvidia.com/gpu is 0 after 300 s, expected 8"]
    reasons: {gpu-1: "allocatable nvidia.com/gpu is 0 after 300 s, expected 8"}
"""

from collections.abc import Mapping, Sequence
from typing import Any

_MOST_TOLD = 3
_BRIEF = 160
# Such as "gave up after 6 tries".
_TOO_BRIEF = 40
_END = "so no further wave is begun."


def wave_verdict(
    failures: Mapping[str, str], nodes: Sequence[str], outcome: Mapping[str, Any], in_service: Sequence[str]
) -> dict[str, Any]:
    """Headline and lines."""
    restored = [node for node in failures if node in outcome["restored"]]
    well = [node for node in failures if node in in_service and node not in restored]
    out = len(failures) - len(restored) - len(well)
    of_the_wave = f"of {len(nodes)} node{'' if len(nodes) == 1 else 's'} of this wave"
    reasons = {node: f"{reason} {outcome['words'].get(node, '')}".rstrip() for node, reason in failures.items()}
    lines = [f"{node}: {reason}" for node, reason in reasons.items()]
    headline = _headline(out, len(restored), len(well), of_the_wave)
    return {
        "headline": headline,
        "brief": f"{headline} {_describe_briefly(failures)}",
        "lines": lines,
        "reasons": reasons,
    }


def _describe_briefly(failures: Mapping[str, str]) -> str:
    """What comes before the first colon names the trouble; the rest is what an API or a pod says of it."""
    told = [f"{node}: {_shorten(reason)}" for node, reason in list(failures.items())[:_MOST_TOLD]]
    more = len(failures) - len(told)
    return "; ".join(told).rstrip(".") + (f"; and {more} more." if more else ".")


def _shorten(reason: str) -> str:
    first, _colon, rest = reason.partition(": ")
    text = first if len(first) >= _TOO_BRIEF else f"{first}: {rest.split(': ')[0]}" if rest else first
    return text if len(text) <= _BRIEF else text[: _BRIEF - 1].rstrip() + "…"


def _headline(out: int, restored: int, well: int, of_the_wave: str) -> str:
    told = [f"{restored} {_went_back(restored)}"] if restored else []
    told += [f"{well} {_is(well)} in service all the same"] if well else []
    if out:
        more = [f"Of the others that failed, {' and '.join(told)}."] if told else []
        return " ".join([f"{out} {of_the_wave} {_is(out)} not in service, {_END}", *more])
    failed = f"{restored + well} {of_the_wave} failed,"
    if not well:
        return f"{failed} and {_went_back(restored)}, {_END}"
    if not restored:
        return f"{failed} and {_is(well)} in service all the same, {_END}"
    return f"{failed} {_END} Of these, {' and '.join(told)}."


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _went_back(count: int) -> str:
    return "was restored to what it was before" if count == 1 else "were restored to what they were before"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"wave_verdict": wave_verdict}
