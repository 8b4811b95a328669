# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The hosts of a play that goes through the waves of a plan."""

from __future__ import annotations

DOCUMENTATION = r"""
name: wave_batches
short_description: Make the batches of hosts that carry out the waves of a plan
version_added: 0.1.0
author: kubegpu.sharing maintainers (@kubegpu)
description:
  - A wave is one batch of a play with C(serial). Each batch begins with a host that leads it. All work on the API is done in its
    name, on the control node.
  - The nodes' own hosts follow only if something is to be done on them. Nothing is said then about the others in the batch.
positional: wave_hosts
options:
  _input:
    description: The waves of a plan, each a list of nodes.
    type: list
    elements: list
    required: true
  wave_hosts:
    description: The host of each node, as mappings with C(node) and C(host).
    type: list
    elements: dict
    required: true
  leader:
    description:
      - Beginning of the names of the leaders, to which the number of the wave is added. They are never connected to, so they
        cannot become unreachable.
      - If it is empty, the host of a wave's first node leads it, which is for plays that C(--limit) keeps from hosts with such names.
    type: str
    default: ""
  with_hosts:
    description: Whether something is to be done on the hosts of the nodes.
    type: bool
    default: false
  reading:
    description: Hosts that follow even if nothing is to be done on them, since something is to be read there.
    type: list
    elements: str
    default: []
"""

EXAMPLES = r"""
- name: Put the hosts into the order of their waves
  ansible.builtin.add_host:
    name: "{{ item.host }}"
    groups: [waves]
    wave: "{{ item.wave }}"
  loop: "{{ batches.members }}"
  vars:
    batches: "{{ plan.waves | kubegpu.sharing.wave_batches(plan.wave_hosts, leader='wave-', with_hosts=true) }}"
"""

RETURN = r"""
_value:
  description:
    - C(members) has the hosts of all batches in their order, each with C(host), C(node) (empty for a leader that is no node's
      host) and C(wave), the number of the wave, from 1.
    - C(sizes) has the number of hosts in each batch, for C(serial).
  type: dict
  sample:
    members:
      - {host: wave-1, node: "", wave: 1}
      - {host: rack-1, node: gpu-1, wave: 1}
    sizes: [2]
"""

from collections.abc import Mapping, Sequence
from typing import Any


def wave_batches(
    waves: Sequence[Sequence[str]],
    wave_hosts: Sequence[Mapping[str, str]],
    leader: str = "",
    with_hosts: bool = False,
    reading: Sequence[str] = (),
) -> dict[str, Any]:
    """Members and sizes of the batches."""
    hosts = {entry["node"]: entry["host"] for entry in wave_hosts}
    read, batches = frozenset(reading), []
    for number, nodes in enumerate(waves, start=1):
        members = [{"host": f"{leader}{number}", "node": "", "wave": number}] if leader else []
        # Without a leader the first host stands for the wave, whatever is done on it.
        own = [
            node
            for position, node in enumerate(nodes)
            if with_hosts or hosts[node] in read or (not leader and position == 0)
        ]
        batches.append(members + [{"host": hosts[node], "node": node, "wave": number} for node in own])
    return {
        "members": [member for batch in batches for member in batch],
        "sizes": [len(batch) for batch in batches],
    }


class FilterModule:
    """Filters of this file."""

    def filters(self) -> dict[str, Any]:
        """Name to function."""
        return {"wave_batches": wave_batches}
