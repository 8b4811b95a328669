# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What to type after a wave that failed."""

from __future__ import annotations

DOCUMENTATION = r"""
name: next_steps
short_description: Say what to do after a wave that failed, with the commands
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - The commands for playbooks are made from the one that was typed, with its inventory, its limit and its variables. Values of
    variables whose names do not begin with C(kubegpu_) show as C(...), as they may be secrets.
  - A node that was changed as planned and is not well is as planned, so that to go on would do nothing about it, and a rollout refuses to go
    past it until somebody has seen to it.
positional: run
options:
  _input:
    description: Reason by node, as P(kubegpu.sharing.step_failures#filter) returns it.
    type: dict
    required: true
  run:
    description:
      - C(kind) of the plan, C(plan_id) that is approved, C(snapshot_run) that a rollback goes back to, and C(undo), the run whose
        snapshot shows what was before this one.
      - C(limit) of the run and C(kubectl), words that name the cluster for it.
      - C(waves_left), whether there are waves after this one, C(unwell), nodes that were changed and are not well, C(crashed),
        containers as RV(kubegpu.sharing.rollout_health_info#module:nodes) has them,
        and C(not_well_path), the file that remembers unwell nodes.
    type: dict
    required: true
"""

EXAMPLES = r"""
- name: Keep the words and commands
  ansible.builtin.set_fact:
    steps: "{{ {'gpu-1': 'no driver'} | kubegpu.sharing.next_steps({'kind': 'sharing', 'plan_id': '0123456789abcdef', 'undo': 'run-1'}) }}"
"""

RETURN = r"""
_value:
  description: C(words) and C(commands) of each step.
  type: list
  elements: dict
  sample:
    - words: "To take back what this run did:"
      commands: [ansible-playbook kubegpu.sharing.rollback -i inventory -e kubegpu_rollback_run=20260301-120000-0a1b2c]
"""

import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.plugin_utils._command import follow_up_with

_FEWER_SLOTS = "To plan with fewer slots, once the config has fewer replicas, or more process_memory_mib (see kubegpu.sharing.measure):"
_MOST_TOLD = 5
_MOST_LOGS = 3


def next_steps(failures: Mapping[str, str], run: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Words and commands, in the order in which they are needed."""
    unwell = [node for node in failures if node in (run.get("unwell") or ())]
    steps = [("To look at what happened there:", list(_look(failures, unwell, run)))]
    # Of nodes that are as planned nothing is left to go on with.
    if len(unwell) < len(failures) or run.get("waves_left"):
        steps.append((_describe_going_on(unwell), [*_forget(unwell, run), _go_on(run)]))
    if unwell and run.get("crashed") and run.get("kind") != "rollback":
        steps.append((_FEWER_SLOTS, [_play("plan", {}, run)]))
    steps.append(("To take back what this run did:", [_play("rollback", {"kubegpu_rollback_run": run["undo"]}, run)]))
    return [{"words": words, "commands": commands} for words, commands in steps]


def _look(failures: Mapping[str, str], unwell: Sequence[str], run: Mapping[str, Any]) -> Iterator[str]:
    kubectl = ["kubectl", *(run.get("kubectl") or ())]
    crashed = list(run.get("crashed") or ())
    for one in crashed[:_MOST_LOGS]:
        namespace, _slash, pod = one["pod"].partition("/")
        yield shlex.join([*kubectl, "-n", namespace, "logs", pod, "-c", one["container"], "--previous"])
    # That pods crash on it, a node does not know.
    nodes = [node for node in failures if node not in unwell or not crashed]
    if nodes:
        yield shlex.join([*kubectl, "describe", "node", *nodes[:_MOST_TOLD]])


def _describe_going_on(unwell: Sequence[str]) -> str:
    if not unwell:
        return "To go on once the cause is gone:"
    names = ", ".join(unwell[:_MOST_TOLD]) + (" and others" if len(unwell) > _MOST_TOLD else "")
    them = "it" if len(unwell) == 1 else "them"
    return f"To go on with what is left, once {names} {'is' if len(unwell) == 1 else 'are'} seen to; nothing watches {them} again:"


def _forget(unwell: Sequence[str], run: Mapping[str, Any]) -> list[str]:
    """A rollout refuses to go past nodes that are remembered as not well."""
    if not unwell or run.get("kind") == "rollback" or not run.get("not_well_path"):
        return []
    return [shlex.join(["rm", run["not_well_path"]])]


def _go_on(run: Mapping[str, Any]) -> str:
    if run.get("kind") == "rollback":
        return _play("rollback", {"kubegpu_rollback_run": run["snapshot_run"]}, run)
    return _play("rollout", {"kubegpu_plan_id": run["plan_id"]}, run)


def _play(playbook: str, variables: Mapping[str, str], run: Mapping[str, Any]) -> str:
    return follow_up_with(sys.argv, playbook, variables, str(run.get("limit") or ""))


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"next_steps": next_steps}
