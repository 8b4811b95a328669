# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Measurements of other runs that hosts are still at."""

from __future__ import annotations

DOCUMENTATION = r"""
name: running_samplings
short_description: Tell of samplings that go on
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Hosts sample by themselves, so they go on when a run is interrupted. What they see is in no proposal before it was collected.
positional: run
options:
  _input:
    description: By host the result of M(kubegpu.sharing.gpu_usage) with C(state=collected), or an empty mapping.
    type: dict
    required: true
  run:
    description: Id of the measurement at hand, of which nothing is said.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Tell what is not in the proposal yet
  ansible.builtin.debug:
    msg: "{{ dict(ansible_play_hosts | zip(ansible_play_hosts | map('extract', hostvars, 'collected'))) | kubegpu.sharing.running_samplings(run) }}"
"""

RETURN = r"""
_value:
  description: A sentence for each such measurement, the oldest first.
  type: list
  elements: str
  sample:
    - >-
      1 host still samples for measurement 20260301-120000-abc123: gpu-t4. What it sees is not in this proposal; run kubegpu.sharing.measure
      again once it has ended.
"""

from collections.abc import Mapping
from typing import Any

_NAMED = 5


def running_samplings(results: Mapping[str, Any], run: str) -> list[str]:
    """Sentences, by id."""
    hosts: dict[str, list[str]] = {}
    for host, result in results.items():
        for item in (result or {}).get("runs") or []:
            if item.get("running") and item.get("id") != run:
                hosts.setdefault(str(item["id"]), []).append(host)
    return [_tell(name, hosts[name]) for name in sorted(hosts)]


def _tell(name: str, hosts: list[str]) -> str:
    named = ", ".join([*hosts[:_NAMED], *([f"{len(hosts) - _NAMED} more"] if hosts[_NAMED:] else [])])
    who, it = (
        ("1 host still samples", "it sees") if len(hosts) == 1 else (f"{len(hosts)} hosts still sample", "they see")
    )
    ended = "it has ended" if len(hosts) == 1 else "they have ended"
    return (
        f"{who} for measurement {name}: {named}. What {it} is not in this proposal; run kubegpu.sharing.measure again once "
        f"{ended}."
    )


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"running_samplings": running_samplings}
