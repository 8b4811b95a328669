# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""How far hosts are that sample, and for how long to leave them alone."""

from __future__ import annotations

DOCUMENTATION = r"""
name: measure_progress
short_description: Tell how far a measurement is, and when to look again
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads what M(kubegpu.sharing.gpu_usage) has told of each host, and says whether there is anything left to wait for.
  - A host that does not answer may sample all the same. It is waited for until the sampling has ended everywhere, and
    O(lost_seconds) longer.
  - There is nothing left to wait for after 64 looks, whatever the times are.
  - Time is that since the control node's start, which nobody sets.
positional: run
options:
  _input:
    description: The registered result of M(kubegpu.sharing.gpu_usage) with O(kubegpu.sharing.gpu_usage#module:state=collected) by host; empty at the begin.
    type: dict
    required: true
  run:
    description: Id of the measurement.
    type: str
    required: true
  seconds:
    description: Seconds for which the hosts sample.
    type: int
    required: true
  lost_seconds:
    description: Seconds after that for which hosts that do not answer are asked again.
    type: int
    required: true
  progress_seconds:
    description: Seconds between two looks, of which there are 40 at most while the hosts sample.
    type: int
    required: true
  begun:
    description: What this filter has returned as C(begun) at the begin. Now if not given.
    type: float
"""

EXAMPLES = r"""
- name: Begin to count the time
  ansible.builtin.set_fact:
    progress: "{{ {} | kubegpu.sharing.measure_progress(run, seconds=600, lost_seconds=300, progress_seconds=60) }}"
"""

RETURN = r"""
_value:
  description:
    - C(done) tells whether there is nothing left to wait for, C(wait_seconds) when to look again, C(begun) is for the next call, and
      C(told) says how far the hosts are.
  type: dict
  sample:
    begun: 1061.5
    done: false
    told: "After 120 of 600 s: 7 hosts sample, 1 does not answer: gpu-t4."
    wait_seconds: 60
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.words import join_some

# Looks at most while the hosts sample, and afterwards besides the first few: each one asks every host.
_LOOKS = 40
_LATE_LOOKS = 16
# Of looks after the sampling should have ended.
_SHORTEST_WAIT = 2
_LONG_WAIT = 15
# A job that has not begun to write after so many seconds more than the sampling takes will not.
_SLOW_START_SECONDS = 5
_NAMES_TOLD = 5


@dataclass(frozen=True)
class _Times:
    """All in seconds."""

    sampling: int
    lost: int
    period: int

    def wait(self, elapsed: float) -> int:
        """Seconds until the next look."""
        left = self.sampling - elapsed
        if left > 0:
            return max(1, min(self.period, math.ceil(left) + 1))
        longest = max(_SHORTEST_WAIT, min(self.period, _LONG_WAIT), math.ceil(self.lost / _LATE_LOOKS))
        return max(_SHORTEST_WAIT, min(math.ceil(-left), longest))


def measure_progress(
    looks: Mapping[str, Any] | list[Any],
    run: str,
    *,
    seconds: Any,
    lost_seconds: Any,
    progress_seconds: Any,
    begun: float | None = None,
) -> dict[str, Any]:
    """What is left to wait for."""
    now = time.monotonic()
    begun = now if begun is None else float(begun)
    times = _Times(int(seconds), int(lost_seconds), max(int(progress_seconds), math.ceil(int(seconds) / _LOOKS), 1))
    elapsed = now - begun
    hosts: dict[str, list[str]] = {"sampling": [], "silent": [], "ended": [], "lost": []}
    for host, look in dict(looks or {}).items():
        state = _state(look, run)
        if state:
            hosts[state].append(host)
    awaited = hosts["sampling"] + hosts["lost"]
    if elapsed < times.sampling + _SLOW_START_SECONDS:
        awaited += hosts["silent"]
    return {
        "begun": begun,
        "done": bool(looks) and (not awaited or elapsed >= times.sampling + times.lost),
        "wait_seconds": times.wait(elapsed),
        "told": _told(min(elapsed, times.sampling), times.sampling, hosts),
    }


def _state(look: Any, run: str) -> str | None:
    """None: the sampling did not begin there."""
    if not isinstance(look, Mapping) or not look or look.get("skipped"):
        return None
    if look.get("unreachable") or look.get("failed"):
        return "lost"
    for item in look.get("runs") or []:
        if item.get("id") == run:
            return "sampling" if item.get("running") else "ended"
    return "silent"


def _told(elapsed: float, seconds: int, hosts: Mapping[str, list[str]]) -> str:
    words = {
        "sampling": ("samples", "sample"),
        "silent": ("has no sample yet", "have no sample yet"),
        "ended": ("has ended", "have ended"),
        "lost": ("does not answer", "do not answer"),
    }
    parts = []
    for state, (one, many) in words.items():
        names = hosts[state]
        if names:
            parts.append(f"{len(names)} {'host ' if len(names) == 1 else 'hosts '}{one if len(names) == 1 else many}")
    text = f"After {int(elapsed)} of {seconds} s: {', '.join(parts) or 'no host samples'}"
    lost = hosts["lost"]
    if lost:
        text += f": {join_some(lost, _NAMES_TOLD)}"
    return f"{text}."


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"measure_progress": measure_progress}
