# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What modules that make a plan have in common. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Extend C(kubegpu.sharing.planning) before C(kubegpu.sharing.attributes), which says less of check mode and diff mode.

    Not called "plan": Ansible would find it for C(kubegpu.sharing.rollout.plan) as well.
    """

    DOCUMENTATION = r"""
options:
  cluster_path:
    description: File that M(kubegpu.sharing.gpu_resources_info) has written.
    type: path
    required: true
  wave:
    description: Nodes in a wave after the canaries, as a number or a percentage of the nodes that change.
    type: raw
    default: 25%
  max_unavailable:
    description:
      - Most GPU nodes out of service at once, as a number or a percentage of all GPU nodes, at least 1.
      - Nodes that others have taken out of service count. One node at a time is always allowed.
    type: raw
    default: 25%
  on_overcommit:
    description:
      - What to do if a node would have fewer slots than its pods hold. Its next reboot refuses the surplus.
      - With V(evict), as many pods as do not fit are evicted while the node is out of service. Which ones these are expected to
        be is in the plan. The rollout decides on the pods that it finds then.
    type: str
    choices: [refuse, evict, accept]
    default: refuse
  stale_pods:
    description:
      - What becomes of pods that hold device ids which their node does not have any more, or will not have.
      - With V(recreate), those that a controller makes anew are evicted once their node serves. A node that is as planned but
        for such pods then is a node that changes.
    type: str
    choices: [report, recreate]
    default: report
  evict_force:
    description: Whether pods without a controller may be evicted too, and are lost. Otherwise a plan that evicts one is refused.
    type: bool
    default: false
  evict_delete_emptydir_data:
    description: Whether pods with emptyDir volumes may be evicted and recreated, and lose what is in these.
    type: bool
    default: false
  mig_allow_reboot:
    description:
      - Whether hosts may be rebooted where nothing less changes the MIG mode of a GPU.
      - All pods are evicted then from a node on which such a change may need a reset (Ampere, and cards of which that is not known),
        except those of DaemonSets and static pods, since a reset that is refused leaves a reboot. Otherwise only those whose devices
        go, and such a host is not rebooted.
    type: bool
    default: false
attributes:
  check_mode:
    details:
      - This module changes nothing in the cluster. The file O(dest) is written in check mode too, because later steps read the
        plan from it.
  diff_mode:
    support: full
    details:
      - In diff mode what the nodes that are to change bear and advertise, before and after, is returned as RV(ignore:diff).
"""
