# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which hosts of a measurement have not given what they were to measure."""

from __future__ import annotations

DOCUMENTATION = r"""
name: unmeasured_hosts
short_description: Say which hosts have not given their measurement, and how it can be had
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - Reads what became of the sampling on each host, and makes a sentence for each one whose measurement is not on the control node.
positional: run, path
options:
  _input:
    description:
      - By host a list of three registered results, of the task that began to sample, of the one that fetched what was measured, and of
        C(async_status) where there was no file to fetch. What did not run is empty or skipped.
    type: dict
    required: true
  run:
    description: Id of the measurement.
    type: str
    required: true
  path:
    description: Directory on the hosts in which measurements lie.
    type: str
    required: true
"""

EXAMPLES = r"""
- name: Tell of hosts that were not measured
  ansible.builtin.debug:
    msg: "{{ {inventory_hostname: [begun, fetched, asked]} | kubegpu.sharing.unmeasured_hosts(run, '/var/lib/kubegpu-sharing/measurements') }}"
"""

RETURN = r"""
_value:
  description: A sentence for each host whose measurement is missing.
  type: list
  elements: str
  sample: ["gpu-t4 was not measured: it could not be reached when the sampling began (No route to host)."]
"""

from collections.abc import Mapping, Sequence
from typing import Any


def unmeasured_hosts(results: Mapping[str, Sequence[Any]], run: str, path: str) -> list[str]:
    """Sentences, in the order of the hosts."""
    found = []
    for host, (begun, fetched, asked) in results.items():
        reason = _reason(begun or {}, fetched or {}, asked or {}, (run, path))
        if reason:
            found.append(f"{host} {reason}")
    return found


def _reason(
    begun: Mapping[str, Any], fetched: Mapping[str, Any], asked: Mapping[str, Any], where: tuple[str, str]
) -> str | None:
    run, path = where
    # A connection may break just after the sampling has begun.
    if run in (fetched.get("written") or []) or asked.get("measurement"):
        return None
    if begun.get("unreachable"):
        return f"was not measured: it could not be reached when the sampling began ({_message(begun)})."
    if not begun.get("ansible_job_id"):
        return f"was not measured: the sampling could not begin ({_message(begun)})."
    later = f"What it has measured lies in {path} on it, and the next run of kubegpu.sharing.measure that reaches it collects it."
    if fetched.get("unreachable"):
        return f"does not answer ({_message(fetched)}). {later}"
    for item in fetched.get("runs") or []:
        if item.get("id") == run:
            state = (
                "samples still" if item.get("running") else f"has a measurement that is no use: {item.get('reason')}"
            )
            return f"{state}. {later}" if item.get("running") else f"{state}."
    if fetched.get("failed"):
        return f"did not hand on its measurement ({_message(fetched)}). {later}"
    if "finished" in asked and not asked["finished"]:
        # Before the failure, which is no more than that it was asked in vain.
        return "was not measured: it has left no file, and its job has not ended in time, or has died without a word."
    if asked.get("failed") or asked.get("msg"):
        return f"was not measured: the sampling failed there ({_message(asked)})."
    return "was not measured: the sampling has left nothing there, as if the host had been set up anew."


def _message(result: Mapping[str, Any]) -> str:
    # ansible-core 2.19 and newer begin so.
    text = str(result.get("msg") or "").strip().removeprefix("Task failed: ")
    return text.splitlines()[0].rstrip(".") if text else "no message"


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"unmeasured_hosts": unmeasured_hosts}
