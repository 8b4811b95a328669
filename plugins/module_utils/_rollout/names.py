# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names that a rollout leaves in the cluster, those that it shares with the plan among them. PRIVATE to the collection."""

from __future__ import annotations

from ansible_collections.kubegpu.sharing.plugins.module_utils._plugin import names as _shared

MANAGED_BY_LABEL = _shared.MANAGED_BY_LABEL
MANAGED_BY = _shared.MANAGED_BY
CONFIG_LABEL = _shared.CONFIG_LABEL
REVISION_LABEL = _shared.REVISION_LABEL
HOLD_ANNOTATION = _shared.HOLD_ANNOTATION
MAINTENANCE_ANNOTATION = _shared.MAINTENANCE_ANNOTATION
DEVICES_SINCE_ANNOTATION = _shared.DEVICES_SINCE_ANNOTATION
#: Value of the revision label on a node that no plugin is to serve. No revision is called so (they are hexadecimal),
#: and a foreign DaemonSet that demands the label's absence stays away as well.
WITHDRAWN = _shared.WITHDRAWN

LEASE_NAME = "kubegpu-rollout"
HOLDER_ANNOTATION = "kubegpu.sharing/holder"
RELEASED_ANNOTATION = "kubegpu.sharing/released"

RUN_LABEL = "kubegpu.sharing/run"
SNAPSHOT_LABEL = "kubegpu.sharing/snapshot"
PLAN_ID_ANNOTATION = "kubegpu.sharing/plan-id"
CREATED_ANNOTATION = "kubegpu.sharing/created"
KIND_ANNOTATION = "kubegpu.sharing/kind"

is_plugin_resource = _shared.is_plugin_resource
