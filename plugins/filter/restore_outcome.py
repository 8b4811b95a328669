# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What became of nodes that were to be restored."""

from __future__ import annotations

DOCUMENTATION = r"""
name: restore_outcome
short_description: Tell which nodes of a failed wave were restored, and what became of the others
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads the plan by which nodes that failed go back to what they were, and the results of the steps that carried it out.
  - A node that the plan leaves alone, or that a step failed for, is not restored, whatever became of the others.
  - A node that a person holds is proven and stays out of service. It does not count as restored.
positional: plan, steps, busy, in_service
options:
  _input:
    description: The nodes that were to be restored.
    type: list
    elements: str
    required: true
  plan:
    description: The result of M(kubegpu.sharing.rollback_plan), even if it has failed.
    type: dict
    required: true
  steps:
    description: The registered results of the steps, in the order in which they ran. The last one puts nodes into service.
    type: list
    elements: dict
    required: true
  busy:
    description: Nodes that were not to be restored, because something may be at work on their hosts.
    type: list
    elements: str
    default: []
  in_service:
    description: Those of the nodes that were in service when their way back began. The plan may have left them there.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Tell which nodes were restored
  ansible.builtin.debug:
    var: outcome.words
  vars:
    outcome: "{{ failed | kubegpu.sharing.restore_outcome(plan, [emptied, withdrawn, serving, in_service], busy=[]) }}"
"""

RETURN = r"""
_value:
  description: C(restored) has the nodes that are again what they were, C(words) what became of each node, in brackets.
  type: dict
  sample:
    restored: [gpu-1]
    words:
      gpu-1: (it was restored to what it was before the rollout)
      gpu-2: "(it was not restored and stays out of service: on hold: a new fan)"
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kubegpu.sharing.plugins.filter.step_failures import step_failures

_RESTORED = "it was restored to what it was before the rollout"
_LEFT = "it was not restored and stays out of service"
_STAYS = "it was not restored and stays in service as it is now"
_BUSY = f"({_LEFT}, since a host step may still be running there, or its container runtime does not serve: look at its host first)"


def restore_outcome(
    nodes: Sequence[str],
    plan: Mapping[str, Any],
    steps: Sequence[Mapping[str, Any]],
    busy: Sequence[str] = (),
    in_service: Sequence[str] = (),
) -> dict[str, Any]:
    """Nodes that are restored, and a text for each of ``nodes`` and ``busy``."""
    if not isinstance(plan, Mapping) or isinstance(steps, (str, Mapping)) or not isinstance(steps, Sequence):
        raise AnsibleFilterError("restore_outcome: expected the result of a plan, and a list of results of steps")
    planned = [node for wave in plan.get("waves") or () for node in wave]
    failures = step_failures(list(steps), planned)
    ended = (steps[-1].get("nodes") or {}) if steps else {}
    restored, words = [], dict.fromkeys(busy, _BUSY)
    for node in nodes:
        if node not in planned:
            words[node] = f"({_STAYS if node in in_service else _LEFT}: {_why_not(node, plan)})"
        elif node in failures:
            words[node] = f"(it could not be restored: {failures[node]})"
        elif node not in ended:
            words[node] = "(it could not be restored: the last step did not come to it)"
        elif ended[node].get("held"):
            words[node] = (
                f"(it serves what it did before the rollout, but stays out of service: {_reason(ended[node])})"
            )
        else:
            restored.append(node)
            words[node] = f"({_RESTORED})" if ended[node].get("in_service") else f"({_RESTORED}; it was cordoned then)"
    return {"restored": restored, "words": words}


def _why_not(node: str, plan: Mapping[str, Any]) -> str:
    """Why the plan leaves a node alone."""
    left_alone = [*((plan.get("plan") or {}).get("skipped") or ()), *(plan.get("refused") or ())]
    for entry in left_alone:
        if entry["node"] == node:
            return str(entry["reason"])
    if "waves" in plan:
        return "the plan found nothing of it to go back"
    return " ".join(str(plan.get("msg") or "no plan could be made").split())


def _reason(result: Mapping[str, Any]) -> str:
    return str(result.get("reason") or "a person holds it")


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"restore_outcome": restore_outcome}
