# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Revisions that no node bears any more. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Iterable, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout import names
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.node import NodeState
from ansible_collections.kubegpu.sharing.plugins.module_utils._rollout.objects import is_managed


def borne_revisions(nodes: Iterable[NodeState]) -> set[str]:
    """Revisions that nodes bear, or bore before a maintenance that has not ended: they may be wanted back."""
    borne: set[str] = set()
    for node in nodes:
        note = node.maintenance
        borne |= {
            str(revision) for revision in (node.revision, note.restore.get("revision") if note else None) if revision
        }
    return borne - {names.WITHDRAWN}


def plan_prune(objects: Iterable[Mapping[str, Any]], wanted: set[str]) -> list[Mapping[str, Any]]:
    """Objects of ours whose revision is not wanted. One that bears no revision is not a plugin's, and stays."""
    return [obj for obj in objects if is_managed(obj) and _revision(obj) and _revision(obj) not in wanted]


def _revision(obj: Mapping[str, Any]) -> str:
    return str(((obj.get("metadata") or {}).get("labels") or {}).get(names.REVISION_LABEL) or "")
