# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads what hardening has to know of a cluster: three lists, and the ConfigMaps of its device plugins. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._hardening.cluster import HardeningView
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.client import KubeClient
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.paths import api_path
from ansible_collections.kubegpu.sharing.plugins.module_utils._kube.reader import (
    DAEMONSETS,
    NODES,
    NOT_SUCCEEDED,
    PODS,
)


def read_hardening(client: KubeClient, prefix: str) -> HardeningView:
    """The view, complete.

    :raises ApiError: something could not be read.
    """
    view = HardeningView(prefix)
    for page in client.pages(NODES):
        view.add_nodes(page.items)
    for page in client.pages(DAEMONSETS):
        view.add_daemonsets(page.items)
    for page in client.pages(PODS, fieldSelector=NOT_SUCCEEDED):
        view.add_pods(page.items)
    for title in view.config_maps():
        namespace, _slash, name = title.partition("/")
        found = client.get_or_none(api_path("configmaps", namespace, name))
        if found is not None:
            view.add_config_map(title, found)
    return view
