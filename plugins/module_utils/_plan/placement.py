# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether the plugin's pod can get onto a node at all. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping, Sequence

from ansible_collections.kubegpu.sharing.plugins.module_utils._holders.names import TAINT_KEY
from ansible_collections.kubegpu.sharing.plugins.module_utils._plan.node_state import NodeState

# Tolerations that the DaemonSet controller adds by itself, and the taint that a run sets for a time and lifts before its plugin
# starts; one that was killed leaves it for the next.
_TOLERATED = (
    *(
        f"node.kubernetes.io/{name}"
        for name in ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
    ),
    TAINT_KEY,
)


def check_placement(
    state: NodeState, node_selector: Mapping[str, str], tolerations: Sequence[Mapping[str, Any]]
) -> list[str]:
    """What keeps the pod away, as sentences without the node.

    :param node_selector: what the operator asks for, besides key and revision.
    """
    findings = [
        f"it lacks {label}={value}, which kubegpu_device_plugin.node_selector asks for, so that no plugin would run there; label "
        "the node, or take it out of the selector"
        for label, value in sorted(node_selector.items())
        if state.labels.get(label) != value
    ]
    for taint in state.entry.get("taints") or ():
        if taint.get("effect") == "PreferNoSchedule" or taint.get("key") in _TOLERATED:
            continue
        if not any(tolerates(toleration, taint) for toleration in tolerations):
            shown = f"{taint.get('key')}={taint.get('value') or ''}:{taint.get('effect')}"
            findings.append(
                f"its taint {shown} keeps the device plugin's pod away; add a toleration to kubegpu_device_plugin.tolerations"
            )
    return findings


def tolerates(toleration: Mapping[str, Any], taint: Mapping[str, Any]) -> bool:
    """Whether a toleration of a pod lets it onto a node with the taint."""
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    exists = toleration.get("operator") == "Exists"
    if not toleration.get("key"):
        return exists
    if toleration["key"] != taint.get("key"):
        return False
    return exists or (toleration.get("value") or "") == (taint.get("value") or "")
