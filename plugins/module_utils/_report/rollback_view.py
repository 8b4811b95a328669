# Copyright: (c) 2026, kubegpu.sharing maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a plan that goes back says besides what every plan says. PRIVATE to the collection."""

from __future__ import annotations

from typing import Any, Mapping

from ansible_collections.kubegpu.sharing.plugins.module_utils._report.document import Section


def rollback_sections(plan: Mapping[str, Any]) -> list[Section]:
    """Where it goes back to, and what DaemonSets of others get back; nothing for a plan that goes forward."""
    if plan.get("kind") != "rollback":
        return []
    run = (plan.get("snapshot") or {}).get("run")
    text = f"To how the cluster was before run {run}. Only what still is as that run had set it goes back; what was changed since is left alone."
    reverts = [_describe_revert(revert) for revert in plan.get("reverts") or []]
    sections = [Section("A rollback", text)]
    return [*sections, Section("What DaemonSets of others get back", items=reverts)] if reverts else sections


def _describe_revert(revert: Mapping[str, Any]) -> str:
    strategy = ((revert.get("before") or {}).get("updateStrategy") or {}).get("type")
    return (
        f"{revert.get('daemonset')}: once its nodes are back, the affinity that it had before; its update strategy {strategy} follows as soon as "
        "none of its pods would be restarted by that."
    )
