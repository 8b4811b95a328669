# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names by which the cluster, NVIDIA's device plugin and this collection know each other. PRIVATE to the collection."""

from __future__ import annotations

import re

# NVIDIA's own label: which of the named configs a node is to have.
CONFIG_LABEL = "nvidia.com/device-plugin.config"
# Ours beside it: a plugin pod that is recreated by chance on a node that awaits its wave must serve what that node
# served before, so DaemonSets select the revision as well.
REVISION_LABEL = "kubegpu.sharing/revision"
KEY_LABEL = "kubegpu.sharing/key"
# On a node between two plugins, one that left a DaemonSet by affinity.
WITHDRAWN = "withdrawn"

MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY = "kubegpu.sharing"
NAME_LABEL = "app.kubernetes.io/name"
APP_NAME = "nvidia-device-plugin"

HOLD_ANNOTATION = "kubegpu.sharing/hold"
MAINTENANCE_ANNOTATION = "kubegpu.sharing/maintenance"
#: On a node: when its device ids changed last (RFC 3339). A GPU pod that was bound before holds ids that may be gone.
DEVICES_SINCE_ANNOTATION = "kubegpu.sharing/devices-since"

GPU_RESOURCE = "nvidia.com/gpu"
MIG_PREFIX = "nvidia.com/mig-"
SHARED_SUFFIX = ".shared"

_LABEL_VALUE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_NOT_IN_A_NAME = re.compile(r"[^a-z0-9]+")
_KEY_IN_A_NAME = 30


def is_label_value(text: str) -> bool:
    """Whether Kubernetes takes it as a label's value (and it is not empty)."""
    return _LABEL_VALUE.fullmatch(text) is not None


def is_plugin_resource(name: str) -> bool:
    """Whether the GPU device plugin advertises it; nvidia.com/hostdev and the like belong to other plugins."""
    return name in (GPU_RESOURCE, GPU_RESOURCE + SHARED_SUFFIX) or name.startswith(MIG_PREFIX)


def object_name(key: str, revision: str) -> str:
    """Name of the ConfigMap and the DaemonSet of a key's revision.

    A key may hold what no object's name may (capitals, "_"). Two keys that read alike here still differ in their
    revision, which covers the key.
    """
    readable = _NOT_IN_A_NAME.sub("-", key.lower()).strip("-")[:_KEY_IN_A_NAME].strip("-")
    return "-".join(part for part in ("kubegpu-device-plugin", readable, revision) if part)
