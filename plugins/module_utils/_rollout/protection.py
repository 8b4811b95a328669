# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keeping autoscalers away from a node in maintenance. PRIVATE to the collection.

An autoscaler takes a node that was emptied for one that nobody needs, and removes it. It is told not to for the time of
the maintenance, and afterwards the node says again what it said before.
"""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState

#: What cluster-autoscaler and Karpenter heed on a node.
PROTECTION: Mapping[str, str] = {
    "cluster-autoscaler.kubernetes.io/scale-down-disabled": "true",
    "karpenter.sh/do-not-disrupt": "true",
}
#: Where the note on the node keeps what these annotations were: value by name, None for one that was not there.
_RESTORE_KEY = "annotations"


def protect(node: NodeState, restore: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Any]]:
    """What to annotate for the time of a maintenance, and the note's ``restore`` that knows how to undo it.

    What the node says already is left alone, now and afterwards.

    :param restore: what the note knows. Of an earlier run it stands: that one saw the node as it was.
    """
    wanted = {name: value for name, value in PROTECTION.items() if node.annotations.get(name) != value}
    before = {name: node.annotations.get(name) for name in wanted}
    return wanted, {**restore, _RESTORE_KEY: {**before, **_noted(restore)}}


def unprotect(node: NodeState, restore: Mapping[str, Any]) -> dict[str, str | None]:
    """What to annotate at the end of a maintenance: as before, where nobody has changed it meanwhile."""
    return {
        name: before
        for name, before in _noted(restore).items()
        if name in PROTECTION and node.annotations.get(name) == PROTECTION[name]
    }


def _noted(restore: Mapping[str, Any]) -> dict[str, str | None]:
    noted = restore.get(_RESTORE_KEY)
    return dict(noted) if isinstance(noted, Mapping) else {}
