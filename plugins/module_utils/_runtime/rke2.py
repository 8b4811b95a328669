# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Plan the nvidia runtime of an RKE2 node: the same as k3s, with other paths. Pure. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.k3s import plan_for
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.k3s_config import Distribution
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.observation import Observation
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.plan import RuntimePlan
from ansible_collections.kubegpu.sharing.plugins.module_utils._runtime.wish import Wish

RKE2 = Distribution("rke2", ("/var/lib/rancher/rke2/bin/kubectl", "--kubeconfig", "/etc/rancher/rke2/rke2.yaml"))


def plan(wish: Wish, observation: Observation) -> RuntimePlan:
    """See ``engines.Engine``."""
    return plan_for(RKE2, wish, observation)
