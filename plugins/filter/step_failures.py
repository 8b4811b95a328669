# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which nodes of a wave a step has failed for."""

from __future__ import annotations

DOCUMENTATION = r"""
name: step_failures
short_description: Tell which nodes the steps of a wave failed for, and why
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads the results of modules that work on all nodes of a wave in one call.
  - A step that failed as a whole has failed for every node that it was to work on; a skipped step has failed for none.
  - A step that was to work on some of the nodes only has these in C(concerns), which is added to its result.
positional: nodes
options:
  _input:
    description: The registered result of one step, or a list of them in the order in which they ran.
    type: raw
    required: true
  nodes:
    description: The nodes of the wave.
    type: list
    elements: str
    required: true
"""

EXAMPLES = r"""
- name: Stop at the first wave with a node that is not in service
  ansible.builtin.fail:
    msg: "{{ failures }}"
  when: failures | length > 0
  vars:
    failures: "{{ [cordoned, switched] | kubegpu.sharing.step_failures(wave_nodes) }}"
"""

RETURN = r"""
_value:
  description: Reason by node, of the first step that failed for it.
  type: dict
  sample: {gpu-1: "allocatable nvidia.com/gpu is 0 after 300 s, expected 8"}
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError


def step_failures(results: Any, nodes: Sequence[str]) -> dict[str, str]:
    """Reason by node for the nodes that a step failed for, in the order of ``nodes``."""
    steps = [results] if isinstance(results, Mapping) else results
    if (
        isinstance(steps, str)
        or not isinstance(steps, Sequence)
        or not all(isinstance(step, Mapping) for step in steps)
    ):
        raise AnsibleFilterError(
            f"step_failures: expected a registered result or a list of them, got {type(results).__name__}"
        )
    failures: dict[str, str] = {}
    for step in steps:
        for node in nodes:
            reason = _failure(step, node)
            if reason is not None:
                failures.setdefault(node, reason)
    return {node: failures[node] for node in nodes if node in failures}


def _failure(step: Mapping[str, Any], node: str) -> str | None:
    """Why ``step`` failed for ``node``, or None."""
    if step.get("skipped") or node not in step.get("concerns", (node,)):
        return None
    # With failed_when: false a module's own failure shows only in its message: such a result has no nodes.
    if "nodes" not in step:
        return str(step.get("msg") or step.get("exception") or "the step ended without a result")
    result = step["nodes"].get(node)
    # A node that an earlier step failed for is not handed on; its first reason stands. Silence about any other is no proof.
    if result is None:
        return "the step says nothing about this node"
    if not result.get("failed"):
        return None
    return str(result.get("reason") or "failed without a reason")


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"step_failures": step_failures}
