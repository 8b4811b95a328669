# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that the steps of a rollout share. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Extend C(kubegpu.sharing.rollout) for the lock, then the parts that apply."""

    # For every module that writes under the lock.
    DOCUMENTATION = r"""
options:
  run:
    description:
      - Name of the run on whose behalf the module works. It is the holder of the lock, and stands in the annotation of
        nodes that are in maintenance.
      - At most 40 lower-case letters, digits, V(-) and V(.).
    type: str
    required: true
  lock_namespace:
    description:
      - Namespace of the Lease V(kubegpu-rollout). All rollouts of a cluster must name the same one.
    type: str
    default: kubegpu-system
  lease_seconds:
    description:
      - Seconds for which the lock is renewed. Long waits renew it every third of that time.
    type: int
    default: 60
"""

    # For modules that obey a plan.
    PLAN = r"""
options:
  plan_path:
    description:
      - File on the control node that M(kubegpu.sharing.sharing_plan) wrote.
      - A plan with problems, or of another schema version, is refused before anything is read or written.
    type: path
    required: true
"""

    # For modules that work on the nodes of a wave.
    WAVE = r"""
options:
  nodes:
    description:
      - Nodes of the plan to work on, all in one call. A node that the plan does not have is an error, and so is an empty list
        where the state is about nodes.
    type: list
    elements: str
    default: []
  journal_path:
    description:
      - File on the control node to which a line of JSON is added for every state that a node reaches.
      - Not written in check mode.
    type: path
  parallel:
    description:
      - Number of requests that are under way at the same time, one for each node or one for each pod to be evicted. Waiting is
        done for all nodes at once, whatever this number.
    type: int
    default: 16
"""
