# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options about pods that must leave a node. PRIVATE to the collection."""

from __future__ import annotations


class ModuleDocFragment:
    """Extend C(kubegpu.sharing.eviction)."""

    DOCUMENTATION = r"""
options:
  evict:
    description:
      - Which pods must leave a node in maintenance. With O(state=in_maintenance).
      - V(as_planned) does what the plan says about each node, V(none) evicts nothing.
      - V(affected) evicts the pods that hold one of O(devices), V(gpu_pods) those that ask for any C(nvidia.com/) resource,
        V(all) those that C(kubectl drain) would evict.
      - Pods of DaemonSets, static pods and pods that have finished always stay.
    type: str
    choices: [as_planned, none, affected, gpu_pods, all]
    default: as_planned
  evictions:
    description:
      - When pods that must leave are evicted. With O(state=in_maintenance).
      - V(later) only looks whether they may be, cordons the nodes, and leaves it to another call with V(now) to evict them. So something
        can be done in between that may fail, before any pod had to leave for it.
    type: str
    choices: [now, later]
    default: now
  devices:
    description:
      - Ids of GPUs or MIG devices by node, for O(evict=affected). V(GPU-<uuid>) also means the slots of that GPU,
        V(GPU-<uuid>::0) only that one.
    type: dict
    default: {}
  facts_dir:
    description:
      - Directory on the control node with the files that M(kubegpu.sharing.gpu_info) wrote. They tell which pod holds, and
        which uses, which device.
      - Without it, or for a pod that came later, it is not known what a GPU pod holds. It then counts as affected, which is
        said in RV(nodes).
    type: path
  include_gpu_users:
    description:
      - Count pods that use a GPU without asking for one as GPU pods. By the processes in O(facts_dir).
    type: bool
    default: false
  eviction_timeout_seconds:
    description:
      - Seconds for all pods that must leave a node to be gone. Then the step has failed for that node, and each pod that is
        still there is listed with the reason.
    type: float
    default: 600
  eviction_retry_seconds:
    description:
      - Seconds between two tries to evict a pod that its disruption budget keeps. A time that the API asks for wins. Other
        pods are evicted meanwhile.
    type: float
    default: 5
  grace_period:
    description:
      - Seconds that containers have to end, V(0) among them. By default what each pod says itself.
    type: int
  force:
    description:
      - Evict also pods without a controller, which nothing makes anew.
    type: bool
    default: false
  delete_emptydir_data:
    description:
      - Evict also pods with emptyDir volumes, whose content is lost. A pod without a controller needs O(force) as well.
    type: bool
    default: false
  stale_pods:
    description:
      - What to do about pods that hold devices which the node has no more. With O(state=in_service).
      - V(report) lists them. V(recreate) evicts those that something makes anew, within disruption budgets, once the node is in
        service.
    type: str
    choices: [report, recreate]
    default: report
  remove_failed_pods:
    description:
      - Delete pods that the node's kubelet refused for good while it was in maintenance, if a controller makes others. With
        O(state=in_service).
    type: bool
    default: true
"""
